#!/usr/bin/env bash
# Open the notebooks in JupyterLab as the site shows them. Their stored outputs are trusted (else JupyterLab strips the
# style and the controls of every figure), and tools/lab loads live.js. Arguments go to jupyter lab: --no-browser, say.
set -euo pipefail
extension=.cache/lab/inside-glm
mkdir -p $extension/static
cp tools/lab/package.json $extension
plotly=$(.venv/bin/python -c 'from importlib.resources import files; print(files("plotly") / "package_data/plotly.min.js")')
cp tools/lab/notebooks.{js,css} glm_edu/figures/live.js glm_edu/figures/live.css "$plotly" $extension/static
find book -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*' -print0 | xargs -0 .venv/bin/jupyter trust >/dev/null
[ "$(id -u)" != 0 ] || set -- --allow-root "$@"
exec .venv/bin/jupyter lab --notebook-dir=book --LabApp.extra_labextensions_path="$PWD/.cache/lab" "$@"
