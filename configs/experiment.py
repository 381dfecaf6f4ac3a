"""What an experiment, a sweep or an ablation is, typed and frozen. Knows no file."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from configs.compression import TrackingSettings
from configs.objectives import Direction
from configs.schema import Section

Method = Literal["grid", "random", "tpe", "gp", "bohb"]
Early = Literal["none", "asha", "median", "hyperband", "pbt"]


class Goal(Section):
    """A figure that is to be as great, or as small, as can be."""

    metric: str
    """One of the objective's figures, or a cost: seconds, cpu_seconds, tokens, peak_bytes."""
    direction: Direction = "maximize"
    """Whether more of it is better."""


class Axis(Section):
    """The values that one setting may take: a list, or `low` to `high`."""

    values: tuple[Any, ...] = ()
    """Each of them may be tried."""
    low: int | float | None = None
    """The least."""
    high: int | float | None = None
    """The greatest."""
    log: bool = False
    """Small and large values alike: for what is multiplied rather than added."""
    step: int | float | None = Field(default=None, gt=0)
    """Distance between two neighbouring values; unset: any value, whole ones where the setting is whole."""

    @model_validator(mode="before")
    @classmethod
    def _a_list_is_its_values(cls, value: Any) -> Any:
        return {"values": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.values) == (self.low is not None or self.high is not None):
            raise ValueError("give a list of values, or low and high")
        if self.values:
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("needs a low below its high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0, and no step")
        return self


class Search(Section):
    """Who chooses the next settings to try."""

    method: Method = "tpe"
    """All of a grid; at random; Optuna's TPE or Gaussian process; TPE with Hyperband (bohb)."""
    startup: int = Field(default=8, ge=1)
    """Trials at random before tpe, gp and bohb begin to choose."""
    seed: int = Field(default=0, ge=0)
    """What is chosen is a function of this and of the trials before."""
    default_first: bool = True
    """Try the settings of `base` first, so that the best can be told from them."""


class EarlyStopping(Section):
    """Which trials end before their time."""

    method: Early = "none"
    """None; successive halving (asha); below the median; Hyperband; population-based training (Ray)."""
    metric: str | None = None
    """The figure that is compared on the way; unset: the goal."""
    direction: Direction | None = None
    """Whether more of it is better; unset: as the goal."""
    first: int = Field(default=1, ge=1)
    """Steps that every trial gets."""
    most: int | None = Field(default=None, ge=1)
    """Steps of a whole trial, for hyperband; unset: as many as the first whole trial took."""
    factor: int = Field(default=3, ge=2)
    """One of so many goes on at each rung; pbt: one of so many copies one of the best."""
    startup: int = Field(default=4, ge=0)
    """Whole trials before median ends any."""


class Budget(Section):
    """When no further trial begins, and those that run are ended."""

    trials: int | None = Field(default=None, ge=1)
    """Settings that are tried; unset: all of a grid, else 16."""
    seconds: float | None = Field(default=None, gt=0)
    """Wall-clock time of one call."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens of all trials together."""


class Resources(Section):
    """What one trial takes of the machine, or of a node of the cluster."""

    cpus: float = Field(default=1.0, gt=0)
    """Processor cores."""
    gpus: float = Field(default=0.0, ge=0)
    """GPUs, or a share of one."""
    memory_gib: float = Field(default=0.0, ge=0)
    """Memory that is kept free for it; 0: not looked at."""
    concurrent: int | None = Field(default=None, ge=1)
    """Trials at once; unset: as many as there is room for."""


class Ablation(Section):
    """Parts that are taken away or exchanged, each against the whole, on the same seeds and questions."""

    parts: dict[str, dict[str, Any]] = Field(min_length=1)
    """By name, the settings that differ from `base`, by dotted key."""
    pairs: bool = False
    """Two of them together too, where they change different settings."""


class Experiment(Section):
    """One file: what runs, with which settings, how often, and what counts."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)
    """Name of its directory and of its runs in trackers."""
    objective: str
    """What a trial runs."""
    base: dict[str, Any] | Path = Field(default_factory=dict)
    """Settings of the objective that all trials share: here, or in a file beside this one."""
    goals: tuple[Goal, ...] = ()
    """What is best; several make a Pareto front; unset: the objective's own goal."""
    space: dict[str, Axis] = Field(default_factory=dict)
    """Settings that are searched, by dotted key."""
    ablate: Ablation | None = None
    """Parts that are taken away, instead of a space."""
    search: Search = Search()
    """Who chooses the next settings to try."""
    early: EarlyStopping = EarlyStopping()
    """Which trials end before their time."""
    budget: Budget = Budget()
    """When no further trial begins."""
    resources: Resources = Resources()
    """What one trial takes."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Each setting is tried with each of them; early stopping looks at the first."""
    confirm: tuple[int, ...] = ()
    """Further seeds with which the best and the base are compared when the search is over."""
    retries: int = Field(default=2, ge=0)
    """How often a trial whose process died goes on from its checkpoint."""
    tracking: TrackingSettings = TrackingSettings()
    """Where figures go beside JSON lines."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.space and self.ablate:
            raise ValueError("space and ablate: one of them")
        if self.early.method != "none" and not self.space:
            raise ValueError("early stopping needs a space")
        if self.early.method != "none" and len(self.goals) > 1:
            raise ValueError("early stopping compares one goal, and here are several")
        if self.search.method == "bohb" and self.early.method not in ("none", "hyperband"):
            raise ValueError(f"search bohb stops by hyperband, not by {self.early.method}")
        if self.early.method == "pbt" and (self.search.method != "random" or len(self.seeds) > 1):
            raise ValueError("early pbt needs search random and one seed")
        if self.search.method == "gp" and len(self.goals) > 1:
            raise ValueError("search gp has one goal: take tpe")
        if set(self.confirm) & set(self.seeds):
            raise ValueError("confirm needs seeds that are not among the seeds of the search")
        if len(set(self.seeds)) < len(self.seeds) or len(set(self.confirm)) < len(self.confirm):
            raise ValueError("a seed stands twice")
        return self
