"""The corpus of hostile and honest images: what each is, and what must come of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

HONEST = ()
"""No code: the result is scored, and the attack has achieved nothing."""

AS_ROOT = os.geteuid() == 0


@dataclass(frozen=True)
class Case:
    """One image.

    Attributes:
        name: function of `attack.py`, and the case's name unless there are several of it.
        codes: codes of all findings, in their order.
        build: lines of its Dockerfile.
        tag: tells cases of one function apart.
        gvisor: run under gVisor as well.
        gvisor_codes: codes there, where they differ: with control groups, and without.
    """

    name: str
    codes: tuple[str, ...] = HONEST
    build: tuple[str, ...] = ()
    tag: str = ""
    gvisor: bool = False
    gvisor_codes: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def expected(self, *, gvisor: bool, loose: bool = False) -> tuple[str, ...]:
        """Codes under a runtime; `loose`: gVisor without control groups."""
        if not gvisor or self.gvisor_codes is None:
            return self.codes
        return self.gvisor_codes[loose]

    @property
    def title(self) -> str:
        return f"{self.name}-{self.tag}" if self.tag else self.name


LOOKING = (
    Case("oracle_seeker", gvisor=True),
    Case("network_probe", gvisor=True),
    Case("docker_socket", gvisor=True),
    Case("host_proc", gvisor=True),
    Case("writes_input", gvisor=True),
    Case("privileges", gvisor=True),
    Case("other_processes", gvisor=True),
    Case(
        "wishes",
        build=(
            'LABEL org.stem4d.privileged="true" privileged="true" com.docker.run="--privileged"',
            "ENV STEM4D_NONCE=wished STEM4D_SEED=7 DOCKER_HOST=unix:///var/run/docker.sock",
            'ENV STEM4D_LIMITS={\\"wall_s\\":1e9}',
            "EXPOSE 80",
            "STOPSIGNAL SIGCONT",
        ),
        gvisor=True,
    ),
    Case(
        "healthcheck",
        build=("HEALTHCHECK --interval=1s CMD touch /output/healthcheck",),
    ),
)
"""They look for a way, and must find none."""

USING = (
    Case(
        "fork_bomb",
        ("RUN_TIMEOUT",),
        gvisor=True,
        # gVisor itself ends when its kernel gives it no more threads.
        gvisor_codes=(("ALGORITHM_FAILED",), ("TOO_MANY_PROCESSES",)),
    ),
    Case("memory_hog", ("OUT_OF_MEMORY",), gvisor=True),
    Case("tmp_hog", gvisor=True),
    Case("hangs", ("RUN_TIMEOUT",)),
    Case("ignores_sigterm", ("RUN_TIMEOUT",), gvisor=True),
    Case("hangs_in_a_sample", ("SAMPLE_TIMEOUT",)),
    Case("log_flood", ("LOG_FLOOD",)),
    Case("one_long_line", ("LOG_FLOOD",)),
    Case("disk_fill", ("OUTPUT_TOO_LARGE",)),
    Case("disk_fill_unseen", ("OUTPUT_TOO_LARGE",) if AS_ROOT else ("RUN_TIMEOUT",)),
    Case("many_files", ("OUTPUT_TOO_MANY_FILES",)),
    Case("deep_folders", ("OUTPUT_TOO_MANY_FILES",)),
    Case("huge_sparse", ("OUTPUT_TOO_LARGE", "RESULT_TOO_LARGE")),
)
"""They take more than they may."""

LEAVING = (
    Case("no_result", ("RESULT_NOT_FOUND",)),
    Case("deletes_result", ("RESULT_NOT_FOUND",)),
    Case("soft_link", ("RESULT_NOT_REGULAR",), gvisor=True),
    Case("absolute_link", ("RESULT_NOT_REGULAR",)),
    Case("fifo", ("RESULT_NOT_REGULAR",)),
    Case("unix_socket", ("RESULT_NOT_REGULAR",)),
    Case("hard_link", ("RESULT_NOT_REGULAR",)),
    Case("device", ("RESULT_NOT_REGULAR",)),
    Case("folder", ("RESULT_NOT_REGULAR",)),
    Case("unreadable", ("RESULT_NOT_REGULAR",)),
    Case("closed_folder", HONEST if AS_ROOT else ("OUTPUT_HIDDEN",)),
    Case("strange_names"),
    Case("text_in_place", ("RESULT_NOT_HDF5",)),
    Case("rewrites_later", gvisor=True),
    Case("rewrites_on_sigterm", ("RUN_TIMEOUT", "RESULT_NOT_REGULAR")),
    Case("forged_nonce", ("RESULT_NONCE",)),
    Case("no_nonce", ("RESULT_NONCE",)),
    Case("replayed", ("RESULT_NONCE",)),
    Case("other_input", ("RESULT_OTHER_INPUT",)),
    Case("wrong_variant", ("RESULT_OTHER_INPUT",)),
    Case("forged_score"),
    Case("terminal_escapes"),
    Case("blames_us", ("ALGORITHM_FAILED",)),
    Case("blames_the_input", ("ALGORITHM_FAILED",)),
    Case("raises", ("ALGORITHM_FAILED",)),
)
"""What they leave, or say."""

IMAGES = (
    Case("honest_zeros", ("IMAGE_USER",), ("USER root",), tag="root"),
    Case("honest_zeros", ("IMAGE_USER",), ("USER 1000:0",), tag="root-group"),
    Case("honest_zeros", ("IMAGE_VOLUME",), ("VOLUME /data",), tag="volume"),
    Case("honest_zeros", ("IMAGE_ENTRYPOINT",), ("ENTRYPOINT []",), tag="nothing-to-start"),
    Case(
        "honest_zeros",
        ("IMAGE_VERSION",),
        ("LABEL org.stem4d.contract-version=2.0",),
        tag="next-contract",
    ),
    Case("honest_zeros", ("ALGORITHM_FAILED",), ('ENTRYPOINT ["/nowhere"]',), tag="no-program"),
    Case(
        "honest_zeros",
        ("IMAGE_NOT_STARTED",),
        ("USER root", "RUN touch /output", "USER 1000:1000"),
        tag="output-is-a-file",
    ),
    Case(
        "honest_zeros",
        (
            "IMAGE_USER",
            "IMAGE_VERSION",
            "IMAGE_ENTRYPOINT",
            "IMAGE_VOLUME",
        ),
        (
            "USER 0",
            "LABEL org.stem4d.contract-version=0.9",
            "ENTRYPOINT []",
            "VOLUME /a /b",
        ),
        tag="everything-wrong",
    ),
)
"""Images that are refused before they run, or cannot be started."""

BASELINES = (
    Case("honest_zeros", gvisor=True),
    Case("honest_half"),
    Case("honest_midpoint"),
    Case("honest_truth"),
)
"""Honest ones, whose score is known."""

HOSTILE = (*LOOKING, *USING, *LEAVING, *IMAGES)
