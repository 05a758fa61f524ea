"""Emulate PythonAnywhere: an account with its consoles, its web apps served by uWSGI, and its API."""
