from actors.compression.known import Known
from actors.messages import Compressed


def made(text: str) -> Compressed:
    return Compressed(
        text=text, kept=((0, len(text)),), tokens_before=9, tokens_after=4, budget=0.5, seconds=1.0
    )


def test_a_result_is_known_by_text_share_and_force() -> None:
    known = Known()
    known.put("a long text", 0.5, False, made("long"))
    found = known.get("a long text", 0.5, False)
    assert found is not None
    assert (found.text, found.seconds) == ("long", 0.0)
    assert known.get("a long text", 0.3, False) is None
    assert known.get("a long text", 0.5, True) is None
    assert known.get("another text", 0.5, False) is None


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    known = Known(most=10)
    known.put("a", 0.5, False, made("aaaa"))
    known.put("b", 0.5, False, made("bbbb"))
    assert known.get("a", 0.5, False)
    known.put("c", 0.5, False, made("cccc"))
    assert known.get("b", 0.5, False) is None
    assert known.get("a", 0.5, False)
    known.put("a", 0.5, False, made("a"))
    known.put("d", 0.5, False, made("ddddd"))
    assert [known.get(text, 0.5, False) is not None for text in "acd"] == [True, True, True]
