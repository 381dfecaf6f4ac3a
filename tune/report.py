"""Writes what runs came to: one HTML page that needs nothing else, Markdown, JSON, and tidy JSON lines."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from configs.objectives import COSTS
from tune import drawing
from tune.results import COST, Arm, Compared, Sweep, compare, costs, mean_figures, read, shown, tidy

HTML, MARKDOWN, JSON, TIDY = "report.html", "report.md", "report.json", "results.jsonl"
DIFFERENCES = (
    "run",
    "arm",
    "against",
    "figure",
    "difference",
    "95 % interval",
    "p",
    "p (Holm)",
    "on",
    "verdict",
)
READ_SO = (
    "A difference counts as real where its 95 % interval (bootstrap over questions, and over seeds where "
    "there are several) leaves out 0, and flips of signs, corrected for all comparisons here (Holm), rule "
    "out chance."
)
COLOURS = "A line's colour goes from the worst trial (violet) to the best (yellow)."
MOST = 200
"""Trials of a run that are drawn and listed."""
_NUMBER = re.compile(r"[<+-]? ?[\d.,e+-]+( to [\d.,e+-]+| GiB)?")
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 1rem/1.55 system-ui, sans-serif; color: #0f172a; background: #fff; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #cbd5e1;
  padding-top: 1rem; }} h3 {{ font-size: 1rem; margin-bottom: .3rem; }}
p {{ max-width: 46rem; }} .wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .88rem; }}
th, td {{ text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #e2e8f0;
  vertical-align: top; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
tr.better td:last-child {{ color: #166534; font-weight: 600; }}
tr.worse td:last-child {{ color: #991b1b; font-weight: 600; }}
svg {{ width: 100%; height: auto; max-width: 52rem; display: block; }}
{style}</style>
<h1>{title}</h1>
{body}
</html>
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and the table that says most in the fewest words."""

    files: tuple[Path, ...]
    found: dict[str, Any]
    table: tuple[tuple[str, ...], list[tuple[str, ...]]]
    notes: tuple[str, ...]
    """What early stopping saved."""


def write(folders: Sequence[Path], out: Path, figures: Path | None = None) -> Written:
    """Compare runs and write all forms of the report into a directory, and each figure into another.

    Raises InvalidRequest.
    """
    sweeps = [read(folder) for folder in folders]
    compared = compare(sweeps)
    found = _found(sweeps, compared)
    out.mkdir(parents=True, exist_ok=True)
    title = " · ".join(sweep.name for sweep in sweeps)
    (out / HTML).write_text(_page(title, sweeps, compared), encoding="utf-8")
    (out / MARKDOWN).write_text(_markdown(title, sweeps, compared), encoding="utf-8")
    (out / JSON).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [json.dumps(one, ensure_ascii=False) for sweep in sweeps for one in tidy(sweep)]
    (out / TIDY).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    table = (
        (DIFFERENCES, [_difference(one) for one in compared])
        if compared
        else _trials(sweeps[0], sweeps[0].arms)
    )
    files = [out / name for name in (HTML, MARKDOWN, JSON, TIDY)]
    if figures is not None:
        files += [path for sweep in sweeps for path in _drawn(sweep, compared, figures)]
    notes = tuple(f"{sweep.name}: {said}" for sweep in sweeps if (said := _saved(sweep)))
    return Written(tuple(files), found, table, notes)


