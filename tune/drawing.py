"""Draws figures as inline SVG that needs nothing else. Knows no sweep."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 42
RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 191, 37))
"""From worst to best."""
STYLE = """svg text { font: 12px system-ui, sans-serif; fill: #334155; }
svg text.tick { font-size: 11px; fill: #64748b; }
svg .grid { stroke: #e2e8f0; } svg .axis { stroke: #94a3b8; } svg .zero { stroke: #334155; }
svg .ci { stroke: #0f172a; fill: none; stroke-width: 1.4; } svg rect { fill: #94a3b8; }
svg rect.share { fill: #3b528b; } svg .better rect { fill: #16a34a; } svg .worse rect { fill: #dc2626; }
"""
"""How all of them look, for the page that they stand in."""
Point = tuple[float, float]


class Scale:
    """A range of values on a stretch of pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, log: bool = False) -> None:
        self.log = log and min(values, default=1.0) > 0
        found = [math.log10(one) if self.log else one for one in values] or [0.0]
        low, high = min(found), max(found)
        pad = (high - low) * 0.04 or abs(low) * 0.05 or 0.5
        self.low, self.high = low - pad, high + pad
        self.begin, self.end = begin, end

    def __call__(self, value: float) -> float:
        """Where a value stands."""
        one = math.log10(value) if self.log else value
        return self.begin + (one - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Some round values."""
        if self.log:
            found = [10.0**power for power in range(math.ceil(self.low), math.floor(self.high) + 1)]
            if len(found) > 1:
                return found
            return [10**self.low, 10 ** ((self.low + self.high) / 2), 10**self.high]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        step *= next(
            part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if (self.high - self.low) / (step * part) <= 6
        )
        first = math.ceil(self.low / step)
        return [round(step * number, 12) for number in range(first, math.floor(self.high / step) + 1)]


def colour(share: float) -> str:
    """Of the ramp, from 0 (worst) to 1 (best)."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    at = min(int(place), len(RAMP) - 2)
    mixed = [round(a + (b - a) * (place - at)) for a, b in zip(RAMP[at], RAMP[at + 1], strict=True)]
    return f"#{mixed[0]:02x}{mixed[1]:02x}{mixed[2]:02x}"


def curves(lines: Sequence[tuple[str, Sequence[Point], float]], across: str, up: str) -> str:
    """Each line's name, points and goodness (0 to 1)."""
    xs = [x for _, points, _ in lines for x, _ in points]
    ys = [y for _, points, _ in lines for _, y in points]
    x, y = Scale(xs, LEFT, WIDTH - RIGHT), Scale(ys, HEIGHT - BOTTOM, TOP)
    drawn = []
    for name, points, good in sorted(lines, key=lambda one: one[2]):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        if len(points) > 1:
            drawn.append(
                f'<polyline points="{path}" fill="none" stroke="{colour(good)}" stroke-width="1.6">'
                f"<title>{escape(name)}</title></polyline>"
            )
        a, b = points[-1]
        drawn.append(_dot(x(a), y(b), colour(good), name, 3))
    return _svg(_axes(x, y, across, up) + "".join(drawn), HEIGHT, f"{up} by {across}")


def scatter(
    points: Sequence[tuple[str, float, float, bool]], across: str, up: str, *, log: bool = False
) -> str:
    """Each point's name, place, and whether it is on the front, which is joined."""
    x = Scale([one[1] for one in points], LEFT, WIDTH - RIGHT, log=log)
    y = Scale([one[2] for one in points], HEIGHT - BOTTOM, TOP)
    front = sorted((a, b) for _, a, b, best in points if best)
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in front)
    joined = f'<polyline points="{path}" fill="none" stroke="#b45309" stroke-dasharray="5 4"/>'
    dots = [
        _dot(
            x(a),
            y(b),
            "#b45309" if best else "#64748b",
            f"{name}: {up} {b:.4g}, {across} {a:.4g}",
            5 if best else 4,
        )
        for name, a, b, best in points
    ]
    return _svg(_axes(x, y, across, up) + joined + "".join(dots), HEIGHT, f"{up} against {across}")


def intervals(rows: Sequence[tuple[str, float, float, float, str]], across: str) -> str:
    """Bars from 0 with their 95 % intervals: name, value, low, high, and a CSS class."""
    high = TOP + 26 * len(rows)
    left = 260
    x = Scale([0.0, *(one for row in rows for one in row[1:4])], left, WIDTH - RIGHT)
    drawn = [_upright(x, tick, TOP, high) for tick in x.ticks()]
    for number, (name, value, low, top, kind) in enumerate(rows):
        y = TOP + 26 * number + 13
        begin, end = sorted((x(0.0), x(value)))
        drawn.append(
            f'<g class="{kind}"><text x="{left - 8}" y="{y + 4}" text-anchor="end">{escape(_short(name))}'
            f"<title>{escape(name)}</title></text>"
            f'<rect x="{begin:.1f}" y="{y - 7}" width="{max(end - begin, 1):.1f}" height="14"/>'
            f'<path class="ci" d="M{x(low):.1f} {y}H{x(top):.1f}'
            f'M{x(low):.1f} {y - 5}v10M{x(top):.1f} {y - 5}v10">'
            f"<title>{escape(name)}: {value:+.4g} ({low:+.4g} to {top:+.4g})</title></path></g>"
        )
    zero = f'<path class="zero" d="M{x(0.0):.1f} {TOP}V{high}"/>'
    return _svg("".join(drawn) + zero + _below(across, high, left), high + BOTTOM, across)


def shares(values: Mapping[str, float]) -> str:
    """Horizontal bars of shares, greatest first."""
    rows = sorted(values.items(), key=lambda one: -one[1])
    high, left = TOP + 26 * len(rows), 260
    most = max([*values.values(), 1e-9])
    drawn = []
    for number, (name, value) in enumerate(rows):
        y = TOP + 26 * number + 13
        wide = value / most * (WIDTH - RIGHT - left - 60)
        drawn.append(
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{escape(_short(name))}</text>'
            f'<rect x="{left}" y="{y - 8}" width="{max(wide, 1):.1f}" height="16" class="share"/>'
            f'<text x="{left + wide + 6:.1f}" y="{y + 4}">{value:.0%}</text>'
        )
    return _svg("".join(drawn), high + 12, "importance of each setting")


def parallel(
    names: Sequence[str], rows: Sequence[tuple[str, Sequence[Any], float]], logs: Sequence[bool]
) -> str:
    """A line for each row over one upright axis for each name; goodness gives the colour."""
    gap = (WIDTH - 2 * LEFT) / max(1, len(names) - 1)
    axes, places = [], []
    for column, (name, log) in enumerate(zip(names, logs, strict=True)):
        at = LEFT + gap * column
        numbers, marks = _numbers([row[1][column] for row in rows])
        y = Scale(numbers, HEIGHT - BOTTOM, TOP + 10, log=log)
        places.append([y(one) for one in numbers])
        marked = marks or {tick: f"{tick:.3g}" for tick in y.ticks()}
        ticks = "".join(
            f'<text class="tick" x="{at + 4:.1f}" y="{y(value) + 4:.1f}">{escape(text)}</text>'
            for value, text in marked.items()
        )
        low = HEIGHT - 14 - (column % 2) * 14
        axes.append(
            f'<path class="axis" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>{ticks}'
            f'<text x="{at:.1f}" y="{low}" text-anchor="middle">{escape(_short(name, 22))}</text>'
        )
    drawn = []
    for number, (name, _, good) in sorted(enumerate(rows), key=lambda one: one[1][2]):
        path = " ".join(f"{LEFT + gap * column:.1f},{some[number]:.1f}" for column, some in enumerate(places))
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour(good)}" stroke-width="1.5" '
            f'stroke-opacity="{0.35 + 0.6 * good:.2f}"><title>{escape(name)}</title></polyline>'
        )
    return _svg("".join(drawn) + "".join(axes), HEIGHT, "settings of each trial")


def alone(drawn: str) -> str:
    """A drawing as a file of its own, on white."""
    begin, _, rest = drawn.partition(">")
    sheet = f'<style>{STYLE}</style><path d="M0 0H{WIDTH}V2000H0z" fill="#fff"/>'
    return f'{begin} xmlns="http://www.w3.org/2000/svg">{sheet}{rest}\n'


def _numbers(values: Sequence[Any]) -> tuple[list[float], dict[float, str]]:
    """Values as numbers; what is no number gets one, and a mark that says which."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return [float(one) for one in values], {}
    kinds = sorted({str(one) for one in values})
    return [float(kinds.index(str(one))) for one in values], {
        float(n): _short(k, 16) for n, k in enumerate(kinds)
    }


def _svg(inner: str, height: float, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{inner}</svg>'


def _axes(x: Scale, y: Scale, across: str, up: str) -> str:
    floor = HEIGHT - BOTTOM
    drawn = [_upright(x, tick, TOP, floor) for tick in x.ticks()]
    for tick in y.ticks():
        at = y(tick)
        drawn.append(
            f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        )
    place = f"translate(14 {(TOP + floor) / 2}) rotate(-90)"
    turned = f'<text transform="{place}" text-anchor="middle">{escape(up)}</text>'
    return "".join(drawn) + _below(across, floor, LEFT) + turned


def _below(across: str, floor: float, left: float) -> str:
    middle = (left + WIDTH - RIGHT) / 2
    return f'<text x="{middle}" y="{floor + 34}" text-anchor="middle">{escape(across)}</text>'


def _upright(x: Scale, tick: float, top: float, floor: float) -> str:
    at = x(tick)
    return (
        f'<path class="grid" d="M{at:.1f} {top}V{floor}"/>'
        f'<text class="tick" x="{at:.1f}" y="{floor + 16}" text-anchor="middle">{tick:.4g}</text>'
    )


def _dot(x: float, y: float, fill: str, name: str, radius: int) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}"><title>{escape(name)}</title></circle>'
    )


def _short(name: str, most: int = 38) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
