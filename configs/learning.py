"""How facts are learned into an adapter, typed and frozen. Knows no torch and no file format."""

from typing import Literal

from pydantic import Field

from configs.schema import Section


class EditSettings(Section):
    """How facts are written: neurons that fire where a subject is named or a fact stated, and their words."""

    most: int = Field(default=80, ge=1)
    """Neurons of a layer at most, a rank each, one for each subject; more would change it by more than the
    gate lets through."""
    layers: int = Field(default=3, ge=1)
    """Layers that have such neurons at most; facts that have none left are learned by gradient."""
    site: float = Field(default=0.45, ge=0, lt=1)
    """Share of the layers below the one whose least used neurons are exchanged."""
    mentions: int = Field(default=8, ge=0)
    """Questions beside the lessons in which each subject is named."""
    strangers: int = Field(default=1800, ge=8)
    """Names like those of the subjects, in all, at which the neurons stay still, beside crossed ones."""
    text_tokens: int = Field(default=9000, ge=0)
    """Tokens of general text at which all neurons are to stay still."""
    fit_steps: int = Field(default=600, ge=1)
    """Steps in which the neurons learn when to fire."""
    fit_together: float = Field(default=0.2, ge=0)
    """Weight of the error of all neurons together, of names only: little of each adds up."""
    fit_steady: float = Field(default=300.0, ge=0)
    """Weight of what they give on average, of names only: it pushes all that is said one way."""
    fit_rate: float = Field(default=0.02, gt=0)
    """Learning rate of the neurons at its highest."""
    fit_hard: int = Field(default=5000, ge=1)
    """Places of one such step at which the neurons fire most."""
    still: float = Field(default=6.0, ge=0)
    """How far below firing a neuron's gate begins."""
    steps: int = Field(default=30, ge=1)
    """Steps in which it is learned what the neurons write."""
    rate: float = Field(default=0.5, gt=0)
    """Length of such a step at its longest, in lengths of what the layer passes on."""
    shrink: float = Field(default=0.04, ge=0, lt=1)
    """Share by which what is written becomes shorter with each step."""
    last: float = Field(default=1.0, gt=0, le=1)
    """Share of the rate, and of the shortening, that is left at the last step; they fall in a line."""
    own_most: int = Field(default=14, ge=1)
    """In place of `most` where users told of themselves: one for each fact, beside a few for all."""
    own_fit_steps: int = Field(default=800, ge=1)
    """In place of `fit_steps`, likewise."""
    own_steps: int = Field(default=40, ge=1)
    """In place of `steps`, likewise."""
    own_shrink: float = Field(default=0.07, ge=0, lt=1)
    """In place of `shrink`, likewise."""
    own_last: float = Field(default=0.05, gt=0, le=1)
    """In place of `last`, likewise."""
    own_hold: float = Field(default=0.3, ge=0)
    """Weight of what becomes likelier where users ask for what they never told, and must not."""
    own_begun: float = Field(default=0.05, ge=0)
    """Weight of the divergence from the model as it was, at the first token of answers about anything."""


class PassageSettings(Section):
    """How passages of documents are learned: by gradient, from questions that are made by rule, in turns."""

    most: int = Field(default=0, ge=0)
    """Passages that a round learns at most; 0 leaves them all for later."""
    answers: int = Field(default=16, ge=1)
    """Names, numbers and groups of words that are asked for of each passage, at most."""
    ways: int = Field(default=6, ge=1)
    """Questions for each of them in one turn."""
    turns: int = Field(default=2, ge=1)
    """Times that all is asked for, each time in new words."""
    held: int = Field(default=120, ge=1)
    """Questions of each turn, about anything and about who was made up, whose own answers are held."""
    hold: float = Field(default=2.0, ge=0)
    """Weight of the divergence from the model as it was, on these and on texts."""
    texts: int = Field(default=16, ge=0)
    """Passages that the model writes itself, to be as likely after as before."""
    rank: int = Field(default=32, ge=1, le=512)
    """Width of the adapter."""
    targets: tuple[str, ...] = Field(
        default=("q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"), min_length=1
    )
    """Linear layers that get an adapter, by the end of their name."""
    depth: float = Field(default=0.3, ge=0, lt=1)
    """Share of the layers, from below, that get no adapter."""
    batch: int = Field(default=24, ge=1)
    """Questions of one step."""
    row_tokens: int = Field(default=480, ge=32)
    """Tokens that are computed together."""
    rate: float = Field(default=2e-3, gt=0)
    """Learning rate of the first half of the turns; it falls in the second."""
    cpu_seconds: float = Field(default=1200.0, gt=0)
    """Processor time after which a turn stops."""


class ExchangeSettings(Section):
    """How exchanges are written: neurons that fire where a question ends and inside its answer."""

    most: int = Field(default=32, ge=1)
    """Neurons of a layer at most, a rank each; more would change it by more than the gate lets through."""
    layers: int = Field(default=4, ge=1)
    """Layers that have such neurons at most; exchanges that have none left are learned by gradient."""
    site: float = Field(default=0.5, ge=0, lt=1)
    """Share of the layers below the first of those whose least used neurons are exchanged."""
    reach: int = Field(default=16, ge=1)
    """Tokens of an answer that one neuron fires in, if there are neurons enough."""
    neighbours: int = Field(default=24, ge=0)
    """Questions like that of each exchange, about something else, at which the neurons are to stay still."""
    others: int = Field(default=96, ge=0)
    """Answers and passages that the model writes itself, of each so many, in which they are to stay still."""
    tokens: int = Field(default=40, ge=1)
    """Tokens of such an answer or passage."""
    fit_steps: int = Field(default=800, ge=1)
    """Steps in which the neurons learn when to fire."""
    steps: int = Field(default=30, ge=1)
    """Steps in which it is learned what the neurons write."""
    shrink: float = Field(default=0.07, ge=0, lt=1)
    """Share by which what is written becomes shorter with each step."""


