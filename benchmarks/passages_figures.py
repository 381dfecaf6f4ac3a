"""A scorecard of learned passages to the figures of a row, the bars that it misses, a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.learning_figures import texts
from benchmarks.qa_answers import contains, exact, f1
from tune.bootstrap import Bootstrap
from tune.paired import loss, of
from tune.scorecard import Answered, Arm, Scorecard

Row = Mapping[str, Any]
CONFIDENCE, DRAWS = 0.95, 4000
GAIN, QUESTIONS = 0.05, 300
PERPLEXITY, WORLD = 1.04, -0.07
"""Bars: points gained, questions asked; and the gate's, of what else may change."""
SCORES: Mapping[str, Callable[[str, Sequence[str]], float]] = {"contains": contains, "f1": f1, "exact": exact}


def figures(card: Scorecard) -> dict[str, Any]:
    """What an adapter answers of the passages, beside the model as it was, and what else has changed."""
    before = of(card.base, "retained")
    pairs = [(one, before[item]) for item, one in of(card.candidate, "retained").items()]
    drawn = Bootstrap([one.group for one, _ in pairs])
    single = Bootstrap([one.item for one, _ in pairs])
    found: dict[str, Any] = {"questions": len(pairs), "groups": len({one.group for one, _ in pairs})}
    for name, score in SCORES.items():
        now = [score(one.given, one.expected) for one, _ in pairs]
        base = [score(other.given, other.expected) for _, other in pairs]
        apart = [one - other for one, other in zip(now, base, strict=True)]
        found[name] = {
            "base": sum(base) / len(pairs),
            "now": sum(now) / len(pairs),
            "gain": drawn.mean(apart),
            "gain_by_question": single.mean(apart),
        }
    return {
        **found,
        "words": {"base": _words(card.base), "now": _words(card.candidate)},
        "perplexity": texts(card),
        **_world(card),
    }


def _words(arm: Arm) -> float:
    """Of an answer."""
    said = [len(one.given.split()) for one in of(arm, "retained").values()]
    return sum(said) / len(said)


def _world(card: Scorecard) -> dict[str, Any]:
    def right(one: Answered) -> bool:
        return one.right

    found = loss(of(card.candidate, "general"), of(card.base, "general"), "base", right, CONFIDENCE, DRAWS)
    return {
        "world": found.now,
        "world_before": found.before,
        "world_change": found.change.value,
        "world_low": found.change.low,
    }


def missed(row: Row) -> list[str]:
    """The bars that a row misses, each a few words."""
    gain = row["contains"]["gain"]
    said = []
    if row["questions"] < QUESTIONS:
        said.append(f"{row['questions']} questions")
    if gain["low"] <= 0 or gain["value"] < GAIN:
        said.append(f"gain {gain['value']:+.3f}")
    if row["examined_in_training"]:
        said.append(f"{row['examined_in_training']} examined questions were trained on")
    said += [f"{kind} {value - 1:+.1%}" for kind, value in row["perplexity"].items() if value > PERPLEXITY]
    if row["world_low"] <= WORLD:
        said.append(f"world {row['world_change']:+.3f}")
    return said


def table(rows: Sequence[Row]) -> str:
    """A line for each row."""
    head = "| arm, seed, tokens of an answer | questions, passages | right before | right | gain (95 %) "
    head += "| F1 gain (95 %) | exact | words before, now | prose | code | dialogue | instructions "
    head += "| world (lowest) | tokens | CPU-s | missed |"
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *map(_line, rows)])


def _line(row: Row) -> str:
    kinds = ("prose", "code", "dialogue", "instructions")
    parts = [
        f"{row['arm']}, {row['seed']}, {row['longest']}",
        f"{row['questions']}, {row['passages']}",
        f"{row['contains']['base']:.3f}",
        f"{row['contains']['now']:.3f}",
        _interval(row["contains"]["gain"]),
        _interval(row["f1"]["gain"]),
        f"{row['exact']['now']:.3f}",
        f"{row['words']['base']:.1f}, {row['words']['now']:.1f}",
        *(f"{row['perplexity'].get(kind, 1.0) - 1:+.1%}" for kind in kinds),
        f"{row['world_change']:+.3f} ({row['world_low']:+.3f})",
        f"{row['tokens']}",
        f"{row['cpu_seconds']:.0f}",
        ", ".join(row["missed"]) or "none",
    ]
    return "| " + " | ".join(parts) + " |"


def _interval(gain: Mapping[str, float]) -> str:
    return f"{gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"
