# Sourced by the scripts beside it.

say() { printf 'stem4d: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# progress TEXT COMMAND...: runs the command, telling on one line for how long; its output is shown
# when it fails.
progress() {
    text=$1
    shift
    output=$(mktemp)
    begun=$(date +%s)
    "$@" >"$output" 2>&1 &
    job=$!
    if [ -t 2 ]; then
        while kill -0 "$job" 2>/dev/null; do
            printf '\rstem4d: %s ... %s s' "$text" $(($(date +%s) - begun)) >&2
            sleep 1
        done
        printf '\r\033[K' >&2
    else
        say "$text ..."
    fi
    if wait "$job"; then
        say "$text: done in $(($(date +%s) - begun)) s"
        rm -f "$output"
    else
        cat "$output" >&2
        rm -f "$output"
        fail "$text failed; the lines above say why."
    fi
}

# torch_index SYSTEM PYTHON: prints where torch comes from, an index's URL or "default".
#
# The public index's torch for Linux is the CUDA build (gigabytes). So torch comes from PyTorch's
# own CPU index where that answers, and from pip's default index otherwise. TORCH_INDEX=URL names
# another index (a mirror, a CUDA build), TORCH_INDEX=default asks no question.
torch_index() {
    cpu_index=https://download.pytorch.org/whl/cpu
    probe_s=3
    if [ -n "${TORCH_INDEX:-}" ]; then
        echo "$TORCH_INDEX"
    elif [ "$1" != Linux ]; then
        echo default # elsewhere the default index has the CPU build
    elif "$2" -c 'import sys, urllib.request as r
r.urlopen(sys.argv[1] + "/torch/", timeout=float(sys.argv[2])).close()' \
        "$cpu_index" "$probe_s" 2>/dev/null; then
        echo "$cpu_index"
    else
        say "$cpu_index does not answer: torch comes from pip's default index." \
            "On Linux that may be the CUDA build, several GB; TORCH_INDEX=URL names a mirror."
        echo default
    fi
}

# requirements PYTHON: prints what the image installs, from pyproject.toml.
requirements() {
    "$1" -c 'import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["project"]["dependencies"], sep="\n")'
}
