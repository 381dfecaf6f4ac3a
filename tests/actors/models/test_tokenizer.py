from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import InvalidRequest, NotReady, TokenDelta
from actors.models.detokenize import Detokenizer
from actors.models.tokenizer import ModelTokenizer, check_text, end_ids


def test_bytes_of_tokens_are_the_text(tokenizer: ModelTokenizer) -> None:
    text = "Grüße, 你好 🎉\n\ttabs"
    ids = tokenizer.encode(text)
    assert b"".join(map(tokenizer.token_bytes, ids)).decode() == text


def test_control_text_is_control_or_plain(tokenizer: ModelTokenizer) -> None:
    assert tokenizer.encode("<|im_start|>")[0] == tokenizer.specials["<|im_start|>"]
    plain = tokenizer.encode_plain("<|im_start|>")
    assert not any(map(tokenizer.is_special, plain))
    assert b"".join(map(tokenizer.token_bytes, plain)) == b"<|im_start|>"


def test_end_ids_come_from_the_models_files(tokenizer: ModelTokenizer, tiny_model: Path) -> None:
    assert end_ids(tiny_model, tokenizer) == (tokenizer.specials["<|im_end|>"],)


def test_a_directory_without_a_fast_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no tokenizer"):
        ModelTokenizer(tmp_path)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="surrogate at character 2"):
        check_text("ab\ud800", "messages")


@given(st.lists(st.integers(0, 300), max_size=40))
def test_pieces_join_to_what_the_whole_decodes_to(tokenizer: ModelTokenizer, ids: list[int]) -> None:
    ids = [token for token in ids if token < tokenizer.vocabulary]
    detokenizer = Detokenizer(tokenizer)
    text = "".join(detokenizer.push(TokenDelta(token_ids=(token,))).text for token in ids)
    text += detokenizer.push(TokenDelta(token_ids=(), finish_reason="stop")).text
    assert text == tokenizer.backend.decode(ids, skip_special_tokens=True)
