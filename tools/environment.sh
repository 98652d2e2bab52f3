#!/usr/bin/env bash
# Make or update .venv, then leave the stamp file $1. Its name holds the hash of what the environment depends on, so a
# second call finds it and does nothing. A lock keeps two calls apart.
set -euo pipefail
stamp=$1
mkdir -p .cache
exec 9>.cache/environment.lock
flock 9
[ -e "$stamp" ] && exit 0

python=$(command -v python3.11 || command -v python3) || {
  echo "Python 3.11 or later is needed: apt-get install python3" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or later is needed; $python is $("$python" --version)." >&2; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || tools/debian.sh python3-venv

[ -x .venv/bin/python ] || { echo "Making .venv with $("$python" --version)"; "$python" -m venv .venv; }
pip() { .venv/bin/python -m pip --disable-pip-version-check -qq "$@"; }
echo "Installing the pinned packages (the first time takes a few minutes)"
pip install --progress-bar off -r requirements.txt
pip install --progress-bar off --no-deps --no-build-isolation -e .
.venv/bin/python -m pip --disable-pip-version-check check >/dev/null || {
  .venv/bin/python -m pip --disable-pip-version-check check >&2; exit 1; }
rm -f .venv/stamp-*
touch "$stamp"
