#!/bin/sh
# Prints the size of IMAGE, in all and by layer.
set -eu

docker=${DOCKER:-docker}
image=${IMAGE:-stem4d:latest}

"$docker" history --format '{{.Size}}\t{{.CreatedBy}}' "$image" |
    awk -F '\t' '$1 != "0B" {printf "  %-8s %.90s\n", $1, $2}'
"$docker" image inspect --format '{{.Size}}' "$image" |
    awk '{printf "  %.0f MB in all\n", $1 / 1e6}'
