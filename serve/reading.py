"""What a chat is reminded of: recalled, made to fit, put before the question. Knows no reply."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actors.memory.context import MESSAGE_TOKENS, Context, LeftOut, Levels, build, estimate
from actors.memory.source import Vectors
from actors.messages import ChatPrompt
from serve.background import attempted
from serve.services import Services
from serve.shortening import Piece, Short, Shortening

READ_S = 10.0
"""How long a chat waits for its memories."""
QUERY_CHARACTERS = 2000
"""Of a longer question its beginning and its end are searched with."""
ROUNDS = 3
"""How often a context that counts more tokens than were estimated is made smaller."""

NOTHING = Context()

Messages = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was recalled. `vectors` (1, dimensions) is the question's; `available`: the memory answered."""

    context: Context = NOTHING
    vectors: Vectors | None = None
    available: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation as it was `said`, and the `prompt` that the model will read, maybe of shorter texts."""

    said: Messages
    prompt: ChatPrompt
    shortening: Shortening | None = None


async def read(
    services: Services, user: str, session: str | None, conversation: Conversation, room: int
) -> Reading:
    """The context of a conversation's last question, with no more tokens than fit.

    `room` is what the model's context has for the prompt. A memory that is in trouble gives nothing, and
    never fails the chat.
    """
    question = last_question(conversation.said)
    if not question.strip():
        return Reading()
    reading = _read(services, user, session, question, conversation, room)
    return await attempted(reading, "recalling for a chat", READ_S) or Reading(available=False)


def with_context(messages: Messages, context: Context) -> Messages:
    """The conversation with the session's earlier turns before it and the memories before its last question.

    What never changes stays in front, so that its keys and values are computed once.
    """
    first = next(
        (place for place, one in enumerate(messages) if one["role"] not in ("system", "developer")), 0
    )
    turns = tuple({"role": role, "content": text} for role, text in context.turns)
    last = max((place for place, one in enumerate(messages) if one["role"] == "user"), default=None)
    if last is not None and context.text:
        asked = messages[last]
        reminded = {**asked, "content": f"{context.text}\n\n{asked['content']}"}
        messages = (*messages[:last], reminded, *messages[last + 1 :])
    return (*messages[:first], *turns, *messages[first:])


def last_question(messages: Sequence[Mapping[str, Any]]) -> str:
    """The last user message's text."""
    texts = [message["content"] for message in messages if message["role"] == "user"]
    return str(texts[-1] or "") if texts else ""


async def fitted(services: Services, levels: Levels, budget: int) -> Context:
    """The largest context of at most `budget` tokens, counted by the model's own tokenizer."""
    asked = budget
    for _ in range(ROUNDS):
        if asked < 1:
            break
        context = build(levels, asked, estimate)
        if not context.used:
            return context
        tokens = await _count(services, context)
        if tokens <= budget:
            return context
        asked = asked * budget // tokens * 9 // 10
    return Context(left_out=tuple(LeftOut(hit.memory.id, "no room left") for hit in levels.episodes))


async def room_beside(services: Services, prompt: ChatPrompt, room: int, most: int) -> int:
    """Tokens left of `room` beside a conversation, of which `most` are of interest; negative if it is full.

    Counted only where it may matter.
    """
    texts = sum(len(str(message.get("content") or "").encode()) for message in prompt.messages)
    at_most = texts + MESSAGE_TOKENS * (len(prompt.messages) + 1)
    if not prompt.tools and at_most + most <= room:
        return most
    return room - await services.generator.count(prompt) - MESSAGE_TOKENS


async def _read(
    services: Services, user: str, session: str | None, question: str, conversation: Conversation, room: int
) -> Reading:
    most = services.settings.memory.context_tokens
    levels, vectors = await _levels(services, user, session, question, conversation.said)
    shorts = await _shorts(conversation.shortening, levels)
    levels = replace(levels, shorter={text: short.text for text, short in shorts.items()})
    budget = min(most, await room_beside(services, conversation.prompt, room, most))
    context = await fitted(services, levels, budget)
    if conversation.shortening is not None:
        shown = "\n".join([context.text, *(text for _, text in context.turns)])
        conversation.shortening.count([short for short in shorts.values() if short.text in shown])
    return Reading(context=context, vectors=vectors)


async def _shorts(shortening: Shortening | None, levels: Levels) -> dict[str, Short]:
    """What the long ones of the turns and memories become, by their text."""
    if shortening is None:
        return {}
    turns = () if shortening.leaves_history else levels.turns
    texts = dict.fromkeys(memory.text for memory in (*turns, *(hit.memory for hit in levels.episodes)))
    long = [text for text in texts if shortening.is_long(text)]
    return dict(zip(long, await shortening.shorten([Piece(text) for text in long]), strict=True))


async def _levels(
    services: Services, user: str, session: str | None, question: str, messages: Sequence[Mapping[str, Any]]
) -> tuple[Levels, Vectors]:
    """All three levels; without a session the client's own messages are all that is short-term."""
    keeper, limit = services.keeper, services.settings.memory.results
    query = question
    if len(query) > QUERY_CHARACTERS:
        query = f"{query[: QUERY_CHARACTERS // 2]}\n{query[-QUERY_CHARACTERS // 2 :]}"
    vectors = await services.embedder.embed([question])
    said = [(str(message["role"]), str(message.get("content") or "")) for message in messages]
    levels = Levels(question=question, conversation=said)
    hits, turns, *facts = await asyncio.gather(
        keeper.search_memories(user, query, vectors[0], limit=limit),
        keeper.recent_turns(user, session) if session else _none(),
        *(keeper.facts(user, subject=subject, slot=slot) for subject, slot in levels.slots),
    )
    held = tuple(fact for slot in facts for fact in slot)
    return replace(levels, episodes=hits, turns=turns, facts=held), vectors


async def _count(services: Services, context: Context) -> int:
    text = "\n".join([context.text, *(text for _, text in context.turns)])
    return await services.generator.count(text) + MESSAGE_TOKENS * len(context.turns)


async def _none() -> list[Any]:
    return []
