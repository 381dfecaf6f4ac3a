"""Passages of documents learned by gradient, turn by turn, each with questions made anew. Knows no round."""

from collections.abc import Callable, Sequence
from pathlib import Path

from configs.learning import LearningSettings, PassageSettings
from tune.examples import Example, Passage
from tune.incremental import Figures, Student
from tune.passages import held, lessons


def settings_of(settings: PassageSettings, seed: int, turn: int) -> LearningSettings:
    """How one turn learns: the last half of them ever more slowly."""
    left = min(1.0, 2 * (settings.turns - turn) / (settings.turns + 1))
    return LearningSettings(
        rank=settings.rank,
        alpha=2.0 * settings.rank,
        targets=settings.targets,
        depth=settings.depth,
        texts=settings.texts,
        hold_general=settings.hold,
        batch=settings.batch,
        row_tokens=settings.row_tokens,
        epochs=1,
        rate=settings.rate * left,
        schedule="constant",
        stop=0.0,
        cpu_seconds=settings.cpu_seconds,
        seed=seed * 1000 + turn,
    )


def turn(
    student: Student,
    passages: Sequence[Passage],
    settings: PassageSettings,
    seed: int,
    number: int,
    told: Callable[[str], None] = lambda _: None,
    never: Sequence[str] = (),
) -> tuple[tuple[Example, ...], Figures]:
    """What a student is asked in one turn, and what it came to. None of the questions `never` is asked."""
    examples = lessons(passages, settings.answers, settings.ways, seed, number, never)
    student.settings = settings_of(settings, seed, number)
    return examples, student.learn((*examples, *held(settings.held, seed, number)), told)


def learn(
    passages: Sequence[Passage],
    settings: LearningSettings,
    model: Path,
    below: Path | None,
    told: Callable[[str], None],
    never: Sequence[str] = (),
) -> tuple[Student, Figures]:
    """All turns, on a model that has the adapter `below`: who learned, and what it came to."""
    given, seed = settings.passages, settings.seed
    first = settings_of(given, seed, 0).model_copy(update={"precision": settings.precision})
    student = Student(first, model, below=below)
    whole = Figures()
    for number in range(given.turns):
        _, found = turn(student, passages, given, seed, number, told, never)
        found.steps, found.cpu_seconds = found.steps + whole.steps, found.cpu_seconds + whole.cpu_seconds
        whole = found
    return student, whole
