#!/usr/bin/env bash
# Make sure of Debian packages: each argument is a package, or package=command when a command of that name will do.
# Installs what is missing when run as root; says what to type otherwise.
set -euo pipefail
missing=()
for need in "$@"; do
  package=${need%%=*}
  [[ $need == *=* ]] && command -v "${need#*=}" >/dev/null && continue
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}. Type: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing from Debian: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
