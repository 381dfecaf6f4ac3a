import pytest

from actors.engines.grammar import strict_schema
from actors.messages import ChatPrompt, InvalidRequest
from actors.models.toolcall import forced_schema

TREE = {
    "type": "object",
    "properties": {"tree": {"$ref": "#/$defs/tree"}},
    "$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}},
}
TOOLS = tuple({"type": "function", "function": {"name": name, "parameters": TREE}} for name in "ab")


@pytest.mark.parametrize("choice", ["none", "auto"])
def test_nothing_is_forced_where_the_model_may_choose(choice: str) -> None:
    assert forced_schema(ChatPrompt(messages=(), tools=TOOLS, tool_choice=choice)) is None


def test_references_follow_their_schema() -> None:
    import json

    from jsonschema import Draft202012Validator

    schema = forced_schema(ChatPrompt(messages=(), tools=TOOLS, tool_choice="required"))
    assert schema is not None
    strict_schema(json.dumps(schema))
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"name": "b", "arguments": {"tree": {"left": {"left": {}}}}})
    assert not validator.is_valid({"name": "b", "arguments": {"tree": {"left": 1}}})
    assert not validator.is_valid({"name": "c", "arguments": {}})


def test_a_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        forced_schema(ChatPrompt(messages=(), tools=TOOLS, tool_choice="c"))
