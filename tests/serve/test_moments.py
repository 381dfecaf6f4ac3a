import pytest

from serve.moments import end_of_day, iso, moment


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (1_700_000_000, 1_700_000_000),
        (1_700_000_000.5, 1_700_000_000.5),
        ("1700000000", 1_700_000_000),
        ("1700000000.25", 1_700_000_000.25),
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00", 3600),
        ("1970-01-01T01:00:00Z", 3600),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1960-01-01", -315_619_200),
    ],
)
def test_seconds_and_iso_8601_are_the_same_moment(given: object, seconds: float) -> None:
    assert moment(given) == seconds


@pytest.mark.parametrize(
    "given",
    [True, [], {}, "", "yesterday", "nan", "1e9", "1_0", 1.7e12, 10**400, -(10**400), "0001-01-01", "x" * 99],
)
def test_what_is_no_moment_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601|Unix seconds"):
        moment(given)


def test_a_bare_date_lasts_to_its_end() -> None:
    assert end_of_day("1970-01-01") == 86_400
    assert end_of_day("1970-01-01T00:00:00Z") == 0
    assert end_of_day(5) == 5


def test_replies_show_utc() -> None:
    assert iso(1_700_000_000.5) == "2023-11-14T22:13:20.500000+00:00"
    assert moment(iso(1_700_000_000.123456)) == 1_700_000_000.123456
    assert iso(1e300) == "9999-01-01T00:00:00+00:00"
