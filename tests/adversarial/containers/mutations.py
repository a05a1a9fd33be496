"""Break each protection of the container: `python -m tests.adversarial.containers.mutations`.

As `tests.adversarial.mutations` does for the result file. Where the sandbox asks for an option and
reads it back, both places are broken, so that it is the probe in the container that notices. Needs
an engine. What keeps a container from using up the machine itself is not broken here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.adversarial.mutations import Break, one, try_all

ENGINE = "runner/harness/docker_engine.py"
OPTIONS = "runner/harness/options.py"
SANDBOX = "runner/harness/sandbox.py"
WATCH = "runner/harness/watch.py"
OUTCOME = "runner/harness/outcome.py"
STAGING = "runner/harness/staging.py"
ROOM = "runner/harness/room.py"
OWNER = "runner/harness/owner.py"
LOG = "runner/harness/log.py"
PREFLIGHT = "runner/harness/preflight.py"
STAGES = "runner/pipeline/stages.py"
EVALUATE = "runner/pipeline/evaluate.py"
VERDICT = "runner/report/verdict.py"

WITH_ENGINE = (
    "tests/runner/harness/test_sandbox.py",
    "tests/adversarial/containers/test_containers.py",
)
HARNESS = ("test_watch.py", "test_staging.py", "test_owner.py", "test_log.py", "test_preflight.py")
WITHOUT_ENGINE = (
    *(f"tests/runner/harness/{name}" for name in HARNESS),
    "tests/runner/pipeline/test_evaluate.py",
)


def asked(name: str, ask: tuple[str, str], state: tuple[str, str]) -> tuple[Break, ...]:
    """An option, neither asked for nor missed."""
    return one(name, ENGINE, *ask), one(name, OPTIONS, *state)


IN_THE_CONTAINER: tuple[tuple[Break, ...], ...] = (
    asked(
        "a network",
        ('"network_mode": "none"', '"network_mode": "bridge"'),
        ('"network": "none"', '"network": "bridge"'),
    ),
    asked(
        "a root that can be written to",
        ('"read_only": True', '"read_only": False'),
        ('"read_only": True', '"read_only": False'),
    ),
    asked(
        "rights are kept",
        ('"cap_drop": ["ALL"]', '"cap_drop": []'),
        ('"capabilities_dropped": ["ALL"]', '"capabilities_dropped": []'),
    ),
    asked(
        "root's programs give root's rights",
        ('"security_opt": ["no-new-privileges"]', '"security_opt": []'),
        ('"security": ["no-new-privileges"]', '"security": []'),
    ),
    (one("the user is root", OPTIONS, 'USER = "1000:1000"', 'USER = "0:0"'),),
    asked(
        "a filter of system calls is missing",
        (
            '"security_opt": ["no-new-privileges"]',
            '"security_opt": ["no-new-privileges", "seccomp=unconfined"]',
        ),
        (
            '"security": ["no-new-privileges"]',
            '"security": ["no-new-privileges", "seccomp=unconfined"]',
        ),
    ),
    asked(
        "the input can be written to",
        ('type="bind", read_only=True', 'type="bind", read_only=False'),
        ('str(self.challenge), "read-only"', 'str(self.challenge), "read-write"'),
    ),
    (one("the image's health check runs", ENGINE, 'healthcheck=Healthcheck(test=["NONE"]),', ""),),
    (one("the path of the mount tells", STAGES, "staging=plan.staging", "staging=plan.out"),),
    (
        one(
            "the container gets the challenge itself",
            STAGES,
            "challenge=view,",
            "challenge=plan.truth,",
        ),
    ),
    (one("a stranger's exit code is believed", STAGES, "read_exit=as_a_failure, ", ""),),
    (
        one(
            "no token is asked for",
            STAGES,
            "nonce=nonce,\n        hmac",
            "nonce=None,\n        hmac",
        ),
    ),
    (one("files without a name", ROOM, "if not self.held:\n            return 0", "return 0"),),
    (
        one(
            "root in the image",
            PREFLIGHT,
            'ROOT_USERS = ("", "0", "root")',
            "ROOT_USERS = ('x', 'x')",
        ),
    ),
    (one("volumes of the image", PREFLIGHT, "    if volumes:", "    if False:"),),
    (
        one(
            "terminals can be commanded",
            "schemas/base.py",
            'return UNPRINTABLE.sub("", text)',
            "return text",
        ),
    ),
)
"""Noticed by the images of the corpus."""

IN_THE_HARNESS: tuple[Break, ...] = (
    one("nothing is read back", OPTIONS, "if applied.get(name) != value", "if False"),
    one(
        "a false option is started all the same",
        SANDBOX,
        "if set(missing) <= set(may_miss):",
        "if True:",
    ),
    one(
        "links are followed when it is copied out",
        STAGING,
        " | os.O_NOFOLLOW | os.O_NONBLOCK",
        "",
    ),
    one("a second name", STAGING, "info.st_nlink != 1", "False"),
    one("pipes and devices", STAGING, "if not stat.S_ISREG(info.st_mode):", "if False:"),
    one("root reads what others may not", STAGING, "not info.st_mode & stat.S_IROTH", "False"),
    one(
        "holes count as nothing",
        STAGING,
        "total += max(info.st_size, info.st_blocks * BLOCK_BYTES)",
        "total += info.st_blocks * BLOCK_BYTES",
    ),
    one(
        "kept space counts as nothing",
        STAGING,
        "total += max(info.st_size, info.st_blocks * BLOCK_BYTES)",
        "total += info.st_size",
    ),
    one(
        "closed folders are overlooked",
        STAGING,
        "return Usage(0, 0, hidden=True)",
        "return Usage(0, 0, hidden=False)",
    ),
    one(
        "the count of files never ends",
        STAGING,
        "            if files > most_files:\n                break\n",
        "",
    ),
    one(
        "the wall time",
        WATCH,
        "now - self._begun > self._limits.wall_s",
        "now - self._begun > 60",
    ),
    one("SIGKILL is never sent", WATCH, '    watch.kill("SIGKILL")\n', ""),
    one("SIGTERM is never sent", WATCH, '    watch.kill("SIGTERM")\n', ""),
    one("the limit of a sample", WATCH, 'return "SAMPLE_TIMEOUT" if', "return None if"),
    one("a run between two looks", SANDBOX, "    watch.look_once_more(log)\n", ""),
    one("the flood of log", LOG, "return self._total > self._flood", "return False"),
    one(
        "memory by the exit code",
        OUTCOME,
        "elif run.oom and run.exit_code != 0:",
        "elif run.exit_code == 137:",
    ),
    one("leftovers stay", SANDBOX, "if is_dead(owner)]", "if False]"),
    one(
        "the living are taken for dead",
        OWNER,
        "return _started(owner.pid) != owner.started",
        "return True",
    ),
    one(
        "a number used again is the same process",
        OWNER,
        "return _started(owner.pid) != owner.started",
        "return not _started(owner.pid)",
    ),
    one(
        "other machines' are dead",
        OWNER,
        "return False  # another machine's",
        "return True  # another machine's",
    ),
    one(
        "removed or not",
        SANDBOX,
        "            if attempt == REMOVE_ATTEMPTS:\n                raise\n",
        "            if attempt == REMOVE_ATTEMPTS:\n                return\n",
    ),
    one(
        "the container writes beneath the mount",
        ROOM,
        "        if missed:",
        "        if False:",
    ),
    one("the tag is run, not the id", STAGES, "image=image_id,", "image=plan.image,"),
    one("the canonical file is not checked", STAGES, "!= known_sha256", "== ''"),
    one(
        "names of samples tell",
        STAGES,
        "    if names != tuple(",
        "    if False and names != tuple(",
    ),
    one("hidden is shown", VERDICT, "(Tier.PUBLIC.value, Tier.DEV.value)", "(*Tier,)"),
    one(
        "the hidden score is not rounded",
        VERDICT,
        "HIDDEN_DECIMALS = 2",
        "HIDDEN_DECIMALS = 12",
    ),
    one(
        "findings one by one",
        VERDICT,
        "sorted({entry.code for entry in findings})",
        "[entry.code for entry in findings]",
    ),
    one("a stranger's fence", VERDICT, 'text.replace("```", "\'\'\'")', "text"),
    one("a fault of ours is final", EVALUATE, "if outcome is not Outcome.FAULT:", "if True:"),
    one("a fault of ours counts", EVALUATE, "counts and state is not State.FAULT", "True"),
    one(
        "what was done is done again",
        EVALUATE,
        "self._earlier(step) or self._done(step)",
        "self._done(step)",
    ),
    one(
        "another evaluation is taken up",
        EVALUATE,
        "elif _earlier_plan(path) != stated:",
        "elif False:",
    ),
    one(
        "the organiser's folder is open",
        EVALUATE,
        "self._private.chmod(0o700)",
        "self._private.chmod(0o755)",
    ),
    one("one token for all runs", STAGES, "secrets.token_hex(NONCE_BYTES)", "'0' * 32"),
    one("runs that differ", STAGES, "if found := differences(first, other):", "if found := ():"),
)
"""Noticed without an engine."""


def tests_of(name: str) -> Sequence[str]:
    """Which tests are asked: those on a real engine for what only a container can show."""
    in_container = {places[0].name for places in IN_THE_CONTAINER}
    return WITH_ENGINE if name in in_container else WITHOUT_ENGINE


def main() -> int:
    """Try all breaks, or those whose name holds a word."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("word", nargs="?", default="")
    word = parser.parse_args().word
    breaks = (*IN_THE_CONTAINER, *((entry,) for entry in IN_THE_HARNESS))
    chosen = [places for places in breaks if word in places[0].name]
    return 1 if try_all(chosen, tests_of) else 0


if __name__ == "__main__":
    sys.exit(main())
