import calendar

import numpy as np
import pytest

from actors.memory.dated import Date, dates, nearness


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("What did Ada do on 3 May, 2023?", Date(2023, 5, 3)),
        ("What did Ada do on the 3rd of May 2023?", Date(2023, 5, 3)),
        ("What happened on October 6, 2022?", Date(2022, 10, 6)),
        ("What happened on Oct 6?", Date(None, 10, 6)),
        ("Who came in June 2023?", Date(2023, 6, None)),
        ("Who came in June?", Date(None, 6, None)),
        ("Who came on 2023-06-09?", Date(2023, 6, 9)),
        ("Who came in 2021?", Date(2021, None, None)),
    ],
)
def test_a_date_is_read_and_taken_out(text: str, date: Date) -> None:
    found, rest = dates(text)
    assert found == [date]
    assert not any(letter.isdigit() for letter in rest)


@pytest.mark.parametrize("text", ["", "May I ask you?", "Who will march?", "Room 12", "12345"])
def test_what_is_no_date_is_left(text: str) -> None:
    assert dates(text) == ([], text)


def at(year: int, month: int, day: int) -> float:
    return calendar.timegm((year, month, day, 12, 0, 0))


def test_nearness_falls_with_the_days() -> None:
    said = np.array([at(2023, 5, 3), at(2023, 5, 10), at(2023, 6, 30), at(2022, 5, 3)], np.float64)
    near = nearness([Date(2023, 5, 3)], said)
    assert near[0] == 1
    assert 0.4 < near[1] < 0.6
    assert near[2:].tolist() == [0, 0]


def test_a_month_without_a_year_is_any_years() -> None:
    said = np.array([at(2022, 5, 9), at(2023, 5, 31), at(2023, 9, 1)], np.float64)
    assert nearness([Date(None, 5, None)], said).tolist() == [1, 1, 0]
    assert nearness([], said).tolist() == [0, 0, 0]
    assert nearness([Date(2023, 2, 31)], np.zeros(0)).tolist() == []
