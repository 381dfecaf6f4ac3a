"""What a trial of a sweep may run, and the settings of each, typed and frozen. Knows none of them at work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from configs.compression import CompressionTraining
from configs.learning import LearningSettings
from configs.schema import Section

Direction = Literal["maximize", "minimize"]


class FunctionSettings(Section):
    """How a function with a known optimum is shown to a search."""

    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of what is added to every value that is seen."""
    steps: int = Field(default=1, ge=1)
    """Values are seen so often, each nearer to the last one."""
    seconds: float = Field(default=0.0, ge=0)
    """Time that each step takes."""


class Hartmann6(FunctionSettings):
    """Six settings of 0 to 1; the greatest value is 3.32237."""

    x1: float = Field(default=0.5, ge=0, le=1)
    x2: float = Field(default=0.5, ge=0, le=1)
    x3: float = Field(default=0.5, ge=0, le=1)
    x4: float = Field(default=0.5, ge=0, le=1)
    x5: float = Field(default=0.5, ge=0, le=1)
    x6: float = Field(default=0.5, ge=0, le=1)


class Branin(FunctionSettings):
    """Two settings; the least value is 0.397887."""

    x1: float = Field(default=2.5, ge=-5, le=10)
    x2: float = Field(default=7.5, ge=0, le=15)


class LearningObjective(Section):
    """Invented facts are learned into an adapter, which is asked for them and for what nobody told."""

    learning: LearningSettings = LearningSettings()
    """How they are learned; its seed is the trial's."""
    facts: int = Field(default=10, ge=1)
    """Invented facts that are taught."""
    asked: int = Field(default=3, ge=1)
    """Phrasings in which each is asked for at the end, none of them taught."""
    unknown: int = Field(default=30, ge=1)
    """Questions about what nobody told."""
    probes: Literal["general", "all"] = "general"
    """Ask short questions about the world alone, or all that the gate judges."""
    general: int = Field(default=40, ge=0)
    """How many of those questions, with probes general."""
    texts: int = Field(default=8, ge=0)
    """Passages that are read at the end."""
    glance: int = Field(default=1, ge=0)
    """Phrasings of each fact asked after each epoch, for early stopping; 0, or method edit: none."""


class CompressionObjective(Section):
    """The policy that decides which words to keep is trained, and tried on questions that were held out."""

    training: CompressionTraining = CompressionTraining()
    """How it is trained; its seed is the trial's."""
    budget: float = Field(default=0.5, gt=0, le=1)
    """Share of the tokens that is kept when it is tried."""


class RankerObjective(Section):
    """Memories are ranked by the shipped weights, parts of which may be off. Nothing is learned."""

    examples: Path | None = None
    """Conversations with questions: LoCoMo's JSON, or JSONL as `pal memory train-ranker` takes them."""
    vectors: Path | None = None
    """A file that keeps computed vectors between trials."""
    limit: int = Field(default=10, ge=1)
    """Memories among which a question's evidence is looked for."""
    neighbours: bool = True
    """Features of what was said just before and after."""
    speaker: bool = True
    """Features of who said it."""
    session: bool = True
    """Features of the conversation that it was said in."""
    dates: bool = True
    """Features of when it was said."""
    wording: bool = True
    """Features of how question and answer are worded."""
    by_vector: bool = True
    """Cosines; without them words alone decide."""
    second_round: bool = True
    """Features of what the best of the first round say of the others."""


Reading = Literal["full", "window", "compressed", "retrieved", "gathered"]
LongKind = Literal["needle", "keys", "values", "variables", "common", "count", "passages"]


