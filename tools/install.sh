#!/bin/sh
# Makes the virtual environment .venv and installs stem4d into it: tools/install.sh host|dev
#
#   PYTHON=python3.12    which Python makes the environment
#   TORCH_INDEX=...      where torch comes from, see common.sh
set -eu

. tools/common.sh

extra=${1:?usage: tools/install.sh host|dev}
venv=${VENV:-.venv}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.11 or newer."
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer, found $(python3 --version 2>&1 || echo none)." \
        "Install one (python.org, your package manager, pyenv), then: make PYTHON=/path/to/python3.12"
}

pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --constraint constraints.txt "$@"
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" ||
        fail "could not make $venv. On Debian and Ubuntu: apt install python3-venv"
fi

if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    index=$(torch_index "$(uname -s)" "$venv/bin/python")
    if [ "$index" = default ]; then
        progress "installing torch from pip's default index" pip_install torch
    else
        progress "installing torch from $index" pip_install --no-deps --index-url "$index" torch
    fi
fi
progress "installing stem4d[$extra]" pip_install --editable ".[$extra]"
