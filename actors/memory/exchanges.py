"""How the turns of one answered request are found again by the id of its reply. Knows no row."""

UNNAMED = "default"
"""The session of chats that name none: what stands in it need not belong together."""
_ASKED, _ANSWERED = "asked", "answered"


def asked(completion_id: str) -> str:
    """The event that writes the user's turns."""
    return f"{completion_id}/{_ASKED}"


def answered(completion_id: str) -> str:
    """The event that writes the answer."""
    return f"{completion_id}/{_ANSWERED}"


def completion_of(event_id: str) -> str | None:
    """The reply that an event is of."""
    completion, separator, part = event_id.rpartition("/")
    return completion if separator and part in (_ASKED, _ANSWERED) else None
