import json
from typing import Any

import jsonschema
import pytest

from actors.engines.instance import minimal_instance
from actors.engines.scripted import ScriptedEngine, ScriptedTokenizer
from actors.messages import ChatPrompt, EngineFailed, InvalidRequest, NotFound, Sampling
from actors.models.template import render_chat

TOKENIZER = ScriptedTokenizer()
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "minLength": 9}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
        },
    },
}
OTHER = {"type": "function", "function": {"name": "other"}}


async def answer(*messages: Any, engine: ScriptedEngine | None = None, **more: Any) -> str:
    prompt_keys = {key: more.pop(key) for key in ("tools", "tool_choice") if key in more}
    shaped = tuple({"role": "user", "content": one} if isinstance(one, str) else one for one in messages)
    tokens = render_chat(TOKENIZER, ChatPrompt(messages=shaped, **prompt_keys))
    sampling = Sampling(**{"max_tokens": 400} | more)
    deltas = [one async for one in (engine or ScriptedEngine()).generate("r", tokens, sampling)]
    return b"".join(TOKENIZER.token_bytes(token) for one in deltas for token in one.token_ids).decode()


async def test_answers_tell_prompts_apart() -> None:
    assert await answer("hello") == "You said: hello"
    assert await answer("bye") == "You said: bye"


async def test_seeds_differ_and_repeat() -> None:
    assert await answer("x", seed=1) == await answer("x", seed=1) != await answer("x", seed=2)
    assert await answer("x", seed=1, temperature=0.0) == "You said: x"


async def test_directives() -> None:
    assert await answer("[[text:[1, 2]]] ignored") == "[1, 2]"
    assert (
        await answer('[[tool:f {"a": [1]}]]')
        == '<tool_call>\n{"name": "f", "arguments": {"a": [1]}}\n</tool_call>'
    )
    assert await answer("[[text:a]][[tokens:5]]") == "aaaaa"
    with pytest.raises(EngineFailed):
        await answer("[[fail]]")


@pytest.mark.parametrize("directive", ["[[tool:f {]]", "[[tokens:many]]", "[[delay:long]]"])
async def test_a_directive_that_cannot_be_read_is_the_clients_error(directive: str) -> None:
    with pytest.raises(InvalidRequest):
        await answer(directive)


async def test_tool_calls() -> None:
    for choice in ("auto", "required", "weather"):
        text = await answer("Weather?", tools=(WEATHER, OTHER), tool_choice=choice)
        call = json.loads(text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
        assert call["name"] == "weather"
        jsonschema.validate(call["arguments"], WEATHER["function"]["parameters"])  # type: ignore[index]
    assert '"other"' in await answer("Weather?", tools=(WEATHER, OTHER), tool_choice="other")
    assert await answer("Weather?", tools=(WEATHER,), tool_choice="none") == "You said: Weather?"


async def test_after_a_tools_result_comes_text() -> None:
    result = {"role": "tool", "tool_call_id": "1", "content": "sunny"}
    assert await answer("Weather?", result, tools=(WEATHER,), tool_choice="auto") == "You said: Weather?"


SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5}}, "required": ["a"]},
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": 2}, "minItems": 2},
    {"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}], "$defs": {"x": {"type": "string"}}},
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "v": {"const": 1},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["v", "next"],
            }
        },
    },
    {"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "boolean"}}}]},
    {"type": ["string", "null"], "format": "date-time"},
    {"type": "integer", "multipleOf": 7, "minimum": 8},
    {"type": "number", "maximum": -3},
    {"type": "string", "maxLength": 2},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}]},
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_json_satisfies_its_schema(schema: Any) -> None:
    value = json.loads(await answer("x", json_schema=json.dumps(schema)))
    jsonschema.validate(value, schema)


def test_any_object_is_an_object() -> None:
    assert minimal_instance({"type": "object"}) == {}


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "#/none"}, {"$ref": "#"}])
async def test_a_bad_schema_is_the_clients_error(schema: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await answer("x", json_schema=json.dumps(schema))
    assert caught.value.param == "response_format"


async def test_ids_are_reversible_and_unknown_adapters_are_refused() -> None:
    text = "Ünïcödé\x00 🎉 end"
    assert b"".join(map(TOKENIZER.token_bytes, TOKENIZER.encode(text))).decode() == text
    with pytest.raises(NotFound):
        await ScriptedEngine().score([1, 2], "nobody")


async def test_a_closed_engine_fails() -> None:
    engine = ScriptedEngine()
    await engine.close()
    assert not (await engine.health()).ok
    with pytest.raises(EngineFailed):
        await answer("x", engine=engine)
