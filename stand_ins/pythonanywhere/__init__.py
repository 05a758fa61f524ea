"""PythonAnywhere: an account with its consoles, its web apps served by uWSGI, and the API behind them."""
