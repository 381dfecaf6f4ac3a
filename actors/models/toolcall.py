"""How a tool call is written, and the schema that forces one. Knows no tokenizer and no engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.messages import ChatPrompt, InvalidRequest, Json

OPEN = "<tool_call>\n"
CLOSE = "\n</tool_call>"


def forced_schema(prompt: ChatPrompt) -> dict[str, Any] | None:
    """What the text between OPEN and CLOSE must satisfy; None where the model may choose not to call.

    Raises InvalidRequest if tool_choice names a tool that is not there.
    """
    if prompt.tool_choice in ("none", "auto"):
        return None
    functions = [tool["function"] for tool in prompt.tools]
    if prompt.tool_choice != "required":
        functions = [one for one in functions if one["name"] == prompt.tool_choice]
    if not functions:
        raise InvalidRequest(f"tool_choice: there is no tool {prompt.tool_choice!r}", param="tool_choice")
    return {"anyOf": [_call_schema(one, f"#/anyOf/{place}") for place, one in enumerate(functions)]}


def _call_schema(function: Mapping[str, Any], place: str) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object"}
    return {
        "type": "object",
        "properties": {
            "name": {"const": function["name"]},
            "arguments": _moved(parameters, f"{place}/properties/arguments"),
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Json, place: str) -> Json:
    """A schema with its references pointing to where it now stands."""
    if isinstance(schema, Mapping):
        return {
            key: place + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, place)
            for key, value in schema.items()
        }
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_moved(item, place) for item in schema]
    return schema
