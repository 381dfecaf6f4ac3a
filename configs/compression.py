"""How the compression policy is trained, typed and frozen. Knows no file format but YAML's mapping."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from configs.errors import SettingsError
from configs.schema import Section


class RewardSettings(Section):
    """What a choice of kept words is worth; a weight of 0 leaves the term out."""

    answers: float = Field(default=1.0, ge=0)
    """Weight of the share of a chunk's questions whose answer is still whole."""
    reader: float = Field(default=0.0, ge=0)
    """Weight of the reader's recovered likelihood of the answers; needs a reader."""
    reconstruction: float = Field(default=0.0, ge=0)
    """Weight of the share of the text's bits that the kept words give back."""
    budget: float = Field(default=0.1, ge=0)
    """Weight of the distance between the share of tokens asked for and kept."""


class TrackingSettings(Section):
    """Where figures go while it trains; JSON lines are always written."""

    tensorboard: bool = False
    """Also write TensorBoard event files."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Also write a Weights & Biases run: to disk, or to their service."""
    mlflow: str = Field(default="off", pattern=r"^(off|local|file:/.+|sqlite:///.+|https?://.+)$")
    """Also write an MLflow run: `local` to `mlruns` beside the figures, or a tracking server's address."""
    project: str = "palimpsest"
    """Project of the Weights & Biases run, experiment of the MLflow run."""


class CompressionTraining(Section):
    """One training of the policy that decides which words of a text to keep."""

    data: tuple[Path, ...] = ()
    """Directories that `pal data prepare` wrote."""
    seed: int = Field(default=0, ge=0)
    """Everything drawn at random is a function of this and the iteration."""
    policy: Literal["convolution", "attention"] = "convolution"
    """The small policy, or the larger one with token-importance attention and local context gates."""
    environment: Literal["chunk", "word"] = "chunk"
    """Choose all words of a chunk in one step, or one word a step (an ablation)."""
    iterations: int = Field(default=400, ge=1)
    """Rounds of sampling and learning."""
    chunks: int = Field(default=64, ge=1)
    """Chunks sampled in one iteration."""
    choices: int = Field(default=32, ge=1)
    """Choices of words sampled for one chunk: each is judged against the others; 1 takes a critic instead."""
    credit: Literal["word", "choice"] = "word"
    """Credit each word with the answers it belongs to, or every word with the whole choice's worth."""
    epochs: int = Field(default=2, ge=1)
    """Passes over one iteration's samples."""
    minibatch: int = Field(default=32, ge=1)
    """Chunks in one gradient step."""
    rate: float = Field(default=3e-3, gt=0)
    """Learning rate at its highest; it rises for a twentieth of the iterations, then falls in a line."""
    clip: float = Field(default=0.2, gt=0)
    """PPO's bound on how far one choice's probability ratio may move the loss."""
    entropy: float = Field(default=0.0, ge=0)
    """Weight of the entropy bonus."""
    lowest_budget: float = Field(default=0.2, gt=0, lt=1)
    """Smallest share of the tokens to keep that is asked for in training."""
    highest_budget: float = Field(default=0.8, gt=0, lt=1)
    """Largest share of the tokens to keep that is asked for in training."""
    protect: bool = False
    """Numbers, quotations, code and what else serving never drops are kept as there, whatever is chosen."""
    calibrate: bool = True
    """Shift each chunk's log-odds so that the budget is met on average; else only the penalty teaches it."""
    balance: float = Field(default=1.0, ge=0, le=1)
    """How often each kind of text is drawn: 1 as many chunks as it has, 0 all kinds alike."""
    reward: RewardSettings = RewardSettings()
    """What a choice of kept words is worth."""
    tokenizer: Path | None = None
    """The tokenizer.json that counts tokens; unset: that of engine.model where it is pulled, else a guess."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the learner computes: auto prefers cuda, then mps, then cpu."""
    runners: int = Field(default=0, ge=0)
    """Ray actors that sample; 0 samples in the training process."""
    checkpoint_every: int = Field(default=25, ge=1)
    """Iterations between two checkpoints; the last two are kept."""
    tracking: TrackingSettings = TrackingSettings()
    """Where figures go while it trains."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.lowest_budget > self.highest_budget:
            raise ValueError("lowest_budget is above highest_budget")
        if self.runners and self.chunks % self.runners:
            raise ValueError(f"chunks ({self.chunks}) must be a multiple of runners ({self.runners})")
        return self


def read(path: Path) -> dict[str, Any]:
    """The settings of a training in a YAML file, as they stand there. Raises SettingsError."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path} must hold a mapping of settings")
    return tree
