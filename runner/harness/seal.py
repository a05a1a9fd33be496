"""A seal beside a canonical result: proof that it is the one that the sanitiser wrote."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from pydantic import Field, ValidationError

from runner.files.hdf5 import atomic_path, explain, sha256_of
from schemas.base import Record, StrictJSONError, json_text, record_from_json
from schemas.findings import refuse

SUFFIX = ".seal.json"
MIN_KEY_BYTES = 16
"""Shortest key [bytes]: 128 bits, below which HMAC's strength is the key's."""

PURPOSE = b"stem4d canonical result 1\n"
"""Goes into every signature, so that one made for another purpose is none for this."""


class Seal(Record):
    """What is signed, and the signature."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="identity: of the canonical file")
    input_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the view that was given")
    nonce: str | None = Field(max_length=128, description="token of the run; null: none was given")
    hmac_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="signature of the other fields' canonical JSON"
    )


def seal_path(canonical: Path) -> Path:
    """Where the seal of a canonical file lies."""
    return canonical.with_name(canonical.name + SUFFIX)


def write_seal(
    canonical: Path, *, sha256: str, input_sha256: str, nonce: str | None, key: bytes
) -> Path:
    """Sign a canonical file; returns the seal's path.

    Raises:
        ContractError: the folder is not writable, or is full.
        ValueError: a key shorter than `MIN_KEY_BYTES`.
    """
    check_key(key)
    fields = {"sha256": sha256, "input_sha256": input_sha256, "nonce": nonce}
    seal = Seal.model_validate({**fields, "hmac_sha256": _signature(fields, key)})
    path = seal_path(canonical)
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(seal) + "\n", encoding="utf-8")
    return path


def check_seal(canonical: Path, key: bytes) -> Seal:
    """The seal of a canonical file, after signature and file were found to be right.

    Raises:
        ContractError: SEAL_BROKEN.
        ValueError: a key shorter than `MIN_KEY_BYTES`.
    """
    check_key(key)
    path = seal_path(canonical)
    try:
        seal = record_from_json(Seal, path.read_bytes())
    except (OSError, StrictJSONError, ValidationError) as error:
        raise _broken(path, explain(error)) from error
    fields = seal.model_dump(exclude={"hmac_sha256"})
    if not hmac.compare_digest(_signature(fields, key), seal.hmac_sha256):
        raise _broken(path, "a signature by another key, or of other content")
    try:
        found = sha256_of(canonical)
    except OSError as error:
        raise _broken(canonical, explain(error)) from error
    if found != seal.sha256:
        raise _broken(canonical, f"sha256 {found}")
    return seal


def check_key(key: bytes) -> None:
    """Refuse a key that is too short.

    Raises:
        ValueError: says how long it must be.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes; at least {MIN_KEY_BYTES} are needed")


def _signature(fields: dict[str, str | None], key: bytes) -> str:
    return hmac.new(key, PURPOSE + json_text(fields).encode(), hashlib.sha256).hexdigest()


def _broken(path: Path, found: str) -> Exception:
    return refuse(
        "SEAL_BROKEN",
        str(path),
        expected="a canonical result with the seal that the sanitiser gave it",
        found=found,
        hint="do not score it; sanitise the submission's own file again",
    )
