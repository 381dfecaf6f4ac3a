"""What was retrieved, in the same size of prompt: as it is, or of twice as much the half, in several ways.

Documents come from the real store's search, memories from the real memory's. Knows no reader.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actors.compression.counting import TokenCounter
from actors.compression.joint import Part, gather
from actors.compression.reward import find
from actors.compression.shortening import Shortened, Shortener
from actors.embedder import Embedder
from benchmarks.memory_arms import ours as recalled
from benchmarks.qa_corpus import USER, Corpus, Remembering, build
from benchmarks.qa_data import Asked, load
from configs.schema import CompressionSettings, Settings
from tune.bootstrap import Bootstrap
from tune.locomo import Conversation
from tune.locomo import load as conversations_of

SIZES = (150, 300, 600)
"""Tokens of what was retrieved that fit into the prompt."""
SHARE = 0.5
DEPTH = 24
JOINT = "\n\n"
PLAIN, SHORTENED, ASKED = "as it is", "twice as much, shortened", "twice as much, shortened for the question"
SERVED = "each by itself, short ones whole"
"""As a server does it: what has few tokens is left as it is, and more fits of the rest."""
GATHERED = "twice as much, likeliest sentences of all"
"""As a server does it that looks at the question: all pieces compete for one room."""
CEILING = "twice as much, as it is"
"""Twice the tokens: what shortening could reach if it lost nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """One question: its document, its accepted answers, and what was retrieved, best first.

    Of each piece, `right` says the part in which an answer counts; None where none does.
    """

    document: str
    question: str
    answers: tuple[str, ...]
    pieces: tuple[str, ...]
    right: tuple[tuple[int, int] | None, ...]


