"""`pal bench compression`: what shorter texts leave of answers, tokens and likelihood, beside other ways.

pal bench compression -- --data squad-dev.json --cache DIR [--reader 400] [--llmlingua PYTHON] [--json]
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.compression.counting import ModelCounter, TokenCounter
from actors.compression.policy import SHIPPED, Policy
from actors.compression.shortening import Shortener
from actors.compression.words import split
from actors.models.store import ModelStore
from benchmarks import compression_data as data_of
from benchmarks import compression_retrieval as retrieval
from benchmarks.compression_answers import AGAINST, answers_kept, base, likelihoods, ratios
from benchmarks.compression_arms import LINGUA, OURS, Arm, Text, ours, peers
from benchmarks.compression_beside import as_long, beside
from benchmarks.compression_classifier import classifier
from benchmarks.compression_cost import Shown, cost, shown, sweep
from benchmarks.compression_data import Case
from benchmarks.compression_domains import domains
from benchmarks.compression_kinds import kinds
from benchmarks.compression_lingua import Lingua
from benchmarks.compression_outcomes import given, outcomes
from benchmarks.compression_protected import measure as protected
from benchmarks.compression_reader import ModelReader, Reader
from benchmarks.compression_serve import measure as served
from benchmarks.compression_show import show
from benchmarks.compression_verdict import verdict
from configs.load import load as load_settings
from configs.schema import CompressionSettings
from tune.prepare import split_of
from tune.records import MANIFEST, TEST, TRAIN

BUDGETS = (0.3, 0.5, 0.7)
PROTECTED_TEXTS = 2000
LINGUA_ASKED = 400
PER_TEXT = 4
"""Questions on one text that the small model reads: it reads the text once for all."""
app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Options:
    """What is measured, and with what."""

    data: Path
    policies: Sequence[Policy]
    counter: TokenCounter
    reader: Reader
    questions: int = 1000
    read: int = 0
    read_budgets: tuple[float, ...] = (0.5,)
    read_arms: frozenset[str] = frozenset((OURS, *AGAINST))
    trained_on: frozenset[str] = frozenset()
    split_seed: int = 0
    test_share: float = 0.25
    cache: Path | None = None
    lingua: Lingua | None = None
    searched: int = 0
    locomo: Path | None = None
    rounds: int = 0


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Questions with answers: [{title, context, questions}].")],
    questions: Annotated[
        int, typer.Option(help="Questions drawn from documents held out; 0 for all.")
    ] = 1000,
    policy: Annotated[
        list[Path] | None, typer.Option(help="Weights of one seed; repeatable. Default: the shipped ones.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="At most so many of the policies given.")] = 3,
    reader: Annotated[int, typer.Option(help="Questions that the small model reads; 0 for none.")] = 0,
    read_budget: Annotated[list[float] | None, typer.Option(help="Budgets it reads at; repeatable.")] = None,
    read_arm: Annotated[
        list[str] | None, typer.Option(help="Arms that are read; repeatable. Default: those of the bar.")
    ] = None,
    llmlingua: Annotated[
        Path | None, typer.Option(help="Python of an environment that has llmlingua 0.2.2.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Keeps what was expensive between runs.")] = None,
    split_seed: Annotated[
        int, typer.Option(help="Of the split by document, for a policy without a manifest.")
    ] = 0,
    test_share: Annotated[float, typer.Option(help="Share of the documents held out, as there.")] = 0.25,
    searched: Annotated[
        int, typer.Option(help="Questions searched for in the document store; 0 for none.")
    ] = 0,
    locomo: Annotated[Path | None, typer.Option(help="LoCoMo file, for recalled memories.")] = None,
    serve: Annotated[int, typer.Option(help="Rounds of timed requests to a real server; 0 for none.")] = 0,
    plots: Annotated[Path | None, typer.Option(help="Directory for PNGs and one HTML report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure answers kept, exactness, protection and likelihood on documents that nothing was trained on."""
    model = _model()
    paths = (policy or [SHIPPED])[:seeds]
    options = Options(
        data=data,
        policies=[Policy.load(path) for path in paths],
        trained_on=trained_on(paths),
        counter=ModelCounter(model),
        reader=ModelReader(model, cache),
        questions=questions,
        read=reader,
        read_budgets=tuple(read_budget or (0.5,)),
        read_arms=frozenset(read_arm or (OURS, *AGAINST)),
        split_seed=split_seed,
        test_share=test_share,
        cache=cache,
        lingua=Lingua(llmlingua, model, cache) if llmlingua else None,
        searched=searched,
        locomo=locomo,
        rounds=serve,
    )
    report = measure(options)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        show(report)
    if plots is not None:
        from benchmarks.compression_plots import draw

        _say(f"plots: {draw(report, example(options), plots)}")


def measure(options: Options) -> dict[str, Any]:
    """All figures, by name."""
    train, test = divided(options)
    _say("learning the classifier on the other documents")
    arms = [
        *peers(options.counter, classifier(train, options.cache)),
        *ours(options.counter, options.policies),
    ]
    drawn = data_of.sample(test, options.questions) if options.questions else test
    _say(f"{data_of.questions(drawn)} questions on {len(drawn)} texts")
    texts = prepared(drawn, options.reader)
    found = {key: list(rows) for key, rows in outcomes(arms, texts, BUDGETS).items()}
    report: dict[str, Any] = {
        "documents": sorted({case.document for case in test}),
        "questions": data_of.questions(drawn),
        "texts": len(drawn),
        "seeds": len(options.policies),
        "kept": answers_kept(texts, found),
        "ratios": ratios(found),
        "kinds": kinds(texts, found),
        "sweep": {OURS: sweep(_shortener(options), [case.text for case in drawn])},
        "cost": cost(_shortener(options), [case.text for case in test]),
        "protected": _protected(options, [*test, *train]),
        "domains": _domains(arms),
    }
    if options.lingua is not None:
        report["llmlingua"] = _beside_lingua(options, test, arms)
    if options.read:
        report["reader"] = _read(options, test, arms)
    if options.searched or options.locomo:
        report["retrieval"] = asyncio.run(_retrieved(options, report["documents"]))
    if options.rounds:
        report["serve"] = served(options.data, options.rounds)
        report["cost"]["prefill_s"] = report["serve"]["prefill_s"]
    return report | {"bars": verdict(report)}


