"""A scorecard to the figures of a row, the bars that it misses, and a table of rows. Knows no model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plot import linear
from tune.paired import loss, mean, of, perplexity
from tune.scorecard import Scorecard

Row = Mapping[str, Any]
CONFIDENCE, DRAWS = 0.95, 2000
RECALL, OLDEST, LEAK, PERPLEXITY, WORLD, SECONDS = 0.8, 0.6, 0.05, 1.03, -0.03, 200.0
RECALL_OF_ROUNDS = 0.7
UNREAD = ("prose", "code")
"""The two kinds of text whose perplexity is held to the bar; the others are told."""


def shares(card: Scorecard, rounds: int) -> list[float | None]:
    """By round of teaching, the share of its facts' questions that are right now; None: not taught yet."""
    found: list[list[bool]] = [[] for _ in range(rounds)]
    for one in card.candidate.answers:
        if one.slice in ("taught", "retained"):
            found[int(one.group.partition("/")[0])].append(one.right)
    return [sum(held) / len(held) if held else None for held in found]


def figures(card: Scorecard, by_round: Sequence[Sequence[float | None]]) -> dict[str, Any]:
    """What a row holds of its last card."""
    known = of(card.candidate, "taught", "retained")
    recall = mean(
        [float(one.right) for one in known.values()],
        [one.group for one in known.values()],
        CONFIDENCE,
        DRAWS,
    )
    unknown = of(card.candidate, "unknown").values()
    general = loss(
        of(card.candidate, "general"),
        of(card.base, "general"),
        "the base model",
        lambda one: one.right,
        CONFIDENCE,
        DRAWS,
    )
    return {
        "by_round": by_round,
        "recall": recall.value,
        "recall_low": recall.low,
        "leak": sum(bool(one.leaked) for one in unknown) / len(unknown),
        "base_leak": _leak(card),
        "unknown": len(unknown),
        "perplexity": texts(card),
        "world": general.now,
        "world_before": general.before,
        "world_change": general.change.value,
        "world_low": general.change.low,
        "world_items": len(of(card.base, "general")),
    }


def _leak(card: Scorecard) -> float:
    unknown = of(card.base, "unknown").values()
    return sum(bool(one.leaked) for one in unknown) / len(unknown)


def texts(card: Scorecard) -> dict[str, float]:
    """Perplexity over the base model's, by kind."""
    before = {one.text: one for one in card.base.reads}
    kinds = sorted({one.kind for one in card.candidate.reads})
    found = {}
    for kind in kinds:
        now = [one for one in card.candidate.reads if one.kind == kind]
        found[kind] = perplexity(now, [before[one.text] for one in now], CONFIDENCE, DRAWS).value
    return found


def missed(row: Row) -> list[str]:
    """The bars that a row misses, each a few words."""
    rounds = row["rounds"]
    least = RECALL if rounds == 1 else RECALL_OF_ROUNDS
    by_round = row["by_round"][-1]
    said = []
    if row["recall"] < least:
        said.append(f"recall {row['recall']:.2f}")
    if rounds > 1 and by_round[0] < OLDEST:
        said.append(f"oldest {by_round[0]:.2f}")
    if row["leak"] > LEAK:
        said.append(f"leak {row['leak']:.2f}")
    said += [
        f"{kind} {ratio - 1:+.1%}"
        for kind, ratio in row["perplexity"].items()
        if kind in UNREAD and ratio > PERPLEXITY
    ]
    if row["world_low"] <= WORLD:
        said.append(f"world {row['world_low']:+.3f}")
    if rounds == 1 and row["train_seconds"] + row["gate_seconds"] > SECONDS:
        said.append(f"{row['train_seconds'] + row['gate_seconds']:.0f} CPU-s")
    return said


def table(rows: Sequence[Row], arms: Sequence[str]) -> str:
    """A line for each arm: means over seeds, and the worst of what is held to a bar."""
    head = "| arm | seeds | recall (least) | oldest round | leak (most) | prose | code | dialogue "
    head += "| instructions | world, paired (lowest bound) | CPU-s learning + gate | missed |"
    lines_ = [head, "|" + "---|" * 12]
    for arm in arms:
        held = [row for row in rows if row["arm"] == arm]
        if held:
            lines_.append(_line(arm, held))
    return "\n".join(lines_)


def _line(arm: str, rows: Sequence[Row]) -> str:
    kinds = ("prose", "code", "dialogue", "instructions")
    parts = [
        arm,
        ", ".join(str(row["seed"]) for row in rows),
        f"{_mean(rows, 'recall'):.3f} ({min(row['recall'] for row in rows):.3f})",
        f"{sum(row['by_round'][-1][0] for row in rows) / len(rows):.3f}",
        f"{_mean(rows, 'leak'):.3f} ({max(row['leak'] for row in rows):.3f})",
        *(f"{sum(row['perplexity'].get(kind, 1.0) for row in rows) / len(rows) - 1:+.1%}" for kind in kinds),
        f"{_mean(rows, 'world_change'):+.3f} ({min(row['world_low'] for row in rows):+.3f})",
        f"{_mean(rows, 'train_seconds'):.0f} + {_mean(rows, 'gate_seconds'):.0f}",
        "; ".join(f"{row['seed']}: {', '.join(row['missed'])}" for row in rows if row["missed"]) or "none",
    ]
    return "| " + " | ".join(parts) + " |"


def _mean(rows: Sequence[Row], name: str) -> float:
    return float(sum(row[name] for row in rows) / len(rows))


def draw(rows: Sequence[Row], arms: Sequence[str], path: Path) -> None:
    """Share right of all taught so far, after each round, a line for each arm."""
    found = {}
    for arm in arms:
        held = [row["by_round"] for row in rows if row["arm"] == arm]
        if held:
            found[arm] = [
                (
                    sum(share is not None for share in held[0][number]),
                    sum(_so_far(one[number]) for one in held) / len(held),
                )
                for number in range(len(held[0]))
            ]
    linear(path, "What is still known", "rounds learned", "share right of all taught so far", found)


def _so_far(by_round: Sequence[float | None]) -> float:
    known = [share for share in by_round if share is not None]
    return sum(known) / len(known)
