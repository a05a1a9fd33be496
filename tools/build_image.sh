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
    say "building $image on $base from wheels/, without network"
    set -- "$@" --network none
else
    say "building $image on $base from the package index (some minutes the first time)"
fi
begun=$(date +%s)
"$docker" build --tag "$image" "$@" .

say "$image built in $(($(date +%s) - begun)) s; size by layer:"
"$docker" history --format '{{.Size}}\t{{.CreatedBy}}' "$image" |
    awk -F '\t' '$1 != "0B" {printf "  %-8s %.90s\n", $1, $2}' >&2
"$docker" image inspect --format '{{.Size}}' "$image" |
    awk '{printf "  %.0f MB in all\n", $1 / 1e6}' >&2
