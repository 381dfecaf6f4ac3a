"""A compression report as PNG files and one HTML file that needs no other. Knows no way to measure."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import compression_figures as figures
from benchmarks.compression_arms import LINGUA, OURS
from benchmarks.compression_cost import Shown

FILE = "report.html"
MIDDLE = "0.5"
_STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}img{max-width:100%}"
    "mark{padding:0 .15em;margin:.05em;display:inline-block}"
    "mark.gone{color:#999;text-decoration:line-through}"
)


def draw(report: Mapping[str, Any], example: Shown, folder: Path) -> Path:
    """Every picture that the report has figures for, and the page with all of them. Returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "Answers kept whole": folder / "rate-distortion.png",
        "Asked and achieved": folder / "ratio.png",
        "Where compressing pays": folder / "break-even.png",
        "Kept words": folder / "kept-words.png",
        "Kept by kind of word": folder / "kinds.png",
    }
    curves, ratio, even, words, kinds = drawn.values()
    by_arm = dict(report["kept"]["by_arm"])
    if "llmlingua" in report:
        by_arm[LINGUA] = _at_achieved(report["llmlingua"])
    figures.rate_distortion(by_arm, "answers kept whole", curves)
    points = {LINGUA: report["llmlingua"]["points"]} if "llmlingua" in report else {}
    figures.achieved(report["sweep"] | points, ratio)
    cost = report["cost"]
    figures.break_even(cost["prefill_s"], cost["fixed_s"], cost["token_s"], float(MIDDLE), even)
    figures.kept_words(example.words, example.scores, example.kept, words)
    figures.keep_rates({arm: row[MIDDLE] for arm, row in report["kinds"].items()}, kinds)
    if "reader" in report:
        drawn["Likelihood recovered"] = folder / "likelihood.png"
        figures.rate_distortion(
            report["reader"]["by_arm"], "likelihood recovered", drawn["Likelihood recovered"]
        )
    page = folder / FILE
    page.write_text(_page(report, example, drawn))
    return page


def _at_achieved(lingua: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    """Its figures over the share of tokens that it really left."""
    kept, ratios = lingua["kept"]["by_arm"][LINGUA], lingua["ratios"][LINGUA]
    return {str(ratios[budget]["achieved"]): kept[budget] for budget in kept}


def _page(report: Mapping[str, Any], example: Shown, drawn: Mapping[str, Path]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{bar['value']}</td><td>{bar['bar']}</td>"
        f"<td>{'met' if bar['met'] else 'missed'}</td></tr>"
        for name, bar in report["bars"].items()
    )
    pictures = "".join(
        f'<h2>{escape(title)}</h2><img alt="{escape(title)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        for title, path in drawn.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Compression</title>'
        f"<style>{_STYLE}</style><h1>Compression</h1>"
        f"<p>{report['questions']} questions on {report['texts']} texts of {len(report['documents'])} "
        f"documents held out; policies of {report['seeds']} seed(s); bands are 95 % intervals.</p>"
        f"<table><tr><th>bar</th><th>value</th><th>asked</th><th></th></tr>{rows}</table>{pictures}"
        f"<h2>{OURS}, word by word</h2><p>{_heat(example)}</p></html>\n"
    )


def _heat(example: Shown) -> str:
    low, high = min(example.scores), max(example.scores)
    spread = max(high - low, 1e-6)
    return " ".join(
        f'<mark class="{"" if stays else "gone"}" style="background:hsl(90 60% '
        f'{96 - 40 * (score - low) / spread:.0f}%)" title="{score:.2f}">{escape(word)}</mark>'
        for word, score, stays in zip(example.words, example.scores, example.kept, strict=True)
    )
