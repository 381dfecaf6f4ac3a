"""Draws which words of a text were kept: one HTML page that needs nothing else. Knows no policy."""

from html import escape

import numpy as np

from actors.compression.protect import merged
from actors.compression.shortening import Shortened

SHADES = 6
"""Steps from a word least worth keeping to one most worth it."""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 1rem/1.7 system-ui, sans-serif; color: #111; background: #fff; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; }}
pre {{ font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #bbb;
  padding: 1rem; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .15rem 1rem .15rem 0; }}
.k0 {{ background: #ffffff; }} .k1 {{ background: #fdf0d0; }} .k2 {{ background: #fbdf9f; }}
.k3 {{ background: #f9cd6c; }} .k4 {{ background: #f5b942; }} .k5 {{ background: #eda41d; }}
.drop {{ color: #595959; text-decoration: line-through; background: none; border-bottom: .2rem solid; }}
.drop.k0 {{ border-color: #ffffff; }} .drop.k1 {{ border-color: #fdf0d0; }}
.drop.k2 {{ border-color: #fbdf9f; }} .drop.k3 {{ border-color: #f9cd6c; }}
.drop.k4 {{ border-color: #f5b942; }} .drop.k5 {{ border-color: #eda41d; }}
.safe {{ outline: 2px solid #00527a; outline-offset: -1px; font-weight: 600; }}
</style>
<h1>{title}</h1>
<table>
<tr><th scope="row">Tokens before</th><td>{before}</td></tr>
<tr><th scope="row">Tokens after</th><td>{after} ({share:.1%}, {asked})</td></tr>
<tr><th scope="row">Words kept</th><td>{kept} of {words}</td></tr>
<tr><th scope="row">Protected</th><td>{protected}</td></tr>
</table>
<p>{legend}</p>
<pre>{body}</pre>
</html>
"""
_LEGEND = (
    "Keep score, low to high: "
    + " ".join(f'<span class="k{shade}">&nbsp;{shade + 1}&nbsp;</span>' for shade in range(SHADES))
    + '. <span class="k5">kept</span> · <span class="drop k2">dropped</span> · '
    '<span class="k3 safe">protected, always kept</span>'
)


def heatmap(text: str, found: Shortened, title: str, asked: str) -> str:
    """The page: every word in its place, shaded by its score, struck through where it was dropped."""
    kinds = [span.kind for span in found.protected]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    return _PAGE.format(
        title=escape(title),
        before=found.tokens_before,
        after=found.tokens_after,
        share=found.tokens_after / max(1, found.tokens_before),
        asked=escape(asked),
        kept=int(found.mask.sum()),
        words=len(found.words),
        protected=(counted or "nothing")
        + (", which takes more than the budget" if found.over_budget else ""),
        legend=_LEGEND,
        body=_body(text, found),
    )


def _body(text: str, found: Shortened) -> str:
    shades = _shades(found)
    safe = _safe(found)
    parts = []
    end = 0
    for number, word in enumerate(found.words):
        parts.append(escape(text[end : word.start]))
        kept = "" if found.mask[number] else "drop "
        mark = " safe" if safe[number] else ""
        parts.append(
            f'<span class="{kept}k{shades[number]}{mark}">{escape(text[word.start : word.end])}</span>'
        )
        end = word.end
    return "".join([*parts, escape(text[end:])])


def _shades(found: Shortened) -> list[int]:
    """The sixth of the text's scores that each word's is in."""
    if not len(found.scores):
        return []
    borders = np.quantile(found.scores, np.linspace(0, 1, SHADES + 1)[1:-1])
    shades: list[int] = np.searchsorted(borders, found.scores, side="left").tolist()
    return shades


def _safe(found: Shortened) -> list[bool]:
    places = np.array([*merged(found.protected), (1 << 62, 1 << 62)], np.int64)
    starts = [word.start for word in found.words]
    ends = [word.end for word in found.words]
    following = np.searchsorted(places[:, 1], starts, side="right")
    safe: list[bool] = (places[following, 0] < ends).tolist()
    return safe
