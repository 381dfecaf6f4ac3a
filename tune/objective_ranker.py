"""Trial of the memory ranker: recall of evidence with parts of its features off. Learns nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from actors.memory.cues import CUES
from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.recollection import recollect
from actors.memory.training import Prepared, prepare
from actors.messages import InvalidRequest
from actors.models.encoder import load_encoder
from configs.load import load
from configs.objectives import RankerObjective
from tune.sources import conversations
from tune.trials import Item, Reporter
from tune.vectors import Vectorised

NEIGHBOURS = (
    *("window", "around", "cosine_window", "asked", "asked_words", "asked_cosine", "near_before"),
    *("near_after", "expansion_window"),
)
PARTS: Mapping[str, tuple[str, ...]] = {
    "neighbours": NEIGHBOURS,
    "speaker": ("speaker", "other"),
    "session": ("session", "session_cosine", "company"),
    "dates": ("dated", "when_time"),
    "wording": CUES,
}
"""Features that each part of the ranker is made of."""


def ranker(settings: RankerObjective, report: Reporter) -> None:
    """Every question of every conversation; those about the same session are a group."""
    if settings.examples is None:
        raise InvalidRequest("objective ranker needs base.examples, a file of conversations with questions")
    lessons = conversations(settings.examples)
    encoder = Vectorised(load_encoder(load().settings), settings.vectors) if settings.by_vector else None
    weights = weights_of(settings)
    items: list[Item] = []
    for number, lesson in enumerate(lessons, 1):
        sessions = {turn.id: turn.session for turn in lesson.turns}
        for place, one in enumerate(prepare([lesson], encoder.embed if encoder else None)):
            about = min(sessions[turn] for turn in one.evidence)
            share = recalled(one, weights, settings.limit)
            items.append(Item(f"{number}/{place}", f"{number}/{about}", share))
        report(number, {"recall": sum(one.value for one in items) / max(1, len(items))})
    if encoder is not None:
        encoder.save()
    report.items(items)


def weights_of(settings: RankerObjective) -> Ranker:
    """The shipped weights, with those of the parts that are off set to 0."""
    off = [feature for part, features in PARTS.items() if not getattr(settings, part) for feature in features]
    kept = SHIPPED if settings.second_round else first_alone()
    return without(kept, off)


def first_alone() -> Ranker:
    """The shipped weights, those of the second round being the first's."""
    return Ranker(SHIPPED.first, dict.fromkeys(SHIPPED.second, 0.0) | dict(SHIPPED.first))


def without(ranker: Ranker, features: Sequence[str]) -> Ranker:
    """Weights of which some are 0."""
    nothing = dict.fromkeys(features, 0.0)
    first, second = (
        {name: nothing.get(name, weight) for name, weight in weights.items()}
        for weights in (ranker.first, ranker.second)
    )
    return Ranker(first, second)


def wordless(one: Prepared) -> Prepared:
    """The same without any vector."""
    return replace(one, vector=None)


def recalled(one: Prepared, weights: Ranker, limit: int) -> float:
    """Share of a question's evidence among the first memories."""
    found = recollect(one.held, one.text, one.vector, limit, weights)
    ids = {one.held.turns[hit.row].id for hit in found}
    return len(ids & one.evidence) / len(one.evidence)
