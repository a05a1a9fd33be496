#!/bin/sh
# Runs inside the image build: installs what the code imports, and drops what no run reads.
#
#   image_dependencies.sh VENV CODE TORCH_INDEX
#
# Wheels lying here are used alone, with no index and no network; without any, torch comes from
# TORCH_INDEX (a URL, or "default") and the rest from pip's default index.
set -eu

. ./common.sh

venv=$1 code=$2 torch_index=$3

python3 -m venv "$venv"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
requirements "$venv/bin/python" > requirements.txt

pip_install() {
    "$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt "$@"
}

if [ -n "$(find . -maxdepth 1 -name '*.whl' -print -quit)" ]; then
    pip_install --no-index --find-links . --requirement requirements.txt ||
        fail "wheels/ does not fit this base image ($(python3 --version), $(uname -m)):" \
            "fill it again (make wheels), or remove it to install from the package index."
elif [ "$torch_index" = default ]; then
    pip_install --requirement requirements.txt
else
    pip_install --no-deps --index-url "$torch_index" torch
    pip_install --requirement requirements.txt
fi

# Our code is found through this file and not through PYTHONPATH, which stays the participant's.
echo "$code" > "$site/stem4d.pth"

# Headers, static libraries, self-tests and build programs: nothing opens them at run time.
# (torch does look for torch_shm_manager when it is imported.)
rm -rf "$site/torch/include" "$site/torch/share" "$site/torch/test"
find "$site/torch/bin" -type f ! -name torch_shm_manager -delete
find "$site" -name '*.a' -delete
for package in h5py mpmath networkx numpy sympy; do
    find "$site/$package" -type d -name tests -prune -exec rm -rf {} +
done

"$venv/bin/python" -c 'import click, h5py, numpy, pydantic, torch; torch.linalg.svd(torch.eye(2))'
