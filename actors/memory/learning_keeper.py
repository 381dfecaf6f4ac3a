"""The calls of a keeper that concern what is learned from: consent, feedback, export. Knows no model."""

from collections.abc import Mapping, Sequence

from actors.memory import comparisons, consents, feedback, learnable, unlearning
from actors.memory.partition import Partition
from actors.memory.records import Compared, Consent, Feedback, Judged
from actors.messages import Json


class LearningKeeper(Partition):
    """What of many users may be trained on, each user's apart."""

    async def consent(self, user: str) -> Consent:
        """Whether the user's memories and documents may be trained on; never said: nothing may."""
        return await self._open.read(consents.get, user)

    async def set_consent(self, user: str, event_id: str, *, training: bool, shared: bool = False) -> Consent:
        """Switch training on or off for all that is kept of the user; the same event_id twice does it once.

        Off takes effect at once, on what was said before too: all of the user's ids go to `untold`.
        Forgetting all of the user forgets it. Raises InvalidRequest for what is shared and not trained on.
        """
        now = self._identity.now()
        return await self._open.write(consents.put, user, event_id, training, shared, now)

    async def put_feedback(
        self,
        user: str,
        event_id: str,
        completion_id: str,
        *,
        rating: int | None = None,
        correction: str | None = None,
        known: bool = False,
    ) -> Feedback:
        """Keep what the user thinks of an answer; durable once this returns. The last word counts.

        It goes when the question or the answer is forgotten, or when a condition meets its own words.
        Raises NotFound unless the answer is kept of this very user, or `known` to be the user's otherwise and
        not forgotten; InvalidRequest, TooLarge.
        """
        feedback.check(rating, correction, self._memory.max_characters)
        return await self._open.write(
            feedback.put, user, event_id, completion_id, rating, correction, self._identity, known
        )

    async def put_comparison(
        self,
        user: str,
        event_id: str,
        messages: Sequence[Mapping[str, str]],
        answers: Sequence[Judged],
        *,
        training: bool | None = None,
    ) -> Compared:
        """Keep answers that were compared: the better of two without scores first, or several with scores.

        `messages` have role and content and end with the user's. Durable once this returns; the same event_id
        twice keeps it once. `training` is as of memories: unset, as the user's consent says.
        Raises InvalidRequest, TooLarge, and NotFound for an event whose comparison was forgotten.
        """
        comparisons.check(messages, answers, self._memory.max_characters)
        return await self._open.write(
            comparisons.put, user, event_id, messages, answers, training, self._identity
        )

    async def learnable(self, user: str, *, after: str = "", limit: int = 500) -> list[Json]:
        """Facts that hold, exchanges with feedback, compared answers, passages: all there are, in this order.

        A record has `kind`, `id`, `events` (ids it comes from), and `refused`: why it may not be learned;
        then nothing else is told. `after` is the `cursor` of the last record that was got.
        """
        now = self._identity.now()
        return await self._open.read(learnable.learnable, user, after, limit, now)

    async def learners(self) -> list[str]:
        """The users of this partition of whom something may be learned, by name. For maintenance."""
        return await self._open.read(consents.learners)

    async def untold(self, limit: int = 1000) -> list[str]:
        """Ids that nothing in service may have learned from any more, which nobody was told of yet.

        Of what was forgotten or expired, of files that were deleted or replaced, of whoever withdrew consent.
        """
        return await self._open.read(unlearning.untold, limit)

    async def told(self, ids: Sequence[str]) -> None:
        """Whoever keeps trained models was told of these, and that is on disk: they leave `untold`."""
        await self._open.write(unlearning.told, ids, self._identity.now())
