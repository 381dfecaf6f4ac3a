"""How a model is trained on long sequences, typed and frozen. Knows no torch and no file format."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from configs.compression import TrackingSettings
from configs.schema import Section

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraSettings(Section):
    """The adapter that method lora trains."""

    rank: int = Field(default=16, ge=1, le=512)
    """Width of the adapter."""
    alpha: float = Field(default=32.0, gt=0)
    """The adapter's output is scaled by alpha divided by rank."""
    targets: tuple[str, ...] = Field(default=LINEAR, min_length=1)
    """Linear layers that get an adapter, by the end of their name."""


class DataSource(Section):
    """One place that sequences come from."""

    kind: Literal["chat", "text", "hub", "documents", "episodes", "synthetic"]
    """JSONL chats, plain text, a data set of the hub, own documents or memories, made-up tasks."""
    path: Path | None = None
    """A file or directory, of kinds chat and text."""
    name: str | None = None
    """The data set, of kind hub; the task (needle, needles, variables), of kind synthetic."""
    split: str = "train"
    """Which split, of kind hub."""
    column: str = "text"
    """Which column holds the text or the messages, of kind hub."""
    user: str | None = None
    """Whose, of kinds documents and episodes."""
    count: int = Field(default=256, ge=1)
    """Tasks that are made, of kind synthetic."""
    weight: float = Field(default=1.0, gt=0)
    """How often a document is drawn from here, beside the other sources' weights."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        needed = {"chat": "path", "text": "path", "hub": "name", "synthetic": "name"}.get(self.kind, "user")
        if getattr(self, needed) is None:
            raise ValueError(f"data of kind {self.kind} needs {needed}")
        return self


class RopeSettings(Section):
    """How positions beyond the length that the model was trained on are made familiar."""

    method: Literal["none", "linear", "ntk", "yarn"] = "none"
    """Switched on only where the sequences are longer than the model was trained on."""
    factor: float | None = Field(default=None, ge=1)
    """How many times the trained length; unset: just enough for the longest sequence, or for `reach`."""
    reach: int | None = Field(default=None, ge=8)
    """Spread positions over so many tokens though sequences are shorter; unset: positions as they are.

    Positional skip-wise training (PoSE, Zhu et al. 2023, arXiv 2309.10400): a document is cut in two at a
    random place and the second part's positions begin a random stretch later, so that all distances up to
    `reach` are seen in the memory and time of short sequences.
    """
    plain: float = Field(default=0.25, ge=0, le=1)
    """Share of the documents whose positions stay as they are, with `reach`."""


class Stage(Section):
    """One stage of a curriculum."""

    length: int = Field(ge=8)
    """Tokens of its sequences."""
    steps: int = Field(ge=1)
    """Steps of that length."""


class LongContextTraining(Section):
    """One training of a causal language model on long sequences."""

    model: str = "smollm2-135m"
    """Alias of `pal models list`, or a model's directory."""
    method: Literal["full", "lora"] = "lora"
    """Train all weights, or an adapter beside them."""
    lora: LoraSettings = LoraSettings()
    """The adapter that method lora trains."""
    data: tuple[DataSource, ...] = ()
    """Where the sequences come from."""
    eval_data: tuple[DataSource, ...] = ()
    """Where the sequences come from that it is judged on; none: it is not judged."""
    eval_every: int = Field(default=0, ge=0)
    """Steps between two judgements; 0 judges at the end only."""
    eval_batches: int = Field(default=8, ge=1)
    """Batches of one judgement."""
    length: int = Field(default=4096, ge=8)
    """Tokens of a sequence; in a curriculum that of the steps after its stages."""
    curriculum: tuple[Stage, ...] = ()
    """Shorter sequences to begin with, in order; `length` follows for the rest of the steps."""
    packing: bool = True
    """Fill sequences with several documents, none of which sees another; else one document each."""
    batch: int = Field(default=1, ge=1)
    """Sequences of one pass over all ranks, whatever their number: shared out evenly."""
    accumulate: int = Field(default=1, ge=1)
    """Passes whose gradients make one step."""
    steps: int = Field(default=100, ge=1)
    """Steps of the optimiser, those of the curriculum among them."""
    rate: float = Field(default=2e-4, gt=0)
    """Learning rate at its highest."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate falls after the warm-up, to a tenth at the last step."""
    warmup: int = Field(default=0, ge=0)
    """Steps in which the learning rate rises in a line."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's."""
    clip: float | None = Field(default=1.0, gt=0)
    """Longest gradient, over all weights together; null does not clip."""
    seed: int = Field(default=0, ge=0)
    """First weights of the adapter, order and made-up data are a function of this."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the weights as they compute; the optimiser keeps float32."""
    checkpointing: bool = True
    """Compute each layer's activations again in the backward pass instead of keeping them."""
    loss_chunk: int = Field(default=256, ge=0)
    """Tokens whose logits are held at once; 0 holds those of the whole sequence."""
    rope: RopeSettings = RopeSettings()
    """How the context is extended beyond the trained length."""
    ranks: int = Field(default=1, ge=1)
    """Processes that train together, each with its share of CPUs or one GPU."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of a rank; 0 shares the machine's cores out among them."""
    sequence_parallel: int = Field(default=1, ge=1)
    """Ranks that share each sequence (Ulysses); the others have sequences of their own."""
    zero: Literal[0, 1, 2, 3] = 0
    """What DeepSpeed divides among ranks: optimiser, gradients too, weights too; 0 is plain torch."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What DeepSpeed keeps in main memory beside a GPU: the optimiser's state, or the weights too."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where it computes: auto prefers cuda, then mps, then cpu."""
    checkpoint_every: int = Field(default=50, ge=1)
    """Steps between two checkpoints; the last step has one too."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints that are kept."""
    retries: int = Field(default=3, ge=0)
    """How often all ranks are started again from the last checkpoint after one died."""
    tracking: TrackingSettings = TrackingSettings()
    """Where figures go while it trains."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.ranks % self.sequence_parallel:
            raise ValueError(
                f"ranks ({self.ranks}) must be a multiple of sequence_parallel ({self.sequence_parallel})"
            )
        if self.batch % self.replicas:
            raise ValueError(
                f"batch ({self.batch}) must be a multiple of ranks / sequence_parallel ({self.replicas})"
            )
        for length in (self.length, *(stage.length for stage in self.curriculum)):
            if length % self.sequence_parallel:
                raise ValueError(
                    f"length ({length}) must be a multiple of sequence_parallel ({self.sequence_parallel})"
                )
        return self

    @model_validator(mode="after")
    def _reaches(self) -> Self:
        if self.rope.reach is not None and self.rope.reach < self.longest:
            raise ValueError(
                f"rope.reach ({self.rope.reach}) is shorter than the longest sequence ({self.longest})"
            )
        return self

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.device == "mps" and (self.zero or self.ranks > 1):
            raise ValueError("on mps it trains in plain torch on one rank: set zero to 0 and ranks to 1")
        if self.device == "mps" and self.precision != "float32":
            raise ValueError("on mps it trains in float32")
        if self.offload != "none" and (not self.zero or self.device in {"cpu", "mps"}):
            raise ValueError(
                "offload needs DeepSpeed (zero 1 to 3) and a GPU: elsewhere all is in main memory"
            )
        if self.offload == "all" and self.zero != 3:
            raise ValueError("offload all needs zero 3, which divides the weights")
        if sum(stage.steps for stage in self.curriculum) > self.steps:
            raise ValueError("the curriculum has more steps than the training")
        return self

    @property
    def replicas(self) -> int:
        """Groups of ranks that each have sequences of their own."""
        return self.ranks // self.sequence_parallel

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.length, *(stage.length for stage in self.curriculum), 0)

    @property
    def farthest(self) -> int:
        """Positions that the model must know: of the longest sequence, or as far as they are spread."""
        return max(self.longest, self.rope.reach or 0)

    def length_at(self, step: int) -> int:
        """Tokens of the sequences of a step, counted from 0."""
        for stage in self.curriculum:
            if step < stage.steps:
                return stage.length
            step -= stage.steps
        return self.length