def divided(options: Options) -> tuple[list[Case], list[Case]]:
    """The cases of the documents that policies are trained on, and those of the others.

    The policies' manifests say which; where one has none, the split of `pal data prepare` does.
    """
    cases = data_of.load(options.data)
    trained = {
        case.document
        for case in cases
        if case.document in options.trained_on
        or (
            not options.trained_on and split_of(case.document, options.split_seed, options.test_share) != TEST
        )
    }
    return (
        [case for case in cases if case.document in trained],
        [case for case in cases if case.document not in trained],
    )


def trained_on(policies: Sequence[Path]) -> frozenset[str]:
    """The documents that any of these policies was trained on, by the manifests beside their weights."""
    beside = [
        name
        for path in policies
        for name in (path.with_suffix(".manifest.json"), path.with_name(MANIFEST))
        if name.is_file()
    ]
    return frozenset(
        document
        for path in beside
        for one in json.loads(path.read_text())["data"]
        for document in one["documents"][TRAIN]
    )


def prepared(cases: Sequence[Case], reader: Reader) -> list[Text]:
    """The cases with what arms look at."""
    bits = reader.bits([case.text for case in cases], [split(case.text) for case in cases])
    return [Text(case, row) for case, row in zip(cases, bits, strict=True)]


def _protected(options: Options, cases: Sequence[Case]) -> dict[str, Any]:
    _say(f"protected places in {PROTECTED_TEXTS} texts")
    other = [case.text for cases in domains().values() for case in cases]
    real = [*other, *(case.text for case in cases)]
    return protected(_shortener(options), real, PROTECTED_TEXTS)


def _shortener(options: Options) -> Shortener:
    return Shortener(options.policies[0], options.counter, CompressionSettings())


def example(options: Options) -> Shown:
    """A held-out text of about a hundred words, word by word."""
    _, test = divided(options)
    return shown(_shortener(options), min(test, key=lambda case: abs(len(case.text.split()) - 100)).text)


def _domains(arms: Sequence[Arm]) -> dict[str, Any]:
    """Each kind of text by itself, with the arms that need no language model."""
    _say("texts of other kinds")
    return {name: beside(cases, arms, BUDGETS) for name, cases in domains().items()}


def _beside_lingua(options: Options, test: Sequence[Case], arms: Sequence[Arm]) -> dict[str, Any]:
    """What LLMLingua and the others make of the texts that the small model reads."""
    assert options.lingua is not None
    _say("llmlingua")
    texts = prepared(data_of.sample(test, options.read or LINGUA_ASKED, per_text=PER_TEXT), options.reader)
    found = dict(outcomes(arms, texts, BUDGETS))
    mine = next(arm for arm in arms if arm.name == OURS)
    seconds = {}
    for budget in BUDGETS:
        made = options.lingua.shorten([text.case.text for text in texts], budget)
        found[LINGUA, budget] = given(texts, [one.text for one in made], options.counter)
        found[f"{OURS}, as long as {LINGUA}", budget] = as_long(mine, texts, found[LINGUA, budget])
        tokens = sum(options.counter.count(text.case.text) for text in texts)
        seconds[str(budget)] = round(sum(one.seconds for one in made) / tokens * 1000, 4)
    report = {
        "points": [
            (budget, round(one.short.ratio, 4)) for budget in BUDGETS for one in found[LINGUA, budget]
        ],
        "questions": len(found[LINGUA, BUDGETS[0]]),
        "kept": answers_kept(texts, found),
        "ratios": ratios({key: rows for key, rows in found.items() if key[0] == LINGUA}),
        "cpu_ms_per_token": seconds,
    }
    if options.read:
        read = {key: rows for key, rows in found.items() if key[0] == LINGUA}
        report["reader"] = likelihoods(texts, read, options.reader, options.read_budgets)["by_arm"]
    return report


def _read(options: Options, test: Sequence[Case], arms: Sequence[Arm]) -> dict[str, Any]:
    _say(f"the small model reads {options.read} questions")
    texts = prepared(data_of.sample(test, options.read, per_text=PER_TEXT), options.reader)
    some = [arm for arm in arms if base(arm.name) in options.read_arms]
    found = outcomes(some, texts, options.read_budgets)
    return likelihoods(texts, found, options.reader, options.read_budgets)


async def _retrieved(options: Options, held_out: Sequence[str]) -> dict[str, Any]:
    settings, shortener = load_settings().settings, _shortener(options)
    vectors = options.cache / "vectors.npz" if options.cache else None
    report = {}
    if options.searched:
        _say(f"searching documents for {options.searched} questions")
        found = await retrieval.documents(options.data, held_out, options.searched, settings, vectors)
        report["documents"] = retrieval.compared(found, shortener)
    if options.locomo:
        _say("recalling memories")
        recalled = await retrieval.memories(options.locomo, settings, vectors)
        report["memories"] = retrieval.compared(recalled, shortener, joint="\n")
    return report


def _model() -> Path:
    settings = load_settings().settings
    return ModelStore(settings).resolve(settings.engine.model)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
