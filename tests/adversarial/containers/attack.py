"""What hostile and honest submissions do; runs inside the container, as its entry point.

    python attack.py NAME

An attack that must achieve nothing checks that itself: it raises `BreachError` (exit code 1) when
it got what it wanted, and otherwise leaves an honest, worthless result, so that the verdict shows
which of the two it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

INPUT = Path("/input/challenge.h5")
OUTPUT = Path("/output")
RESULT = OUTPUT / "result.h5"
HERE = Path(__file__).parent

MIB = 1 << 20
FOREVER_S = 3600.0
TELLING = ("truth", "hidden", "x_true", "true_spec")
"""Words that would tell a submission what it must not know."""

PSEUDO = ("/proc", "/sys", "/dev", "/opt/stem4d", "/usr", "/lib", "/lib64", "/bin", "/sbin")


class BreachError(Exception):
    """The attack has got what it wanted."""


# --- honest results -------------------------------------------------------------------------------


def answer(
    pick: Callable[[str, tuple[int, int]], object] | None = None,
    *,
    spec: str = "nominal",
    **changed: object,
) -> None:
    """Write a result: images that `pick` makes (zeros), and the nominal, true or middle spec."""
    import numpy as np

    from runner.files.challenge import open_challenge
    from runner.files.hdf5 import sha256_of
    from runner.files.result import ResultFile, SampleResult, write_result
    from schemas import Provenance, ResultAttrs, RunInfo

    samples = {}
    known = truth()
    with open_challenge(INPUT) as challenge:
        tier = challenge.attrs.tier
        for sample in challenge:
            shape = sample.operator.attrs.object_shape
            x = np.zeros(shape) if pick is None else pick(sample.name, shape)
            specs = {
                "nominal": dict.fromkeys(sample.ranges.names, 0.0),
                "midpoint": sample.ranges.midpoint(),
                "true": known.get(sample.name, {}).get("spec", {}),
            }
            samples[sample.name] = SampleResult(np.asarray(x, np.float32), specs[spec])
    provenance = {
        "runner_version": "0",
        "algorithm": "attack",
        "parameters": {},
        "seed": 0,
        "libraries": {},
        "input_sha256": sha256_of(INPUT),
        "nonce": os.environ.get("STEM4D_NONCE"),
        **changed,
    }
    info = RunInfo(
        started_utc="2024-01-01T00:00:00",
        host="h",
        device="cpu",
        threads=1,
        setup_seconds=0.0,
        peak_memory_mib=0.0,
        samples={},
    )
    attrs = ResultAttrs(
        variant="electron_diffraction",
        tier=tier,
        submission_type="reconstruction",
        contract_version="1.0",
    )
    write_result(RESULT, ResultFile(attrs, Provenance(**provenance), info, samples))


def truth() -> dict[str, dict[str, object]]:
    """What the image was built with: only a test can know it."""
    path = HERE / "truth.json"
    known: dict[str, dict[str, object]] = json.loads(path.read_text()) if path.exists() else {}
    return known


def true_image(name: str, shape: tuple[int, int]) -> object:
    import numpy as np

    return np.asarray(truth()[name]["x"], np.float32).reshape(shape)


def honest_truth() -> None:
    answer(true_image, spec="true")


def honest_zeros() -> None:
    answer()


def honest_half() -> None:
    import numpy as np

    answer(lambda _, shape: np.full(shape, 0.5))


def honest_midpoint() -> None:
    answer(true_image, spec="midpoint")


# --- what it looks for ----------------------------------------------------------------------------


def oracle_seeker() -> None:
    """The truth anywhere: in files, in paths of mounts, in the environment, in other processes."""
    for path in readable_files():
        words = [word for word in TELLING if word in str(path)]
        if path.suffix in (".h5", ".npy", ".json") or words:
            content = path.read_bytes()
            words += [word for word in TELLING if word.encode() in content]
        if words and HERE not in path.parents:
            raise BreachError(f"{path}: {words}")
    for source in (
        "/proc/self/mountinfo",
        "/proc/self/environ",
        "/proc/1/environ",
        "/proc/cmdline",
    ):
        with contextlib.suppress(OSError):
            text = Path(source).read_bytes().lower()
            if any(word.encode() in text for word in TELLING):
                raise BreachError(source)
    answer()


def readable_files() -> Iterator[Path]:
    for folder, below, names in os.walk("/"):
        below[:] = [name for name in below if f"{folder.rstrip('/')}/{name}" not in PSEUDO]
        for name in names:
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode) and os.access(path, os.R_OK):
                    yield path


def network_probe() -> None:
    """A way out: names, addresses, interfaces, sockets of the host."""
    names = set(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else {"lo"}
    if names - {"lo"}:
        raise BreachError(f"interfaces {names}")
    for address in (
        ("8.8.8.8", 53),
        ("172.17.0.1", 2375),
        ("169.254.169.254", 80),
        ("1.1.1.1", 443),
    ):
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=0.3):
            raise BreachError(f"connected to {address}")
    with contextlib.suppress(OSError):
        socket.getaddrinfo("example.org", 80)
        raise BreachError("a name was resolved")
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_RAW, 1):
        raise BreachError("a raw socket")
    with contextlib.suppress(OSError, AttributeError), socket.socket(socket.AF_PACKET):
        raise BreachError("a packet socket")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.sendto(b"x", ("8.8.8.8", 53))
        raise BreachError("a packet was sent")
    answer()


def docker_socket() -> None:
    for path in (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/podman/podman.sock",
        "/run/containerd",
    ):
        if os.path.exists(path):
            raise BreachError(path)
    answer()


def host_proc() -> None:
    """The host through /proc and /sys: other processes, kernel memory, switches of the kernel."""
    first = Path("/proc/1/cmdline").read_bytes()
    if b"attack.py" not in first:
        raise BreachError(f"process 1 is {first!r}, not the container's own")
    for path in ("/proc/kcore", "/dev/mem", "/dev/kmsg", "/proc/1/root/etc/shadow", "/proc/keys"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if file.read(1):
                raise BreachError(f"read {path}")
    for path in (
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/cgroup.procs",
    ):
        with contextlib.suppress(OSError), open(path, "wb"):
            raise BreachError(f"opened {path} for writing")
    answer()


def writes_input() -> None:
    """The input and the root, changed: also by another mount over them."""
    for attempt in (
        lambda: INPUT.open("r+b"),
        INPUT.unlink,
        lambda: INPUT.chmod(0o666),
        (INPUT.parent / "x").touch,
        lambda: INPUT.rename("/output/challenge.h5"),
        Path("/x").touch,
        Path("/opt/stem4d-code/x").touch,
        Path("/open/x").touch,  # the image lets everybody write there
        lambda: os.link(INPUT, "/output/link"),
    ):
        with contextlib.suppress(OSError):
            attempt()
            raise BreachError("something was changed")
    answer()


def privileges() -> None:
    """Rights: by capabilities, by a program that is root's, by namespaces of its own, by calls."""
    if os.getuid() != 1000 or os.geteuid() != 1000:
        raise BreachError("another user")
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("CapEff", "CapPrm", "CapBnd") and int(value, 16):
            raise BreachError(line)
    asked = ["/app/root-shell", "-p", "-c", "id -u"]
    if subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip() == "0":
        raise BreachError("a shell of root's")
    with contextlib.suppress(OSError):
        os.setuid(0)
        raise BreachError("became root")
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newuser = 0x10000000
    calls = {  # numbers of x86-64
        "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
        "keyctl": (250, 0, -3, 1),
        "bpf": (321, 0, 0, 0),
    }
    if libc.unshare(clone_newuser) == 0 and not in_gvisor():
        raise BreachError("a user namespace of its own")
    for name, arguments in calls.items():
        if libc.syscall(*arguments) >= 0:
            raise BreachError(f"system call {name}")
    with contextlib.suppress(OSError):
        # gVisor makes the node, in its own memory; there is no disk behind it.
        os.mknod("/tmp/disk", stat.S_IFBLK | 0o666, os.makedev(254, 0))
        with open("/tmp/disk", "rb") as disk:
            raise BreachError(f"read {len(disk.read(1))} bytes of a disk")
    answer()


