#!/bin/sh
# Make the environment: find a Python that is new enough, then install what constraints.txt pins.
set -eu
venv=$1

good() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; }

find_python() {
    # The named minor versions first: 3.12 is the one that is tested.
    for python in ${PYTHON:-} python3.12 python3.13 python3.14 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python \
        /usr/local/bin/python3.1[2-9] /opt/homebrew/bin/python3.1[2-9] /opt/python*/bin/python3 \
        "${CONDA_PREFIX:-/nonexistent}"/bin/python "$HOME"/miniconda3/bin/python \
        "$HOME"/.local/share/uv/python/cpython-3.1[2-9]*/bin/python3; do
        if good "$python"; then
            command -v "$python"
            return
        fi
    done
    return 1
}

if ! good "$venv/bin/python"; then
    if ! python=$(find_python); then
        echo "setup: no Python >= 3.12 found; install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
        exit 1
    fi
    echo "setup: making $venv with $("$python" --version) ($python)" >&2
    rm -rf "$venv"
    # Debian ships Python without ensurepip: then the system's pip installs the venv's.
    "$python" -m venv "$venv" 2>/dev/null || {
        rm -rf "$venv"
        "$python" -m venv --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install --quiet pip
    }
fi

echo "setup: installing the packages and their tools (2 to 5 minutes the first time)" >&2
pip="$venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --constraint constraints.txt --upgrade pip
$pip install --progress-bar on --constraint constraints.txt --group dev \
    --editable packages/sits-data --editable packages/sits-models
echo "setup: done" >&2
