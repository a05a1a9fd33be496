"""The base of every record, and strict JSON.

Every record of the contract is frozen, refuses unknown keys, refuses NaN and infinity, and coerces
nothing: what a file says is what the program sees.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

CONTRACT_VERSION = "1.0"
"""Version of the contract (files, container, score) that these models describe."""

VARIANT: Final = "electron_diffraction"
"""Name of the imaging variant in the benchmark's vocabulary."""

MAX_JSON_BYTES = 64 * 1024
"""Largest JSON attribute that is read [bytes]; HDF5 itself stores attributes up to this size."""

MAX_JSON_DEPTH = 16
"""Deepest nesting of a JSON attribute; nothing in the contract needs more than four levels."""


UNPRINTABLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # a terminal's commands as a whole, so that no remains are shown
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters other than tab and newline
    r"|[\u200e\u200f\u2028-\u202e\u2066-\u2069]"  # text that is shown in another order than it has
    r"|[\ud800-\udfff]"  # halves of characters, which no file or terminal takes
)


def printable(text: str) -> str:
    """A stranger's text, without what could command a terminal or mislead the eye."""
    return UNPRINTABLE.sub("", text)


class Record(BaseModel):
    """A strict, frozen record: no coercion, no unknown key, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


RecordT = TypeVar("RecordT", bound=BaseModel)


def quantity(unit: str, description: str, **bounds: Any) -> Any:
    """A pydantic field with a physical unit ("" for a pure number), printed by `stem4d schema`."""
    return Field(description=description, json_schema_extra={"unit": unit}, **bounds)


class StrictJSONError(ValueError):
    """JSON that Python would accept but the contract does not."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise StrictJSONError(f"key {key!r} appears twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise StrictJSONError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise StrictJSONError(f"{digits[:20]} is beyond the largest number")
    return value


def _check_depth(text: str) -> None:
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise StrictJSONError(f"nested deeper than {MAX_JSON_DEPTH} levels")
        elif char in "]}":
            depth -= 1


def strict_json(text: str | bytes, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Parse JSON, refusing duplicate keys, NaN, Infinity, deep nesting and oversized text.

    Files give what they like, so anything that is no text is refused as well.

    Raises:
        StrictJSONError: says what was found.
    """
    if not isinstance(text, str | bytes):
        raise StrictJSONError(f"a {type(text).__name__}, not text")
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > max_bytes:
            raise StrictJSONError(f"{len(raw)} bytes, at most {max_bytes} are read")
        decoded = raw.decode("utf-8")
        _check_depth(decoded)
        return json.loads(
            decoded,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except UnicodeError as error:
        raise StrictJSONError(f"not UTF-8: {error}") from error
    except json.JSONDecodeError as error:
        raise StrictJSONError(
            f"{error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except StrictJSONError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise StrictJSONError(str(error)) from error


def record_from_json(
    model: type[RecordT], text: str | bytes, *, max_bytes: int = MAX_JSON_BYTES
) -> RecordT:
    """Read one record from strict JSON.

    Raises:
        StrictJSONError: the text is not strict JSON.
        pydantic.ValidationError: the text is JSON, but not this record.
    """
    strict_json(text, max_bytes=max_bytes)
    return model.model_validate_json(text)


def json_text(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN; the same value gives the same bytes."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
