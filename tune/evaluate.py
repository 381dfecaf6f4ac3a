"""Measures adapters of one model on the same questions and texts: a scorecard. Judges nothing.

Shapes: I inputs, O outputs of a linear layer.
"""

import copy
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from actors.engines.adapter import CONFIG, WEIGHTS
from actors.engines.device import pick_dtype
from actors.messages import ChatPrompt
from actors.models.manifest import NAME, file_sha256, name_and_hash
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer, end_ids
from tune import probing
from tune.answers import Asked, Writer, replies, shared_prefix
from tune.changes import changed, changes, factors
from tune.exam import Exam, Question, Said
from tune.grading import has_marks, is_right, leaked, loops
from tune.growing import group_heads
from tune.kept import Answers, Kept, Nats
from tune.probing import Probe, Text
from tune.reading import Below, Reader, Span, first_changed
from tune.scorecard import ALONE, Answered, Arm, Integrity, Read, Scorecard

Tensor = torch.Tensor
BASE = "base"
TIMED = 3
"""Times that each arm generates the same, in turns."""
TIMED_TOKENS = 4


class Evaluator:
    """One model in memory, and adapters that come and go. Used from one thread."""

    def __init__(self, base: Path, kept: Path | None = None, precision: str = "auto") -> None:
        """Load the model; what the base makes of frozen probes is kept under `kept`.

        `precision` is as in the settings of learning; logits are float32 whatever it is.
        """
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.base = base
        self.tokenizer = ModelTokenizer(base)
        self.ends = frozenset(end_ids(base, self.tokenizer))
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            str(base), dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
        ).eval()
        dtype = pick_dtype(precision, torch.device("cpu"))
        if dtype != torch.float32:
            _lower_precision(self.model, dtype)
        group_heads(self.model)
        prompts = [self.prompt(text) for text in ("Who?", "When?")]
        self._prefix = prompts[0][: shared_prefix(prompts)]
        self._below = Below(0)
        self._answers: defaultdict[str, Answers] = defaultdict(dict)
        self._nats: defaultdict[str, Nats] = defaultdict(dict)
        known_as = f"{(name_and_hash(base)[1] or base.name)[:12]}-{str(dtype).removeprefix('torch.')}"
        self._kept = Kept(kept, known_as) if kept else None
        if self._kept:
            self._answers[BASE], self._nats[BASE] = self._kept.figures()

    def measure(
        self, candidate: Path, exam: Exam, replaced: Path | None = None, *, timed: bool = True
    ) -> Scorecard:
        """A card of a candidate, of what it would replace (None: the base) and of the base.

        What the base and an adapter answered before is not asked again. How fast they generate is looked at
        where it is `timed`.
        """
        began = time.process_time()
        integrity = self.integrity(candidate)
        if integrity.problems or not integrity.finite:
            nothing = Arm(name=candidate.name)
            return Scorecard(
                candidate=nothing,
                base=Arm(name=BASE),
                integrity=integrity,
                earlier_rounds=exam.earlier_rounds,
                unmeasured=(*exam.slices, "reads", "seconds"),
                probes=probing.fingerprint(),
            )
        folders = [None, *([replaced] if replaced else []), candidate]
        self._look_below(first_changed(name for folder in folders if folder for name in changed(folder)))
        seconds = self._seconds(folders) if timed else [()] * len(folders)
        arms = [self._arm(*one, exam) for one in zip(folders, seconds, strict=True)]
        self._keep()
        return Scorecard(
            candidate=arms[-1],
            replaced=arms[1] if replaced else None,
            base=arms[0],
            integrity=integrity,
            earlier_rounds=exam.earlier_rounds,
            unmeasured=() if timed else ("seconds",),
            probes=probing.fingerprint(),
            figures={"cpu_seconds": time.process_time() - began},
        )

    def _look_below(self, first: int) -> None:
        """What the layers below `first` make of rows serves all arms, and all candidates like these."""
        if self._below.first != first:
            self._below = Below(first, self._kept.below(first) if self._kept else {})

    def _keep(self) -> None:
        """What the base makes of what every candidate is asked; of nothing else, which is somebody's."""
        if self._kept is None:
            return
        frozen = {one.asked for one in probing.frozen()} | {""}
        answers = {key: ids for key, ids in self._answers[BASE].items() if key[0] in frozen}
        weighed = {(one.asked, one.accepted[0]) for one in probing.canaries()}
        weighed |= {("", one.text) for one in probing.texts()}
        nats: Nats = {key: cost for key, cost in self._nats[BASE].items() if key in weighed}
        self._kept.keep_figures(answers, nats)
        rows = [(*self.prompt(text), *ids) for (text, _), ids in answers.items()]
        rows += [self._span(*key).ids for key in nats]
        made = {row: self._below.made[row] for row in dict.fromkeys(rows) if row in self._below.made}
        if made:
            self._kept.keep_below(self._below.first, made)

    def _arm(self, folder: Path | None, seconds: tuple[float, ...], exam: Exam) -> Arm:
        name = name_of(folder)
        questions = [one for one in exam.questions if folder or one.slice not in ALONE]
        secrets = [(one.asked, one.accepted[0]) for one in exam.probes if one.slice == "canary"]
        weighed = [(one.said, one.expected[0]) for one in questions if one.slice == "upheld"]
        with self._with(folder):
            reader = Reader(self.model, self._prefix, self._below)
            asked = [(one.said, one.longest) for one in questions]
            self._answer(name, reader, [*asked, *((one.asked, one.longest) for one in exam.probes)])
            self._weigh(name, reader, [*secrets, *weighed, *(("", text.text) for text in exam.texts)])
        return Arm(
            name=name,
            answers=(
                *(self._graded(name, one) for one in questions),
                *(self._probed(name, one) for one in exam.probes),
            ),
            reads=tuple(self._read(name, text) for text in exam.texts),
            seconds=seconds,
        )

    def _answer(self, name: str, reader: Reader, asked: Iterable[tuple[Said, int]]) -> None:
        """Answer what was not yet asked of this arm; many answers are, or begin as, those of the base."""
        known, base = self._answers[name], self._answers[BASE]
        new = [key for key in dict.fromkeys(asked) if key not in known]
        prompts = [
            Asked(tuple(self.prompt(text)), longest, tuple(base.get((text, longest), ())))
            for text, longest in new
        ]
        written = Writer(self.model, reader, self.ends).write(prompts)
        known.update(zip(new, written, strict=True))

    def _weigh(self, name: str, reader: Reader, told: Iterable[tuple[Said, str]]) -> None:
        """Nats of texts after questions, as far as they are not known of this arm."""
        new = [key for key in dict.fromkeys(told) if key not in self._nats[name]]
        spans = [self._span(*key) for key in new]
        self._nats[name] |= dict(zip(new, reader.nats(spans), strict=True))

    def _span(self, asked: Said, text: str) -> Span:
        """A text after a question; where nothing is asked, all but its first token is foretold."""
        ids = self.tokenizer.encode_plain(text)
        before = self.prompt(asked) if asked else [ids.pop(0)]
        return Span((*before, *ids), len(before))

    def prompt(self, said: Said) -> list[int]:
        """A question, or a conversation that ends with one, as the model is asked it."""
        turns = (("user", said),) if isinstance(said, str) else said
        messages = tuple({"role": role, "content": text} for role, text in turns)
        return render_chat(self.tokenizer, ChatPrompt(messages=messages))

    def _graded(self, name: str, question: Question) -> Answered:
        given, tokens, ended = self._given(name, question.said, question.longest)
        told = leaked(given, question.forbidden, question.asked)
        right = is_right(given, question.expected) if question.expected else True
        upheld = question.slice == "upheld"
        return Answered(
            item=question.item,
            slice=question.slice,
            asked=question.asked,
            expected=question.expected,
            given=given,
            right=right and not told,
            group=question.group,
            leaked=told,
            nats=self._nats[name][question.said, question.expected[0]] if upheld else None,
            tokens=tokens,
            ended=ended,
            looped=loops(given),
            stray=has_marks(given),
        )

    def _probed(self, name: str, probe: Probe) -> Answered:
        given, tokens, ended = self._given(name, probe.asked, probe.longest)
        nats = self._nats[name][probe.asked, probe.accepted[0]] if probe.slice == "canary" else None
        return Answered(
            item=probe.id,
            slice=probe.slice,
            asked=probe.asked,
            expected=probe.accepted,
            given=given,
            right=probe.right(given),
            group=probe.group,
            leaked=probe.leaked(given),
            twin=probe.twin,
            nats=nats,
            tokens=tokens,
            ended=ended,
            looped=loops(given),
            stray=has_marks(given),
        )

    def _given(self, name: str, asked: Said, longest: int) -> tuple[str, int, bool]:
        answer = self._answers[name][asked, longest]
        return self.tokenizer.backend.decode(answer), len(answer), len(answer) < longest

    def _read(self, name: str, text: Text) -> Read:
        tokens = len(self.tokenizer.encode_plain(text.text)) - 1
        return Read(text=text.id, kind=text.kind, nats=self._nats[name]["", text.text], tokens=tokens)

    def _seconds(self, folders: Sequence[Path | None]) -> list[tuple[float, ...]]:
        """Of the same piece of generating, in turns, by the last two: a candidate, what it replaces."""
        found: list[list[float]] = [[] for _ in folders]
        prompt = [self.prompt("Tell me a story.")]
        for _ in range(TIMED):
            for place in range(len(folders) - 2, len(folders)):
                with self._with(folders[place]):
                    began = time.perf_counter()
                    replies(self.model, prompt, (), TIMED_TOKENS)
                    found[place].append(time.perf_counter() - began)
        return [tuple(one) for one in found]

    @contextmanager
    def _with(self, folder: Path | None) -> Iterator[None]:
        """The model with an adapter beside its weights, which stay as they are."""
        hooks = []
        for name, down_R_I, up_O_R in factors(folder) if folder else ():
            layer = self.model.get_submodule(name.removesuffix(".weight"))
            dtype = layer.weight.dtype
            hooks.append(layer.register_forward_hook(partial(_add, down_R_I.to(dtype), up_O_R.to(dtype))))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def integrity(self, folder: Path) -> Integrity:
        """What the files of an adapter say, beside what they are."""
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
        problems: list[str] = []
        norms: dict[str, float] = {}
        finite = True
        try:
            for name, change_O_I in changes(folder):
                weight = self.model.get_parameter(name)
                finite = finite and bool(change_O_I.isfinite().all())
                layer = ".".join(name.split(".")[:3])
                share = float(change_O_I.norm() / weight.detach().float().norm())
                norms[layer] = max(norms.get(layer, 0.0), share)
        except (AttributeError, KeyError, RuntimeError, SafetensorError) as error:
            problems.append(f"the adapter does not fit the model: {error}")
        return Integrity(
            base_expected=name_and_hash(self.base)[1] or "",
            base_found=manifest.get("base_model_hash") or "",
            files_expected=manifest.get("files", {}),
            files_found={name: file_sha256(folder / name) for name in (CONFIG, WEIGHTS)},
            finite=finite,
            norms=norms,
            problems=tuple(problems),
        )


def name_of(folder: Path | None) -> str:
    """What an arm is called: its directory's name, or base."""
    return folder.name if folder else BASE


def _lower_precision(model: Any, dtype: torch.dtype) -> None:
    """All but the output layer, which is given what is below it in float32."""
    head = copy.deepcopy(model.get_output_embeddings())
    model.to(dtype)
    model.set_output_embeddings(head)
    head.register_forward_pre_hook(lambda _, given: (given[0].float(),))


def _add(down_R_I: Tensor, up_O_R: Tensor, _: Any, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
    return out + (given[0] @ down_R_I.T) @ up_O_R.T
