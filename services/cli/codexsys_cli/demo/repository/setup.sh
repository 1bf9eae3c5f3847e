#!/bin/bash
# Makes pytest available. Wheels that the platform laid down are unpacked as they are: this needs neither pip nor a network.
set -eu
if python3 -m pytest --version >/dev/null 2>&1; then
  echo "pytest is here already"
elif compgen -G '/opt/codexsys/wheels/pytest-*.whl' >/dev/null; then
  site=$(python3 -m site --user-site)
  mkdir -p "$site"
  for wheel in /opt/codexsys/wheels/*.whl; do
    echo "unpacking ${wheel##*/}"
    python3 -m zipfile -e "$wheel" "$site"
  done
else
  python3 -m pip install --user --quiet pytest
fi
python3 -m pytest --version
