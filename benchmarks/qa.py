"""`pal bench qa`: retrieval, cited sentences, abstention and answers on questions with known answers."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.memory.documents import DocumentStore
from actors.memory.questions import content_words
from actors.memory.recall import MOST_WORDS
from actors.messages import Passage
from benchmarks.qa_answers import Reading, answers_tables, read_answers
from benchmarks.qa_corpus import USER, Corpus, Remembering, Vectors, build
from benchmarks.qa_data import Asked, Place, load, rank_of_answer, sample
from benchmarks.qa_fit import auroc
from configs.load import load as load_settings
from configs.schema import Settings
from serve.qa import MOST_CITED, Evidence, cite, find
from serve.qa import Asked as QaAsked
from serve.services import Services

K = 5
BARS = {"ours_at_5": 0.965, "answer_in_citations": 0.88, "abstention_auroc": 0.97}
RRF_K = 60
app = typer.Typer(add_completion=False)


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Questions with answers: [{title, context, questions}].")],
    questions: Annotated[int, typer.Option(help="Questions drawn.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    generate: Annotated[int, typer.Option(help="Questions the model words an answer to.")] = 0,
    vectors: Annotated[Path | None, typer.Option(help="Keeps computed vectors between runs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure the way from a question to cited sentences, through a real keeper and embedder."""
    report = asyncio.run(measure(data, questions, seed, generate, vectors))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        show(report)


async def measure(data: Path, count: int, seed: int, generate: int, vectors: Path | None) -> dict[str, Any]:
    """All figures, by name."""
    articles, everything = load(data)
    asked = sample(everything, count, seed)
    settings = load_settings().settings
    embedder = Embedder(settings)
    await embedder.start()
    memory = Remembering(embedder, vectors)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        _say(f"adding {len(articles)} articles")
        corpus = await build(articles, settings, memory, Path(directory))
        report: dict[str, Any] = {
            "articles": len(articles),
            "questions": len(asked),
            "seed": seed,
            "passages": sum(map(len, corpus.chunks)),
            "ingest_s": round(time.perf_counter() - started, 1),
        }
        try:
            report |= await _questions(corpus, settings, asked, generate)
        finally:
            await corpus.keeper.close()
    memory.save()
    await embedder.close()
    report["bars"] = {
        name: {"value": _value(report, name), "bar": bar, "met": _value(report, name) >= bar}
        for name, bar in BARS.items()
    }
    return report


