#!/bin/sh
# What a container of this image does: one of the roles below, or the command given.
set -eu

role=${1:-web}
case $role in
  # Serves the site.
  web)
    case ${RUN_MIGRATIONS:-false} in
      true) python manage.py migrate --noinput ;;
      false) ;;
      *)
        echo "Not starting: RUN_MIGRATIONS is neither true nor false. Write one of the two." >&2
        exit 3
        ;;
    esac
    exec gunicorn --bind "0.0.0.0:${PORT:-8000}" --worker-class deploy.gunicorn_worker.DrainingWorker
    ;;
  # Brings the database up to date, and ends.
  migrate)
    exec python manage.py migrate --noinput
    ;;
  # Runs one of Django's commands.
  manage)
    shift
    exec python manage.py "$@"
    ;;
  # Serves the site to the person who works on it, and again at each change.
  dev)
    python manage.py collectstatic --noinput --verbosity 0
    exec python manage.py runserver --migrate "0.0.0.0:${PORT:-8000}"
    ;;
esac
if ! command -v "$role" >/dev/null; then
  echo "$role is neither a role (web, migrate, manage, dev) nor a program in this image." >&2
  exit 127
fi
exec "$@"
