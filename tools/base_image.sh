#!/bin/sh
# Makes stem4d-base:bookworm, a base image for where no image registry is in reach: Debian 12 with
# Python 3.11, from the Debian mirror that this machine's apt uses. Needs root and debootstrap.
set -eu

. tools/common.sh

docker=${DOCKER:-docker}
tag=stem4d-base:bookworm
suite=bookworm

command -v debootstrap >/dev/null || fail "needs debootstrap (apt install debootstrap)."
# shellcheck disable=SC2016 - apt's own variables
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $suite" | head -n 1)}
[ -n "$mirror" ] || fail "apt knows no mirror of Debian $suite; name one: DEBIAN_MIRROR=URL"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
progress "bootstrapping Debian $suite with Python" debootstrap --variant=minbase \
    --include=python3,python3-venv "$suite" "$root" "$mirror"
# What no run reads: package lists and archives, documentation, translations. And no trace of this
# machine: its name, its resolver, its mirror.
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/tmp/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* \
    "$root"/etc/hostname "$root"/etc/resolv.conf "$root"/etc/apt/sources.list
tar --directory "$root" --numeric-owner --create . |
    "$docker" import --change 'CMD ["sh"]' - "$tag" >/dev/null
say "$tag: $("$docker" image inspect --format '{{.Size}}' "$tag" | awk '{printf "%.0f MB", $1 / 1e6}')"
