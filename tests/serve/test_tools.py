from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.tools import CallArguments, CallStart, Event, Text, ToolReader

NAMES = ("weather", "clock")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn \\"}\\" x", "deep": [{}]}}\n</tool_call>'


def read(text: str, cuts: list[int] | None = None, **options: bool | int) -> list[Event]:
    """The events of a text fed in pieces, neighbours joined."""
    reader = ToolReader(NAMES, **options)  # type: ignore[arg-type]
    places = sorted({min(cut, len(text)) for cut in cuts or []} | {0, len(text)})
    events: list[Event] = []
    for start, end in pairwise(places):
        events += reader.feed(text[start:end])
    events += reader.end()
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Text) and isinstance(last, Text):
            joined[-1] = Text(last.text + event.text)
        elif isinstance(event, CallArguments) and isinstance(last, CallArguments):
            joined[-1] = CallArguments(event.index, last.text + event.text)
        else:
            joined.append(event)
    return joined


def test_a_call_is_its_name_then_its_arguments() -> None:
    assert read(f"I look.\n{CALL}\n") == [
        Text("I look."),
        CallStart(0, "weather"),
        CallArguments(0, '{"city": "Bonn \\"}\\" x", "deep": [{}]}'),
    ]


@given(st.lists(st.integers(0, 250), max_size=12))
def test_where_the_text_is_cut_makes_no_difference(cuts: list[int]) -> None:
    text = f"a < b {CALL} {CALL.replace('weather', 'clock')} and <tool_"
    assert read(text, cuts) == read(text)


@given(
    st.text(alphabet='<>/tol_ca{}"\\ :,nameargumts', max_size=80), st.lists(st.integers(0, 80), max_size=6)
)
def test_text_without_calls_comes_out_unchanged(text: str, cuts: list[int]) -> None:
    events = read(text, cuts)
    assert "".join(event.text for event in events if isinstance(event, Text)) == text


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "nobody", "arguments": {}}</tool_call>',
        "<tool_call>not json</tool_call>",
        "<tool_call>",
        "<tool_call>[1]</tool_call> and more",
    ],
)
def test_what_only_looks_like_a_call_is_text(text: str) -> None:
    assert read(text) == [Text(text)]


def test_keys_in_another_order_and_arguments_as_text_are_understood() -> None:
    turned = '<tool_call>{"arguments": {"a": 1}, "name": "clock"}</tool_call>'
    assert read(turned) == [CallStart(0, "clock"), CallArguments(0, '{"a": 1}')]
    quoted = '<tool_call>{"name": "clock", "arguments": "{\\"a\\": 1}"}</tool_call>'
    assert read(quoted) == [CallStart(0, "clock"), CallArguments(0, '{"a": 1}')]


def test_a_forced_call_may_come_bare() -> None:
    text = ' {"name": "clock", "arguments": {"zone": "}"}}  '
    assert read(text, [5, 30], forced=True) == [CallStart(0, "clock"), CallArguments(0, '{"zone": "}"}')]
    assert read(text) == [Text(text)]


def test_arguments_that_were_cut_off_come_as_far_as_they_got() -> None:
    assert read('<tool_call>{"name": "clock", "arguments": {"zo') == [
        CallStart(0, "clock"),
        CallArguments(0, '{"zo'),
    ]


def test_no_more_calls_than_allowed() -> None:
    events = read(CALL + CALL, most=1)
    assert [event for event in events if isinstance(event, CallStart)] == [CallStart(0, "weather")]