async def _questions(corpus: Corpus, settings: Settings, asked: list[Asked], generate: int) -> dict[str, Any]:
    services = Services(
        settings=settings,
        generator=Generator(settings),
        embedder=corpus.embedder.typed,
        keeper=corpus.keeper,
        compressor=Compressor(settings),
    )
    _say("asking with every article in")
    table = await _rankings(corpus, asked)
    before = time.perf_counter()
    evidence = [await find(services, USER, _qa(one)) for one in asked]
    seconds = (time.perf_counter() - before) / len(asked)
    table["ours"] = [[_place(passage) for passage in one.passages] for one in evidence]
    _say("asking with the right article deleted")
    without = await _without_article(corpus, services, asked)
    report = {
        "retrieval": {name: _retrieval(corpus, asked, places) for name, places in table.items()},
        "citations": _citations(asked, evidence),
        "abstention": _abstention(evidence, without),
        "ms_per_question": round(seconds * 1000, 1),
    }
    if generate:
        _say(f"wording answers to {generate} questions")
        readings = [
            Reading(one, found, corpus.articles[one.article])
            for one, found in list(zip(asked, evidence, strict=True))[:: max(1, len(asked) // generate)]
        ][:generate]
        report["answers"] = await read_answers(services, readings)
    return report


def _qa(question: Asked) -> QaAsked:
    return QaAsked(question=question.text, k=K, model="")


async def _rankings(corpus: Corpus, asked: Sequence[Asked]) -> dict[str, list[list[Place]]]:
    """The best K places for each question, by each ranking that ours is compared with."""
    store = corpus.reader()
    vectors = await corpus.embedder.embed([one.text for one in asked])
    table: dict[str, list[list[Place]]] = {}
    for question, vector in zip(asked, vectors, strict=True):
        for name, chunk_ids in _simple_rankings(store, question.text, vector).items():
            rows = store.chunks(USER, chunk_ids[:K])
            table.setdefault(name, []).append([Place(row.filename, row.start, row.end) for row in rows])
    return table


def _simple_rankings(store: DocumentStore, text: str, vector: Vectors) -> dict[str, list[int]]:
    size = store.chunk_count(USER, None)
    hits = store.lexical(USER, content_words(text)[:MOST_WORDS], None, size)
    words = {hit.chunk_id: hit.text for hit in hits if hit.text > 0}
    near = dict(store.nearest(USER, vector, None, size))
    by_words = sorted(words, key=lambda chunk: -words[chunk])
    by_vector = list(near)
    ranks: dict[int, float] = {}
    for order in (by_words, by_vector):
        for rank, chunk in enumerate(order[:100]):
            ranks[chunk] = ranks.get(chunk, 0.0) + 1 / (RRF_K + rank + 1)
    best = max(words.values(), default=1.0)
    cosines = np.array(list(near.values()))
    middle, spread = cosines.mean(), cosines.std()
    fused = {
        chunk: 1.5 * words.get(chunk, 0.0) / best + (cosine - middle) / spread / 4
        for chunk, cosine in near.items()
    }
    return {
        "bm25": by_words,
        "vectors": by_vector,
        "reciprocal rank": sorted(ranks, key=lambda chunk: -ranks[chunk]),
        "fixed fusion": sorted(fused, key=lambda chunk: -fused[chunk]),
    }


async def _without_article(corpus: Corpus, services: Services, asked: Sequence[Asked]) -> list[Evidence]:
    found: dict[int, Evidence] = {}
    for article in range(len(corpus.articles)):
        await corpus.take_out(article)
        for number, question in enumerate(asked):
            if question.article == article:
                found[number] = await find(services, USER, _qa(question))
        await corpus.put(article)
    return [found[number] for number in range(len(asked))]


def _retrieval(corpus: Corpus, asked: Sequence[Asked], places: Sequence[Sequence[Place]]) -> dict[str, float]:
    ranks = [rank_of_answer(corpus.articles, one, found) for one, found in zip(asked, places, strict=True)]
    texts = {article.filename: article.text for article in corpus.articles}
    words = [len(texts[one.filename][one.start : one.end].split()) for found in places for one in found]
    return {
        **{f"at_{k}": _share(rank is not None and rank < k for rank in ranks) for k in (1, 3, 5)},
        "mean_words": round(float(np.mean(words)), 1),
    }


def _citations(asked: Sequence[Asked], evidence: Sequence[Evidence]) -> dict[str, float]:
    quotes = [[one.quote for one in cite(found.sentences)] for found in evidence]
    words = [len(quote.split()) for found in quotes for quote in found]
    held = [
        [any(answer in quote for answer in one.answers) for quote in found]
        for one, found in zip(asked, quotes, strict=True)
    ]
    in_passages = [
        any(answer in passage.text for answer in one.answers for passage in found.passages)
        for one, found in zip(asked, evidence, strict=True)
    ]
    return {
        "answer_in_best": _share(any(found[:1]) for found in held),
        f"answer_in_{MOST_CITED}": _share(any(found) for found in held),
        "answer_in_passages": _share(in_passages),
        "mean_words": round(float(np.mean(words)), 1),
    }


def _abstention(inside: Sequence[Evidence], outside: Sequence[Evidence]) -> dict[str, float]:
    from actors.memory.weights import SUPPORTED

    def values(found: Sequence[Evidence], name: str) -> Any:
        return np.array([one.support if name == "support" else one.features[name] for one in found])

    return {
        **{
            f"auroc_{name}": auroc(values(inside, name), values(outside, name))
            for name in ("support", "cosine", "coverage", "sentence_cosine")
        },
        "answered_of_answerable": _share(one.support >= SUPPORTED for one in inside),
        "abstained_of_unanswerable": _share(one.support < SUPPORTED for one in outside),
    }


def _place(passage: Passage) -> Place:
    return Place(passage.filename, passage.start, passage.end)


def _share(flags: Any) -> float:
    return round(float(np.mean(list(flags))), 4)


def _value(report: dict[str, Any], bar: str) -> float:
    values: dict[str, float] = {
        "ours_at_5": report["retrieval"]["ours"]["at_5"],
        "answer_in_citations": report["citations"][f"answer_in_{MOST_CITED}"],
        "abstention_auroc": report["abstention"]["auroc_support"],
    }
    return values[bar]


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(
        f"{report['articles']} articles, {report['passages']} passages, {report['questions']} questions "
        f"(seed {report['seed']}); {report['ms_per_question']} ms a question, sentence vectors remembered"
    )
    table = Table("ranking", "at 1", "at 3", "at 5", "words a passage", title="The right passage")
    for name, row in report["retrieval"].items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in ("at_1", "at_3", "at_5")), str(row["mean_words"]))
    console.print(table)
    for title in ("citations", "abstention"):
        console.print(f"{title}: " + ", ".join(f"{name} {value}" for name, value in report[title].items()))
    if "answers" in report:
        console.print(*answers_tables(report["answers"]), sep="\n")
    for name, bar in report["bars"].items():
        verdict = "met" if bar["met"] else "MISSED"
        console.print(f"{name}: {bar['value']:.4f}, bar {bar['bar']}: {verdict}")


if __name__ == "__main__":
    app()
