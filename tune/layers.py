"""Which layer each fact is written into, and layers upon layers in one adapter. Knows no exchange.

Many neurons in one layer change it by more than the gate lets through; where there are more, they are spread.
Users' own facts have layers of their own: what they are told apart by is learned with other weights.
"""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from configs.learning import LearningSettings
from tune.addressed import of_the_user
from tune.edits import Editor, Written, editable
from tune.examples import Fact


def layered(facts: Sequence[Fact], settings: LearningSettings) -> list[list[Fact]]:
    """Facts by the layer that they are written into; those that find no room are left out."""
    edit = settings.edit
    named: dict[str, list[Fact]] = {}
    for fact in filter(editable, facts):
        if not of_the_user(fact):
            named.setdefault(fact.subject.casefold(), []).append(fact)
    own = _spread([[fact] for fact in facts if of_the_user(fact)], edit.own_most, edit.layers)
    return [*own, *_spread(list(named.values()), edit.most, edit.layers - len(own))]


def write(
    groups: Sequence[Sequence[Fact]],
    settings: LearningSettings,
    path: Path,
    folder: Path,
    events: Sequence[str],
    told: Callable[[str], None],
    held: int = 1,
) -> list[Written]:
    """Write each group into a layer of its own; the whole is left in `folder`. As for Editor.learn."""

    def of(group: Sequence[Fact], below: Path | None) -> Written:
        others = [fact for other in groups if other is not group for fact in other]
        editor = Editor(settings, path, below, own=any(map(of_the_user, group)))
        return editor.learn(group, told, held, others)

    return stacked([partial(of, group) for group in groups], None, folder, events)


def stacked(
    writes: Sequence[Callable[[Path | None], Written]],
    below: Path | None,
    folder: Path,
    events: Sequence[str],
) -> list[Written]:
    """Each is given the adapter that the ones before it left, all of which is in what it leaves itself."""
    found = []
    for number, write_on in enumerate(writes, start=1):
        found.append(write_on(below))
        below = folder if number == len(writes) else folder.with_name(f"{folder.name}-{number}")
        shutil.rmtree(below, ignore_errors=True)
        found[-1].export(below, events)
    return found


def _spread(units: Sequence[Sequence[Fact]], most: int, layers: int) -> list[list[Fact]]:
    """As few groups as there can be, as large as each other, of at most so many units."""
    count = min(layers, -(-len(units) // most))
    if not count:
        return []
    kept = units[: count * most]
    bounds = [len(kept) * number // count for number in range(count + 1)]
    return [[fact for unit in kept[first:last] for fact in unit] for first, last in pairwise(bounds)]
