"""Prints a report of `pal bench compression` as tables. Knows no way to measure."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.compression_serve import show as served


def show(report: Mapping[str, Any]) -> None:
    """Every table, then the bars."""
    console = Console()
    console.print(
        f"{report['questions']} questions on {report['texts']} texts of {len(report['documents'])} documents "
        f"that nothing was trained on; policies of {report['seeds']} seed(s)"
    )
    console.print(_figures("Answers kept whole", report["kept"]["by_arm"]))
    console.print(_figures("Answers kept, paired differences", report["kept"]["differences"]))
    console.print(_ratios("Share of tokens left", report["ratios"]))
    if "reader" in report:
        reader = report["reader"]
        console.print(
            f"the small model read {reader['questions']} questions: {reader['nats_without']} nats an answer "
            f"without the text, {reader['nats_with_all']} with all of it"
        )
        console.print(_figures("Likelihood recovered", reader["by_arm"]))
        console.print(_figures("Likelihood recovered, paired differences", reader["differences"]))
    if "llmlingua" in report:
        lingua = report["llmlingua"]
        title = f"Beside llmlingua, answers kept whole ({lingua['questions']} questions)"
        console.print(_figures(title, lingua["kept"]["by_arm"]))
        console.print(_figures("Beside llmlingua, paired differences", lingua["kept"]["differences"]))
        console.print(_ratios("llmlingua: share of tokens left", lingua["ratios"]))
        console.print(f"llmlingua: CPU ms a token {lingua['cpu_ms_per_token']}")
        if "reader" in lingua:
            console.print(_figures("llmlingua: likelihood recovered", lingua["reader"]))
    for name, one in report["domains"].items():
        title = f"{name}: answers kept whole ({one['questions']} questions, {one['texts']} texts)"
        console.print(_figures(title, one["kept"]["by_arm"]))
        console.print(_ratios(f"{name}: share of tokens left", one["ratios"]))
    for name, one in report.get("retrieval", {}).items():
        title = f"{name}: answer in the prompt, by its tokens ({one['questions']} questions)"
        console.print(_figures(title, one["by_arm"]))
        console.print(_figures(f"{name}: less plain, paired", one["differences"]))
    if "serve" in report:
        served(report["serve"])
    cost = report["cost"]
    console.print(
        f"compressing takes {1e6 * cost['token_s']:.0f} microseconds of a processor a token, and "
        f"{1e3 * cost['fixed_s']:.1f} ms a text"
    )
    protected = report["protected"]
    places, intact = (
        sum(protected[kind][what] for kind in ("generated", "real")) for what in ("places", "intact")
    )
    console.print(f"protected places whole: {intact} of {places}")
    for place in protected["broken"]:
        console.print(f"broken: {place}")
    for name, bar in report["bars"].items():
        between = f" ({bar['low']} to {bar['high']})" if "low" in bar else ""
        console.print(
            f"{name}: {bar['value']}{between}, bar {bar['bar']}: {'met' if bar['met'] else 'MISSED'}"
        )


def _figures(title: str, rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Values with their 95 % intervals, a column for each budget."""
    return _table(title, rows, lambda one: f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})")


def _ratios(title: str, rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    def cell(one: Mapping[str, float]) -> str:
        beyond = f", {one['too_far']:.0f} of {one['texts']:.0f} too far" if one["too_far"] else ""
        return f"{one['achieved']:.3f} (off {one['mean']:.3f}, at most {one['max']:.3f}{beyond})"

    return _table(title, rows, cell)


def _table(title: str, rows: Mapping[str, Mapping[str, Any]], cell: Any) -> Table:
    budgets = _in_order(budget for row in rows.values() for budget in row)
    table = Table("", *budgets, title=title)
    for name, row in rows.items():
        table.add_row(name, *(cell(row[budget]) if budget in row else "" for budget in budgets))
    return table


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(set(names), key=float)
