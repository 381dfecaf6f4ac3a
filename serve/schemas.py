"""Which JSON schemas may be given to an engine. Knows no engine."""

from typing import Any

from actors.messages import InvalidRequest

LARGEST_BOUND = 16384
"""Highest count in a schema: engines unroll it, and no answer has room for more."""
COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def check_schema(schema: dict[str, Any], param: str) -> None:
    """Raises InvalidRequest for what is no JSON schema, reaches outside, or counts without measure."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise _invalid(error.message[:300], param) from error
    pending: list[Any] = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            _check_part(part, param)
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)


def _check_part(part: dict[str, Any], param: str) -> None:
    for name in COUNTS:
        count = part.get(name)
        if isinstance(count, int | float) and count > LARGEST_BOUND:
            raise _invalid(f"{name} is above {LARGEST_BOUND}", param)
    reference = part.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise _invalid(f"$ref '{reference[:100]}' leaves the schema", param)


def _invalid(reason: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid schema: {reason}.", param, "invalid_json_schema")
