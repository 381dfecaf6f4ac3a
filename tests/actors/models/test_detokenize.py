from hypothesis import given
from hypothesis import strategies as st

from actors.engines.scripted import ScriptedTokenizer
from actors.messages import TokenDelta, TokenLogprob
from actors.models.detokenize import Detokenizer, Piece

TOKENIZER = ScriptedTokenizer()


def play(text: str, *stop: str, logprobs: bool = False, size: int = 1) -> tuple[list[Piece], Detokenizer]:
    """Push text in deltas of `size` tokens until a stop string or the end."""
    detokenizer = Detokenizer(TOKENIZER, stop)
    ids = TOKENIZER.encode(text)
    pieces = []
    for start in range(0, len(ids), size):
        some = tuple(ids[start : start + size])
        found = tuple(TokenLogprob(token, -1.0) for token in some) if logprobs else ()
        pieces.append(detokenizer.push(TokenDelta(token_ids=some, logprobs=found)))
        if detokenizer.stopped:
            return pieces, detokenizer
    pieces.append(detokenizer.push(TokenDelta(token_ids=(), finish_reason="stop")))
    return pieces, detokenizer


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_characters_are_never_split() -> None:
    pieces, _ = play("🎉" * 20)
    assert joined(pieces) == "🎉" * 20
    assert all("\ufffd" not in piece.text for piece in pieces)


def test_an_answer_that_ends_within_a_character_says_so() -> None:
    detokenizer = Detokenizer(TOKENIZER)
    half = TOKENIZER.encode("🎉🎉")[0]
    assert detokenizer.push(TokenDelta(token_ids=(half,), finish_reason="length")).text == "🎉\ufffd"


def test_a_stop_string_across_tokens_is_cut() -> None:
    pieces, detokenizer = play("one two three four", "wo th")
    assert joined(pieces) == "one t"
    assert detokenizer.stopped


def test_text_is_held_only_while_it_may_become_a_stop_string() -> None:
    pieces, _ = play("ab ###x cd", "####")
    texts = [piece.text for piece in pieces]
    assert joined(pieces) == "ab ###x cd"
    assert texts[0] == "ab"
    assert "###" not in texts


def test_the_first_of_several_stop_strings_wins() -> None:
    pieces, _ = play("a b c d e", "e", "c ", "d", size=9)
    assert joined(pieces) == "a b "


def test_a_stop_string_in_the_last_text_is_found() -> None:
    pieces, detokenizer = play("hello END", "END")
    assert joined(pieces) == "hello "
    assert detokenizer.stopped


def test_log_probabilities_belong_to_the_text_that_is_given() -> None:
    pieces, _ = play("one two three four", " three", logprobs=True)
    tokens = [entry.token for piece in pieces for entry in piece.logprobs]
    assert "".join(tokens) == "one two"
    assert [token for piece in pieces for token in piece.token_ids] == TOKENIZER.encode("one two")


def test_log_probabilities_carry_bytes() -> None:
    pieces, _ = play("🎉🎉", logprobs=True)
    assert b"".join(entry.bytes for piece in pieces for entry in piece.logprobs) == "🎉🎉".encode()


@given(
    st.text(alphabet="ab 🎉\n", max_size=60),
    st.lists(st.text(alphabet="ab 🎉", min_size=1, max_size=4), max_size=3),
    st.integers(1, 5),
)
def test_as_if_the_whole_text_were_cut_at_once(text: str, stop: list[str], size: int) -> None:
    pieces, detokenizer = play(text, *stop, size=size)
    places = [place for one in stop if (place := text.find(one)) >= 0]
    got = joined(pieces)
    if places:
        assert detokenizer.stopped
        assert text.startswith(got)
        assert any(text[len(got) :].startswith(one) for one in stop)
        assert size > 1 or not any(one in got for one in stop)
    else:
        assert got == text