def in_gvisor() -> bool:
    """gVisor's kernel, which is a program, makes what namespaces it likes: none is the host's."""
    return Path("/proc/version").read_text().startswith("Linux version 4.4.0 #1 SMP Sun Jan 10")


def wishes() -> None:
    """Labels and environment of the image asked for everything; nothing was granted."""
    if os.environ["STEM4D_SEED"] != "0" or os.environ["STEM4D_NONCE"] == "wished":
        raise BreachError("the image's environment replaces the harness's")
    limits = json.loads(os.environ["STEM4D_LIMITS"])
    if limits["wall_s"] > 100:
        raise BreachError("limits of its own")
    privileges()


def other_processes() -> None:
    """Signals and traces: no process but its own is there."""
    here = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if len(here) > 4:
        raise BreachError(f"processes {here}")
    answer()


# --- what it uses up ------------------------------------------------------------------------------


def fork_bomb() -> None:
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.05)


def memory_hog() -> None:
    kept = []
    while True:
        kept.append(b"\1" * (16 * MIB))


def tmp_hog() -> None:
    """/tmp and /dev/shm have ends of their own, below the memory's."""
    for folder, most in (("/tmp", 64 * MIB), ("/dev/shm", 16 * MIB)):
        taken = 0
        try:
            while taken < 4 * most:
                Path(f"{folder}/{taken}").write_bytes(b"\1" * (8 * MIB))
                taken += 8 * MIB
            raise BreachError(f"{taken} bytes in {folder}")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        for path in Path(folder).iterdir():
            path.unlink()
    answer()


def hangs() -> None:
    time.sleep(FOREVER_S)


def ignores_sigterm() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
    while True:
        time.sleep(0.1)


