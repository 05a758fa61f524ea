#!/bin/sh
# Tells Sentry that a commit is live. CI runs it after a deploy:
#
#   deploy/sentry.sh COMMIT
#
# It needs uv, and SENTRY_AUTH_TOKEN, SENTRY_ORG and SENTRY_PROJECT from CI's settings. Without SENTRY_AUTH_TOKEN it does
# nothing.
set -eu

if [ -z "${SENTRY_AUTH_TOKEN:-}" ]; then
  echo "SENTRY_AUTH_TOKEN is not set, so Sentry is not told."
  exit 0
fi
sentry() { uvx --quiet 'sentry-cli>=3,<4' "$@"; }
sentry releases new "$1"
sentry releases finalize "$1"
sentry deploys new --release "$1" --env "${SENTRY_ENVIRONMENT:-production}"
