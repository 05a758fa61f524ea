#!/bin/sh
# What a container of this image does: one of the roles below, or the command given.
set -eu

role=${1:-web}
case $role in
  web)
    exec gunicorn --bind "0.0.0.0:${PORT:-8000}"
    ;;
  migrate)
    exec python manage.py migrate --noinput
    ;;
  manage)
    shift
    exec python manage.py "$@"
    ;;
esac
exec "$@"