def hangs_in_a_sample() -> None:
    (OUTPUT / "progress.jsonl").write_text('{"sample": "sample_00"}\n')
    time.sleep(FOREVER_S)


def log_flood() -> None:
    while True:
        os.write(2, b"x" * 65536)


def one_long_line() -> None:
    """No newline, no end: a reader of lines would keep it all."""
    while True:
        os.write(1, b"\0" * 65536)


def disk_fill() -> None:
    index = 0
    while True:
        index += 1
        (OUTPUT / f"f{index}").write_bytes(b"\1" * MIB)


def disk_fill_unseen() -> None:
    """Files without a name still take space."""
    path = OUTPUT / "x"
    with path.open("wb", buffering=0) as file:
        path.unlink()
        with contextlib.suppress(OSError):
            for _ in range(200):
                file.write(b"\1" * MIB)
        time.sleep(FOREVER_S)


def many_files() -> None:
    index = 0
    while True:
        index += 1
        (OUTPUT / f"f{index}").touch()


def deep_folders() -> None:
    os.chdir(OUTPUT)
    while True:
        os.mkdir("d")
        os.chdir("d")


def huge_sparse() -> None:
    answer()
    for size in (1 << 40, 60 * MIB):
        with contextlib.suppress(OSError):
            os.truncate(RESULT, size)
    time.sleep(FOREVER_S)


# --- what it leaves -------------------------------------------------------------------------------


def no_result() -> None:
    pass


def deletes_result() -> None:
    answer()
    RESULT.unlink()


def soft_link() -> None:
    RESULT.symlink_to("/input/challenge.h5")


def absolute_link() -> None:
    RESULT.symlink_to("/etc/shadow")


def fifo() -> None:
    os.mkfifo(RESULT)


def unix_socket() -> None:
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(str(RESULT))


def hard_link() -> None:
    answer()
    os.link(RESULT, OUTPUT / "second-name")


def device() -> None:
    with contextlib.suppress(OSError):
        os.mknod(RESULT, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        raise BreachError("a device")
    RESULT.symlink_to("/dev/zero")


def folder() -> None:
    RESULT.mkdir()
    (RESULT / "result.h5").write_bytes(b"x")


def unreadable() -> None:
    answer()
    RESULT.chmod(0)


def closed_folder() -> None:
    answer()
    closed = OUTPUT / "closed"
    closed.mkdir()
    (closed / "x").write_bytes(b"x")
    closed.chmod(0)


def strange_names() -> None:
    answer()
    for name in (b"\x1b[2J", b"\xff\xfe", b"a\nb", "CANARY\u202e".encode()):
        with contextlib.suppress(OSError):  # gVisor takes no name that is not UTF-8
            (OUTPUT / os.fsdecode(name)).touch()


def text_in_place() -> None:
    RESULT.write_text("score: 1.0\n")


def rewrites_later() -> None:
    """The first process ends well; another one waits for that, and puts the truth in its place."""
    answer()
    first = os.getpid()
    if os.fork() == 0:
        os.setsid()
        while os.getppid() == first:
            time.sleep(0.001)
        answer(true_image, spec="true")


def rewrites_on_sigterm() -> None:
    """At the limit, a link in place of the result."""

    def swap(*_: object) -> None:
        RESULT.unlink()
        RESULT.symlink_to("/input/challenge.h5")
        sys.exit(0)

    answer()
    signal.signal(signal.SIGTERM, swap)
    time.sleep(FOREVER_S)


def forged_nonce() -> None:
    answer(nonce="0" * 32)


def no_nonce() -> None:
    answer(nonce=None)


def replayed() -> None:
    """A good result of an earlier run, from the image."""
    shutil.copyfile(HERE / "earlier.h5", RESULT)


def other_input() -> None:
    answer(input_sha256="0" * 64)


def wrong_variant() -> None:
    import h5py

    answer()
    with h5py.File(RESULT, "r+") as file:
        file.attrs["variant"] = "ptychography"


def forged_score() -> None:
    card = json.dumps({"score": 1.0, "state": "scored", "samples": [], "findings": []})
    print(card)
    print(card, file=sys.stderr)
    (OUTPUT / "score.json").write_text(card)
    (OUTPUT / "report.json").write_text(card)
    answer()


def terminal_escapes() -> None:
    os.write(2, b"\x1b]0;CANARY\x07\x1b[2J\x1b[31mCANARY\x9b31m\r\x00\n" + "\u202e".encode())
    answer()


def blames_us() -> None:
    sys.exit(5)


def blames_the_input() -> None:
    sys.exit(4)


def raises() -> None:
    raise ValueError("CANARY in an exception")


def healthcheck() -> None:
    """The image has a HEALTHCHECK that would write here if anything ran it."""
    time.sleep(1.3)
    if (OUTPUT / "healthcheck").exists():
        raise BreachError("the image's own command was run beside the entry point")
    answer()


if __name__ == "__main__":
    globals()[sys.argv[1] if len(sys.argv) > 1 else os.environ["ATTACK"]]()
