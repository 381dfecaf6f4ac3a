"""`pal train data`: what would be learned of a user, and what would not and why. Trains nothing."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from actors.messages import NotReady
from cluster.context import JsonFlag, KeyOption, UrlOption, emit, note, settings_of, show_table
from cluster.memories import UserOption, brief, owner, server

if TYPE_CHECKING:
    from tune.learnable import Learnable

PATH = "/v1/train/data"


def data(
    ctx: typer.Context,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what would be learned of a user, and what would not and why; from the files if no server runs."""
    from tune.compared import from_best

    found = _learnable(ctx, user, url, api_key)
    if as_json:
        emit({**asdict(found), "events": found.events})
        return
    rows = [
        *(("fact", f"{one.subject} / {one.attribute}: {one.value}", one.id) for one in found.facts),
        *(
            (one.kind, f"{one.messages[-2]['content']} → {one.messages[-1]['content']}", one.id)
            for one in found.examples
        ),
        *(
            ("compared", f"{one.messages[-1]['content']} → {' > '.join(from_best(one))}", one.id)
            for one in found.compared
        ),
        *(("passage", f"{one.filename}: {one.text}", one.id) for one in found.passages),
    ]
    show_table(
        ("Learned", "What", "For"),
        ((kind, brief(text), _scope(found, id)) for kind, text, id in rows),
    )
    if found.quarantined:
        show_table(
            ("Not learned", "Id", "Reason", "Why"),
            ((one.kind, one.id, one.reason, one.said) for one in found.quarantined),
        )
    reasons = Counter(one.reason for one in found.quarantined)
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none"
    note(f"{len(rows)} to learn, not learned: {why}")


def _scope(found: "Learnable", id: str) -> str:
    return "the user, and everybody where others agree" if id in found.shared else "the user"


def _learnable(ctx: typer.Context, user: str | None, url: str | None, api_key: str | None) -> "Learnable":
    import json

    from tune.learnable import Gatherer

    settings = settings_of(ctx).settings
    gatherer = Gatherer(owner(settings, user, api_key))
    try:
        with server(ctx, user, url, api_key) as (client, whose):
            for line in client.lines(PATH, **whose):
                gatherer.take(json.loads(line))
    except NotReady:
        if url is not None:
            raise
        from tune import own

        note("no server runs: reading the files of the state directory")
        gatherer = Gatherer(gatherer.user)
        own.learnable(settings.home, settings.memory.partitions, gatherer.user, gatherer.take)
    return gatherer.done()
