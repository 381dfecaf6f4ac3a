"""What crosses a process border of a training that was asked for. Knows no file and no process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from actors.messages import Json

Status = Literal["queued", "validating_files", "running", "paused", "succeeded", "failed", "cancelled"]
Level = Literal["info", "warn", "error"]
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A training that is asked for; all of it was checked.

    `training` is the tree of a LongContextTraining without its data; `files` are JSONL chats by role,
    "training" and, where it is judged, "validation". The same id twice is one job.
    """

    id: str
    user: str
    model: str
    training: Mapping[str, Json]
    files: Mapping[str, bytes]
    training_file: str
    validation_file: str | None = None
    suffix: str = ""
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training that was asked for, as it stands."""

    id: str
    user: str
    model: str
    name: str
    """What the trained model is called, once there is one."""
    training: Mapping[str, Json]
    training_file: str
    validation_file: str | None
    suffix: str
    hyperparameters: Mapping[str, Json]
    metadata: Mapping[str, str] | None
    created_at: float
    status: Status = "queued"
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None
    process: str | None = None
    """How its launcher knows the process that trains; None while there is none."""
    launches: int = 0
    """How often a process was started for it."""
    lost: int = 0
    """How many of them died without a word."""
    step: int = 0
    """Steps done."""
    checkpoints: tuple["Checkpoint", ...] = ()
    expected_end: float | None = None
    """When its steps will be done, as fast as they go now; None where it does not run."""
    removed: bool = False
    """The trained model was deleted."""

    @property
    def steps(self) -> int:
        """Steps in all."""
        return int(self.training["steps"])

    @property
    def seed(self) -> int:
        """What first weights and order are a function of."""
        return int(self.training["seed"])

    @property
    def trained_tokens(self) -> int:
        """Tokens of the sequences of the steps done."""
        training = self.training
        return self.step * int(training["length"] * training["batch"] * training.get("accumulate", 1))

    @property
    def has_model(self) -> bool:
        """Whether there is a trained model."""
        return self.status == "succeeded" and not self.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state of a training that it can go on from; `figures` are those of its last step."""

    step: int
    """Steps done."""
    created_at: float
    figures: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened to a job; `number` counts them from 0."""

    number: int
    created_at: float
    message: str
    level: Level = "info"
    data: Mapping[str, Json] | None = None
    """Figures of a step, where it tells of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained model: its name, its user, and the directory of its adapter on the server's machine."""

    name: str
    user: str
    created_at: float
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A training that runs now, with the figures of its last step."""

    id: str
    figures: Mapping[str, float | None]
