import random

import pytest

from actors.compression.protect import KINDS, merged, protect


def found(text: str, kind: str) -> list[str]:
    return [text[span.start : span.end] for span in protect(text, [kind])]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("number", "from 3 to 5 km away", ["3 to 5 km"]),
        ("number", "It cost $1,200.50 then.", ["$1,200.50"]),
        ("number", "about 12 % more", ["12 %"]),
        ("number", "at -5 °C outside", ["-5 °C"]),
        ("number", "1 200 000 people came", ["1 200 000 people"]),
        ("number", "take 5-10 mg/kg daily", ["5-10 mg/kg"]),
        ("number", "60 km/h and 1.5e-3 V", ["60 km/h", "1.5e-3 V"]),
        ("number", "release v1.2.3-rc1", ["1.2.3", "1"]),
        ("number", "USD 40 million was paid", ["USD 40 million"]),
        ("number", "3 out of 4 votes", ["3 out of 4 votes"]),
        ("number", "no number here", []),
        ("date", "on 22 November 2026 they", ["22 November 2026"]),
        ("date", "by Nov. 5, 1999 it", ["Nov. 5, 1999"]),
        ("date", "at 12:30 p.m. UTC", ["12:30 p.m. UTC"]),
        ("date", "since 2026-11-22T10:00:00Z all", ["2026-11-22T10:00:00Z"]),
        ("date", "It may march on", []),
        ("identifier", "call my_function or camelCase", ["my_function", "camelCase"]),
        ("identifier", "see os.path.join and flight BA117", ["os.path.join", "BA117"]),
        (
            "identifier",
            "id 550e8400-e29b-41d4-a716-446655440000.",
            ["550e8400-e29b-41d4-a716-446655440000"],
        ),
        ("identifier", "commit 3f2a9bc is COVID-19", ["3f2a9bc", "COVID-19"]),
        ("identifier", "run it with --dry-run and @ann", ["--dry-run", "@ann"]),
        ("identifier", "Plain words, e.g. U.S. law", []),
        ("email", "Write to ann.b+c@mail.example.com.", ["ann.b+c@mail.example.com"]),
        ("url", "(see https://en.wikipedia.org/wiki/X_(y)).", ["https://en.wikipedia.org/wiki/X_(y)"]),
        ("path", "edit src/main/app.py and /etc/passwd or C:\\Temp\\x", None),
        ("path", "black and/or white, 24/7", []),
        ("code", "use `a b` or ``c`d`` now", ["`a b`", "``c`d``"]),
        ("code", "so:\n```py\nx  =  1\n\ny\n```\nend", ["```py\nx  =  1\n\ny\n```"]),
        ("code", "Build it:\n\n    make  install\n\nand go", ["    make  install"]),
        ("code", "- a point\n\n    and more words of it", []),
        ("code", "an unclosed fence\n```\nis prose", []),
        ("table", "x\n| a | b |\n|---|---|\n| 1 | 2 |\ny", ["| a | b |", "|---|---|", "| 1 | 2 |"]),
        ("table", "Name    Age\nAnn      31\nprose goes on", ["Name    Age", "Ann      31"]),
        ("table", "a\tb\nc\td", ["a\tb", "c\td"]),
        ("table", "a,1,x\nb,2,y\nc,3,z", ["a,1,x", "b,2,y", "c,3,z"]),
        ("table", "One sentence.  Another one.\nNo table.  At all.", []),
        ("quote", 'He said "we may go" and “not now”.', ['"we may go"', "“not now”"]),
        ("quote", '6" of pipe and more', []),
        ("quote", f'A "{"long " * 60}" one "short" end', ['"short"']),
        ("negation", "They are not allowed in.", ["not allowed"]),
        ("negation", "It no longer works.", ["no longer works"]),
        ("negation", "I don't know, never mind.", ["don't know", "never mind"]),
        ("negation", "It has not yet been seen", ["not yet been seen"]),
        ("negation", "The knot is nothing new", ["nothing new"]),
    ],
)
def test_each_kind_is_found(kind: str, text: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = ["src/main/app.py", "/etc/passwd", "C:\\Temp\\x"]
    assert found(text, kind) == expected


def test_a_kind_that_is_off_is_not_found() -> None:
    text = 'On 3 May 1999 `x_y` did not say "so" at https://a.example/b'
    assert {span.kind for span in protect(text)} >= {"date", "code", "negation", "quote", "url"}
    for kind in KINDS:
        assert kind not in {span.kind for span in protect(text, [one for one in KINDS if one != kind])}
    assert protect(text, []) == []


def test_quotations_have_a_longest() -> None:
    assert len(protect('"abcdefgh"', ["quote"], 8)) == 1
    assert protect('"abcdefghi"', ["quote"], 8) == []
    assert protect('"a"', ["quote"], 0) == []


def test_places_that_overlap_become_one() -> None:
    text = "`x_1` and 5 km"
    assert merged(protect(text)) == [(0, 5), (10, 14)]


HARD = (
    *(
        "a",
        " ",
        "\n",
        "1",
        "1,",
        "1 ",
        "1-",
        "1:",
        "a.",
        "a-",
        "a_",
        "a/",
        "/",
        "`",
        "`a\n",
        "``a`",
        '"a ',
        '("',
    ),
    *(
        "@",
        "a@",
        "not ",
        "not a ",
        "n't ",
        "1 to ",
        "$",
        "+1 ",
        "```py\n",
        "~~~x\n```y\n",
        "|",
        "a | b\n",
        "a\tb\n",
    ),
    *(
        "a  b  c\n",
        "    a\n",
        "     a(b ",
        "http://",
        "“a",
        "‘a ",
        "<a",
        "${a",
        "aA",
        "a::",
        "a:\\",
        "Jan ",
        "1 °",
    ),
    *("www.", "A1 ", "(", "漢", ".", "Z-", "a,b,c\n", "\\\\", "1 per ", "_a_ ", "#a", "--a", "e.g."),
)


def test_a_megabyte_of_hard_input_takes_time_linear_in_it() -> None:
    """What is quadratic takes hours on a megabyte: the test ends, or its time limit ends it."""
    chance = random.Random(1)
    mixed = "".join(chance.choice(HARD) for _ in range(100_000))
    runs = "".join(part * (16_000 // len(part)) for part in HARD)
    text = (runs + mixed)[: 1 << 20]
    assert len(text) > 900_000
    spans = protect(text)
    assert all(span.start < span.end <= len(text) for span in spans)
