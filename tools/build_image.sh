#!/bin/sh
# Builds the submission image: IMAGE, BASE_IMAGE, TORCH_INDEX and DOCKER come from the environment,
# arguments go to `docker build`. With wheels in wheels/ the build has no network at all.
set -eu

. tools/common.sh

docker=${DOCKER:-docker}
image=${IMAGE:-stem4d:latest}
public_base=python:3.11-slim-bookworm
local_base=stem4d-base:bookworm # from tools/base_image.sh, where there is no image registry

"$docker" version >/dev/null 2>&1 ||
    fail "no container engine answers ($docker version). Start Docker, or install it."

base=${BASE_IMAGE:-}
if [ -z "$base" ]; then
    if "$docker" image inspect "$local_base" >/dev/null 2>&1; then
        base=$local_base
    else
        base=$public_base
    fi
fi

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' schemas/version.py)
revision=$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)
# A public address only: no local path, no user or token.
source=$(git remote get-url origin 2>/dev/null | sed -n 's#^https://\([^@/]*@\)\{0,1\}#https://#p')

set -- "$@" --build-arg "BASE_IMAGE=$base" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$revision" --build-arg "SOURCE=${source:-unknown}"
[ -z "${TORCH_INDEX:-}" ] || set -- "$@" --build-arg "TORCH_INDEX=$TORCH_INDEX"

if ls wheels/*.whl >/dev/null 2>&1; then
    how="from wheels/, without network"
    set -- "$@" --network none
else
    how="from the package index"
fi
progress "building $image on $base, $how" "$docker" build --tag "$image" "$@" .
