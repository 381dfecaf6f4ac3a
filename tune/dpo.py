"""A model is trained on files of preferences, as a fine-tuning job asks for it. Knows no job."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.messages import InvalidRequest
from actors.recorder import Recorder
from actors.training.lessons import pairs_of
from configs.compression import TrackingSettings, read
from configs.explain import explain
from configs.learning import LearningSettings
from tune.examples import Preference
from tune.export import ADAPTER
from tune.teaching import general

Watch = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained on what."""

    model: str
    """Alias, or a directory."""
    learning: LearningSettings
    data: tuple[Path, ...]


def task(config: Path) -> Task:
    """The task of a YAML file with `model`, `learning` and `data`. Raises InvalidRequest."""
    tree: dict[str, Any] = read(config)
    named = tree.get("data")
    if not isinstance(named, list) or not all(isinstance(one, dict) and "path" in one for one in named):
        raise InvalidRequest("data must be a list of files, each with its path", "data")
    if not named:
        raise InvalidRequest("there is nothing to train on: name files under data", "data")
    data = tuple(Path(one["path"]) for one in named)
    if missing := [path for path in data if not path.is_file()]:
        raise InvalidRequest(f"there is no file {missing[0]}", "data")
    try:
        learning = LearningSettings.model_validate(tree.get("learning", {}))
    except ValidationError as error:
        problems = explain(error, LearningSettings, "configs/learning.py lists them")
        raise InvalidRequest(f"learning: {'; '.join(problems)}", "learning") from error
    return Task(str(tree.get("model", learning.model)), learning, data)


def train(task: Task, model: Path, out: Path, told: Callable[[str], None], watch: Watch) -> Path:
    """Write the adapter, and each step's figures; returns its directory. Raises InvalidRequest, PalError."""
    from tune.incremental import Student

    compared = [one for path in task.data for one in preferences(path)]
    student = Student(task.learning, model)
    recorder = Recorder(out, TrackingSettings())

    def record(figures: Mapping[str, float]) -> None:
        step = int(figures["step"])
        recorder.record(step, {name: value for name, value in figures.items() if name != "step"})
        watch(figures)

    try:
        examples = general(task.learning.general, task.learning.seed)
        figures = student.learn(examples, told, compared, record)
    finally:
        recorder.close()
    student.export(out / ADAPTER, (), None, figures)
    return out / ADAPTER


def preferences(path: Path) -> list[Preference]:
    """The pairs of a JSONL file in OpenAI's preference format. Raises InvalidRequest."""
    with path.open("rb") as lines:
        return [
            Preference(
                id=f"{path.name}/{number}",
                messages=one.messages,
                chosen=one.chosen,
                rejected=one.rejected,
                events=(),
            )
            for number, one in enumerate(pairs_of(path.name, lines))
        ]
