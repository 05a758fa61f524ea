"""What running a site needs. The template keeps it: `copier update` renews it, so change it only if you must.

Nothing in here imports the project's own apps or its `config`. The modules, each with what it is for at its top:

    environment   reading variables, and refusing to start
    requests      request ids, the line of a request in the log, headers; probes: /health/ and /ready/; logs
    development   what was refused while one develops, and the line that allows it
    tasks, mail   background tasks and emails; workers, where tasks are left to them
    backups       the database in a file; uploads, caches, and cleanup of what nobody needs
    management    the commands of manage.py
"""