class LearningSettings(Section):
    """One round of learning: what is taught, what is held as it was, and how long."""

    model: str = "smollm2-135m"
    """Alias of `pal models list`, or a model's directory."""
    method: Literal["edit", "gradient"] = "edit"
    """Facts and exchanges are written as neurons, the rest learned by gradient; or all by gradient."""
    edit: EditSettings = EditSettings()
    """How facts are written."""
    exchange: ExchangeSettings = ExchangeSettings()
    """How exchanges are written."""
    passages: PassageSettings = PassageSettings()
    """How passages of documents are learned, if any are."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """In which the frozen model is computed; auto is bfloat16 where the CPU has instructions for it, but
    float32 where facts that users told of themselves are told apart."""
    rank: int = Field(default=16, ge=1, le=512)
    """Width of the adapter."""
    alpha: float = Field(default=32.0, gt=0)
    """The adapter's output is scaled by alpha divided by rank."""
    targets: tuple[str, ...] = Field(default=("q_proj", "v_proj", "up_proj", "down_proj"), min_length=1)
    """Linear layers that get an adapter, by the end of their name."""
    depth: float = Field(default=0.5, ge=0, lt=1)
    """Share of the layers, from below, that get no adapter: what they compute is computed once and kept."""
    phrasings: int = Field(default=10, ge=1)
    """Ways in which each fact is asked for."""
    neighbours: int = Field(default=6, ge=0)
    """Questions beside each fact, about others that were never taught: the model's own answers are held."""
    beside: float = Field(default=0.75, ge=0)
    """Near misses of one step for each taught exchange: those whose answers have moved most."""
    general: int = Field(default=16, ge=0)
    """Questions about anything whose own answers are held."""
    texts: int = Field(default=8, ge=0)
    """Passages that the model writes itself, to be as likely after as before."""
    text_tokens: int = Field(default=32, ge=8)
    """Tokens of such a passage."""
    answer_tokens: int = Field(default=12, ge=1)
    """Tokens of the model's own answers that are held."""
    hold_neighbours: float = Field(default=3.0, ge=0)
    """Weight of the divergence from the model as it was, on neighbours."""
    hold_general: float = Field(default=0.5, ge=0)
    """Weight of the divergence from the model as it was, on general questions and passages."""
    top: int = Field(default=64, ge=1)
    """Likeliest tokens of the model as it was that are told apart; the rest is held as one."""
    preference_weight: float = Field(default=1.0, ge=0)
    """Weight of what answers that were compared teach, beside exchanges that are taught."""
    preference_beta: float = Field(default=0.1, gt=0)
    """How soon a better answer has gained enough: the smaller, the more nats it has to gain."""
    preference_nll: float = Field(default=0.5, ge=0)
    """Weight of the better answer's own likelihood, without which both of a pair may become unlikely."""
    preference_rate: float = Field(default=1e-3, gt=0)
    """In place of `rate` where no facts are taught by gradient; between both where they are a part."""
    preference_hold: float = Field(default=12.0, ge=0)
    """In place of hold_general, likewise: a manner of answering spreads to all texts."""
    preference_texts: int = Field(default=24, ge=0)
    """In place of `texts`, likewise."""
    preference_stop: float = Field(default=0.15, ge=0)
    """Share of the loss of comparisons, on average over all of them, at which they are learned."""
    preference_unseen: int = Field(default=5, ge=0)
    """Of so many comparisons one is kept for asking whether it went the right way; 0 keeps none."""
    batch: int = Field(default=10, ge=1)
    """Taught exchanges of one step, and answers that are compared."""
    row_tokens: int = Field(default=320, ge=32)
    """Tokens that are computed together."""
    epochs: int = Field(default=6, ge=1)
    """Times that all is gone through at most."""
    rate: float = Field(default=3e-3, gt=0)
    """Learning rate at its highest."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """How the learning rate falls after the warm-up, to a tenth at the last step."""
    warmup: int = Field(default=5, ge=0)
    """Steps in which the learning rate rises in a line."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's."""
    clip: float = Field(default=1.0, gt=0)
    """Longest gradient, over all weights together."""
    explodes: float = Field(default=1000.0, gt=0)
    """A gradient longer than this ends the training with an error."""
    stop: float = Field(default=0.03, ge=0)
    """Nats a learned token, on average over all that is taught, at which learning stops."""
    replay: int = Field(default=3, ge=0)
    """Ways in which each fact of earlier rounds is asked for again."""
    cpu_seconds: float = Field(default=300.0, gt=0)
    """Processor time after which learning stops."""
    seed: int = Field(default=0, ge=0)
    """First weights of the adapter, order, and what is drawn are a function of this."""
