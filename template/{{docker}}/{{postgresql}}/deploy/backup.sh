#!/bin/sh
# Backs up PostgreSQL and restores it: the services `backup` and `restore` of compose.yaml. It takes the options of
# `manage.py backup` and `manage.py restore`, which need a pg_dump as new as the server: the site's image has none.
#
#   backup                         write a backup, and delete the oldest beyond BACKUP_KEEP
#   backup --list                  list the backups, newest first
#   backup --check [NAME]          check that a backup is complete; default: the newest
#   restore [--force] [NAME | -]   restore a backup; default: the newest; - reads standard input
#
# Without --force, only an empty database is restored. What --force replaces stays as the database NAME_before.
# Exit codes: 0, done; 1, not done, and the database is unchanged; 2, wrong arguments.
set -eu
umask 077

PGOPTIONS=--client-min-messages=warning
PGPASSWORD=$(cat /run/secrets/database_password)
export PGPASSWORD PGOPTIONS
unfinished=$(mktemp /backups/.unfinished-XXXXXX)
trap 'rm -f "$unfinished"' EXIT
trap 'exit 1' HUP INT TERM

main() {
  case "${1:-} ${2:-}" in
    "backup ") backup ;;
    "backup --list") backups ;;
    "backup --check")
      backup=$(chosen "${3:-}")
      check "$backup" "${backup##*/}"
      echo "${backup##*/} is complete"
      ;;
    "restore "*)
      shift
      restore "$@"
      ;;
    *) usage ;;
  esac
}

# A backup gets its name only after it was read back and found complete.
backup() {
  case $BACKUP_KEEP in
    0* | *[!0-9]*) fail "BACKUP_KEEP is not a whole number from 1 up: $BACKUP_KEEP" ;;
  esac
  # Delete what backups that were killed have left, a day later.
  find /backups -maxdepth 1 -name '.unfinished-*' -mtime +0 -exec rm -f {} +
  pg_dump --format=custom --no-owner --no-privileges --file="$unfinished"
  check "$unfinished" "the new backup"
  backup=/backups/$(date -u +%Y%m%dT%H%M%SZ).dump
  mv "$unfinished" "$backup"
  backups | tail -n "+$((BACKUP_KEEP + 1))" | while read -r old; do rm -f "$old"; done
  echo "$backup"
}

# List backups by time, newest first. Older releases wrote the database's name before the time.
backups() {
  for backup in /backups/*[0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z.dump; do
    [ ! -e "$backup" ] || echo "$backup"
  done | sed 's/.*\(.\{16\}\)\.dump$/\1 &/' | sort -r | cut -d ' ' -f 2
}

chosen() {
  if [ -n "$1" ]; then found=/backups/${1#/backups/}; else found=$(backups | head -n 1); fi
  [ -n "$found" ] || fail "there is no backup"
  [ -f "$found" ] || fail "there is no file $found"
  echo "$found"
}

# Read the whole backup: `pg_restore --list` would only read its beginning.
check() {
  pg_restore --file=/dev/null "$1" || fail "$2 is damaged"
}

# Restore into a new database. When it is complete, give it the name of the current one.
restore() {
  force=false name=""
  for argument in "$@"; do
    case $argument in
      --force) force=true ;;
      -?*) usage ;;
      *) name=$argument ;;
    esac
  done
  if [ "$name" = - ]; then
    backup=$unfinished words="standard input"
    cat >"$backup"
  else
    backup=$(chosen "$name")
    words=${backup##*/}
  fi
  check "$backup" "$words"
  tables=$(psql --no-psqlrc --tuples-only --no-align --command \
    "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
  [ "$tables" -eq 0 ] || "$force" || fail "$PGDATABASE is not empty: it has $tables tables. --force replaces them"
  dropdb --if-exists --force "${PGDATABASE}_restored"
  createdb "${PGDATABASE}_restored"
  pg_restore --exit-on-error --no-owner --no-privileges --dbname="${PGDATABASE}_restored" "$backup"
  dropdb --if-exists --force "${PGDATABASE}_before"
  psql --no-psqlrc --quiet --dbname=postgres --set=ON_ERROR_STOP=1 --single-transaction --variable=name="$PGDATABASE" \
    --variable=before="${PGDATABASE}_before" --variable=restored="${PGDATABASE}_restored" <<'SQL'
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name' \g /dev/null
ALTER DATABASE :"name" RENAME TO :"before";
ALTER DATABASE :"restored" RENAME TO :"name";
SQL
  echo "Restored $words. Now run migrate, which applies newer migrations."
  echo "The previous database is ${PGDATABASE}_before until the next restore."
}

usage() {
  sed -n '5,8s/^# *//p' "$0" >&2
  exit 2
}

fail() {
  echo "$1" >&2
  exit 1
}

main "$@"
