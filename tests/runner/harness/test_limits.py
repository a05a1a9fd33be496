"""One limits file: what it says, what the contract says and what compose says are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.harness.limits import load_limits
from runner.harness.options import TMP_FOLDER, USER, Job, options_of
from schemas.findings import ContractError, ExitCode
from schemas.limits import MIB, ResourceLimits

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
    assert compose["logging"]["options"]["max-size"] == str(round(limits.log_mib * MIB))


def test_compose_is_as_hard_as_the_sandbox(compose: dict[str, Any], tmp_path: Path) -> None:
    job = Job("any", tmp_path, tmp_path, load_limits(ROOT / "limits.toml"))
    options = options_of(job, runtime="runc")
    stated = options.stated()
    assert compose["network_mode"] == stated["network"] == "none"
    assert compose["read_only"] is stated["read_only"] is True
    assert compose["cap_drop"] == stated["capabilities_dropped"] == ["ALL"]
    assert compose["security_opt"] == stated["security"]
    assert compose["init"] is stated["init"] is True
    assert compose["ipc"] == stated["ipc"] == "private"
    assert compose["cgroup"] == stated["cgroup_namespace"] == "private"
    assert compose["user"] == USER
    assert compose["tmpfs"] == [f"{TMP_FOLDER}:{options.tmpfs}"]
    ulimits = {name: {"soft": most, "hard": most} for name, most in options.ulimits.items()}
    assert compose["ulimits"] == ulimits
    assert compose["healthcheck"] == {"disable": True}
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
