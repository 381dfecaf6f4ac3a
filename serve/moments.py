"""Moments as clients write them, Unix seconds or ISO 8601, and as replies show them. Knows no route."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC).timestamp()
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
LONGEST = 64
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(value: Any) -> float:
    """Unix seconds of a number, a number as text, or an ISO 8601 text; one without an offset is UTC.

    Raises ValueError.
    """
    seconds = _seconds(value)
    if not EARLIEST <= seconds <= LATEST:
        raise ValueError(f"Unix seconds from {EARLIEST:.0f} to {LATEST:.0f} are taken, not milliseconds")
    return seconds


def end_of_day(value: Any) -> float:
    """As `moment`, but a date without a time is its end. Raises ValueError."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        return moment(moment(value) + timedelta(days=1).total_seconds())
    return moment(value)


def iso(seconds: float) -> str:
    """ISO 8601 in UTC; what lies beyond the moments that are taken is shown as the nearest of them."""
    return datetime.fromtimestamp(min(max(seconds, EARLIEST), LATEST), UTC).isoformat()


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return min(max(value, EARLIEST - 1), LATEST + 1) + 0.0
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError("a moment is Unix seconds, or ISO 8601 such as 2026-05-01T12:00:00Z")
    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("not ISO 8601, such as 2026-05-01T12:00:00Z") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


_SCHEMA = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]})
Moment = Annotated[float, BeforeValidator(moment), _SCHEMA]
"""Unix seconds."""
Day = Annotated[float, BeforeValidator(end_of_day), _SCHEMA]
"""Unix seconds; a bare date is the end of that day."""
