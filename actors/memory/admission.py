"""What may be stored as a memory, and how two texts are compared. Knows no row."""

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from typing import get_args

from actors.memory.records import MemoryKind, NewMemory
from actors.messages import InvalidRequest, Json, TooLarge

LONGEST_NAME = 512
"""Characters of a session, an agent, a speaker or a role."""
_KINDS = get_args(MemoryKind)


def check(memory: NewMemory, most_characters: int) -> None:
    """Raises InvalidRequest, TooLarge."""
    check_text(memory.text, most_characters)
    if memory.kind not in _KINDS:
        raise InvalidRequest(f"a memory's kind is one of {', '.join(_KINDS)}, not {memory.kind!r}")
    check_name("role", memory.role)
    check_name("speaker", memory.speaker)
    check_importance(memory.importance)
    for name, moment in (("said_at", memory.said_at), ("expires_at", memory.expires_at)):
        if moment is not None and not math.isfinite(moment):
            raise InvalidRequest(f"{name} is not a time in Unix seconds", param=name)
    for source in memory.sources:
        check_name("sources", source)
    check_metadata(memory.metadata, most_characters)


def check_text(text: str, most_characters: int) -> None:
    """Raises InvalidRequest for an empty text, TooLarge for one beyond `memory.max_characters`."""
    if not text.strip():
        raise InvalidRequest("a memory needs a text", param="text")
    if len(text) > most_characters:
        raise TooLarge(
            f"a memory of {len(text)} characters is longer than memory.max_characters ({most_characters}): "
            "split it, or add it as a document",
            param="text",
        )
    _check_encodable("text", text)


def check_name(param: str, name: str) -> None:
    """Raises InvalidRequest for what cannot name a session, agent, speaker or role."""
    if len(name) > LONGEST_NAME or "\0" in name:
        raise InvalidRequest(f"{param} is longer than {LONGEST_NAME} characters or has a NUL", param=param)
    _check_encodable(param, name)


def check_importance(importance: float) -> None:
    """Raises InvalidRequest outside 0 to 1."""
    if not 0 <= importance <= 1:
        raise InvalidRequest(f"importance is from 0 to 1, not {importance}", param="importance")


def stored(metadata: Mapping[str, Json]) -> str:
    """Metadata as text. Raises ValueError, TypeError for what is no JSON."""
    return json.dumps(dict(metadata), allow_nan=False, separators=(",", ":"))


def check_metadata(metadata: Mapping[str, Json], most_characters: int) -> None:
    """Raises InvalidRequest for what is no JSON, TooLarge."""
    try:
        text = stored(metadata)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"metadata is no JSON object: {error}", param="metadata") from error
    if len(text) > most_characters:
        raise TooLarge(
            f"metadata of {len(text)} characters is longer than memory.max_characters ({most_characters})",
            param="metadata",
        )


def normalised(text: str) -> str:
    """A text as two notes are compared: case, spacing and the last full stop say nothing."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return plain.rstrip(" .!") or plain


def digest(text: str) -> int:
    """64 bits of a normalised text's hash, by which equal texts are found."""
    return int.from_bytes(hashlib.sha256(normalised(text).encode()).digest()[:8], "big", signed=True)


def _check_encodable(param: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{param} is not valid Unicode: {error}", param=param) from error
