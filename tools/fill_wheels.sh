#!/bin/sh
# Fills wheels/ with what the image installs, so that it can be built without network.
#
#   IMAGE_PYTHON=3.11    Python of the base image
#   IMAGE_ARCH=x86_64    its architecture (default: the container engine's, else this machine's)
#   TORCH_INDEX=...      where torch comes from, see common.sh
set -eu

. tools/common.sh

python=${VENV:-.venv}/bin/python
version=${IMAGE_PYTHON:-3.11}
arch=${IMAGE_ARCH:-$("${DOCKER:-docker}" version --format '{{.Server.Arch}}' 2>/dev/null || uname -m)}
case $arch in
    amd64) arch=x86_64 ;;
    arm64) arch=aarch64 ;;
esac

fetch() {
    "$python" -m pip download --disable-pip-version-check --dest wheels \
        --constraint constraints.txt --only-binary :all: --implementation cp \
        --python-version "$version" \
        --platform "manylinux_2_28_$arch" --platform "manylinux_2_27_$arch" \
        --platform "manylinux_2_17_$arch" --platform "manylinux2014_$arch" "$@"
}

fetch_all() {
    if [ "$index" = default ]; then
        fetch --requirement wheels/requirements.txt
    else
        fetch --no-deps --index-url "$index" torch
        fetch --find-links wheels --requirement wheels/requirements.txt
    fi
}

rm -rf wheels
mkdir wheels
requirements "$python" > wheels/requirements.txt
index=$(torch_index Linux "$python")
progress "fetching the image's wheels for Python $version on $arch" fetch_all
rm wheels/requirements.txt
say "wheels/ holds $(du -sh wheels | cut -f 1)"
