#!/usr/bin/env bash
# Installs this project as it was tested, every package at its version in constraints.txt:
# `python-packages.sh PYTHON PIP_ARGUMENT...`. The image and `make` install with it.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "$1" -m pip install --quiet --constraint constraints.txt "${@:2}"
