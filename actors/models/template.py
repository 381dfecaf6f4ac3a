"""A conversation to token ids, the same for serving and for training. Knows no engine and no torch."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from actors.messages import ChatPrompt, InvalidRequest, Json
from actors.models.tokenizer import Tokenizer, check_text
from actors.models.toolcall import CLOSE, OPEN

TOOL_INSTRUCTIONS = """You may call functions to help with the user's request. The functions, as JSON Schema:
<tools>
{tools}
</tools>
To call a function, answer with a JSON object of its name and arguments within <tool_call></tool_call> tags:
<tool_call>
{{"name": <function-name>, "arguments": <arguments-object>}}
</tool_call>"""


def render_chat(tokenizer: Tokenizer, prompt: ChatPrompt, *, generation_prompt: bool = True) -> list[int]:
    """The conversation's token ids, ready for the model to answer.

    Text of control tokens within messages or tools stays ordinary text: nobody can forge a turn.
    Raises InvalidRequest for content that cannot be shown to a text model, or that the template refuses.
    """
    messages, tools = _readable(tokenizer, prompt)
    hidden, safe = _hide(tokenizer.specials, {"messages": messages, "tools": tools})
    text = tokenizer.template(safe["messages"], safe["tools"], prompt.tool_choice, generation_prompt)
    check_text(text, "messages")
    return _encode(tokenizer, text, hidden)


def render_lessons(
    tokenizer: Tokenizer, prompt: ChatPrompt, taught: Collection[int]
) -> list[tuple[list[int], list[bool]]]:
    """Token ids as `render_chat` gives them and, for each, whether a model is to learn to write it.

    `taught` are the places of the messages to learn: what stands after an opened answer, up to the control
    token that ends it. One lesson that ends with the last of them; where a past answer is shown otherwise
    than it was written, by the template, as some do with reasoning, or in other tokens, one lesson for each.
    Raises InvalidRequest as `render_chat`, and where nothing precedes an answer.
    """
    messages, tools = _readable(tokenizer, prompt)
    added = len(messages) - len(prompt.messages)
    hidden, safe = _hide(tokenizer.specials, {"messages": messages, "tools": tools})

    def shown(count: int, generation_prompt: bool) -> str:
        held = safe["messages"][:count]
        return tokenizer.template(held, safe["tools"], prompt.tool_choice, generation_prompt)

    spans = []
    for place in sorted(taught):
        if place + added == 0:
            raise InvalidRequest("an answer needs a message before it", param="messages[0]")
        opened, closed = shown(place + added, True), shown(place + added + 1, False)
        check_text(closed, "messages")
        if not closed.startswith(opened):
            raise InvalidRequest(
                "the model's chat template shows this answer otherwise than it opens one",
                param=f"messages[{place}]",
            )
        spans.append((opened, closed))
    if not spans:
        return []
    opened, whole = spans[-1]
    if all(whole.startswith(closed) for _, closed in spans):
        lesson = _lesson(tokenizer, spans, hidden)
        before = _encode(tokenizer, opened, hidden)
        if lesson[0][: len(before)] == before:
            return [lesson]
    return [_lesson(tokenizer, [span], hidden) for span in spans]


def _lesson(
    tokenizer: Tokenizer, spans: Sequence[tuple[str, str]], hidden: Mapping[str, str]
) -> tuple[list[int], list[bool]]:
    """The last text of the spans as ids; what lies between the two texts of each is learned."""
    text, end = spans[-1][1], 0
    ids: list[int] = []
    learned: list[bool] = []
    for opened, closed in spans:
        before = _encode(tokenizer, text[end : len(opened)], hidden)
        answer = _encode(tokenizer, text[len(opened) : len(closed)], hidden)
        ends = [place for place, token in enumerate(answer, 1) if tokenizer.is_special(token)]
        kept = ends[-1] if ends else len(answer)
        ids += before + answer
        learned += [False] * len(before) + [True] * kept + [False] * (len(answer) - kept)
        end = len(closed)
    return ids, learned


def _readable(tokenizer: Tokenizer, prompt: ChatPrompt) -> tuple[list[dict[str, Any]], list[Json]]:
    """Messages and tools as the template takes them; a message is added in front where it needs one."""
    messages = [_flat(message, index) for index, message in enumerate(prompt.messages)]
    tools = list(prompt.tools) if prompt.tool_choice != "none" else []
    if tokenizer.reads_tools:
        return messages, tools
    return _with_tools_as_text(messages, tools), []


def content_text(content: Json, where: str) -> str:
    """A message's content as text: a string, or OpenAI's list of text parts. Raises InvalidRequest."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise InvalidRequest("content must be a string or a list of parts", param=where)
    return "\n".join(_part_text(part, where) for part in content)


