"""One limits file: what it says, what the contract says and what compose says are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.harness.limits import load_limits
from runner.harness.options import MIB, USER, Job, host_options
from schemas.findings import ContractError, ExitCode
from schemas.limits import ResourceLimits

ROOT = Path(__file__).parents[3]


@pytest.fixture
def compose() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    service: dict[str, Any] = yaml.safe_load(text)["services"]["submission"]
    return service


def mebibytes(text: str) -> int:
    assert text.endswith("m")
    return int(text[:-1])


def test_the_file_holds_the_contract_s_limits() -> None:
    assert load_limits(ROOT / "limits.toml") == ResourceLimits()
    assert load_limits() == ResourceLimits()


def test_compose_has_the_numbers_of_the_file(compose: dict[str, Any]) -> None:
    limits = load_limits(ROOT / "limits.toml")
    assert mebibytes(compose["mem_limit"]) == limits.memory_mib
    assert mebibytes(compose["memswap_limit"]) == limits.memory_mib
    assert compose["cpus"] == limits.cpus
    assert compose["environment"]["OMP_NUM_THREADS"] == str(int(limits.cpus))
    assert compose["pids_limit"] == limits.pids
    assert mebibytes(compose["shm_size"]) == limits.shm_mib
    assert compose["ulimits"]["nofile"] == {"soft": limits.nofile, "hard": limits.nofile}
    assert compose["logging"]["options"]["max-size"] == str(round(limits.log_mib * MIB))


def test_compose_is_as_hard_as_the_sandbox(compose: dict[str, Any], tmp_path: Path) -> None:
    options = host_options(Job("any", tmp_path, tmp_path, load_limits(ROOT / "limits.toml")))
    assert compose["network_mode"] == options["network_mode"] == "none"
    assert compose["read_only"] is options["read_only"] is True
    assert compose["cap_drop"] == options["cap_drop"] == ["ALL"]
    assert compose["security_opt"] == options["security_opt"]
    assert compose["init"] is options["init"] is True
    assert compose["ipc"] == options["ipc_mode"] == "private"
    assert compose["user"] == USER
    assert compose["tmpfs"] == [f"{path}:{how}" for path, how in options["tmpfs"].items()]
    assert compose["volumes"][0]["read_only"] is True


@pytest.mark.parametrize(
    "text",
    ["memory_mib = 'much'", "memory_mib = -1", "memory = 8192", "cpus = nan", "this is not TOML"],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_limits(path)
    assert caught.value.exit_code is ExitCode.USAGE
    assert str(path) in str(caught.value)


def test_a_missing_file_is_an_error_and_no_default(tmp_path: Path) -> None:
    with pytest.raises(ContractError):
        load_limits(tmp_path / "absent.toml")
