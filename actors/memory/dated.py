"""Dates that a question names, and how near to them each memory was said (English, UTC). Knows no weights."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86400.0
NEAR_DAYS = 14.0
"""Days from a named date after which nearness to it has gone; things are told some days after they happen."""
_NAMES = [name.lower() for name in calendar.month_name if name]
_MONTHS = {name: place for place, name in enumerate(_NAMES, 1)}
_MONTHS |= {name[:3]: place for name, place in _MONTHS.items()} | {"sept": 9}
_WRITTEN = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_MONTH = rf"(?P<month>{_WRITTEN})\b\.?"
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"\b{_DAY}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?\b",
        rf"\b{_MONTH}\s+{_DAY}\b(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}\b",
        r"\b(?P<year>(?:19|20)\d\d)-(?P<number>0[1-9]|1[0-2])(?:-(?P<day>[0-3]\d))?\b",
        rf"\b(?:in|on|since|during|of|by|until|last|early|late|mid|this)[\s-]+{_MONTH}(?=\W|$)",
        rf"\b{_YEAR}\b",
    )
]


@dataclass(frozen=True, slots=True)
class Date:
    """A day, a month of one year or of any, or a year."""

    year: int | None
    month: int | None
    day: int | None


def dates(text: str) -> tuple[list[Date], str]:
    """The dates a text names, and the text without them."""
    found: list[Date] = []
    for form in _FORMS:
        for match in form.finditer(text):
            named = match.groupdict()
            month = _MONTHS[named["month"].lower()] if named.get("month") else _number(named.get("number"))
            found.append(Date(_number(named.get("year")), month, _number(named.get("day"))))
        text = form.sub(" ", text)
    return found, text


def nearness(named: Sequence[Date], said_at: NDArray[np.float64]) -> NDArray[np.float32]:
    """1 where said within a named date, falling to 0 in NEAR_DAYS; shape (N,)."""
    found = np.zeros(len(said_at), np.float32)
    if not len(said_at):
        return found
    days = said_at / DAY_S
    first, last = (
        int(np.datetime64(int(at), "s").astype("datetime64[Y]").astype(int)) + 1970
        for at in (said_at.min(), said_at.max())
    )
    for date in named:
        for year in [date.year] if date.year else range(first, last + 1):
            start, end = _period(year, date.month, date.day)
            away = np.maximum(np.maximum(start - days, days - end), 0)
            found = np.maximum(found, 1 - away / NEAR_DAYS).astype(np.float32)
    return found


def _period(year: int, month: int | None, day: int | None) -> tuple[float, float]:
    """Days since 1970 of its beginning and end; a day that its month lacks is the month's last."""
    if month is None:
        return _days(year, 1, 1), _days(year + 1, 1, 1)
    length = calendar.monthrange(year, month)[1]
    if day is None:
        return _days(year, month, 1), _days(year, month, length) + 1
    start = _days(year, month, min(max(day, 1), length))
    return start, start + 1


def _days(year: int, month: int, day: int) -> float:
    return calendar.timegm((year, month, day, 0, 0, 0)) / DAY_S


def _number(text: str | None) -> int | None:
    return int(text) if text else None
