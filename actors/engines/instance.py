"""A small value that satisfies a JSON schema. Knows the common keywords, not all of JSON Schema."""

from collections.abc import Mapping
from typing import Any

from actors.messages import InvalidRequest, Json

FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "hostname": "example.com",
}
DEEPEST = 32


def minimal_instance(schema: Json, root: Json = None, depth: int = 0) -> Json:
    """A value valid under `schema`; `root` is where `$ref` looks. Raises InvalidRequest if it never ends."""
    root = schema if root is None else root
    if depth > DEEPEST:
        raise InvalidRequest("the JSON schema nests without end", param="response_format")
    if not isinstance(schema, Mapping):
        return None if schema is False else "text"
    if "$ref" in schema:
        return minimal_instance(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return minimal_instance(_shallowest(schema[keyword]), root, depth + 1)
    if schema.get("allOf"):
        return minimal_instance(_merged(schema, root), root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: Mapping[str, Any], root: Json, depth: int) -> Json:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        first = schema.get("prefixItems", [])
        items = [minimal_instance(item, root, depth + 1) for item in first]
        while len(items) < schema.get("minItems", 0):
            items.append(minimal_instance(schema.get("items", {}), root, depth + 1))
        return items
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return {"boolean": True, "null": None}.get(kind, _string(schema) if kind == "string" else None)


def _object(schema: Mapping[str, Any], root: Json, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    names = schema.get("required") or list(properties)
    return {name: minimal_instance(properties.get(name, {}), root, depth + 1) for name in names}


def _string(schema: Mapping[str, Any]) -> str:
    text = FORMATS.get(schema.get("format", ""), "text")
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    value = 1.0
    if least is not None and value <= least:
        value = least + (1 if "exclusiveMinimum" in schema and least == schema["exclusiveMinimum"] else 0)
    if most is not None and value >= most:
        value = most - (1 if "exclusiveMaximum" in schema and most == schema["exclusiveMaximum"] else 0)
    step = schema.get("multipleOf")
    if step:
        value = -(-value // step) * step
    return int(value) if whole or value == int(value) else value


def _resolve(reference: str, root: Json) -> Json:
    if not reference.startswith("#"):
        raise InvalidRequest(f"$ref {reference!r} leaves the schema", param="response_format")
    place = root
    for key in filter(None, reference[1:].split("/")):
        name = key.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, Mapping) or name not in place:
            raise InvalidRequest(f"$ref {reference!r} points nowhere", param="response_format")
        place = place[name]
    return place


def _shallowest(choices: list[Json]) -> Json:
    """The choice that needs no further nesting where there is one, so that recursive schemas end."""
    return next((choice for choice in choices if _is_flat(choice)), choices[0])


def _is_flat(schema: Json) -> bool:
    return isinstance(schema, Mapping) and not {"$ref", "properties", "items"} & schema.keys()


def _merged(schema: Mapping[str, Any], root: Json) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        resolved = _resolve(part["$ref"], root) if "$ref" in part else part
        for key, value in resolved.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged[key] = value
    return merged