class LongObjective(Section):
    """Questions about long texts, which a model reads whole or in part. Nothing is learned."""

    model: str = "smollm2-135m"
    """Alias from the model registry, or a path to a local model directory."""
    reading: Reading = "full"
    """All of a text; first tokens and a window; what the compressor keeps; passages; sentences of them."""
    budget: int = Field(default=1024, ge=64)
    """Tokens of a text that are read, or kept of it, where it is not read whole."""
    sinks: int = Field(default=16, ge=0)
    """First tokens that a window never drops."""
    lengths: tuple[int, ...] = Field(default=(1024, 2048, 4096, 8192), min_length=1)
    """Tokens of a text with its question and answer."""
    texts: int = Field(default=3, ge=1)
    """Texts of each length; all kinds of questions are asked about each."""
    kinds: tuple[LongKind, ...] = Field(
        default=("needle", "keys", "values", "variables", "common", "count"), min_length=1
    )
    """A fact; several; several numbers on a thing; chains of names; the most frequent; how many; passages."""
    needles: int = Field(default=5, ge=1, le=90)
    """Facts that are asked for one by one, at even depths of a text."""
    filler: str | None = None
    """What stands between: a file, a directory or hf:NAME[:SPLIT]; passages are asked about as it asks."""

    @model_validator(mode="after")
    def _has_what_it_asks_about(self) -> Self:
        if "passages" in self.kinds and self.filler is None:
            raise ValueError("kind passages needs filler: a file or hf:NAME with questions")
        return self


class CommandObjective(Section):
    """A program of one's own: it finds its settings in trial.json, and prints its figures as JSON lines."""

    command: tuple[str, ...] = ()
    """The program and its arguments; it runs in the trial's directory, which is in PAL_TRIAL too."""
    values: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Settings of the program, each by a name of its own."""


@dataclass(frozen=True, slots=True)
class Described:
    """An objective's settings, and the figures that it tells, the first its own goal."""

    settings: type[Section]
    goal: str
    direction: Direction
    figures: Mapping[str, str]
    """By name, a sentence."""


COSTS: Mapping[str, str] = {
    "seconds": "Wall-clock time of the trial.",
    "cpu_seconds": "Processor time of the trial's process.",
    "tokens": "Tokens that it was trained on.",
    "peak_bytes": "The most memory that its process held.",
}
"""Figures that every trial has."""
OBJECTIVES: Mapping[str, Described] = {
    "hartmann6": Described(
        Hartmann6,
        "value",
        "maximize",
        {"value": "What is seen of the function.", "true": "Its value without noise."},
    ),
    "branin": Described(
        Branin,
        "value",
        "minimize",
        {"value": "What is seen of the function.", "true": "Its value without noise."},
    ),
    "learning": Described(
        LearningObjective,
        "score",
        "maximize",
        {
            "score": "Mean of recall, silence, kept and likelihood, each 0 to 1.",
            "recall": "Share of questions about taught facts that are answered right.",
            "silence": "Share of questions about what nobody told whose answer holds no taught value.",
            "kept": "Questions about the world right now, of those that were right before.",
            "likelihood": "Likelihood of a passage's token now over before, at most 1.",
            "loss": "Nats a learned token after the last epoch.",
            "strain": "Loss, and nats by which neighbours and the rest moved, after each epoch.",
            "glance": "Mean of recall and silence on a few questions, after each epoch.",
        },
    ),
    "compression": Described(
        CompressionObjective,
        "kept",
        "maximize",
        {
            "kept": "Share of held-out questions whose answer is whole in what is kept.",
            "reward": "Mean reward of the last iteration.",
            "utility": "Mean utility of the last iteration.",
        },
    ),
    "ranker": Described(
        RankerObjective,
        "recall",
        "maximize",
        {"recall": "Mean share of a question's evidence among the memories found."},
    ),
    "long": Described(
        LongObjective,
        "found",
        "maximize",
        {
            "found": "Mean share of what is asked for that stands in the answer.",
            "read": "Mean tokens of a question's prompt, the text's share of which is read or kept.",
            **{kind: f"The same of questions of kind {kind}." for kind in get_args(LongKind)},
        },
    ),
    "command": Described(CommandObjective, "value", "maximize", {}),
}
