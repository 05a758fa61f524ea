#!/bin/sh
# Backs the database up into the volume at /backups, and restores it: the service `backup` of compose.yaml.
#
#   backup             write a backup; the last seven are kept
#   list               name the backups, oldest first
#   check [NAME]       see that a backup can be read; the newest where none is named
#   restore [NAME]     put a backup in place of what the database holds; that stays beside it as NAME_before
#   show [NAME]        write a backup to standard output, for a copy elsewhere
#   take               read a backup from standard input, as the newest
#
# Exit codes: 0, done; 1, not done, and what was there before is as it was; 2, asked for something else.
set -eu
umask 077
kept=7

PGOPTIONS=--client-min-messages=warning
PGPASSWORD=$(cat /run/secrets/database_password)
export PGPASSWORD PGOPTIONS
trap 'rm -f /backups/*.partial' EXIT
trap 'exit 1' HUP INT TERM

main() {
  case ${1:-backup} in
    backup)
      pg_dump --format=custom --no-owner --no-privileges --file="$(partial)"
      keep
      ;;
    take)
      cat >"$(partial)"
      keep
      ;;
    list) names ;;
    check) pg_restore --file=/dev/null "/backups/$(chosen "${2:-}")" && echo "$(chosen "${2:-}") can be read" ;;
    show) cat "/backups/$(chosen "${2:-}")" ;;
    restore) restore "$(chosen "${2:-}")" ;;
    *)
      sed -n '4,9s/^# *//p' "$0" >&2
      exit 2
      ;;
  esac
}

name=$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump
partial() { echo "/backups/$name.partial"; }

# A backup has its name from when it is whole and can be read. `--list` would read its beginning alone.
keep() {
  pg_restore --file=/dev/null "$(partial)" || { echo "this is no whole backup of pg_dump" >&2; exit 1; }
  mv "$(partial)" "/backups/$name"
  names | head -n "-$kept" | while read -r old; do rm "/backups/$old"; done
  echo "$name"
}

names() {
  for backup in /backups/*.dump; do
    if [ -e "$backup" ]; then echo "${backup##*/}"; fi
  done
}

chosen() {
  found=${1:-$(names | tail -n 1)}
  case $found in
    "") echo "there is no backup" >&2; exit 1 ;;
    */*) echo "a backup's name has no slash: $found" >&2; exit 1 ;;
  esac
  [ -f "/backups/$found" ] || { echo "there is no backup called $found" >&2; exit 1; }
  echo "$found"
}

# Into a database of its own, which takes the other's name once all of it is there.
restore() {
  dropdb --if-exists --force "${PGDATABASE}_restored"
  createdb "${PGDATABASE}_restored"
  pg_restore --exit-on-error --no-owner --no-privileges --dbname="${PGDATABASE}_restored" "/backups/$1"
  dropdb --if-exists --force "${PGDATABASE}_before"
  psql --quiet --dbname=postgres --set=ON_ERROR_STOP=1 --single-transaction --variable=name="$PGDATABASE" \
    --variable=before="${PGDATABASE}_before" --variable=restored="${PGDATABASE}_restored" <<'SQL'
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name' \g /dev/null
ALTER DATABASE :"name" RENAME TO :"before";
ALTER DATABASE :"restored" RENAME TO :"name";
SQL
  echo "restored $1; what was there before is the database ${PGDATABASE}_before"
}

main "$@"
