import random
from pathlib import Path

import pytest

from actors.compression.counting import ModelCounter, ScriptedCounter, TokenCounter
from actors.messages import NotReady
from actors.models.tokenizer import ModelTokenizer

TEXTS = ("", "a", "Two words\n\nand 1,200.50 more", "<|im_start|> is text", "日本語 naïve 👩‍👩‍👧 end ")


def test_starts_rise_and_are_as_many_as_tokens(
    byte_counter: ModelCounter, scripted_counter: ScriptedCounter
) -> None:
    counters: list[TokenCounter] = [byte_counter, scripted_counter]
    for counter in counters:
        for text in TEXTS:
            starts = counter.starts(text).tolist()
            assert len(starts) == counter.count(text)
            assert starts == sorted(starts)
            assert all(0 <= start < len(text) for start in starts)
            assert starts[:1] in ([], [0])


def test_tokens_of_the_scripted_engine_begin_where_its_words_do(scripted_counter: ScriptedCounter) -> None:
    assert scripted_counter.starts("é cat sat").tolist() == [0, 1, 5]


def test_what_is_remembered_counts_as_the_tokenizer_itself(byte_counter: ModelCounter) -> None:
    whole = ModelCounter.__new__(ModelCounter)
    whole.__dict__ = byte_counter.__dict__ | {"_in_pieces": False}
    chance = random.Random(1)
    parts = (
        " ",
        "  ",
        "\n",
        " \n",
        "a",
        "bc",
        ".",
        "'s",
        "é",
        "\u0301",
        "漢字",
        "12",
        "\u00a0",
        "\t",
        "👩‍👧",
        "<|x|>",
    )
    assert byte_counter.__dict__["_in_pieces"]
    for text in (*TEXTS, *("".join(chance.choices(parts, k=50)) for _ in range(500))):
        assert byte_counter.count(text) == whole.count(text) == len(whole.starts(text))
        assert byte_counter.starts(text).tolist() == whole.starts(text).tolist()


def test_a_directory_without_a_tokenizer_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"tokenizer\.json"):
        ModelCounter(tmp_path)


@pytest.mark.model
def test_it_counts_as_the_served_model_does(model_dir: Path) -> None:
    served, counter = ModelTokenizer(model_dir), ModelCounter(model_dir)
    for text in (*TEXTS, Path(__file__).read_text()):
        assert counter.count(text) == len(served.encode_plain(text))
