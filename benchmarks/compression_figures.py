"""The pictures of a compression report. Knows no way to measure.

Legend: L prompt lengths, M model sizes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

INCHES = (7.2, 4.6)
DOTS = 130
SIZES_M = np.geomspace(0.1e9, 100e9, 60)
LENGTHS_L = np.geomspace(30, 30_000, 80)
BASE_PARAMETERS = 135e6
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


def rate_distortion(by_arm: Figures, what: str, path: Path) -> None:
    """One line an arm over the budgets, with its 95 % band."""
    figure, axes = plt.subplots(figsize=INCHES)
    for arm, row in by_arm.items():
        budgets = sorted(row, key=float)
        asked = [float(one) for one in budgets]
        (line,) = axes.plot(asked, [row[one]["value"] for one in budgets], marker="o", label=arm)
        low, high = [row[one]["low"] for one in budgets], [row[one]["high"] for one in budgets]
        axes.fill_between(asked, low, high, alpha=0.15, color=line.get_color())
    axes.set(xlabel="share of tokens asked for", ylabel=what, ylim=(0, 1))
    axes.legend(fontsize=8)
    _save(figure, path)


def achieved(asked_and_left: Mapping[str, Sequence[tuple[float, float]]], path: Path) -> None:
    """Each text's share of tokens that is left over the share that was asked for."""
    figure, axes = plt.subplots(figsize=INCHES)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for arm, points in asked_and_left.items():
        asked, left = np.array(points).T
        axes.plot(asked, left, ".", markersize=4, alpha=0.5, label=arm)
    axes.set(xlabel="share of tokens asked for", ylabel="share of tokens left")
    axes.legend(fontsize=8)
    _save(figure, path)


def break_even(prefill_s: float, fixed_s: float, token_s: float, budget: float, path: Path) -> None:
    """Where compressing pays: seconds saved by prompt length and model size, prefill growing with the size.

    `prefill_s` is of one token with the small model; compressing costs `fixed_s` and `token_s` a token.
    """
    grid_M_L = SIZES_M[:, None] / BASE_PARAMETERS * prefill_s * LENGTHS_L[None, :] * (1 - budget)
    cost_L = fixed_s + token_s * LENGTHS_L
    share_M_L = np.broadcast_to(cost_L, grid_M_L.shape) / grid_M_L
    figure, axes = plt.subplots(figsize=INCHES)
    shown = axes.pcolormesh(LENGTHS_L, SIZES_M, np.log10(share_M_L), cmap="RdYlGn_r", vmin=-4, vmax=1)
    lines = axes.contour(LENGTHS_L, SIZES_M, share_M_L, levels=[0.01, 0.05, 0.5, 1.0], colors="black")
    axes.clabel(lines, fmt=lambda level: f"{level:.0%}", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="tokens of the prompt", ylabel="parameters of the model")
    figure.colorbar(shown, label="cost over prefill saved, power of ten")
    _save(figure, path)


def kept_words(words: Sequence[str], scores: Sequence[float], kept: Sequence[bool], path: Path) -> None:
    """A text with each word on its score's colour; those that were dropped are struck out in grey."""
    figure, axes = plt.subplots(figsize=INCHES)
    axes.axis("off")
    low, high = min(scores), max(max(scores), min(scores) + 1e-6)
    across, down = 0.0, 0.0
    for word, score, stays in zip(words, scores, kept, strict=True):
        width = 0.0135 * (len(word) + 1)
        if across + width > 1:
            across, down = 0.0, down + 0.055
        colour = plt.cm.YlGn(0.75 * (score - low) / (high - low))
        axes.text(
            across,
            1 - down,
            word,
            fontsize=8,
            family="monospace",
            color="black" if stays else "#a0a0a0",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
        )
        across += width
    _save(figure, path)


def keep_rates(kinds: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Bars of the share of words kept, by kind of word, an arm's beside each other."""
    figure, axes = plt.subplots(figsize=INCHES)
    names = list(next(iter(kinds.values())))
    width = 0.8 / len(kinds)
    for place, (arm, shares) in enumerate(kinds.items()):
        at = np.arange(len(names)) + (place - (len(kinds) - 1) / 2) * width
        axes.bar(at, [shares[name] for name in names], width, label=arm)
    axes.set_xticks(np.arange(len(names)), names, fontsize=8)
    axes.set(ylabel="share of words kept", ylim=(0, 1))
    axes.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=DOTS)
    plt.close(figure)
