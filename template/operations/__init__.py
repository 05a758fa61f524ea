"""What running a site needs. The template keeps it: `copier update` renews it, so change it only if you must.

Nothing in here imports the project's own apps or its `config`.
"""
