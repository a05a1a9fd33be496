"""Break each protection on purpose: `python -m tests.adversarial.mutations` says who notices.

Works on a copy of the tree. Prints a table for docs/security.md; exit code 1 when a break went
unnoticed. The test that noticed the last time, by that page, is asked first (`witness_first`).
Takes some minutes, so it is run by hand.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.adversarial.witness_first import WITNESS

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("schemas", "physics", "algorithms", "runner", "tests", "docs", "pyproject.toml")
TESTS = ("tests/adversarial/files", "tests/runner/harness/test_sanitise.py", "tests/runner/files")
PAGE = ROOT / "docs" / "security.md"

LONGEST_S = 600
"""Longest time for the tests of one break [s]; to wait for ever is to be noticed, too."""

PLUGINS = ("-p", "no:cacheprovider", "-p", "tests.adversarial.witness_first")

STRUCTURE = "runner/files/structure.py"
RULES = "runner/files/rules.py"
RESULT = "runner/files/result.py"
CANONICAL = "runner/files/canonical.py"
CHILD = "runner/harness/expendable.py"
READER = "runner/harness/reader.py"
PARENT = "runner/harness/sanitise.py"
SEAL = "runner/harness/seal.py"
JSON = "schemas/base.py"


@dataclass(frozen=True)
class Break:
    """One protection, broken.

    Attributes:
        name: what is broken.
        file: where.
        changes: (text as it is, text as it becomes); the first must occur.
    """

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]


def one(name: str, file: str, old: str, new: str) -> Break:
    """A break by one change."""
    return Break(name, file, ((old, new),))


BREAKS = (
    # the file as it lies there
    Break(
        "links in place of the result are followed",
        PARENT,
        (
            ("not stat.S_ISREG(path.lstat().st_mode)", "False"),
            (" | os.O_NOFOLLOW", ""),
        ),
    ),
    Break(
        "devices and pipes are opened",
        PARENT,
        (
            ("not stat.S_ISREG(path.lstat().st_mode)", "path.is_symlink()"),
            ("not stat.S_ISREG(info.st_mode) or ", ""),
        ),
    ),
    one("a file with two names", PARENT, " or info.st_nlink != 1", ""),
    one("no cap on the size", PARENT, "info.st_size > MAX_RESULT_BYTES", "False"),
    one("bytes behind the end", STRUCTURE, "base != 0 or end < size", "base != 0"),
    one("parts of several files", STRUCTURE, "!= UNDEFINED", "== b''"),
    one("superblocks of the future", STRUCTURE, "version not in SUPERBLOCK_VERSIONS", "False"),
    # its structure
    one("soft and external links", STRUCTURE, ".type != h5l.TYPE_HARD", ".type < 0"),
    Break(
        "circles of hard links",
        STRUCTURE,
        (("if first != where:", "if False:"), ("return first == where", "return True")),
    ),
    one("external storage", STRUCTURE, "creation.get_external_count() > 0 or ", ""),
    one(
        "virtual storage",
        STRUCTURE,
        "(h5d.CONTIGUOUS, h5d.CHUNKED)",
        "(h5d.CONTIGUOUS, h5d.CHUNKED, h5d.VIRTUAL)",
    ),
    one("no cap on chunks", STRUCTURE, "if size > MAX_CHUNK_BYTES", "if False"),
    one("any filters", STRUCTURE, "chain not in FILTER_CHAINS", "False"),
    one("any type of data", STRUCTURE, "kind.get_class() not in NUMBERS", "False"),
    Break(
        "committed types",
        STRUCTURE,
        (
            ("if kind.committed():", "if False:"),
            ('self._type(where, "a committed type")', "pass"),
        ),
    ),
    one("any number of items", STRUCTURE, "self._items <= self._max_items", "True"),
    one("any number of attributes", STRUCTURE, "count > MAX_ATTRIBUTES", "False"),
    one("any type of attribute", STRUCTURE, "kind.get_class() != h5t.STRING or ", ""),
    one(
        "many texts in an attribute",
        STRUCTURE,
        " or space.get_simple_extent_type() != h5s.SCALAR",
        "",
    ),
    one("any encoding", STRUCTURE, "kind.get_cset() not in ENCODINGS", "False"),
    one("any length of an attribute", STRUCTURE, "kind.get_size() > MAX_JSON_BYTES", "False"),
    # what it says
    one("shape after reading", RESULT, "if dataset.shape != shape", "if False"),
    one("any width of numbers", RESULT, "kind != h5t.IEEE_F32LE", "False"),
    one("NaN", RULES, "    if bad:", "    if False:"),
    one("huge values", RULES, "largest > MAX_MAGNITUDE", "False"),
    one(
        "spec out of its range", RULES, "not entry.min <= values[entry.name] <= entry.max", "False"
    ),
    one("unknown names in the spec", RULES, "if name not in ranges.names", "if False"),
    one("any variant", RULES, "if found in asked:", "if True:"),
    one("unknown items", RESULT, "for name in sorted(names):", "for name in ():"),
    one("a key twice in JSON", JSON, "if key in found", "if False"),
    one("NaN in JSON", JSON, "parse_constant=_no_constant", "parse_constant=float"),
    one("deep JSON", JSON, "if depth > MAX_JSON_DEPTH", "if False"),
    one("long JSON", JSON, "if len(raw) > max_bytes", "if False"),
    one("JSON that grows", RESULT, "if length > MAX_JSON_BYTES", "if False"),
    # the process that reads
    one(
        "the reader may open files",
        CHILD,
        "(resource.RLIMIT_NOFILE, 0, 0)",
        "(resource.RLIMIT_NOFILE, 64, 64)",
    ),
    one("the reader may start processes", CHILD, "        (resource.RLIMIT_NPROC, 0, 0),\n", ""),
    one(
        "the reader may take any memory",
        CHILD,
        "        (resource.RLIMIT_AS, memory, memory),\n",
        "",
    ),
    one(
        "the reader may compute for ever",
        CHILD,
        "        (resource.RLIMIT_CPU, cpu, cpu + 1),\n",
        "",
    ),
    one(
        "the reader may write any amount",
        CHILD,
        "        (resource.RLIMIT_FSIZE, task.image_bytes, task.image_bytes),\n",
        "",
    ),
    one("the reader stays root", CHILD, "if os.geteuid() == 0", "if False"),
    one("the reader may speak for its parent", CHILD, "        channel.close()\n", ""),
    one("the reader may answer at any length", CHILD, "if length > cap", "if False"),
    one(
        "the reader may sleep after its answer",
        CHILD,
        "time.monotonic() >= deadline:\n            os.kill",
        "False:\n            os.kill",
    ),
    one("the reader sees our environment", READER, "env=ENVIRONMENT", "env=dict(os.environ)"),
    one(
        "an interrupted reading goes on",
        READER,
        "        except BaseException:",
        "        except ZeroDivisionError:",
    ),
    Break(
        "the reader sees our folders",
        READER,
        (('"-I", ', ""), ('                cwd="/",\n', "")),  # either alone is enough
    ),
    # the process that judges
    one("a reader that died is believed", PARENT, "if outcome.exit_code < 0", "if False"),
    one(
        "the variant is believed",
        PARENT,
        "(fault := variant_fault",
        "False and (fault := variant_fault",
    ),
    one("images are believed", PARENT, "image_fault(x_hat, name) or ", ""),
    one("specs are believed", PARENT, " or spec_fault(spec, expected.ranges, name)", ""),
    one("findings are believed", PARENT, "entry.blame is not Blame.RESULT", "False"),
    one("samples go without a reason", PARENT, "if len(samples) < len(task.expected)", "if False"),
    one("any nonce", PARENT, "nonce is not None and not hmac", "False and not hmac"),
    one("any input", PARENT, "answers.provenance.input_sha256 != input_sha256", "False"),
    one("what lay there before stays", PARENT, "        canonical.unlink(missing_ok=True)\n", ""),
    # the canonical file
    one("the nonce in the identity", CANONICAL, 'update={"nonce": None}', "update={}"),
    one("the cost in the identity", CANONICAL, "        run_info=None,\n", ""),
    one("the file is not read back", CANONICAL, "not _same(again, judged)", "False"),
    one(
        "any signature",
        SEAL,
        "not hmac.compare_digest(_signature(fields, key), seal.hmac_sha256)",
        "False",
    ),
    one("any file under the seal", SEAL, "if found != seal.sha256", "if False"),
)


def earlier_witness(name: str) -> str:
    """The first test that noticed a break, by docs/security.md; "" where the page names none."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"| {name} |") and (found := re.search(r"`(test_[^`]+)`", line)):
            return found.group(1)
    return ""


def noticed_by(broken: Sequence[Break], tree: Path, tests: Sequence[str]) -> list[str]:
    """Names of tests that fail in a tree with these breaks; the tree is mended afterwards."""
    whole = {entry.file: (tree / entry.file).read_text(encoding="utf-8") for entry in broken}
    for entry in broken:
        text = (tree / entry.file).read_text(encoding="utf-8")
        for old, new in entry.changes:
            if old not in text:
                raise SystemExit(f"{entry.name}: {entry.file} no longer says {old!r}")
            text = text.replace(old, new)
        (tree / entry.file).write_text(text, encoding="utf-8")
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", *PLUGINS, *tests],
            cwd=tree,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                WITNESS: earlier_witness(broken[0].name),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return ["(the tests never end)"]
    finally:
        for name, text in whole.items():
            (tree / name).write_text(text, encoding="utf-8")
    if run.returncode > 1:  # neither passed nor failed: a break that is none, or a machine's fault
        raise SystemExit(f"{broken[0].name}: pytest ended with {run.returncode}\n{run.stdout}")
    return re.findall(r"^(?:FAILED|ERROR) \S+::(.*?)(?: - .*)?$", run.stdout, re.MULTILINE)


def try_all(breaks: Sequence[tuple[Break, ...]], tests: Callable[[str], Sequence[str]]) -> int:
    """Try breaks, each of one or more places under one name; returns how many went unnoticed.

    Args:
        breaks: what is broken.
        tests: from a break's name to the tests that are asked.
    """
    survived = 0
    with tempfile.TemporaryDirectory(prefix="stem4d-mutations-") as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, tree / name)
        print("| broken | where | noticed by |\n|---|---|---|")
        for places in breaks:
            name = places[0].name
            noticed = noticed_by(places, tree, tests(name))
            survived += not noticed
            where = ", ".join(f"`{Path(entry.file).name}`" for entry in places)
            names = ", ".join(f"`{test}`" for test in noticed) or "**nothing**"
            print(f"| {name} | {where} | {names} |", flush=True)
    print(f"\n{len(breaks)} broken, {len(breaks) - survived} noticed")
    return survived


def main() -> int:
    """Try all breaks, or those whose name holds a word."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("word", nargs="?", default="")
    chosen = [(entry,) for entry in BREAKS if parser.parse_args().word in entry.name]
    return 1 if try_all(chosen, lambda _: TESTS) else 0


if __name__ == "__main__":
    sys.exit(main())