def _part_text(part: Json, where: str) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in ("text", "refusal") or not isinstance(part.get(kind), str):
        raise InvalidRequest(
            f"content part of type {kind!r} is not supported: this model reads text only", param=where
        )
    return str(part[kind])


def _flat(message: Json, index: int) -> dict[str, Any]:
    """A message as templates expect it: content a string, call arguments an object, system not developer."""
    flat = {key: value for key, value in message.items() if value is not None}
    flat["content"] = content_text(message.get("content"), f"messages[{index}].content")
    if flat.get("role") == "developer":
        flat["role"] = "system"
    if "tool_calls" in flat:
        flat["tool_calls"] = [_flat_call(call) for call in flat["tool_calls"]]
    return flat


def _flat_call(call: Json) -> dict[str, Any]:
    function = dict(call["function"])
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            function["arguments"] = json.loads(arguments or "{}")
        except json.JSONDecodeError:
            function["arguments"] = arguments
    return {**call, "function": function}


def _with_tools_as_text(messages: list[dict[str, Any]], tools: Sequence[Json]) -> list[dict[str, Any]]:
    """For templates that know no tools: describe them, and write past calls and results as text."""
    plain = [_without_calls(message) for message in messages]
    if not tools:
        return plain
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    instructions = TOOL_INSTRUCTIONS.format(tools=lines)
    if plain and plain[0].get("role") == "system":
        first = plain[0]["content"]
        return [{"role": "system", "content": f"{first}\n\n{instructions}".strip()}, *plain[1:]]
    return [{"role": "system", "content": instructions}, *plain]


def _without_calls(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if message.get("role") == "tool":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    calls = [_call_text(call["function"]) for call in message.get("tool_calls", ())]
    if not calls:
        return message
    return {"role": message["role"], "content": "\n".join([content, *calls] if content else calls)}


def _call_text(function: Mapping[str, Any]) -> str:
    call = {"name": function["name"], "arguments": function.get("arguments", {})}
    return OPEN + json.dumps(call, ensure_ascii=False) + CLOSE


def _hide(specials: Mapping[str, int], value: Json) -> tuple[dict[str, str], Any]:
    """Replace control-token text in every string by a stand-in; returns what each stands for."""
    if not specials:
        return {}, value
    found = _specials_pattern(specials)
    raw = json.dumps(value, ensure_ascii=False)
    if not found.search(raw):
        return {}, value
    mark = 0
    while f"\ue000{mark}:" in raw:
        mark += 1
    stand_ins = {special: f"\ue000{mark}:{number}\ue001" for number, special in enumerate(specials)}
    safe = _map_strings(value, lambda text: found.sub(lambda match: stand_ins[match.group()], text))
    return {stand_in: special for special, stand_in in stand_ins.items()}, safe


def _map_strings(value: Json, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key): _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(item, change) for item in value]
    return value


def _specials_pattern(specials: Mapping[str, int]) -> re.Pattern[str]:
    longest_first = sorted(specials, key=len, reverse=True)
    return re.compile("|".join(re.escape(special) for special in longest_first))


def _encode(tokenizer: Tokenizer, text: str, hidden: Mapping[str, str]) -> list[int]:
    """Encode a rendered conversation whose stand-ins mean control-token text to be read as plain text."""
    if not hidden:
        return tokenizer.encode(text)
    stand_in = re.compile("|".join(re.escape(mark) for mark in hidden))
    pattern = _specials_pattern(tokenizer.specials)
    ids: list[int] = []
    end = 0
    for match in [*pattern.finditer(text), None]:
        piece = text[end : match.start() if match else len(text)]
        if piece:
            ids += tokenizer.encode_plain(stand_in.sub(lambda mark: hidden[mark.group()], piece))
        if match:
            ids.append(tokenizer.specials[match.group()])
            end = match.end()
    return ids