async def documents(
    data: Path, held_out: Sequence[str], count: int, settings: Settings, vectors: Path | None
) -> list[Found]:
    """What the document store finds for questions on documents held out, with all documents in it."""
    articles, asked = load(data)
    titles = {f"{title.replace('/', ' ')}.txt" for title in held_out}
    mine = [one for one in asked if articles[one.article].filename in titles]
    some = mine[:: max(1, len(mine) // count)][:count]
    embedder = Embedder(settings)
    await embedder.start()
    memory = Remembering(embedder, vectors)
    await memory.embed([one.text for one in some])
    with tempfile.TemporaryDirectory() as directory:
        corpus = await build(articles, settings, memory, Path(directory))
        memory.save()
        try:
            embedded = await memory.embed([one.text for one in some])
            found = [await _searched(corpus, one, vector) for one, vector in zip(some, embedded, strict=True)]
        finally:
            await corpus.keeper.close()
    memory.save()
    await embedder.close()
    return found


async def _searched(corpus: Corpus, asked: Asked, vector: Any) -> Found:
    passages = await corpus.keeper.search(USER, asked.text, vector, store_ids=None, k=DEPTH)
    article = corpus.articles[asked.article]
    start, end = article.paragraphs[asked.paragraph]
    right = []
    for one in passages:
        first, last = max(start, one.start) - one.start, min(end, one.end) - one.start
        right.append((first, last) if one.filename == article.filename and first < last else None)
    texts = tuple(passage.text for passage in passages)
    return Found(article.filename, asked.text, asked.answers, texts, tuple(right))


async def memories(data: Path, settings: Settings, vectors: Path | None) -> list[Found]:
    """What the memory recalls for LoCoMo's questions whose answer stands word for word in the evidence."""
    conversations = conversations_of(data, captions=False)
    answers = _answers(data)
    embedder = Embedder(settings)
    await embedder.start()
    memory = Remembering(embedder, vectors)
    rankings = await recalled(conversations, settings, memory)
    memory.save()
    await embedder.close()
    return [
        one
        for conversation, ranked in zip(conversations, rankings, strict=True)
        for one in _of_conversation(conversation, ranked, answers)
    ]


def _answers(data: Path) -> dict[tuple[str, str], str]:
    return {
        (one["sample_id"], row["question"]): str(row["answer"])
        for one in json.loads(data.read_text())
        for row in one["qa"]
        if "answer" in row
    }


def _of_conversation(
    conversation: Conversation, ranked: Sequence[Sequence[str]], answers: Mapping[tuple[str, str], str]
) -> list[Found]:
    text = {turn.id: f"{turn.speaker}: {turn.text}" for turn in conversation.turns}
    found = []
    for asked, turns in zip(conversation.asked, ranked, strict=True):
        answer = answers.get((conversation.id, asked.text), "")
        evidence = {turn for turn in asked.evidence if answer and _holds(text[turn], answer)}
        if evidence:
            pieces = tuple(text[turn] for turn in turns)
            right = tuple((0, len(text[turn])) if turn in evidence else None for turn in turns)
            spelt = {text[turn][start:end] for turn in evidence for start, end in _places(text[turn], answer)}
            found.append(Found(conversation.id, asked.text, tuple(sorted(spelt)), pieces, right))
    return found


def _holds(text: str, answer: str) -> bool:
    return bool(_places(text, answer))


def _places(text: str, answer: str) -> list[tuple[int, int]]:
    start = text.lower().find(answer.lower().strip())
    return [(start, start + len(answer.strip()))] if start >= 0 and len(text) == len(text.lower()) else []


def compared(found: Sequence[Found], shortener: Shortener, joint: str = JOINT) -> dict[str, Any]:
    """Shares of questions whose answer is in the prompt, for each size; differences are paired."""
    draws = Bootstrap([one.document for one in found])
    report: dict[str, Any] = {"questions": len(found), "by_arm": {}, "differences": {}, "tokens": {}}
    for size in SIZES:
        rows = [_one(one, size, shortener, joint) for one in found]
        held = {
            arm: np.array([row[arm][0] for row in rows], float)
            for arm in (PLAIN, SHORTENED, ASKED, SERVED, GATHERED, CEILING)
        }
        for arm, values in held.items():
            report["by_arm"].setdefault(arm, {})[str(size)] = draws.mean(values)
            tokens = float(np.mean([row[arm][1] for row in rows]))
            report["tokens"].setdefault(arm, {})[str(size)] = round(tokens, 1)
        for arm in (SHORTENED, ASKED, SERVED, GATHERED):
            report["differences"].setdefault(arm, {})[str(size)] = draws.mean(held[arm] - held[PLAIN])
    return report


def _one(found: Found, size: int, shortener: Shortener, joint: str) -> dict[str, tuple[bool, int]]:
    """By arm, whether an answer is in the prompt, and the prompt's tokens."""
    counter = shortener.counter
    plain, plain_right = _filled(found, size, counter, joint)
    twice, twice_right = _filled(found, round(size / SHARE), counter, joint)
    budget = min(1.0, size / max(1, counter.count(twice)))
    return {
        PLAIN: (_stands(plain, plain_right, found.answers), counter.count(plain)),
        SHORTENED: _left(twice, twice_right, found.answers, shortener.shorten(twice, budget)),
        SERVED: _served(found, size, shortener, joint),
        GATHERED: _gathered(found, size, shortener, joint),
        CEILING: (_stands(twice, twice_right, found.answers), counter.count(twice)),
        ASKED: _left(twice, twice_right, found.answers, shortener.shorten(twice, budget, found.question)),
    }


def _served(found: Found, size: int, shortener: Shortener, joint: str) -> tuple[bool, int]:
    """Pieces shortened one by one, those with few tokens left whole, as many as fit; the last is cut."""
    counter, least = shortener.counter, CompressionSettings().least_tokens
    room, held = size, False
    for piece, part in zip(found.pieces, found.right, strict=True):
        right = [part] if part is not None else []
        if counter.count(piece) <= least:
            starts = counter.starts(piece + joint)
            text = piece if len(starts) <= room else piece[: int(starts[room])]
            held, tokens = held or _stands(text, right, found.answers), len(starts)
        else:
            made = shortener.shorten(piece, SHARE)
            tokens = made.tokens_after + counter.count(joint)
            held = held or (tokens <= room and _left(piece, right, found.answers, made)[0])
        room -= tokens
        if room <= 0:
            break
    return held, size - max(0, room)


def _gathered(found: Found, size: int, shortener: Shortener, joint: str) -> tuple[bool, int]:
    """Twice as much, the last piece cut, gathered into `size` tokens."""
    counter, room, pieces = shortener.counter, round(size / SHARE), list[str]()
    for piece in found.pieces:
        starts = counter.starts(piece)
        pieces.append(piece if len(starts) <= room else piece[: int(starts[room])])
        room -= len(starts)
        if room <= 0:
            break
    between = counter.count(f"a{joint}a") - 2 * counter.count("a")
    parts = gather(shortener, pieces, [None] * len(pieces), found.question, size, between)
    held = any(
        part is not None and holds(piece, [part], found.answers, made)
        for piece, part, made in zip(pieces, found.right, parts, strict=False)
    )
    return held, counter.count(joint.join(one.text for one in parts if one.text))


def _filled(found: Found, size: int, counter: TokenCounter, joint: str) -> tuple[str, list[tuple[int, int]]]:
    """What was retrieved, joined up to `size` tokens, the last piece cut; and where answers count."""
    text, right = "", []
    for piece, part in zip(found.pieces, found.right, strict=True):
        begin = len(text) + (len(joint) if text else 0)
        text = f"{text}{joint}{piece}" if text else piece
        if part is not None:
            right.append((begin + part[0], begin + part[1]))
        starts = counter.starts(text)
        if len(starts) > size:
            text = text[: int(starts[size])].rstrip()
            break
    return text, [(first, min(last, len(text))) for first, last in right if first < len(text)]


def _stands(text: str, right: Sequence[tuple[int, int]], answers: Sequence[str]) -> bool:
    return any(answer in text[first:last] for first, last in right for answer in answers)


def _left(
    text: str, right: Sequence[tuple[int, int]], answers: Sequence[str], made: Shortened
) -> tuple[bool, int]:
    return holds(text, right, answers, made), made.tokens_after


def holds(
    text: str, right: Sequence[tuple[int, int]], answers: Sequence[str], made: Shortened | Part
) -> bool:
    """Whether a place of an answer that counts has all its words left."""
    words = made.words
    return any(
        words[start].start >= first - 1
        and words[end - 1].end <= last + 1
        and bool(made.mask[start:end].all())
        for answer in answers
        for start, end in find(text, words, answer)
        if start < end
        for first, last in right
    )
