"""Ways to find the turns that answer a question: ours through the keeper, and those it is compared with.

Every other arm is given each turn as "Speaker: text" and that text's vector, which serves it best; ours is
given the turn as a server gets it. Knows no score of a whole benchmark.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.compressor import Compressor
from actors.generator import Generator
from actors.keeper import Keeper
from actors.memory.fulltext import TOKENIZER, expression
from actors.memory.held import Turn
from actors.memory.questions import content_words
from actors.memory.ranker import save
from actors.memory.records import NewMemory
from actors.memory.training import Lesson, learn, prepare
from benchmarks.locomo import K
from benchmarks.peers import Peer
from benchmarks.qa_corpus import Remembering, Vectors
from configs.schema import Settings
from serve import remembering
from serve.services import Services
from tune.locomo import Conversation

Floats = NDArray[np.float64]
Rankings = list[list[str]]
"""The ids of turns for each question of a conversation, best first."""

CHROMA = "MiniLM in Chroma"
FTS5 = "FTS5"
RECIPROCAL = "reciprocal rank"
FUSION = "fixed fusion"
DEPTH = 100
"""Turns that a ranking names: enough for the first ten sessions."""
REACH = 2
"""Turns before and after that belong to a turn's window."""
RANK_K = 60


@dataclass(frozen=True, slots=True)
class Given:
    """A conversation as the other arms get it: texts with vectors, shape (T, D), and questions' (Q, D)."""

    conversation: Conversation
    texts: list[str]
    turns_T_D: Vectors
    asked_Q_D: Vectors


async def given(conversation: Conversation, embedder: Remembering) -> Given:
    """Embed what was said and asked."""
    texts = [f"{turn.speaker}: {turn.text}" for turn in conversation.turns]
    asked = await embedder.embed([one.text for one in conversation.asked])
    return Given(conversation, texts, await embedder.embed(texts), asked)


def by_words(one: Given) -> dict[str, Rankings]:
    """FTS5 alone, and fused with the cosine: by ranks, and by scores with the window's words."""
    found: dict[str, Rankings] = {name: [] for name in (FTS5, RECIPROCAL, FUSION)}
    with _Index(one) as index:
        for asked, vector in zip(one.conversation.asked, one.asked_Q_D, strict=True):
            terms = content_words(asked.text)
            own, window = index.scores("own", terms), index.scores("window", terms)
            cosine = (one.turns_T_D @ vector).astype(np.float64)
            fused = 0.5 * _relative(own) + 1.5 * _relative(window) + _standard(cosine) / 4
            ranked = _reciprocal(own, own > 0) + _reciprocal(cosine, cosine > -1)
            for name, scores in ((FTS5, own), (RECIPROCAL, ranked), (FUSION, fused)):
                found[name].append(_best(one.conversation.turns, scores))
    return found


def by_store(one: Given, store: Peer, one_by_one: bool) -> Rankings:
    """What a store finds that was given the turns, one by one or at once, and then the questions."""
    user = one.conversation.id
    if one_by_one:
        ids = store.add(user, one.texts, one.turns_T_D).answers
    else:
        ids = store.fill(user, one.texts, one.turns_T_D)
    turn_of = dict(zip(ids, (turn.id for turn in one.conversation.turns), strict=True))
    questions = [asked.text for asked in one.conversation.asked]
    answers = store.search(user, questions, one.asked_Q_D, DEPTH).answers
    return [[turn_of[memory] for memory in found] for found in answers]


async def ours(
    conversations: Sequence[Conversation], settings: Settings, embedder: Remembering
) -> list[Rankings]:
    """Each conversation as one user's memories, asked as a server asks; sessions are run ids, times real."""
    with tempfile.TemporaryDirectory() as directory:
        keeper = Keeper(Path(directory), settings.documents, memory=settings.memory)
        services = Services(settings, Generator(settings), embedder.typed, keeper, Compressor(settings))
        await keeper.start()
        try:
            return [await _recalled(services, conversation) for conversation in conversations]
        finally:
            await keeper.close()


