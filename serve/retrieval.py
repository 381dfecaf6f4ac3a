"""Passages from vector stores, put before the model with their sources. Knows no ranking."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from actors.messages import Citation, InvalidRequest, Passage
from serve.services import Services
from serve.shortening import Short, Shortening
from serve.wire import ChatRequest, Message

INSTRUCTION = (
    "Answer from the passages below where they bear on the question, and cite them as [1], [2]. "
    "If they do not hold the answer, say so."
)

MOST_PASSAGES = 100
SPARE = 2
"""Passages found beyond those that are expected to fit: some are shorter than others."""


async def passages_for(services: Services, user: str, body: ChatRequest) -> list[Passage]:
    """The best passages for the last user message; none unless the request names vector stores."""
    if body.documents is None:
        return []
    question = _last_question(body.messages)
    if not question.strip():
        raise InvalidRequest("documents needs a user message with text to search for.", "messages")
    vectors = await services.embedder.embed([question])
    k = body.documents.k or services.settings.documents.results
    stores = body.documents.vector_store_ids
    return await services.keeper.search(user, question, vectors[0], store_ids=stores, k=k)


async def shown(
    shortening: Shortening | None, passages: Sequence[Passage], body: ChatRequest
) -> list[Passage]:
    """The passages as the model reads them: shortened where the request asks for it.

    Where that looks at the question, they share one room, and a passage may be left without text.
    """
    if shortening is None or not passages:
        return list(passages)
    question = _last_question(body.messages)
    shorten = shortening.gather_passages if shortening.question_aware else shortening.shorten_passages
    shorts = await shorten(passages, question)
    shortening.count(shorts)
    return [replace(one, text=short.text) for one, short in zip(passages, shorts, strict=True)]


def reach(shortening: Shortening, k: int) -> int:
    """Passages to find where shortened ones fit into the room of `k` whole ones."""
    return ceil(min(MOST_PASSAGES, k / shortening.share + SPARE))


async def within(
    shortening: Shortening, passages: Sequence[Passage], k: int, question: str, room: int
) -> list[str]:
    """The shortened texts of as many passages, best first, as fit into the tokens of `k` whole ones.

    Where that looks at the question, their sentences compete for that room. `room` is the most that there is.
    None where the compressor is in trouble.
    """
    if shortening.question_aware:
        gathered = await shortening.gather_passages(passages, question, k, room)
        some = [one for one in gathered if one.text] if shortening.available else []
        shortening.count(some)
        return [one.text for one in some]
    shorts = await shortening.shorten_passages(passages, question)
    if not shortening.available:
        return []
    room = min(room, sum(one.tokens_before for one in shorts[:k]))
    taken: list[Short] = []
    for short in shorts:
        if short.tokens_after <= room:
            taken.append(short)
            room -= short.tokens_after
    shortening.count(taken)
    return [one.text for one in taken]


def with_passages(
    messages: Sequence[dict[str, Any]], passages: Sequence[Passage]
) -> tuple[dict[str, Any], ...]:
    """The conversation with numbered passages in its system message, but for those without text."""
    if not passages:
        return tuple(messages)
    numbered = [
        f"[{number}] {one.filename}\n{one.text}" for number, one in enumerate(passages, 1) if one.text
    ]
    text = "\n\n".join([INSTRUCTION, *numbered])
    if messages[0]["role"] in ("system", "developer"):
        first = {**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}
        return (first, *messages[1:])
    return ({"role": "system", "content": text}, *messages)


def cited(passage: Passage) -> Citation:
    """The passage as a citation of all its text."""
    return Citation(
        document_id=passage.document_id,
        filename=passage.filename,
        start=passage.start,
        end=passage.end,
        quote=passage.text,
        score=passage.score,
    )


def _last_question(messages: Sequence[Message]) -> str:
    return next((message.words for message in reversed(messages) if message.role == "user"), "")
