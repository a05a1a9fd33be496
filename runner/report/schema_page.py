"""The contract's records as a Markdown page and as JSON schemas; made from the models alone."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas import CONTRACT_MODELS, CONTRACT_VERSION

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

PREAMBLE = f"""\
# Records of the contract, version {CONTRACT_VERSION}

Printed by `stem4d schema`; a test fails when this page and the models differ. Every record is
strict: no unknown key, no NaN or infinity, no number written as text. Where a key has no default,
it must be there. What can go wrong, and its codes: [errors.md](errors.md).
"""

RECORD_NAMES = frozenset(model.__name__ for model in CONTRACT_MODELS)

Schema = Mapping[str, Any]


def json_schemas() -> dict[str, Any]:
    """JSON schema of every record: {"contract_version": ..., "records": {name: schema}}."""
    return {
        "$schema": JSON_SCHEMA_DIALECT,
        "contract_version": CONTRACT_VERSION,
        "records": {model.__name__: model.model_json_schema() for model in CONTRACT_MODELS},
    }


def markdown() -> str:
    """The page docs/schema.md."""
    parts = [PREAMBLE]
    for model in CONTRACT_MODELS:
        summary = " ".join(inspect.cleandoc(model.__doc__ or "").split())
        parts.append(f"## {model.__name__}\n\n{summary}\n\n{_body(model)}")
    return "\n".join(parts)


def _body(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    rows = [
        (
            f"`{name}`",
            _type(entry, definitions),
            entry.get("unit", ""),
            _default(model.model_fields[name]),
            "; ".join(_bounds(entry)),
            entry.get("description", ""),
        )
        for name, entry in schema["properties"].items()
    ]
    return table(("key", "type", "unit", "default", "bounds", "meaning"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return f"{_link(type(value).__name__)} with its defaults"
    return f"`{json.dumps(value)}`"


def _type(entry: Schema, definitions: Schema) -> str:
    """A JSON schema's type in words; records are links, enumerations are written out."""
    if "$ref" in entry:
        name = str(entry["$ref"]).rpartition("/")[2]
        target = definitions[name]
        return _link(name) if name in RECORD_NAMES else _type(target, definitions)
    if "anyOf" in entry:
        return " or ".join(_type(option, definitions) for option in entry["anyOf"])
    if "const" in entry or "enum" in entry:
        return " or ".join(f'"{value}"' for value in entry.get("enum", [entry.get("const")]))
    return _json_type(entry, definitions)


def _json_type(entry: Schema, definitions: Schema) -> str:
    if "prefixItems" in entry:
        return f"[{', '.join(_type(item, definitions) for item in entry['prefixItems'])}]"
    if entry.get("type") == "array":
        return f"list of {_type(entry['items'], definitions)}"
    if entry.get("type") == "object":
        return f"{{name: {_type(entry['additionalProperties'], definitions)}}}"
    return str(entry.get("type", "any JSON"))


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _bounds(entry: Schema) -> Iterator[str]:
    for option in entry.get("anyOf", ()):
        yield from _bounds(option)
    for key, sign in (
        ("exclusiveMinimum", ">"),
        ("minimum", ">="),
        ("exclusiveMaximum", "<"),
        ("maximum", "<="),
    ):
        if key in entry:
            yield f"{sign} {entry[key]:g}"
    if "pattern" in entry:
        yield f"`{entry['pattern']}`"
    if "minLength" in entry:
        yield f"at least {entry['minLength']} character"
    if "maxLength" in entry:
        yield f"at most {entry['maxLength']} characters"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {line} |" for line in cells) + "\n"
