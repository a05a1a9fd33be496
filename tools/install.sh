#!/bin/sh
# Makes the virtual environment .venv and installs stem4d into it: tools/install.sh host|dev
#
# The public index's torch for Linux is the CUDA build (gigabytes). So torch comes from PyTorch's
# own CPU index where that answers, and from pip's default index otherwise.
#
#   PYTHON=python3.12                     which Python makes the environment
#   TORCH_INDEX=https://.../whl/cu130     another index for torch (a mirror, a CUDA build)
#   TORCH_INDEX=default                   pip's default index, no question asked
set -eu

extra=${1:?usage: tools/install.sh host|dev}
venv=${VENV:-.venv}
cpu_index=https://download.pytorch.org/whl/cpu
probe_s=3

say() { printf '%s\n' "stem4d: $*" >&2; }
fail() { say "$*"; exit 1; }

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
        "Install one (from python.org, your package manager or pyenv) and say PYTHON=/path/to/python3.12 make ..."
}

answers() {
    "$venv/bin/python" - "$1" "$probe_s" 2>/dev/null <<'PROBE'
import sys, urllib.request
urllib.request.urlopen(sys.argv[1].rstrip("/") + "/torch/", timeout=float(sys.argv[2])).close()
PROBE
}

pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@"
}

install_torch() {
    if "$venv/bin/python" -c 'import torch' 2>/dev/null; then
        return
    fi
    index=${TORCH_INDEX:-$cpu_index}
    if [ "$(uname -s)" != Linux ] && [ -z "${TORCH_INDEX:-}" ]; then
        index=default  # elsewhere the default index has the CPU build
    fi
    if [ "$index" != default ] && [ -z "${TORCH_INDEX:-}" ] && ! answers "$index"; then
        say "$index does not answer within $probe_s s: torch comes from pip's default index." \
            "On Linux that may be the CUDA build, several GB; TORCH_INDEX=URL names a mirror."
        index=default
    fi
    if [ "$index" = default ]; then
        say "installing torch (about 200 MB without CUDA) ..."
        pip_install torch
    else
        say "installing torch from $index (about 200 MB without CUDA) ..."
        pip_install --no-deps --index-url "$index" torch
    fi
}

[ -d "$venv" ] || {
    python=$(find_python)
    say "making $venv with $("$python" --version) ..."
    "$python" -m venv "$venv" ||
        fail "could not make $venv. On Debian or Ubuntu: apt install python3-venv"
}
start=$(date +%s)
install_torch
say "installing stem4d with [$extra] ..."
pip_install --editable ".[$extra]"
say "ready after $(($(date +%s) - start)) s: $venv/bin/stem4d"
