"""One question, answered from the user's documents with quotes, or not at all. Knows no HTTP."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from actors.memory.evidence import (
    READ,
    Sentence,
    reread,
    sentences_of,
    shares,
    shortlist,
    support,
    support_features,
    with_cosines,
)
from actors.memory.questions import Question, analyse
from actors.memory.ranking import stems_of
from actors.memory.weights import SUPPORTED
from actors.memory.words import STOP_WORDS, stem
from actors.messages import ChatPrompt, Citation, ContextLengthExceeded, InvalidRequest, Passage, Sampling
from serve.generation import Turn, deltas
from serve.metrics import Metrics
from serve.retrieval import reach, within
from serve.services import Services
from serve.shortening import Shortening
from serve.swap import BASE, Chosen

MOST_CITED = 3
ANSWER_TOKENS = 64
"""Answer length where the client names none: a sentence."""
AROUND_TOKENS = 64
"""What a template and the lines between texts may take."""
NO_ANSWER = "Nothing in the documents supports an answer to this question."
INSTRUCTION = (
    "Answer the question with the shortest exact words from the text. Do not repeat the question. "
    "Use nothing but the text."
)
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and how to answer it; `store_ids` None reads all of the user's documents."""

    question: str
    store_ids: Sequence[str] | None = None
    k: int
    max_tokens: int | None = None
    model: str
    id: str = ""
    """Of the request, where what is tried beside it is chosen by that."""
    chosen: Chosen = BASE
    shortening: Shortening | None = None
    """Have the model read shortened passages beside the quotes, in the room of `k` whole ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the documents say to a question (passages and sentences, best first), and how well.

    `further` passages are good for context alone, not for quotes.
    """

    question: Question
    passages: tuple[Passage, ...]
    further: tuple[Passage, ...] = ()
    sentences: tuple[Sentence, ...]
    features: dict[str, float]
    support: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QaAnswer:
    """An answer and what it rests on: `quote` is the best citation's. Abstained: both are without content."""

    answer: str
    quote: str
    abstained: bool
    support_score: float
    citations: tuple[Citation, ...]
    usage: dict[str, int]
    compression: Any = None
    """What was made shorter, where that was asked for."""

    def as_json(self) -> dict[str, Any]:
        """The reply of POST /v1/qa."""
        return {name: value for name, value in asdict(self).items() if value is not None}


async def answer(services: Services, metrics: Metrics, user: str, asked: Asked) -> QaAnswer:
    """Answer from what is retrieved, or abstain.

    The answer is the model's words where the cited quotes bear them out, else the best quote itself.
    Raises InvalidRequest for an empty question, NotFound for a vector store that is not there.
    """
    found = await find(services, user, asked)
    if found.support < SUPPORTED or not found.sentences:
        return QaAnswer(
            answer=NO_ANSWER,
            quote="",
            abstained=True,
            support_score=found.support,
            citations=(),
            usage=NO_USAGE,
            compression=asked.shortening.report() if asked.shortening else None,
        )
    citations = cite(found.sentences)
    quotes = [one.quote for one in citations]
    context = await _context(services, asked, found, quotes)
    worded, usage = await word(services, metrics, asked, [*context, *quotes])
    borne_out = is_borne_out(found.question, worded, quotes)
    return QaAnswer(
        answer=worded if borne_out else citations[0].quote,
        quote=citations[0].quote,
        abstained=False,
        support_score=found.support,
        citations=citations,
        usage=usage,
        compression=asked.shortening.report() if asked.shortening else None,
    )


async def find(services: Services, user: str, asked: Asked) -> Evidence:
    """The evidence in the user's documents; nothing is generated."""
    if not asked.question.strip():
        raise InvalidRequest("The question is empty.", "question", "invalid_value")
    vector = (await services.embedder.embed([asked.question]))[0]
    near = max(asked.k, READ)
    most = reach(asked.shortening, asked.k) if asked.shortening else asked.k
    found = await services.keeper.search(
        user, asked.question, vector, store_ids=asked.store_ids, k=max(most, near)
    )
    rarity = await services.keeper.rarity(user, asked.question, store_ids=asked.store_ids)
    question = analyse(asked.question, rarity)
    chosen = shortlist(sentences_of(question, found[:near]))
    vectors = await services.embedder.embed([one.text for one in chosen])
    compared = with_cosines(chosen, [float(cosine) for cosine in vectors @ vector] if chosen else [])
    ordered, _ = reread(found[:near], compared, near)
    passages, ranked = reread(found[:near], compared, asked.k)
    features = support_features(passages, ranked)
    return Evidence(
        question=question,
        passages=tuple(passages),
        further=tuple([*ordered[asked.k :], *found[near:]][: most - asked.k]),
        sentences=tuple(ranked),
        features=features,
        support=support(features) if passages else 0.0,
    )


async def _context(services: Services, asked: Asked, found: Evidence, quotes: Sequence[str]) -> list[str]:
    """The shortened passages that the model reads before the quotes; none unless that was asked for."""
    if asked.shortening is None:
        return []
    able = await services.generator.capabilities()
    beside = await services.generator.count("\n".join([*quotes, asked.question, INSTRUCTION]))
    room = able.max_context - (asked.max_tokens or ANSWER_TOKENS) - beside - AROUND_TOKENS
    passages = [*found.passages, *found.further]
    return await within(asked.shortening, passages, asked.k, asked.question, room)


def cite(ranked: Sequence[Sentence]) -> tuple[Citation, ...]:
    """The best sentences as citations; a score is the probability of being the best of all ranked."""
    return tuple(
        Citation(
            document_id=one.document_id,
            filename=one.filename,
            start=one.start,
            end=one.end,
            quote=one.text,
            score=share,
        )
        for one, share in list(zip(ranked, shares(ranked), strict=True))[:MOST_CITED]
    )


async def word(
    services: Services, metrics: Metrics, asked: Asked, texts: Sequence[str]
) -> tuple[str, dict[str, int]]:
    """The model's short answer from the texts alone, and its tokens; empty where the texts do not fit."""
    content = "\n".join(["Text:", *texts, "", f"Question: {asked.question}", INSTRUCTION])
    sampling = Sampling(max_tokens=asked.max_tokens or ANSWER_TOKENS, temperature=0.0, seed=0)
    turn = Turn(
        id=asked.id,
        created=0,
        model=asked.model,
        fingerprint="",
        jobs=((ChatPrompt(messages=({"role": "user", "content": content},)), sampling),),
        chosen=asked.chosen,
        shortening=asked.shortening,
    )
    parts: list[str] = []
    prompt_tokens = completion_tokens = 0
    try:
        async with aclosing(deltas(services, metrics, turn)) as source:
            async for _, delta in source:
                parts.append(delta.text)
                prompt_tokens, completion_tokens = delta.prompt_tokens, delta.completion_tokens
    except ContextLengthExceeded:
        if asked.max_tokens is not None:
            raise
        return "", NO_USAGE
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return "".join(parts).strip(), usage


def is_borne_out(question: Question, worded: str, quotes: Sequence[str]) -> bool:
    """Whether a worded answer says something beyond the question, and only what the quotes say."""
    said = {root for root in stems_of(worded) if root not in STOP_STEMS}
    held = stems_of(" ".join(quotes))
    new = said - question.weights.keys()
    return bool(new) and said <= held | question.weights.keys() and new <= held


STOP_STEMS = frozenset(stem(word) for word in STOP_WORDS)