async def cross_validated(
    conversations: Sequence[Conversation], settings: Settings, embedder: Remembering
) -> list[Rankings]:
    """Ours with weights learned from the other conversations; at least two are needed."""
    known: dict[str, Vectors] = {}
    for one in conversations:
        texts = [*(turn.text for turn in one.turns), *(asked.text for asked in one.asked)]
        known |= dict(zip(texts, await embedder.embed(texts), strict=True))
    prepared = [
        prepare([_lesson(one)], lambda texts: np.stack([known[text] for text in texts]))
        for one in conversations
    ]
    found: list[Rankings] = []
    with tempfile.TemporaryDirectory() as directory:
        weights = Path(directory) / "ranker.json"
        memory = settings.memory.model_copy(update={"ranker": weights})
        trained = settings.model_copy(update={"memory": memory})
        for place, one in enumerate(conversations):
            save(learn([*chain(*prepared[:place], *prepared[place + 1 :])]), weights)
            found += await ours([one], trained, embedder)
    return found


def _lesson(one: Conversation) -> Lesson:
    return Lesson(one.turns, tuple((asked.text, frozenset(asked.evidence)) for asked in one.asked))


async def _recalled(services: Services, conversation: Conversation) -> Rankings:
    user = conversation.id
    turn_of: dict[str, str] = {}
    for session, said in groupby(conversation.turns, key=lambda turn: turn.session):
        turns = list(said)
        written = await remembering.remember(
            services, user, [_memory(turn) for turn in turns], session=f"session-{session}"
        )
        turn_of |= {one.id: turn.id for one, turn in zip(written, turns, strict=True)}
    found: Rankings = []
    for asked in conversation.asked:
        first = await remembering.recall(services, user, asked.text, limit=K)
        deeper = await remembering.recall(services, user, asked.text, limit=DEPTH)
        found.append(list(dict.fromkeys(turn_of[one.memory.id] for one in (*first, *deeper))))
    return found


def _memory(turn: Turn) -> NewMemory:
    return NewMemory(text=turn.text, speaker=turn.speaker, said_at=turn.said_at)


class _Index:
    """Two FTS5 tables in memory: each turn's words, and those of its window."""

    def __init__(self, one: Given) -> None:
        self._size = len(one.texts)
        self._connection = sqlite3.connect(":memory:")
        for table, texts in (("own", one.texts), ("window", list(_windows(one)))):
            self._connection.execute(f"CREATE VIRTUAL TABLE {table} USING fts5(text, tokenize='{TOKENIZER}')")
            self._connection.executemany(
                f"INSERT INTO {table}(rowid, text) VALUES (?, ?)", list(enumerate(texts))
            )

    def __enter__(self) -> "_Index":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def scores(self, table: str, terms: Sequence[str]) -> Floats:
        """BM25 of every turn, 0 where it holds no term."""
        found = np.zeros(self._size)
        if terms:
            rows = self._connection.execute(
                f"SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ?", (expression(terms),)
            )
            for row, score in rows:
                found[row] = score
        return found


def _windows(one: Given) -> Iterable[str]:
    turns = one.conversation.turns
    for place, turn in enumerate(turns):
        around = range(max(0, place - REACH), min(len(turns), place + REACH + 1))
        yield "\n".join(turns[near].text for near in around if turns[near].session == turn.session)


def _relative(scores: Floats) -> Floats:
    relative: Floats = scores / max(float(scores.max(initial=0)), 1e-9)
    return relative


def _standard(values: Floats) -> Floats:
    standard: Floats = (values - values.mean()) / max(float(values.std()), 1e-9)
    return standard


def _reciprocal(scores: Floats, counted: NDArray[np.bool_]) -> Floats:
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return np.where(counted, 1 / (RANK_K + 1 + ranks), 0.0)


def _best(turns: Sequence[Turn], scores: Floats) -> list[str]:
    order = np.argsort(-scores, kind="stable")[:DEPTH]
    return [turns[place].id for place in order if scores[place] != 0]
