"""Learns which of the memories found are on the matter of a question: generated users ask a real keeper.

`python -m benchmarks.matter_fit` writes the weights with a manifest of their data, and prints how often what
is then put first is right on slots held out of a fit. No template of the memory suite is read.
"""

import asyncio
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import typer
import yaml

from actors.keeper import Keeper
from actors.memory import doubt
from actors.memory.aspects import worded
from actors.memory.matter import FIRST, SECOND, WEIGHTS, Told, first_features, links_of
from actors.memory.records import NewMemory
from actors.memory.vectors import Vectors
from actors.models.encoder import load_encoder
from benchmarks.memory_suite_users import Person, Query, Templates, people
from configs.load import load as load_settings
from configs.schema import DocumentSettings, MemorySettings
from tune.vectors import Vectorised

TEMPLATES = Path(__file__).with_name("matters.yaml")
SEEDS = (11, 12, 13)
USERS = 64
"""Of each seed."""
HELD_OUT = 5
"""One slot in so many is held out of the fit whose figures are printed."""
WIDTH = 16
"""Hidden units."""
STEPS = 700
BATCH = 128
RATE = 0.01
LISTED = 0.3
"""Share of the loss that is about what is put first rather than about each memory."""
_LINKS = ("alike", "shared", "named", "slot", "topic")
_FLAGS = ("near", "denied", "settled", "elsewhere")
app = typer.Typer(add_completion=False)
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question, what was found for it, which of these are on its matter and which of them are right."""

    slot: str
    question: str
    told: Sequence[Told]
    vectors: Vectors
    matter: Sequence[bool]
    right: Sequence[bool]


@app.command()
def main(
    vectors: Annotated[Path | None, typer.Option(help="Keeps computed vectors between runs.")] = None,
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = WEIGHTS,
) -> None:
    """Generate the data, fit, print held-out figures, write weights and manifest."""
    encoder = Vectorised(load_encoder(load_settings().settings), vectors)
    group = yaml.safe_load(TEMPLATES.read_text())
    lessons = [lesson for seed in SEEDS for lesson in asyncio.run(asked(group, seed, encoder))]
    encoder.save()
    slots = sorted({lesson.slot for lesson in lessons})
    apart = set(slots[::HELD_OUT])
    rest = fitted([lesson for lesson in lessons if lesson.slot not in apart])
    shown = tensors([lesson for lesson in lessons if lesson.slot in apart])
    manifest = described(lessons) | {"right_first_on_slots_held_out": right_first(rest, shown)}
    write(fitted(lessons), out)
    out.with_suffix(".manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    typer.echo(json.dumps(manifest, indent=1))


async def asked(group: Mapping[str, Any], seed: int, encoder: Vectorised) -> list[Lesson]:
    """Tell a keeper what the users of a seed say, and ask it all that is asked of them."""
    templates = Templates(group, group, seed)
    found = []
    with tempfile.TemporaryDirectory() as name:
        keeper = Keeper(Path(name), DocumentSettings(), memory=MemorySettings())
        await keeper.start()
        for person in people(templates, USERS, time.time()):
            for place in range(len(person.said)):
                await _write(keeper, person, place, encoder)
            for query in person.queries:
                if query.kind not in ("expired", "several"):
                    found += await _lesson(keeper, person, query, encoder)
        await keeper.close()
    return found


async def _write(keeper: Keeper, person: Person, place: int, encoder: Vectorised) -> None:
    said = person.said[place]
    memory = NewMemory(text=said.text, said_at=said.at)
    vectors = encoder.embed([said.text])
    await keeper.remember(person.name, f"{person.name}-{place}", [memory], vectors, session="matters")


async def _lesson(keeper: Keeper, person: Person, query: Query, encoder: Vectorised) -> list[Lesson]:
    """What a search has before it puts the newest first; nothing where it leaves the order alone."""
    seen: list[tuple[Sequence[Told], Vectors]] = []

    def record(_: str, told: Sequence[Told], vectors: Vectors) -> list[int]:
        seen.append((told[: doubt.MOST], vectors[: doubt.MOST]))
        return []

    (vector,) = encoder.embed([query.text])
    with mock.patch.object(doubt, "newest_first", record):
        await keeper.search_memories(person.name, query.text, vector, as_of=query.as_of)
    answers = {person.said[place].text for place in query.right}
    slot = person.said[next(iter(query.right))].slot
    matter = {said.text for said in person.said if said.slot == slot}
    newest = max(person.said[place].at for place in query.right)
    return [
        Lesson(
            slot,
            query.text,
            told,
            vectors,
            [one.text in matter for one in told],
            [one.text in answers and one.at <= newest for one in told],
        )
        for told, vectors in seen
        if len(told) > 1
    ]


def tensors(lessons: Sequence[Lesson]) -> Tensors:
    """All lessons as arrays, newest first, padded to doubt.MOST memories."""
    most = doubt.MOST
    shapes = {
        "first": (most, len(FIRST)),
        **dict.fromkeys(_LINKS, (most, most)),
        **dict.fromkeys((*_FLAGS, "matter", "right", "there"), (most,)),
    }
    found = {name: np.zeros((len(lessons), *shape), np.float32) for name, shape in shapes.items()}
    for at, lesson in enumerate(lessons):
        for name, values in _arrays(lesson):
            if name in _LINKS:
                found[name][at, : len(values), : len(values)] = values
            else:
                found[name][at, : len(values)] = values
    return {name: torch.tensor(values) for name, values in found.items()}


def _arrays(lesson: Lesson) -> Iterator[tuple[str, Any]]:
    order = sorted(range(len(lesson.told)), key=lambda at: (-lesson.told[at].at, at))
    told = [lesson.told[at] for at in order]
    asked, said = worded(lesson.question, question=True), [worded(one.text) for one in told]
    links = links_of(asked, told, said, lesson.vectors[order])
    yield "first", first_features(lesson.question, asked, told, said)
    for name in (*_LINKS, *_FLAGS):
        yield name, getattr(links, name)
    yield "matter", np.array([lesson.matter[at] for at in order], np.float32)
    yield "right", np.array([lesson.right[at] for at in order], np.float32)
    yield "there", np.ones(len(told), np.float32)


class _Round(torch.nn.Module):
    """`matter.Layer`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden, self.out = torch.nn.Linear(size, WIDTH), torch.nn.Linear(WIDTH, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape (lessons, memories)."""
        odds: torch.Tensor = self.out(torch.relu(self.hidden(features)))
        return odds.squeeze(-1)


class Net(torch.nn.Module):
    """The two rounds of `matter.likely`."""

    def __init__(self, mean: torch.Tensor, spread: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread
        self.first, self.second = _Round(len(FIRST)), _Round(len(FIRST) + len(SECOND))

    def forward(self, data: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-odds of both rounds, shape (lessons, memories)."""
        scaled = (data["first"] - self.mean) / self.spread
        first = self.first(scaled)
        both = torch.cat([scaled, second_round(first, data)], dim=-1)
        return first, self.second(both)


def second_round(odds: torch.Tensor, data: Tensors) -> torch.Tensor:
    """`matter.second_features` of many questions."""
    chance = torch.sigmoid(odds) * data["there"]
    count = odds.shape[1]
    others = chance[:, None, :] * (1 - torch.eye(count))
    there = data["there"][:, None, :]
    alike, shared = (others * data["alike"]).amax(-1), (others * data["shared"]).amax(-1)
    columns = (
        torch.clamp(odds, -8, 8) / 4,
        others.amax(-1),
        alike,
        (others * (data["alike"] - data["near"][..., None])).amax(-1),
        shared,
        (others * data["named"]).amax(-1),
        (others * data["slot"]).amax(-1),
        torch.clamp(others.sum(-1), max=4) / 4,
        (others * data["named"] * data["alike"]).amax(-1) * data["denied"],
        (others * data["topic"]).amax(-1),
        alike - (data["alike"] * there).amax(-1),
        shared - (data["shared"] * there).amax(-1),
        ((1 - chance)[:, None, :] * data["alike"] * there).amax(-1),
        data["settled"],
        data["settled"] * data["elsewhere"],
    )
    return torch.stack(columns, dim=-1)


def fitted(lessons: Sequence[Lesson]) -> Net:
    """Learn from lessons: each memory's matter, and that the newest on it is right."""
    torch.manual_seed(SEEDS[0])
    data = tensors(lessons)
    known = data["first"][data["there"] > 0]
    net = Net(known.mean(0), known.std(0) + 1e-2)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(0, len(lessons), (BATCH,))
        loss = _loss(net, {name: values[batch] for name, values in data.items()})
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return net


def _loss(net: Net, data: Tensors) -> torch.Tensor:
    first, second = net(data)
    cost = torch.nn.functional.binary_cross_entropy_with_logits
    each = cost(second, data["matter"], reduction="none") + 0.5 * cost(
        first, data["matter"], reduction="none"
    )
    put_first = (newest(second, data) * data["right"]).sum(1)
    answered = data["right"].sum(1) > 0
    listed = -torch.log(put_first + 1e-3)[answered].mean()
    return (each * data["there"]).sum(1).mean() * (1 - LISTED) + 3 * LISTED * listed


def newest(odds: torch.Tensor, data: Tensors) -> torch.Tensor:
    """How likely each is to be the newest on the matter."""
    chance = torch.clamp(torch.sigmoid(odds) * data["there"], 1e-5, 1 - 1e-5)
    none_newer = torch.cumprod(torch.cat([torch.ones(len(chance), 1), 1 - chance[:, :-1]], dim=1), dim=1)
    return chance * none_newer


def right_first(net: Net, data: Tensors) -> float:
    """How often what would be put first is right."""
    with torch.no_grad():
        best = newest(net(data)[1], data).argmax(1)
    return round(float(data["right"][torch.arange(len(best)), best].mean()), 4)


def write(net: Net, path: Path) -> None:
    """As `matter.read` reads them."""
    layers = {
        name: {
            "hidden": _rounded(layer.hidden.weight.T),
            "bias": _rounded(layer.hidden.bias),
            "out": _rounded(torch.cat([layer.out.weight[0], layer.out.bias])),
        }
        for name, layer in (("first", net.first), ("second", net.second))
    }
    weights = {"mean": _rounded(net.mean), "spread": _rounded(net.spread), **layers}
    path.write_text(json.dumps(weights) + "\n")


def _rounded(values: torch.Tensor) -> Any:
    return np.round(values.detach().numpy().astype(float), 4).tolist()


def described(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """The data, for the manifest."""
    return {
        "what": "users generated from benchmarks/matters.yaml by benchmarks/memory_suite_users.py",
        "licence": "the project's own",
        "seeds": list(SEEDS),
        "users": USERS * len(SEEDS),
        "questions": len(lessons),
        "slots": len({lesson.slot for lesson in lessons}),
        "templates_sha256": hashlib.sha256(TEMPLATES.read_bytes()).hexdigest(),
        "never_used": "templates of the memory suite: no weight is fitted on them; misses of its groups "
        "spoken-1 and spoken-2 were looked at while features and the thesaurus were chosen, after all groups "
        "were written; totals of the blind groups were looked at three times",
    }


if __name__ == "__main__":
    app()
