"""A folder that strangers write to: what lies there is counted and copied, nothing is followed."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runner.harness.owner import this_process
from runner.harness.staging import (
    OWNER_NAME,
    copy_out,
    read_start,
    remove_abandoned,
    staged,
    usage,
)
from schemas.findings import ContractError, ExitCode

MANY = 1000


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    path = tmp_path / "hidden-tier.h5"
    path.write_bytes(b"counts")
    return path


class TestFolder:
    def test_names_are_neutral_and_the_folder_is_ours_alone(
        self, challenge: Path, tmp_path: Path
    ) -> None:
        root = tmp_path / "root"
        with staged(challenge, root) as staging:
            inside = [str(p.relative_to(root)) for p in root.rglob("*")]
            assert not any("hidden" in name for name in inside)
            assert staging.challenge.read_bytes() == b"counts"
            assert staging.folder.stat().st_mode & 0o777 == 0o700
            assert staging.output.stat().st_mode & 0o777 == 0o777
        assert list(root.iterdir()) == []

    @pytest.mark.parametrize("mode", [0o600, 0o644])
    def test_the_container_s_user_can_read_the_input(
        self, challenge: Path, tmp_path: Path, mode: int
    ) -> None:
        challenge.chmod(mode)
        with staged(challenge, tmp_path / "root") as staging:
            assert staging.challenge.stat().st_mode & 0o004
        assert challenge.stat().st_mode & 0o777 == mode, "the organiser's file is as it was"

    def test_a_link_to_the_challenge_is_no_link_inside(
        self, challenge: Path, tmp_path: Path
    ) -> None:
        link = tmp_path / "link.h5"
        link.symlink_to(challenge)
        with staged(link, tmp_path / "root") as staging:
            assert not staging.challenge.is_symlink()
            assert staging.challenge.read_bytes() == b"counts"

    def test_a_root_that_is_a_file_is_named(self, challenge: Path) -> None:
        with pytest.raises(ContractError) as caught, staged(challenge, challenge):
            pass
        assert caught.value.exit_code is ExitCode.USAGE

    def test_only_what_the_dead_left_is_removed(self, challenge: Path, tmp_path: Path) -> None:
        root = tmp_path / "root"
        dead = root / "stem4d-dead"
        (dead / "output").mkdir(parents=True)
        (dead / OWNER_NAME).write_text(replace(this_process(), started="1").text())
        stranger = root / "stem4d-stranger"
        stranger.mkdir()
        with staged(challenge, root) as staging:
            assert remove_abandoned(root) == 1
            assert staging.challenge.exists()
        assert list(root.iterdir()) == [stranger]


class TestUsage:
    def test_bytes_and_names(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x" * 10_000)
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "c").write_bytes(b"y" * 20_000)
        found = usage(tmp_path, most_files=MANY)
        assert found.files == 3
        assert 30_000 <= found.bytes < 30_000 + 5 * 4096
        assert not found.hidden

    def test_a_hole_counts_as_what_it_pretends(self, tmp_path: Path) -> None:
        with (tmp_path / "sparse").open("wb") as file:
            file.truncate(1 << 40)
        assert usage(tmp_path, most_files=MANY).bytes >= 1 << 40

    def test_space_that_is_taken_and_not_shown_counts(self, tmp_path: Path) -> None:
        with (tmp_path / "short").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 1 << 20)
            file.flush()
            os.ftruncate(file.fileno(), 0)
        keep = 1  # FALLOC_FL_KEEP_SIZE
        libc = pytest.importorskip("ctypes").CDLL(None, use_errno=True)
        with (tmp_path / "kept").open("wb") as file:
            if libc.fallocate(file.fileno(), keep, 0, 1 << 20) != 0:
                pytest.skip("the file system keeps no space")
        assert (tmp_path / "kept").stat().st_size == 0
        assert usage(tmp_path, most_files=MANY).bytes >= 1 << 20

    def test_links_are_counted_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "up").symlink_to("/")
        (tmp_path / "self").symlink_to(tmp_path)
        assert usage(tmp_path, most_files=MANY).files == 2

    def test_the_count_ends_soon_after_the_limit(self, tmp_path: Path) -> None:
        for index in range(50):
            (tmp_path / str(index)).touch()
        assert usage(tmp_path, most_files=10).files == 11

    def test_a_tower_of_folders_ends_the_count_as_well(self, tmp_path: Path) -> None:
        deep = tmp_path
        for _ in range(60):
            deep = deep / "d"
            deep.mkdir()
        assert 10 < usage(tmp_path, most_files=10).files < 15

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
    def test_a_folder_that_cannot_be_looked_into_is_told(self) -> None:
        # pytest's own folders are closed to others, whom this test becomes.
        with tempfile.TemporaryDirectory() as name:
            open_to_all = Path(name)
            open_to_all.chmod(0o755)
            (open_to_all / "closed").mkdir(mode=0o700)
            os.seteuid(1000)
            try:
                found = usage(open_to_all, most_files=MANY)
            finally:
                os.seteuid(0)
        assert found.hidden
        assert found.files == 1


def fifo(path: Path, _secret: Path) -> None:
    os.mkfifo(path)


def soft_link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def hard_link(path: Path, secret: Path) -> None:
    path.hardlink_to(secret)


def folder(path: Path, _secret: Path) -> None:
    path.mkdir()


def device(path: Path, _secret: Path) -> None:
    path.symlink_to("/dev/zero")


def sock(path: Path, _secret: Path) -> None:
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(str(path))


TRICKS = [fifo, soft_link, hard_link, folder, device, sock]


class TestCopy:
    @pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
    def test_only_a_plain_file_of_one_name_is_copied(
        self, tmp_path: Path, trick: Callable[[Path, Path], None]
    ) -> None:
        secret = tmp_path / "truth"
        secret.write_bytes(b"truth")
        trick(tmp_path / "r", secret)
        target = tmp_path / "copy"
        assert copy_out(tmp_path / "r", target, 1 << 20) is not None
        assert not target.exists()
        assert read_start(tmp_path, "r", 100) == (b"truth" if trick is hard_link else b"")

    def test_a_plain_file_is(self, tmp_path: Path) -> None:
        (tmp_path / "r").write_bytes(b"result")
        assert copy_out(tmp_path / "r", tmp_path / "copy", 6) is None
        assert (tmp_path / "copy").read_bytes() == b"result"

    def test_a_large_one_is_not(self, tmp_path: Path) -> None:
        with (tmp_path / "r").open("wb") as file:
            file.truncate(7 << 20)
        assert copy_out(tmp_path / "r", tmp_path / "copy", 6 << 20) == f"{7 << 20} bytes"

    def test_nothing_is_no_fault(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            copy_out(tmp_path / "r", tmp_path / "copy", 6)