def _drawn(sweep: Sweep, compared: Sequence[Compared], folder: Path) -> list[Path]:
    """Each figure that shows something, as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, _, drawn in _figures(sweep, compared):
        if drawn:
            paths.append(folder / f"{sweep.name}-{name}.svg")
            paths[-1].write_text(drawing.alone(drawn), encoding="utf-8")
    return paths


def _found(sweeps: Sequence[Sweep], compared: Sequence[Compared]) -> dict[str, Any]:
    return {
        "runs": [
            {
                "name": sweep.name,
                "kind": sweep.planned.kind,
                "objective": sweep.planned.experiment.objective,
                "folder": str(sweep.folder),
                "goals": [goal.model_dump() for goal in sweep.goals],
                "config_hash": sweep.planned.hash,
                "states": _states(sweep),
                "tokens": asdict(sweep.tokens()),
                "importance_for": sweep.judged_by,
                "importance": sweep.importance(),
                "front": [arm.name for arm in sweep.front()],
                "arms": [
                    {
                        "arm": arm.name,
                        "role": arm.role,
                        "values": arm.values,
                        "seeds": [one.run.seed for one in arm.trials],
                        "figures": mean_figures(arm),
                    }
                    for arm in sweep.arms
                ],
                **sweep.provenance,
            }
            for sweep in sweeps
        ],
        "differences": [
            {
                "run": one.run,
                "figure": one.metric,
                **asdict(one.found),
                "real": one.found.real,
                "verdict": one.verdict,
            }
            for one in compared
        ],
    }


def _states(sweep: Sweep) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in sweep.trials:
        found[one.result.state] = found.get(one.result.state, 0) + 1
    return found | ({"unfinished": sweep.unfinished} if sweep.unfinished else {})


def _about(sweep: Sweep) -> list[tuple[str, str]]:
    """What ran, in a few lines."""
    spent = {
        name: sum(one.result.figures.get(name, 0.0) for one in sweep.trials) for name in ("seconds", "tokens")
    }
    machine, versions = sweep.provenance.get("hardware", {}), sweep.provenance.get("versions", {})
    experiment = sweep.planned.experiment
    goals = ", ".join(f"{goal.direction} {goal.metric}" for goal in sweep.goals)
    rows = [
        ("what", f"{sweep.planned.kind} over {experiment.objective}: {goals}"),
        ("trials", ", ".join(f"{count} {state}" for state, count in sorted(_states(sweep).items()))),
        ("seeds", ", ".join(map(str, experiment.seeds))),
        ("spent", f"{spent['seconds']:,.0f} s, {spent['tokens']:,.0f} tokens"),
        ("machine", ", ".join(f"{key} {value}" for key, value in machine.items())),
        ("versions", ", ".join(f"{key} {value}" for key, value in versions.items())),
        ("commit", f"{sweep.provenance.get('git_commit')}; settings {sweep.planned.hash}"),
    ]
    if said := _saved(sweep):
        rows.insert(4, ("saved", said))
    if experiment.space:
        how = f"{experiment.search.method}, seed {experiment.search.seed}"
        rows.insert(2, ("search", f"{how}; early stopping: {experiment.early.method}"))
    return rows


def _saved(sweep: Sweep) -> str:
    """What early stopping saved; nothing where there is none, or nothing is known."""
    found = sweep.tokens()
    if not found.whole or found.whole <= found.search:
        return ""
    return (
        f"{found.search:,.0f} tokens for the trials of the search, {found.search / found.whole:.0%} of the "
        f"{found.whole:,.0f} of the same trials without early stopping"
    )


def _difference(one: Compared) -> tuple[str, ...]:
    found = one.found
    on = f"{found.questions} pairs, {found.groups} groups, {found.seeds} seeds"
    interval = f"{found.low:+.4g} to {found.high:+.4g}" if found.groups > 1 else "none of one pair"
    chances = (_chance(found.chance), _chance(found.corrected))
    return (
        one.run,
        found.arm,
        found.against,
        one.metric,
        f"{found.value:+.4g}",
        interval,
        *chances,
        on,
        one.verdict,
    )


def _chance(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _trials(sweep: Sweep, arms: Sequence[Arm]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Arms by their first goal, the best first, with what they cost."""
    goal = sweep.goals[0]
    sign = -1 if goal.direction == "maximize" else 1
    order = sorted(arms, key=lambda arm: sign * (arm.mean(goal.metric) or 0.0))[:MOST]
    metrics = list(dict.fromkeys([*(goal.metric for goal in sweep.goals), *sweep.planned.described.figures]))
    paid = [name for name in COSTS if name not in metrics]
    header = ("arm", "settings", "seeds", *metrics, *paid)
    rows = []
    for arm in order:
        values = " ".join(f"{key}={shown(value)}" for key, value in arm.values.items())
        figures = {**mean_figures(arm), **costs(arm)}
        seeds = ",".join(str(one.run.seed) for one in arm.trials)
        role = " (confirmed)" if arm.role == "confirm" else ""
        cells = (_cost(name, figures.get(name)) for name in (*metrics, *paid))
        rows.append((arm.name + role, values, seeds, *cells))
    return header, rows


def _cost(name: str, value: float | None) -> str:
    if value is not None and name == "peak_bytes":
        return f"{value / 1024**3:.2f} GiB"
    return f"{value:,.0f}" if value is not None and name == "tokens" else shown(value)


def _page(title: str, sweeps: Sequence[Sweep], compared: Sequence[Compared]) -> str:
    body = _body(sweeps, compared)
    return _PAGE.format(title=escape(title), style=drawing.STYLE, body=body)


def _body(sweeps: Sequence[Sweep], compared: Sequence[Compared]) -> str:
    parts = ["<h2>Which differences are real</h2>", f"<p>{escape(READ_SO)}</p>"]
    if compared:
        classes = [one.verdict.partition(",")[0] for one in compared]
        parts.append(_table(DIFFERENCES, [_difference(one) for one in compared], classes))
    else:
        parts.append("<p>Nothing here can be compared: no two arms were asked the same.</p>")
    for sweep in sweeps:
        parts += [f"<h2>{escape(sweep.name)}</h2>", _table(("", ""), _about(sweep))]
        parts.append(f"<p>{COLOURS}</p>")
        parts += [
            f"<h3>{escape(title)}</h3>{drawn}" for _, title, drawn in _figures(sweep, compared) if drawn
        ]
        parts += ["<h3>Arms, the best first</h3>", _table(*_trials(sweep, sweep.arms))]
    return "\n".join(parts)


