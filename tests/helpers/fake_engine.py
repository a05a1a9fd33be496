"""An engine that only pretends: deterministic, without a container, and it fails where it is told.

Its containers are files of a folder, so that they outlive the process that made them, as real ones
do: a harness that is killed leaves them, and the next one must find and remove them.

    engine = FakeEngine(tmp_path / "engine", {"submission": FakeImage(program)})

A program is a function that is called at the start of its container, on the real files of the run;
it returns the exit code. `before` is called before every call to the engine, with the name of the
call and how often it was made: it may raise (`ENGINE_FAILED`, say), or kill the process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from runner.harness.engine import (
    ContainerState,
    Engine,
    EngineFacts,
    ImageFacts,
    LogPiece,
    engine_failed,
    image_not_found,
)
from runner.harness.options import RUN_LABEL, ContainerOptions
from runner.harness.preflight import VERSION_LABEL

FACTS = EngineFacts(
    name="fake",
    version="1",
    architecture="amd64",
    runtimes={"runc": (), "runsc": ("--ignore-cgroups",)},
    default_runtime="runc",
    seccomp=True,
    limits=frozenset({"memory", "cpus", "pids"}),
    gpu=False,
    local=False,
)

IMAGE = ImageFacts(
    id="sha256:" + 64 * "f",
    digest=None,
    os="linux",
    architecture="amd64",
    user="1000:1000",
    labels={VERSION_LABEL: "1.0"},
    entrypoint=("run",),
    volumes=(),
    size_bytes=1 << 20,
)

KILLED = 137


@dataclass(frozen=True)
class Inside:
    """What a program sees: its files on the host, and its environment."""

    challenge: Path
    output: Path
    environment: Mapping[str, str]


Program = Callable[[Inside], int]


def does_nothing(_inside: Inside) -> int:
    return 0


@dataclass(frozen=True)
class FakeImage:
    """An image and what its containers do.

    Attributes:
        program: called at the start.
        facts: what the image says of itself.
        looks: how often it is found running before it is found dead; -1: it never ends by itself.
        log: what it writes, all to stderr.
        oom: the kernel kills a process of it for memory.
        ends_on_sigterm: whether SIGTERM ends it; SIGKILL always does.
    """

    program: Program = does_nothing
    facts: ImageFacts = IMAGE
    looks: int = 0
    log: bytes = b""
    oom: bool = False
    ends_on_sigterm: bool = True


def no_fault(_call: str, _number: int) -> None:
    """Nothing goes wrong."""


def fails_at(call: str, number: int = 1, *, times: int = 1) -> Callable[[str, int], None]:
    """The engine fails at the n-th call of a name, so many times in a row."""

    def before(made: str, count: int) -> None:
        if made == call and number <= count < number + times:
            raise engine_failed(f"{call} number {count}", RuntimeError("it was told to fail"))

    return before


@dataclass
class FakeEngine(Engine):
    """See above.

    Attributes:
        folder: where its containers lie.
        images: images by name; each is found by its id as well.
        before: called before every call, with its name and number from 1.
        about: what the engine says of itself.
        misreports: options that it applies otherwise than it was asked to.
        calls: how often each call was made.
    """

    folder: Path
    images: Mapping[str, FakeImage]
    before: Callable[[str, int], None] = no_fault
    about: EngineFacts = FACTS
    misreports: Mapping[str, JsonValue] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._inside: dict[str, Inside] = {}

    def facts(self) -> EngineFacts:
        self._called("facts")
        return self.about

    def image(self, name: str) -> ImageFacts:
        self._called("image")
        return self._image(name).facts

    def create(self, options: ContainerOptions) -> str:
        self._called("create")
        image = self._image(options.image)
        name = f"container-{len(list(self.folder.iterdir())):04d}"
        self._inside[name] = Inside(options.challenge, options.output, options.environment)
        self._write(
            name,
            {
                "image": image.facts.id,
                "owner": options.owner,
                "applied": {**options.stated(), **self.misreports},
                "status": "created",
                "looks": image.looks,
                "exit_code": 0,
            },
        )
        return name

    def applied(self, container: str) -> dict[str, JsonValue]:
        self._called("applied")
        found: dict[str, JsonValue] = self._read(container)["applied"]
        return found

    def log(self, container: str) -> Iterator[LogPiece]:
        self._called("log")
        written = self._image(self._read(container)["image"]).log
        return iter([LogPiece("stderr", written)] if written else [])

    def start(self, container: str) -> None:
        self._called("start")
        entry = self._read(container)
        self._write(container, {**entry, "status": "running"})
        exit_code = self._image(entry["image"]).program(self._inside[container])
        self._write(container, {**entry, "status": "running", "exit_code": exit_code})

    def state(self, container: str) -> ContainerState:
        self._called("state")
        entry = self._read(container)
        if entry["status"] == "running":
            if entry["looks"] == 0:
                entry["status"] = "exited"
            entry["looks"] -= 1
            self._write(container, entry)
        return ContainerState(
            ended=entry["status"] == "exited",
            exit_code=entry["exit_code"],
            oom=self._image(entry["image"]).oom,
            pid=0,
        )

    def kill(self, container: str, signal: str) -> None:
        self._called("kill")
        entry = self._read(container)
        if signal == "SIGKILL" or self._image(entry["image"]).ends_on_sigterm:
            self._write(container, {**entry, "status": "exited", "exit_code": KILLED})

    def remove(self, container: str) -> None:
        self._called("remove")
        path = self.folder / f"{container}.json"
        if path.exists():
            path.rename(path.with_suffix(".removed"))

    def labelled(self, label: str) -> dict[str, str]:
        self._called("labelled")
        assert label == RUN_LABEL
        return {path.stem: self._read(path.stem)["owner"] for path in self._alive()}

    def left(self) -> int:
        """How many containers there are."""
        return len(self._alive())

    def _alive(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def _image(self, name: str) -> FakeImage:
        for tag, image in self.images.items():
            if name in (tag, image.facts.id):
                return image
        raise image_not_found(name)

    def _called(self, call: str) -> None:
        self.calls[call] += 1
        self.before(call, self.calls[call])

    def _read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return found

    def _write(self, name: str, entry: Mapping[str, Any]) -> None:
        path = self.folder / f"{name}.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(entry))
        temporary.replace(path)


def image_like(**facts: Any) -> FakeImage:
    """An image that says other things of itself."""
    return FakeImage(facts=replace(IMAGE, **facts))
