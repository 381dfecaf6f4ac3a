"""What a base model makes of the frozen probes, on disk, so that it is computed once. Knows no adapter.

Shapes: W width of the model.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tune.exam import Said
from tune.reading import Row

Tensor = torch.Tensor
Answers = dict[tuple[Said, int], list[int]]
Nats = dict[tuple[Said, str], float]


class Kept:
    """Files of one model in a folder, which may be gone at any time."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder, self._name = folder, f"base-{model}"

    def figures(self) -> tuple[Answers, Nats]:
        """Answers by question and longest length, nats by question and text."""
        path = self._folder / f"{self._name}.json"
        if not path.exists():
            return {}, {}
        held = json.loads(path.read_text(encoding="utf-8"))
        answers = {(text, longest): ids for text, longest, ids in held["answers"]}
        return answers, {(text, answer): nats for text, answer, nats in held["nats"]}

    def keep_figures(
        self, answers: Mapping[tuple[Said, int], list[int]], nats: Mapping[tuple[Said, str], float]
    ) -> None:
        """Write all of them."""
        held = {
            "answers": [[*key, ids] for key, ids in answers.items()],
            "nats": [[*key, cost] for key, cost in nats.items()],
        }
        draft = self._folder / f"{self._name}.draft"
        draft.write_text(json.dumps(held), encoding="utf-8")
        draft.replace(self._folder / f"{self._name}.json")

    def below(self, first: int) -> dict[Row, Tensor]:
        """What the layers below `first` make of rows, [T, W] each."""
        path = self._folder / f"{self._name}-{first}.safetensors"
        if not path.exists():
            return {}
        held = load_file(path)
        rows = held["ids"].split(held["lengths"].tolist())
        return {
            tuple(ids.tolist()): made
            for ids, made in zip(rows, held["made"].split(held["sizes"].tolist()), strict=True)
        }

    def keep_below(self, first: int, made: Mapping[Row, Tensor]) -> None:
        """Write all of them."""
        held = {
            "ids": torch.tensor([token for row in made for token in row], dtype=torch.int32),
            "lengths": torch.tensor([len(row) for row in made]),
            "made": torch.cat(list(made.values())),
            "sizes": torch.tensor([len(one) for one in made.values()]),
        }
        draft = self._folder / f"{self._name}-{first}.draft"
        save_file(held, draft)
        draft.replace(self._folder / f"{self._name}-{first}.safetensors")
