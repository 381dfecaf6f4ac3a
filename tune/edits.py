"""Writes facts into a model: neurons for what they are about, and what these make it say. Knows no round.

In one layer the least used neurons of the gated MLP are exchanged. What goes into a new one makes it fire
where its subject's name ends (or a user's own fact is asked for and stated: tune/keys.py) and nowhere else,
so that nothing changes of what is said of others; what comes out of it is learned so that the layers above
answer with the fact. Where knowledge of a subject sits: Meng et al., Locating and Editing Factual
Associations in GPT, 2022; a neuron for each correction: Huang et al.,
Transformer-Patcher, 2023. An adapter of as many ranks as there are neurons says the same exactly.

Shapes: T tokens of a row, W width of the model, S neurons, N learned places, P places, I neurons of a layer.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import silu

from actors.engines.adapter import WEIGHTS
from actors.engines.device import pick_dtype
from actors.messages import ChatPrompt, InvalidRequest
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer
from configs.learning import LearningSettings
from tune.addressed import addressed, of_the_user, questions
from tune.answers import shared_prefix
from tune.changes import changed, stack
from tune.examples import Example, Fact
from tune.export import sign
from tune.frozen import frozen, lesson_of, through
from tune.keys import Heard, Keys
from tune.matters import Matters
from tune.mentions import Mentions
from tune.neurons import ALWAYS, Neurons, fit
from tune.rows import Lesson, Row, row, rows, take_prefix
from tune.teaching import teach
from tune.writing import NOBODY, Seen, Writer

Tensor = torch.Tensor
PARTS = ("gate_proj", "up_proj", "down_proj")
TOGETHER = 512
"""Tokens that the layers below are run over at once."""
FIRM = 0.15
"""Less is hardly firing."""
ELSEWHERE = 3
"""Ways in which a fact is asked for that another layer has."""


def editable(fact: Fact) -> bool:
    """Whether questions show what a fact is about: by the name of its subject, or because its user asks."""
    named = fact.subject != fact.subject.casefold() and fact.subject.casefold() in fact.statement.casefold()
    return of_the_user(fact) or named


class Editor:
    """A model that facts are written into. Used from one thread."""

    def __init__(
        self, settings: LearningSettings, path: Path, below: Path | None = None, own: bool = False
    ) -> None:
        """Load the model, with an adapter taken as part of it.

        Users' `own` facts are written by settings of their own, and the layers below, by which what is heard
        is told apart, computed in float32 if the precision is open. Raises InvalidRequest where its layers
        have no gated MLP, or none is left.
        """
        self.settings = _for_users_own(settings) if own else settings
        self.path, self.below = path, below
        self.tokenizer = ModelTokenizer(path)
        torch.manual_seed(settings.seed)
        exactly = own and settings.precision == "auto"
        self.model = frozen(path, below, "float32" if exactly else settings.precision).eval()
        self.body, self.head = self.model.model, self.model.get_output_embeddings()
        self.layers = list(self.body.layers)
        self.site = self._free(changed(below) if below else ())
        self.above = pick_dtype(settings.precision, torch.device("cpu"))
        if exactly:
            self.head = copy.deepcopy(self.head)
            for part in (*self.layers[self.site + 1 :], self.body.norm, self.head):
                part.to(self.above)
        self.mlp = self.layers[self.site].mlp
        if not all(hasattr(self.mlp, part) for part in PARTS):
            raise InvalidRequest(
                "facts are written into gated MLPs: set method: gradient", code="no_gated_mlp"
            )
        self._inputs_T_W = torch.zeros(0)
        self._others: Sequence[Fact] = ()
        ways = [self._prompt(text) for text in ("Who?", "Where is it")]
        self._after = max(1, shared_prefix([one[::-1] for one in ways]) - 2)

    def learn(
        self,
        facts: Sequence[Fact],
        told: Callable[[str], None] = lambda _: None,
        held: int = 1,
        others: Sequence[Fact] = (),
    ) -> "Written":
        """Write all facts; the last `held` ways in which users ask for their own are kept for judging.

        At `others`, which another layer has, nothing is to fire. Raises PalError for a loss or a gradient
        that is not finite.
        """
        began = time.process_time()
        self._others = others
        with self._watching():
            placed = self._place(facts, held)
        prepared = time.process_time() - began
        told(f"{len(facts)} facts placed in {prepared:.0f} CPU-s")
        writer = Writer(self, placed.seen, placed.near, len(placed.neurons.gate_S_W), told)
        weights = self._difference(placed.neurons, writer.run(), placed.used_I)
        known = [one.nats for one in placed.seen if math.isfinite(one.nats)]
        spent = time.process_time() - began
        loss = sum(known) / len(known)
        return Written(self.settings, self.path, self.below, self.site, weights, loss, writer.steps, spent)

    def upper(self, part: Row, added_T_W: Tensor) -> Tensor:
        """Logits of a row's learned places when so much is added at the site, [N, V]."""
        lower = [self.prefix_hidden, *(one.hidden for one in part.lessons if one.hidden is not None)]
        hidden_T_W = (torch.cat(lower) + added_T_W).to(self.above)
        hidden = through(self.body, self.layers[self.site + 1 :], hidden_T_W[None], part)
        logits_N_V: Tensor = self.head(self.body.norm(hidden[0, part.writes_N]))
        return logits_N_V.float()

    def _free(self, taken: Sequence[str]) -> int:
        """The first layer from the site on whose neurons are not exchanged yet."""
        first = int(self.settings.edit.site * len(self.layers))
        for site in range(first, len(self.layers)):
            if not any(f"layers.{site}.mlp.gate_proj" in name for name in taken):
                return site
        raise InvalidRequest("no layer is left to write into: set a lower edit.site or exchange.site")

    def _place(self, facts: Sequence[Fact], held: int) -> "Placed":
        """Neurons that fire in the lessons and nowhere else."""
        edit, seed = self.settings.edit, self.settings.seed
        mentions = Mentions(self.tokenizer, [one for one in facts if not of_the_user(one)], seed)
        matters = Matters([one for one in facts if of_the_user(one)], held, seed)
        taught = [one for fact in facts for one in self._lessons_of(fact, matters)]
        untold = [Heard(self._exchange(*pair), own=True) for pair in matters.untold()]
        begun = [self._begun(text) for text in mentions.anything()] if matters.facts else []
        asked = [*self._asked(mentions, matters), *self._elsewhere(mentions, matters, held)]
        passages = [_plain(ids) for ids in mentions.general(edit.text_tokens)]
        passages += [_plain(self.tokenizer.encode(text)) for text in (*mentions.begun(), *matters.texts())]
        heard = [*taught, *untold, *asked]
        self.prefix = take_prefix([*(one.lesson for one in heard), *begun])
        with torch.no_grad():
            self.prefix_hidden = self._lower([], [])[0]
            before_T_W = self._inputs_T_W
            taught_T_W = self._lower([one.lesson for one in taught], self.prefix, keep=True)[1]
            untold_T_W = self._lower([one.lesson for one in untold], self.prefix, keep=True)[1]
            asked_T_W = self._lower([one.lesson for one in asked], self.prefix)[1]
            begun_T_W = self._lower(begun, self.prefix, keep=True)[1]
            general_T_W = self._lower(passages, [])[1]
        heard_T_W = [*taught_T_W, *untold_T_W, *asked_T_W]
        inputs_P_W = torch.cat([*heard_T_W, before_T_W, *general_T_W])
        keys = Keys(mentions, facts, self._after)
        places_P = keys.places(heard, len(inputs_P_W))
        weights_P = keys.weights(heard, len(inputs_P_W), sum(map(len, general_T_W)))
        if not matters.facts:
            weights_P[sum(map(len, heard_T_W)) :][: len(before_T_W)] = ALWAYS
        neurons = fit(inputs_P_W, places_P, weights_P, keys.count, edit, seed)
        self.prefix_fired = neurons.fire(before_T_W)
        numbers = {fact: number for number, fact in enumerate(facts)}
        seen = [
            Seen(one.lesson, numbers[one.fact], _firm(neurons.fire(inputs_T_W), one))
            for one, inputs_T_W in zip(taught, taught_T_W, strict=True)
            if one.fact is not None
        ]
        near = [
            Seen(_after_begun(one.lesson), NOBODY, neurons.fire(inputs_T_W))
            for one, inputs_T_W in zip(untold, untold_T_W, strict=True)
            if len(one.lesson.learned) > 1
        ]
        near += [
            Seen(one, NOBODY, neurons.fire(inputs_T_W))
            for one, inputs_T_W in zip(begun, begun_T_W, strict=True)
        ]
        return Placed(seen, near, neurons, self._used(inputs_P_W))

    def _asked(self, mentions: Mentions, matters: Matters) -> Iterator[Heard]:
        """What is heard beside the lessons: names, what users did not tell of themselves, and others."""
        edit = self.settings.edit
        for subject, text in mentions.named(edit.mentions):
            yield Heard(self._question(text), subject)
        for pair in (*mentions.strangers(edit.strangers), *mentions.known(), *matters.others()):
            yield Heard(self._exchange(*pair))
        for text in (*mentions.anything(), *matters.talk()):
            yield Heard(self._question(text))

    def _elsewhere(self, mentions: Mentions, matters: Matters, held: int) -> Iterator[Heard]:
        """What another layer answers; where both have facts of users' own, users ask of themselves in it."""
        for fact in self._others:
            own = of_the_user(fact)
            if own:
                found = addressed([fact], min(ELSEWHERE, max(1, len(questions(fact)) - held)))
            else:
                found = teach([fact], ELSEWHERE, self.settings.seed)
            for one in found:
                lesson = lesson_of(self.tokenizer, one)
                if not any(mentions.ends(lesson.ids, subject) for subject in mentions.subjects):
                    yield Heard(lesson, own=own and bool(matters.facts))

    def _lessons_of(self, fact: Fact, matters: Matters) -> list[Heard]:
        own = of_the_user(fact)
        settings = self.settings
        found = matters.lessons(fact) if own else teach([fact], settings.phrasings, settings.seed)
        subject = "" if own else fact.subject
        return [Heard(lesson_of(self.tokenizer, one), subject, own, fact) for one in found]

    def _prompt(self, text: str) -> list[int]:
        return render_chat(self.tokenizer, ChatPrompt(messages=({"role": "user", "content": text},)))

    def _question(self, text: str) -> Lesson:
        ids = self._prompt(text)
        return Lesson(id="", kind="general", ids=tuple(ids), learned=(len(ids) - 1,))

    def _begun(self, text: str) -> Lesson:
        """A question and the place of the first token of its answer, whichever that is."""
        ids = self._prompt(text)
        return Lesson(id="", kind="general", ids=(*ids, ids[-1]), learned=(len(ids),))

    def _exchange(self, question: str, answer: str) -> Lesson:
        if not answer:
            return self._question(question)
        messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
        return lesson_of(self.tokenizer, Example(id="", kind="unknown", messages=messages))

    def _lower(
        self, lessons: Sequence[Lesson], prefix: Sequence[int], keep: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """What the site passes on of the last row, and what goes into its MLP at each lesson's tokens."""
        found: list[Tensor] = []
        hidden_T_W = torch.zeros(0)
        for part in rows(lessons, prefix, TOGETHER) or [row([], self.prefix)]:
            embedded = self.body.embed_tokens(part.tokens_T[None])
            hidden_T_W = through(self.body, self.layers[: self.site + 1], embedded, part)[0].float()
            for lesson, start in zip(part.lessons, part.starts, strict=True):
                place = slice(start, start + lesson.size)
                found.append(self._inputs_T_W[place].clone())
                if keep:
                    lesson.hidden = hidden_T_W[place].clone()
        return hidden_T_W, found

    def _watching(self) -> Any:
        """Keeps what goes into the site's MLP, until the end of the block."""
        return _Watch(self.mlp, self._keep)

    def _keep(self, module: Any, given: tuple[Tensor, ...]) -> None:
        self._inputs_T_W = given[0][0].detach().float()

    def _used(self, inputs_P_W: Tensor) -> Tensor:
        """How much each neuron of the site adds to what it passes on, [I]."""
        some = inputs_P_W[:: max(1, len(inputs_P_W) // 3000)].to(self.model.dtype)
        with torch.no_grad():
            fired = silu(self.mlp.gate_proj(some)) * self.mlp.up_proj(some)
            down_W_I = self.mlp.down_proj.weight.float()
            used_I: Tensor = fired.float().square().mean(0).sqrt() * down_W_I.norm(dim=0)
            return used_I

    def _difference(self, neurons: Neurons, values_S_W: Tensor, used_I: Tensor) -> dict[str, Tensor]:
        """The new neurons less those that were the least used, as an adapter's two factors.

        Both sides of a neuron are made as long as each other, so that no matrix changes more than it must.
        """
        count = len(values_S_W)
        places = used_I.topk(count, largest=False).indices
        one_hot_S_I = torch.zeros(count, len(used_I))
        one_hot_S_I[range(count), places] = 1.0
        gate, up, down = (getattr(self.mlp, part).weight.float() for part in PARTS)
        share = (values_S_W.norm(dim=1) / neurons.up_S_W.norm(dim=1).clamp(min=1e-6)).clamp(min=1.0).sqrt()
        up_S_W, values_S_W = neurons.up_S_W * share[:, None], values_S_W / share[:, None]
        name = f"base_model.model.model.layers.{self.site}.mlp."
        return {
            f"{name}gate_proj.lora_A.weight": neurons.gate_S_W - gate[places],
            f"{name}gate_proj.lora_B.weight": one_hot_S_I.T.clone(),
            f"{name}up_proj.lora_A.weight": up_S_W - up[places],
            f"{name}up_proj.lora_B.weight": one_hot_S_I.T.clone(),
            f"{name}down_proj.lora_A.weight": one_hot_S_I.clone(),
            f"{name}down_proj.lora_B.weight": (values_S_W.T - down[:, places]).contiguous(),
        }


@dataclass(frozen=True, slots=True)
class Placed:
    """Lessons as the layers below see them, near misses, what fires in them, how much old neurons add."""

    seen: list[Seen]
    near: list[Seen]
    neurons: Neurons
    used_I: Tensor


@dataclass(frozen=True, slots=True)
class Written:
    """Facts in an adapter's weights, and what that came to."""

    settings: LearningSettings
    path: Path
    below: Path | None
    """An adapter that was taken as part of the model."""
    site: int
    weights: dict[str, Tensor]
    loss: float
    steps: int
    cpu_seconds: float

    def export(self, folder: Path, events: Sequence[str], parent: str | None = None) -> None:
        """Write the adapter as PEFT lays it out, with what was below it and a manifest; `folder` is empty."""
        from peft import LoraConfig

        rank = len(next(iter(self.weights.values())))
        config = LoraConfig(
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            target_modules=list(PARTS),
            layers_to_transform=[self.site],
            layers_pattern="layers",
            task_type="CAUSAL_LM",
            inference_mode=True,
        )
        folder.mkdir(parents=True, exist_ok=True)
        config.save_pretrained(str(folder))
        save_file({name: value.contiguous() for name, value in self.weights.items()}, folder / WEIGHTS)
        if self.below is not None:
            stack(self.below, folder)
        scores = {"loss": self.loss, "steps": self.steps, "cpu_seconds": self.cpu_seconds}
        more = {"settings": self.settings.model_dump(mode="json")}
        sign(folder, self.path, "edits", events=events, parent=parent, scores=scores, more=more)


class _Watch:
    """A hook for the length of a block."""

    def __init__(self, module: Any, told: Callable[..., None]) -> None:
        self._module, self._told = module, told

    def __enter__(self) -> None:
        self._handle = self._module.register_forward_pre_hook(self._told)

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


def _for_users_own(settings: LearningSettings) -> LearningSettings:
    edit = settings.edit
    own = {name: getattr(edit, f"own_{name}") for name in ("fit_steps", "steps", "shrink", "last")}
    edit = edit.model_copy(update={**own, "fit_together": 0.0, "fit_steady": 0.0})
    return settings.model_copy(update={"edit": edit})


def _after_begun(lesson: Lesson) -> Lesson:
    """Without the first token that is learned, which is begun as users' own answers are."""
    return replace(lesson, learned=lesson.learned[1:])


def _firm(fired_T_S: Tensor, heard: Heard) -> Tensor:
    """What is learned where a user asks of themselves is not to hang on neurons that hardly fire."""
    return fired_T_S * (fired_T_S.abs() > FIRM) if heard.own else fired_T_S


def _plain(ids: Sequence[int]) -> Lesson:
    return Lesson(id="", kind="text", ids=tuple(ids), learned=(len(ids) - 1,), shared=False)
