#!/bin/sh
# Deploys images from a registry to a server over ssh. CI runs it:
#
#   deploy/deploy-to-server.sh IMAGE SMOKE_IMAGE
#
# DEPLOY_TO is the user and the server, DEPLOY_FOLDER the folder there that has `secrets/` and `.env`. It gets
# compose.yaml and deploy/ of this commit; deploy/docker.sh does the rest there, and its exit code is this one's.
# With REGISTRY_USER and REGISTRY_PASSWORD, the server can pull from a private registry.
# shellcheck disable=SC2029  # expand variables here on purpose: each is checked to be a plain word
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "FAILED: $1" >&2
  exit 1
}

# These become words of a command line on the server, so check them.
plain() {
  case $2 in
    "" | -* | *[!A-Za-z0-9._:/@-]*) fail "$1 is \"$2\", and not like $3" ;;
  esac
}

plain DEPLOY_TO "${DEPLOY_TO:-}" deploy@www.example.com
plain DEPLOY_FOLDER "${DEPLOY_FOLDER:-}" /srv/site
plain IMAGE "${1:-}" ghcr.io/name/site@sha256:…
plain SMOKE_IMAGE "${2:-}" ghcr.io/name/site/smoke@sha256:…
registry=${1%%/*}

git archive HEAD compose.yaml deploy | ssh "$DEPLOY_TO" "mkdir -p $DEPLOY_FOLDER && tar -x -C $DEPLOY_FOLDER"
if [ -n "${REGISTRY_PASSWORD:-}" ]; then
  [ -n "${REGISTRY_USER:-}" ] || fail "REGISTRY_USER is not set: it is the user of REGISTRY_PASSWORD"
  # Use standard input: every user can read command lines, and a name may have special characters, like mergify[bot].
  printf '%s\n%s' "$REGISTRY_USER" "$REGISTRY_PASSWORD" |
    ssh "$DEPLOY_TO" "IFS= read -r user && docker login --username \"\$user\" --password-stdin $registry"
fi
code=0
ssh "$DEPLOY_TO" "cd $DEPLOY_FOLDER && SMOKE_IMAGE=$2 deploy/docker.sh $1" || code=$?
if [ -n "${REGISTRY_PASSWORD:-}" ]; then ssh "$DEPLOY_TO" docker logout "$registry"; fi
exit "$code"
