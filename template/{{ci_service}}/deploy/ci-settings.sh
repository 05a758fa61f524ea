#!/bin/sh
# Checks in CI that a deploy has its secrets and variables:
#
#   deploy/ci-settings.sh NAME...
#
# If some are missing, it fails. If none is set, the deploy is not set up yet: it lists what to set, and the deploy is skipped.
# On GitHub, the next steps run only if this one has written the output `deploy`. On GitLab, exit code 78 ends the job with a
# warning (`allow_failure`).
set -eu

found='' missing=''
for name; do
  if [ -n "$(printenv "$name")" ]; then found="$found $name"; else missing="$missing $name"; fi
done

say() {
  if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "::$1 title=Not deployed::$2"; else echo "Not deployed. $2" >&2; fi
}

if [ -z "$missing" ]; then
  echo "deploy=true" >>"${GITHUB_OUTPUT:-/dev/null}"
elif [ -n "$found" ]; then
  say error "Not set:$missing. docs/ci.md says where to set them."
  exit 1
else
  say notice "To deploy from here, set$missing. docs/ci.md says where."
  if [ -z "${GITHUB_OUTPUT:-}" ]; then exit 78; fi
fi
