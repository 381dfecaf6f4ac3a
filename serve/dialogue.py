"""What a chat keeps: the user's new turn and the answer, each written once. Knows no reply format."""

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actors.memory import exchanges
from actors.memory.context import Context
from actors.memory.records import NewMemory
from actors.memory.source import Vectors
from actors.messages import InvalidRequest
from configs.schema import Settings
from serve import remembering
from serve.background import attempted
from serve.reading import Conversation, Reading, read
from serve.services import Services
from serve.wire import ChatRequest, MemoryOptions, Message

DEFAULT_SESSION = exchanges.UNNAMED
"""The session of chats that name none."""
WRITE_S = 30.0
"""How long the end of a reply waits for its turns to be on disk."""
CONSOLIDATE_EVERY = 64
"""One exchange in so many is followed by a consolidation of its user's memories; the reply's id decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where a chat's turns go: `id` is the reply's, so that a request sent again writes once."""

    id: str
    user: str
    session: str
    training: bool | None = None
    """Whether the turns may be trained on; None: as the user's consent says."""


class Dialogue:
    """One chat's memory, from its first token on; `asked` are the new turns, None: nothing is written."""

    def __init__(
        self,
        services: Services,
        keeping: Keeping,
        context: Context,
        asked: Sequence[NewMemory] | None,
        vectors: Vectors | None = None,
        *,
        available: bool = True,
    ) -> None:
        self._services = services
        self._keeping = keeping
        self._context = context
        self._asked = asked
        self._vectors = vectors
        self._available = available
        self._answer: list[str] = []
        self._writing: asyncio.Task[bool] | None = None

    def heard(self, number: int, text: str) -> None:
        """A piece of answer `number`, maybe empty; the first answer is the one that is remembered.

        With the first piece of any the user's turn is written beside it, whatever becomes of the reply.
        """
        if self._asked and self._writing is None:
            self._writing = self._write(self._asked, self._vectors, exchanges.asked(self._keeping.id))
        if number == 0:
            self._answer.append(text)

    async def ended(self) -> None:
        """The answers are complete. Returns once the user's turn and the first answer are on disk."""
        keeping, background = self._keeping, self._services.background
        if self._asked is not None:
            written = self._writing is None or await asyncio.shield(self._writing)
            most = self._services.settings.memory.max_characters
            answer = pieces("".join(self._answer), "assistant", most, training=keeping.training)
            if written and answer:
                written = await asyncio.shield(self._write(answer, None, exchanges.answered(keeping.id)))
            self._available = self._available and written
            if written and zlib.crc32(keeping.id.encode()) % CONSOLIDATE_EVERY == 0:
                background.attempt(remembering.consolidate(self._services, keeping.user), "consolidation")
        if self._context.used:
            used = self._services.keeper.used(keeping.user, self._context.used)
            background.attempt(used, "counting the use of memories")

    def report(self) -> dict[str, Any]:
        """What a reply says of it."""
        report: dict[str, Any] = {"memories": list(self._context.used)}
        if self._context.left_out:
            report["memories_left_out"] = [{"id": one.id, "why": one.why} for one in self._context.left_out]
        if not self._available:
            report["memory"] = "unavailable"
        return report

    def _write(
        self, turns: Sequence[NewMemory], vectors: Vectors | None, event_id: str
    ) -> asyncio.Task[bool]:
        return self._services.background.start(self._written(turns, vectors, event_id))

    async def _written(self, turns: Sequence[NewMemory], vectors: Vectors | None, event_id: str) -> bool:
        """Whether the turns are on disk now. What has no vector yet gets it soon after."""
        keeping, services = self._keeping, self._services
        write = services.keeper.remember(keeping.user, event_id, turns, vectors, session=keeping.session)
        written = await attempted(write, f"remembering {event_id}", WRITE_S)
        if written is not None and vectors is None:
            services.filling.wake()
        return written is not None


async def begin(
    services: Services, user: str, body: ChatRequest, id: str, conversation: Conversation, room: int
) -> tuple[Dialogue | None, Context]:
    """The memory of a chat that wants one, and what it is reminded of; `room` is the model's context."""
    reads, writes = wanted(body.memory, services.settings, body.training)
    if not (reads or writes):
        return None, Context()
    reading = Reading()
    if reads:
        reading = await read(
            services, user, body.session_id, conversation, room - answer_tokens(services, body)
        )
    most = services.settings.memory.max_characters
    asked = new_turns(body.messages, most, body.training) if writes else None
    alone = asked is not None and len(asked) == 1
    dialogue = Dialogue(
        services,
        Keeping(id=id, user=user, session=body.session_id or DEFAULT_SESSION, training=body.training),
        reading.context,
        asked,
        reading.vectors if alone else None,
        available=reading.available,
    )
    return dialogue, reading.context


def answer_tokens(services: Services, body: ChatRequest) -> int:
    """Tokens that the answer may take."""
    return body.max_completion_tokens or body.max_tokens or services.settings.serve.default_max_tokens


def wanted(
    options: MemoryOptions | None, settings: Settings, training: bool | None = None
) -> tuple[bool, bool]:
    """Whether a chat reads memories and writes them: as it says, else as `memory.chat` says.

    What is to be trained on is written. Raises InvalidRequest where it must not be.
    """
    chat = settings.memory.chat
    usual = chat == "always" or (chat == "authenticated" and bool(settings.api_keys))
    options = options or MemoryOptions()
    if training and options.write is False:
        raise InvalidRequest("what is not remembered cannot be trained on: memory.write is false", "training")
    reads = usual if options.read is None else options.read
    writes = usual if options.write is None else options.write
    return reads, writes or bool(training)


def new_turns(messages: Sequence[Message], most: int, training: bool | None = None) -> list[NewMemory]:
    """What the user says since the last answer: the rest of the conversation was written when it was new."""
    answered = max((place for place, one in enumerate(messages) if one.role == "assistant"), default=-1)
    new = [message for message in messages[answered + 1 :] if message.role == "user"]
    return [
        turn
        for message in new
        for turn in pieces(message.words, "user", most, message.name or "", training=training)
    ]


def pieces(
    text: str, role: str, most: int, speaker: str = "", *, training: bool | None = None
) -> list[NewMemory]:
    """A text as turns of at most `most` characters, cut after a line or a word; none for an empty one."""
    found = []
    while text.strip():
        end = len(text)
        if end > most:
            end = max(text.rfind("\n", 0, most), text.rfind(" ", 0, most)) + 1 or most
        found.append(NewMemory(text=text[:end], role=role, speaker=speaker, training=training))
        text = text[end:]
    return found
