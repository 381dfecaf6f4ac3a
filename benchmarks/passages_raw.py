"""The passages themselves as texts to learn, without questions: what made-up questions are compared with."""

from collections.abc import Callable, Sequence

from configs.learning import PassageSettings
from tune.examples import Example, Passage
from tune.incremental import Figures, Student
from tune.passages import held
from tune.reciting import settings_of
from tune.rows import Lesson

RATIO = 6
"""Tokens of a passage over those of a made-up question with its answer, about."""
BATCH = 4
"""Passages of one step."""

HELD = 4
"""Of what is held in a turn of made-up questions so much less, for it is gone through in every epoch."""
HEART = 0.05
"""Nats a token at which the passages are known by heart."""


class Reader(Student):
    """Learns all tokens of a text that stands alone."""

    def _lesson(self, example: Example) -> Lesson:
        if example.kind != "document":
            return super()._lesson(example)
        begin = self.tokenizer.specials.get("<|endoftext|>")
        ids = [
            *([begin] if begin is not None else []),
            *self.tokenizer.encode(example.messages[0]["content"]),
        ]
        learned = tuple(range(1, len(ids)))
        return Lesson(id=example.id, kind=example.kind, ids=tuple(ids), learned=learned, shared=False)


def read(
    student: Student,
    passages: Sequence[Passage],
    settings: PassageSettings,
    seed: int,
    number: int,
    told: Callable[[str], None],
) -> tuple[tuple[Example, ...], Figures]:
    """One turn: gone through until known by heart, or about as many tokens as a turn of made-up questions."""
    examples = tuple(
        Example(id=f"raw/{one.id}/0", kind="document", messages=({"role": "assistant", "content": one.text},))
        for one in passages
    )
    changes = {
        "epochs": max(1, settings.answers * settings.ways // RATIO),
        "batch": BATCH,
        "stop": HEART,
        "texts": settings.texts // HELD,
    }
    student.settings = settings_of(settings, seed, number).model_copy(update=changes)
    return examples, student.learn((*examples, *held(settings.held // HELD, seed, number)), told)
