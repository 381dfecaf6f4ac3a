"""What a server does with consent and feedback, and whom it tells of what was forgotten. Knows no HTTP."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import uuid4

from actors.memory.records import Compared, Consent, Feedback, Judged
from actors.messages import Json, NotFound
from actors.training.unlearning import tell
from actors.training.versions import Answer
from serve.background import attempted
from serve.services import Services

PAGE = 500
"""Records read from the keeper in one call."""
TELL_S = 30.0
"""How long a request that forgets waits until no model that learned it serves; it is done in any case."""

log = logging.getLogger(__name__)


async def set_consent(
    services: Services, user: str, training: bool, *, shared: bool = False, event_id: str | None = None
) -> Consent:
    """Switch training on or off for a user; what learned from one who withdraws stops serving at once."""
    consent = await services.keeper.set_consent(
        user, event_id or uuid4().hex, training=training, shared=shared
    )
    await unlearn(services)
    return consent


async def give_feedback(
    services: Services,
    user: str,
    completion_id: str,
    *,
    rating: int | None = None,
    correction: str | None = None,
    event_id: str | None = None,
) -> Feedback:
    """Keep what a user thinks of an answer. Raises NotFound unless it was given to this very user.

    The first rating of an answer counts for or against the version that gave it.
    """
    answer = await _answer(services, user, completion_id)
    found = await services.keeper.put_feedback(
        user,
        event_id or uuid4().hex,
        completion_id,
        rating=rating,
        correction=correction,
        known=answer is not None,
    )
    if answer is not None and found.rating is not None and found.first:
        services.watch.rated(answer.version, found.rating)
    return found


async def give_comparison(
    services: Services,
    user: str,
    messages: Sequence[Mapping[str, str]],
    answers: Sequence[Judged],
    *,
    event_id: str | None = None,
    training: bool | None = None,
) -> Compared:
    """Keep answers that a user compared, as the keeper does; under an event id it is kept once."""
    return await services.keeper.put_comparison(
        user, event_id or uuid4().hex, messages, answers, training=training
    )


async def learnable(services: Services, user: str) -> AsyncIterator[list[Json]]:
    """All of a user that could be learned from, some records at a time."""
    after = ""
    while records := await services.keeper.learnable(user, after=after, limit=PAGE):
        yield records
        after = records[-1]["cursor"]


async def unlearn(services: Services) -> None:
    """Tell whoever keeps adapters of all that was forgotten; what fails is told with the next."""
    if services.lineage is not None:
        await attempted(tell(services.keeper, services.lineage), "telling of what was forgotten", TELL_S)


async def _answer(services: Services, user: str, completion_id: str) -> Answer | None:
    """What is known of an answer that was given to the user."""
    if services.lineage is None:
        return None
    try:
        return await services.lineage.answer(completion_id, user)
    except NotFound:
        return None
