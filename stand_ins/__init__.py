"""Emulate what cannot be had on this machine: Heroku, PythonAnywhere, a machine of one's own, and services.

They are programs that know nothing of the template: each behaves as the real one is documented, and the tests run a
project's own commands against them.
"""
