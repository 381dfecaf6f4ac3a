"""Trial of reading long texts: questions to a model that reads all of them or a part. Learns nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from actors.engines.schedule import KvPolicy
from actors.models.store import ModelStore
from configs.load import load
from configs.objectives import LongObjective
from tune import sources
from tune.excerpts import Compressed, Excerpts, Retrieved, whole
from tune.longtexts import long_text, longest_answer, prompt
from tune.records import Record
from tune.trials import Figures, Item, Reporter

ANSWERS = "answers.jsonl"
"""Every answer, with what was asked, of which text, and where in it."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Trial:
    """A model that reads, what of each text it reads, and what its texts are made of."""

    settings: LongObjective
    reader: Any
    excerpts: Excerpts
    filler: Sequence[Record]


def long(settings: LongObjective, report: Reporter) -> None:
    """Each text is a step; one that was read before a death is not read again."""
    path = report.folder / ANSWERS
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    done = {(row["length"], row["text"]) for row in rows}
    trial = None
    texts = [(length, number) for number in range(settings.texts) for length in settings.lengths]
    for step, (length, number) in enumerate(texts, 1):
        if (length, number) in done:
            continue
        trial = trial or _begun(settings)
        before = trial.reader.tokens
        found = list(_answered(trial, length, number, report.seed))
        rows += found
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
        report(step, figures(rows), trial.reader.tokens - before)
    report.items(
        Item(row["id"], f"{report.seed}/{row['length']}/{row['text']}", row["worth"]) for row in rows
    )


def figures(rows: Sequence[Row]) -> Figures:
    """Means over the answers so far, of all and by kind."""
    found = {"found": fmean(row["worth"] for row in rows), "read": fmean(row["read"] for row in rows)}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        found[kind] = fmean(row["worth"] for row in rows if row["kind"] == kind)
    return found


def _begun(settings: LongObjective) -> _Trial:
    filler = sources.read(settings.filler, "filler") if settings.filler else ()
    from tune.longreading import LongReader

    served = load().settings
    served = served.model_copy(update={"engine": served.engine.model_copy(update={"model": settings.model})})
    window = KvPolicy(settings.budget, settings.sinks) if settings.reading == "window" else None
    reader = LongReader(ModelStore(served).resolve(settings.model), window)
    excerpts: Excerpts = whole
    if settings.reading == "compressed":
        excerpts = Compressed(served, settings.budget)
    elif settings.reading in ("retrieved", "gathered"):
        excerpts = Retrieved(served, settings.budget, gathered=settings.reading == "gathered")
    return _Trial(settings, reader, excerpts, filler)


def _answered(trial: _Trial, length: int, number: int, seed: int) -> Iterator[Row]:
    """A text, and each question about it; those that are read alike are asked together."""
    how, tokenizer = trial.settings, trial.reader.tokenizer
    text = long_text(how.kinds, length, f"{seed}/{number}", tokenizer, how.needles, trial.filler)
    read = trial.excerpts(text, [one.text for one in text.questions])
    prompts = [prompt(tokenizer, *one) for one in zip(read, text.questions, strict=True)]
    longest = [longest_answer(tokenizer, one) for one in text.questions]
    given: dict[int, str] = {}
    for excerpt in dict.fromkeys(read):
        places = [place for place, one in enumerate(read) if one == excerpt]
        answers = trial.reader.answers([prompts[one] for one in places], [longest[one] for one in places])
        given |= zip(places, answers, strict=True)
    for place, one in enumerate(text.questions):
        yield {
            "id": f"{length}/{number}/{one.kind}/{place}",
            "length": length,
            "text": number,
            "kind": one.kind,
            "depth": round(one.depth, 3),
            "read": _kept(len(prompts[place]), how),
            "asked": one.text,
            "wanted": one.wanted,
            "given": given[place],
            "worth": one.worth(given[place]),
        }


def _kept(size: int, how: LongObjective) -> int:
    """Tokens that an answer rests on."""
    return min(size, how.budget) if how.reading == "window" else size