def _figures(sweep: Sweep, compared: Sequence[Compared]) -> list[tuple[str, str, str]]:
    """Names, titles and drawings; one that has nothing to show is empty."""
    goal = sweep.goals[0].metric
    bars = [
        (one.found.arm, one.found.value, one.found.low, one.found.high, one.verdict.partition(",")[0])
        for one in compared
        if one.run == sweep.name and one.metric == goal
    ]
    importance = sweep.importance()
    return [
        (
            "differences",
            f"Difference to the base, {goal}",
            drawing.intervals(bars, f"difference in {goal}, 95 % interval") if bars else "",
        ),
        ("curves", "Learning curves", _curves(sweep)),
        ("settings", "Settings and what they came to", _parallel(sweep)),
        (
            "importance",
            f"Importance of each setting for {sweep.judged_by} (PED-ANOVA)",
            drawing.shares(importance) if importance else "",
        ),
        ("front", "Quality against cost, and the front that nothing beats", _front(sweep)),
    ]


def _good(sweep: Sweep) -> dict[str, float]:
    """How good each trial is, 0 to 1, by the rank of its first goal."""
    goal = sweep.goals[0]
    known = {
        one.run.name: one.result.figures[goal.metric]
        for one in sweep.trials
        if goal.metric in one.result.figures
    }
    return _ranks(known, goal.direction)


def _ranks(values: Mapping[str, float], direction: str) -> dict[str, float]:
    order = sorted(values, key=lambda name: values[name], reverse=direction == "minimize")
    most = max(1, len(order) - 1)
    return {name: rank / most for rank, name in enumerate(order)}


def _curves(sweep: Sweep) -> str:
    """Of the goal, or where it is told once only, of what is compared on the way."""
    early, goal = sweep.planned.experiment.early.metric, sweep.goals[0].metric
    names = [*([early] if early else []), goal, *sweep.planned.described.figures]
    good = _good(sweep)
    for name in dict.fromkeys(names):
        lines = [
            (one.run.name, points, good.get(one.run.name, 0.0))
            for one in sweep.trials[:MOST]
            if (points := [(line["step"], line[name]) for line in one.lines if line.get(name) is not None])
        ]
        if any(len(points) > 1 for _, points, _ in lines):
            return drawing.curves(lines, "step", name)
    return ""


def _parallel(sweep: Sweep) -> str:
    """By the first goal; with early stopping by what every trial came to."""
    experiment, goal = sweep.planned.experiment, sweep.goals[0]
    seen = sweep.looked_at()
    good = _ranks(seen, experiment.early.direction or goal.direction) if seen else _good(sweep)
    rows: list[tuple[str, list[Any], float]] = []
    for one in sweep.trials[:MOST]:
        name = one.run.name
        value = seen.get(name) if seen else one.result.figures.get(goal.metric)
        if one.run.role == "search" and value is not None:
            settings = [one.run.values.get(key) for key in experiment.space]
            rows.append((name, [*settings, value], good[name]))
    logs = [*(axis.log for axis in experiment.space.values()), False]
    return drawing.parallel([*experiment.space, sweep.judged_by], rows, logs) if rows else ""


def _front(sweep: Sweep) -> str:
    goal = sweep.goals[0].metric
    across = sweep.goals[1].metric if len(sweep.goals) > 1 else COST
    front = {(arm.name, arm.number) for arm in sweep.front()}
    points = [
        (arm.name, cost, value, (arm.name, arm.number) in front)
        for arm in sweep.arms
        if arm.role != "confirm"
        and (cost := arm.mean(across)) is not None
        and (value := arm.mean(goal)) is not None
    ]
    return drawing.scatter(points, across, goal, log=across in COSTS) if len(points) > 1 else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in header)
    body = "".join(
        f'<tr class="{classes[number] if classes else ""}">{"".join(map(_cell, row))}</tr>'
        for number, row in enumerate(rows)
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _cell(text: str) -> str:
    return f"<td{' class=n' if _NUMBER.fullmatch(text) else ''}>{escape(text)}</td>"


def _markdown(title: str, sweeps: Sequence[Sweep], compared: Sequence[Compared]) -> str:
    parts = [f"# {title}", "", "## Which differences are real", "", READ_SO, ""]
    if compared:
        parts += _rows(DIFFERENCES, [_difference(one) for one in compared])
    for sweep in sweeps:
        parts += ["", f"## {sweep.name}", "", *(f"- {name}: {text}" for name, text in _about(sweep))]
        importance = sorted(sweep.importance().items(), key=lambda one: -one[1])
        if importance:
            parts += [
                f"- importance for {sweep.judged_by}: "
                + ", ".join(f"{name} {share:.0%}" for name, share in importance)
            ]
        parts += ["", *_rows(*_trials(sweep, sweep.arms))]
    return "\n".join(parts) + "\n"


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
