"""Run the site: the code that the template maintains. `copier update` renews it, so change it only if you must.

Nothing in here imports the project's own apps or its `config`. The modules, each described at its top:

    environment   read environment variables, and refuse to start without them
    requests      request ids, request logs, headers; probes: /health/ and /ready/; logs: their format
    development   show in development what the browser blocked, and the setting that allows it
    tasks, mail   background tasks and emails; workers: the processes that run tasks
    backups       back up and restore the database; uploads, caches, and cleanup of old data
    management    the commands of manage.py
"""
