#!/usr/bin/env bash
# Build the site into _build/html from the stored outputs. A warning is an error, and nothing half-built is left behind.
set -euo pipefail
rm -rf _build
log=.cache/build.log
echo "Building the site"
if ! .venv/bin/jupyter-book build . -W --keep-going -q >"$log" 2>&1; then
  cat "$log" >&2
  rm -rf _build
  echo "The site was not built: mend the warnings above." >&2
  exit 1
fi
