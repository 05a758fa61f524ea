#!/bin/sh
# Runs a command each night at a time in UTC, until it is stopped. compose.yaml starts it for backups.
#
#   deploy/nightly.sh 03:00 COMMAND…
#
# A command that fails is run again the next night.
set -eu
trap 'exit 0' INT TERM

time=$1
shift
while :; do
  now=$(date +%s)
  # The 1 in front keeps 08 and 09 from being octal numbers.
  at=$((now / 86400 * 86400 + (1${time%:*} - 100) * 3600 + (1${time#*:} - 100) * 60))
  [ "$at" -gt "$now" ] || at=$((at + 86400))
  # A shell handles signals while it waits, and not while a program runs in the foreground.
  sleep $((at - now)) &
  wait $!
  "$@" || echo "FAILED: $*. The next try is in a day." >&2
done
