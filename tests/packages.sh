#!/bin/sh
# The Debian packages whose programs the tests drive: installed when root, named when not.
set -eu
cd "$(dirname "$0")"
missing=""
for package in $(sed 's/#.*//' packages.txt); do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests drive real clients; please install:$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1  # of the servers among them none shall be started: the tests do
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
