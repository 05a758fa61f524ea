"""Emulate what this machine cannot have: Heroku, PythonAnywhere, a separate Linux machine, and external services.

These programs know nothing of the template. Each behaves as the real one is documented, and the tests run a project's
own commands against it.
"""
