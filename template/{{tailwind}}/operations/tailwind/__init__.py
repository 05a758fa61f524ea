"""Compile the site's style sheet with Tailwind, during development."""
