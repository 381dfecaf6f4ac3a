"""Measures adapters of one model on the same questions and texts: a scorecard. Judges nothing.

Shapes: T tokens of a text, V vocabulary.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy

from actors.engines.adapter import CONFIG, WEIGHTS
from actors.messages import ChatPrompt
from actors.models.manifest import NAME, file_sha256, name_and_hash
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer, end_ids
from tune import probing
from tune.answers import replies
from tune.changes import changes
from tune.exam import Exam, Question
from tune.grading import has_marks, is_right, leaked, loops
from tune.probing import Probe, Text
from tune.scorecard import Answered, Arm, Integrity, Read, Scorecard

Tensor = torch.Tensor
BASE = "base"
TIMED = 3
"""Times that each arm generates the same, in turns."""
TIMED_TOKENS = 12


class Evaluator:
    """One model in memory, and adapters that come and go. Used from one thread."""

    def __init__(self, base: Path, kept: Path | None = None) -> None:
        """Load the model; what the base answers is kept under `kept`, and not asked again."""
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.base = base
        self.tokenizer = ModelTokenizer(base)
        self.ends = frozenset(end_ids(base, self.tokenizer))
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            str(base), dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
        ).eval()
        self._answers: dict[tuple[str, str, int], list[int]] = {}
        self._nats: dict[tuple[str, str, str], float] = {}
        self._kept = kept / f"base-{(name_and_hash(base)[1] or base.name)[:12]}.json" if kept else None
        self._recall()

    def measure(self, candidate: Path, exam: Exam, replaced: Path | None = None) -> Scorecard:
        """A card of a candidate, of what it would replace (None: the base) and of the base.

        What the base and an adapter answered before is not asked again.
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
        folders = [candidate, *([replaced] if replaced else []), None]
        seconds = self._seconds(folders)
        arms = [self._arm(folder, exam, seconds[place]) for place, folder in enumerate(folders)]
        self._keep()
        return Scorecard(
            candidate=arms[0],
            replaced=arms[1] if replaced else None,
            base=arms[-1],
            integrity=integrity,
            earlier_rounds=exam.earlier_rounds,
            probes=probing.fingerprint(),
            figures={"cpu_seconds": time.process_time() - began},
        )

    def _recall(self) -> None:
        if self._kept is not None and self._kept.exists():
            held = json.loads(self._kept.read_text(encoding="utf-8"))
            self._answers |= {(BASE, text, longest): ids for text, longest, ids in held["answers"]}
            self._nats |= {(BASE, text, answer): nats for text, answer, nats in held["nats"]}

    def _keep(self) -> None:
        if self._kept is None:
            return
        held = {
            "answers": [[*key[1:], ids] for key, ids in self._answers.items() if key[0] == BASE],
            "nats": [[*key[1:], nats] for key, nats in self._nats.items() if key[0] == BASE],
        }
        draft = self._kept.with_suffix(".draft")
        draft.write_text(json.dumps(held), encoding="utf-8")
        draft.replace(self._kept)

    def _arm(self, folder: Path | None, exam: Exam, seconds: tuple[float, ...]) -> Arm:
        name = name_of(folder)
        with self._with(folder):
            self._answer(name, exam.asked)
            return Arm(
                name=name,
                answers=(
                    *(self._graded(name, one) for one in exam.questions),
                    *(self._probed(name, one) for one in exam.probes),
                ),
                reads=tuple(self._read(name, text) for text in exam.texts),
                seconds=seconds,
            )

    def _answer(self, name: str, asked: Iterable[tuple[str, int]]) -> None:
        """Answer what was not yet asked of this arm."""
        new = list(dict.fromkeys(key for key in asked if (name, *key) not in self._answers))
        for longest in sorted({length for _, length in new}):
            texts = [text for text, length in new if length == longest]
            prompts = [self.prompt(text) for text in texts]
            for text, answer in zip(texts, replies(self.model, prompts, self.ends, longest), strict=True):
                self._answers[name, text, longest] = answer

    def prompt(self, question: str) -> list[int]:
        """A question as the model is asked it."""
        return render_chat(self.tokenizer, ChatPrompt(messages=({"role": "user", "content": question},)))

    def _graded(self, name: str, question: Question) -> Answered:
        given, tokens, ended = self._given(name, question.asked, question.longest)
        told = leaked(given, question.forbidden, question.asked)
        right = is_right(given, question.expected) if question.expected else True
        return Answered(
            item=question.item,
            slice=question.slice,
            asked=question.asked,
            expected=question.expected,
            given=given,
            right=right and not told,
            group=question.group,
            leaked=told,
            tokens=tokens,
            ended=ended,
            looped=loops(given),
            stray=has_marks(given),
        )

    def _probed(self, name: str, probe: Probe) -> Answered:
        given, tokens, ended = self._given(name, probe.asked, probe.longest)
        nats = self._cost(name, probe.asked, probe.accepted[0]) if probe.slice == "canary" else None
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

    def _given(self, name: str, asked: str, longest: int) -> tuple[str, int, bool]:
        answer = self._answers[name, asked, longest]
        return self.tokenizer.backend.decode(answer), len(answer), len(answer) < longest

    def _cost(self, name: str, asked: str, text: str) -> float:
        """Nats of a text after a question, or where nothing is asked of all but its first token."""
        key = (name, asked, text)
        if key not in self._nats:
            ids = self.tokenizer.encode_plain(text)
            before = self.prompt(asked) if asked else [ids.pop(0)]
            with torch.inference_mode():
                out = self.model(torch.tensor([[*before, *ids]]), logits_to_keep=len(ids) + 1)
                logits = out.logits[0, :-1].float()
                self._nats[key] = float(cross_entropy(logits, torch.tensor(ids), reduction="sum"))
        return self._nats[key]

    def _read(self, name: str, text: Text) -> Read:
        tokens = len(self.tokenizer.encode_plain(text.text)) - 1
        return Read(text=text.id, kind=text.kind, nats=self._cost(name, "", text.text), tokens=tokens)

    def _seconds(self, folders: Sequence[Path | None]) -> list[tuple[float, ...]]:
        """Of the same piece of generating, in turns."""
        found: list[list[float]] = [[] for _ in folders]
        prompt = [self.prompt("Tell me a story.")]
        for _ in range(TIMED):
            for place, folder in enumerate(folders):
                with self._with(folder):
                    began = time.perf_counter()
                    replies(self.model, prompt, (), TIMED_TOKENS)
                    found[place].append(time.perf_counter() - began)
        return [tuple(one) for one in found]

    @contextmanager
    def _with(self, folder: Path | None) -> Iterator[None]:
        """The model with an adapter's changes in its weights, taken out again to the last bit."""
        kept: dict[str, Tensor] = {}
        if folder is not None:
            for name, change_O_I in changes(folder):
                weight = self.model.get_parameter(name)
                kept[name] = weight.detach().clone()
                with torch.no_grad():
                    weight += change_O_I
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    self.model.get_parameter(name).copy_(value)

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
                norms[layer] = max(norms.get(layer, 0.0), float(change_O_I.norm() / weight.detach().norm()))
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
