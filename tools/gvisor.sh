#!/bin/sh
# Registers gVisor (runsc) with the Docker engine of this machine. Needs root, a running engine and
# the program: apt install runsc, or https://gvisor.dev/docs/user_guide/install.
#
#   tools/gvisor.sh [NAME [ARGUMENTS]]    NAME of the runtime (runsc), more arguments of runsc's
#
# Where gVisor cannot set control groups, it is told to leave them: no kernel then holds memory,
# processes and CPU time, and every report says so (docs/organisers.md).
set -eu

. tools/common.sh

docker=${DOCKER:-docker}
config=/etc/docker/daemon.json
name=${1:-runsc}
[ $# -eq 0 ] || shift

program=$(command -v runsc) || fail "needs runsc (apt install runsc)."
"$docker" version >/dev/null 2>&1 || fail "no container engine answers ($docker version)."

# Something to try it with: the first of these that the engine has.
for image in stem4d:latest stem4d-base:bookworm python:3.11-slim-bookworm ""; do
    "$docker" image inspect "$image" >/dev/null 2>&1 && break
done
[ -n "$image" ] || fail "the engine has no image to try it with (make image)."

register() { # ARGUMENTS: into the engine's configuration, whatever else it holds
    python3 - "$config" "$name" "$program" "$@" <<'EOF'
import json, pathlib, sys

path, name, program, *arguments = sys.argv[1:]
file = pathlib.Path(path)
file.parent.mkdir(parents=True, exist_ok=True)
config = json.loads(file.read_text() or "{}") if file.exists() else {}
config.setdefault("runtimes", {})[name] = {"path": program, "runtimeArgs": arguments}
file.write_text(json.dumps(config, indent=2) + "\n")
EOF
    kill -HUP "$(cat /var/run/docker.pid 2>/dev/null)" || fail "dockerd is no process of this machine."
    sleep 1
}

works() {
    "$docker" run --rm --network none --memory 256m --entrypoint true --runtime "$name" "$image" \
        >/dev/null 2>&1
}

set -- --network=none "$@"
register "$@"
if ! works; then
    set -- "$@" --ignore-cgroups
    register "$@"
    works || fail "no container runs; try: docker run --rm --runtime $name --entrypoint true $image"
    say "gVisor sets no control groups here: memory and processes are counted, CPU time is not held."
fi
say "registered: $name is runsc $*"
