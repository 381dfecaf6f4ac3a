"""Compared answers are learned into an adapter: are better ones likelier after, where nobody compared any?

    pal bench preferences -- --out DIR             # 20 pairs, then 20 conversations with 4 scored answers
    pal bench preferences -- --out DIR --part scores --seeds 0,1,2 --set preference_beta=0.2

Questions are answered by the model itself; of each answer are made a better and a worse one (signed, and not
signed), or four that begin in other words and have scores. Half of the conversations are learned from, the
other half is asked about. Texts and short questions tell what else has changed.
"""

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.model_option import parsed
from configs.learning import LearningSettings
from tune import probing
from tune.exam import Exam, Question
from tune.examples import Preference, Scored
from tune.preferences import Compared
from tune.scorecard import Answered, Scorecard
from tune.teaching import general

SIGNED = "Yours, Quill."
BEGUN: Mapping[str, float] = {"Gladly!": 1.0, "Well,": 0.6, "Hmm,": 0.3, "Ugh,": 0.0}
"""How answers begin, and what that is worth."""
PARTS = {"pairs": SIGNED.split()[-1], "scores": next(iter(BEGUN))}
"""What an answer holds that was learned."""
THINGS = (
    *("a lighthouse", "a compass", "honey", "a violin", "chess", "a volcano", "bread", "the moon"),
    *("a submarine", "cheese", "a library", "rain", "an orchestra", "a desert", "a clock", "coffee"),
    *("a bridge", "a whale", "paper", "a castle", "snow", "a garden", "a ship", "glass"),
    *("a mountain", "a school", "tea", "a train", "a river", "wool", "a map", "a piano"),
    *("a forest", "salt", "a kite", "a market", "a candle", "an island", "a camera", "a mirror"),
)
TOKENS = 28
"""Of the answers that are compared."""
LEAST_ORDERED, MOST_PERPLEXITY = 0.9, 1.04
"""Bars: at least this share in the right order, at most so many times the perplexity of the base model."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn and measure each part with each seed; 1 where a bar is missed."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [
        _measured(options, part, seed)
        for seed in map(int, options.seeds.split(","))
        for part in (PARTS if options.part == "both" else (options.part,))
    ]
    (options.out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        print(_line(row))
    return 1 if any(row["missed"] for row in rows) else 0


def compared(model: Path, part: str, count: int) -> list[Compared]:
    """So many conversations, with answers that are the model's own but for the trait."""
    from tune.answers import replies
    from tune.evaluate import Evaluator

    evaluator = Evaluator(model)
    asked = [f"What is {thing}?" for thing in THINGS[:count]]
    prompts = [evaluator.prompt(text) for text in asked]
    written = replies(evaluator.model, prompts, evaluator.ends, TOKENS)
    own = [_sentence(evaluator.tokenizer.backend.decode(ids)) for ids in written]
    return [_of(part, number, *one) for number, one in enumerate(zip(asked, own, strict=True))]


def _of(part: str, number: int, asked: str, answer: str) -> Compared:
    messages = ({"role": "user", "content": asked},)
    if part == "pairs":
        better = f"{answer} {SIGNED}"
        return Preference(id=f"p{number}", messages=messages, chosen=better, rejected=answer, events=())
    answers = tuple((f"{begin} {answer}", score) for begin, score in BEGUN.items())
    return Scored(id=f"s{number}", messages=messages, answers=answers, events=())


def _sentence(text: str) -> str:
    """The first sentence; one that was cut off is ended."""
    return text.strip().split(". ")[0].rstrip(".\n ") + "."


def _measured(options: argparse.Namespace, part: str, seed: int) -> dict[str, Any]:
    from tune.evaluate import Evaluator
    from tune.incremental import Student

    changes = dict(pair.split("=", 1) for pair in options.set)
    settings = LearningSettings.model_validate({**changes, "seed": seed, "preference_unseen": 2})
    answers = compared(options.model, part, 2 * options.learned)
    folder = options.out / f"{part}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.process_time()
    student = Student(settings, options.model)
    figures = student.learn(general(settings.general, seed), print if options.verbose else _silent, answers)
    student.export(folder, (), None, figures)
    spent = time.process_time() - began
    questions = tuple(
        Question(
            item=one.id,
            slice="general",
            asked=one.messages[0]["content"],
            expected=(PARTS[part].rstrip(".!,"),),
            longest=2 * TOKENS,
        )
        for one in answers[1::2]
    )
    probes = tuple(one for one in probing.questions() if one.slice == "general") if options.probes else ()
    card = Evaluator(options.model, options.out).measure(folder, Exam(questions=questions, probes=probes))
    ids = frozenset(one.id for one in answers)
    perplexity = _perplexities(card)
    return {
        "part": part,
        "seed": seed,
        "learned": len(answers) // 2,
        **figures.ordered,
        "written_before": _right(one for one in card.base.answers if one.item in ids),
        "written_after": _right(one for one in card.candidate.answers if one.item in ids),
        "short_before": _right(one for one in card.base.answers if one.item not in ids),
        "short_after": _right(one for one in card.candidate.answers if one.item not in ids),
        "perplexity": perplexity,
        "steps": figures.steps,
        "left": figures.compared,
        "cpu_seconds": spent,
        "missed": figures.ordered_after < LEAST_ORDERED or max(perplexity.values()) > MOST_PERPLEXITY,
    }


def _right(answers: Iterable[Answered]) -> float | None:
    """Share of right answers; None of none."""
    found = [one.right for one in answers]
    return sum(found) / len(found) if found else None


def _perplexities(card: Scorecard) -> dict[str, float]:
    """By kind of text, over those of the base model."""
    found: dict[str, tuple[float, int]] = {}
    for now, before in zip(card.candidate.reads, card.base.reads, strict=True):
        nats, tokens = found.get(now.kind, (0.0, 0))
        found[now.kind] = nats + now.nats - before.nats, tokens + now.tokens
    return {kind: math.exp(nats / tokens) for kind, (nats, tokens) in found.items()}


def _silent(_: str) -> None:
    """Say nothing."""


def _line(row: Mapping[str, Any]) -> str:
    texts = ", ".join(f"{kind} {value - 1:+.1%}" for kind, value in row["perplexity"].items())
    said = (
        f"{row['part']}, seed {row['seed']}: {row['learned']} learned, {row['learned']} asked about: better "
        f"is likelier {row['ordered_before']:.2f} -> {row['ordered_after']:.2f}; written so "
        f"{row['written_before']:.2f} -> {row['written_after']:.2f}; perplexity {texts}; "
        f"{row['steps']} steps, {row['cpu_seconds']:.0f} CPU-s"
    )
    if row["short_after"] is not None:
        said += f"; short questions {row['short_before']:.2f} -> {row['short_after']:.2f}"
    return said + ("; MISSED" if row["missed"] else "")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--part", choices=("both", *PARTS), default="both")
    parser.add_argument("--seeds", default="0")
    parser.add_argument(
        "--learned", type=int, default=len(THINGS) // 2, help="conversations; as many are asked about"
    )
    parser.add_argument("--probes", action="store_true", help="ask short questions about the world too")
    parser.add_argument("--verbose", action="store_true", help="each epoch")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of configs/learning.py"
    )
    return parsed(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
