from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.memory.chunking import SMALL_WORDS, chunk, count_words, embedding_text
from actors.messages import ChunkText

PARAGRAPH = "The river rises in the hills near the old mill. " * 4


def words(count: int, sentence: int = 10) -> str:
    text = ""
    for number in range(count):
        text += f"word{number}" + (". " if number % sentence == sentence - 1 else " ")
    return text.strip().replace(". w", ". W")


def test_a_paragraph_that_fits_stays_whole() -> None:
    text = f"{PARAGRAPH.strip()}\n\n{PARAGRAPH.strip()}"
    assert [one.text for one in chunk(text, "text/plain", 60)] == [PARAGRAPH.strip()] * 2


def test_a_long_paragraph_is_cut_between_sentences_into_parts_of_like_size() -> None:
    parts = [one.text for one in chunk(words(110), "text/plain", 60)]
    assert [count_words(part) for part in parts] == [60, 50]
    assert all(part.endswith(".") for part in parts)


def test_a_sentence_longer_than_a_passage_is_cut_between_words() -> None:
    parts = chunk("word " * 70, "text/plain", 30)
    assert [count_words(part.text) for part in parts] == [30, 30, 10]


def test_small_blocks_join_their_neighbour() -> None:
    parts = chunk(f"Overview\n\n{PARAGRAPH.strip()}", "text/plain", 60)
    assert [one.text for one in parts] == [f"Overview\n\n{PARAGRAPH.strip()}"]
    assert count_words("Overview") < SMALL_WORDS


def test_headings_are_context_and_no_passage_crosses_one() -> None:
    text = "# Guide\n\nHello there.\n\n## Install ##\n\nRun it.\n\n## Use\n\n### Deep\n\nAsk.\n\n# Notes\n"
    parts = chunk(text, "text/markdown", 60)
    assert [(one.heading, one.text) for one in parts] == [
        ("Guide", "Hello there."),
        ("Guide > Install", "Run it."),
        ("Guide > Use > Deep", "Ask."),
        ("Notes", "# Notes"),
    ]


def test_a_hash_in_code_or_in_plain_text_is_no_heading() -> None:
    text = "# Guide\n\n```\n# a comment\n\nrun --fast\n```\n"
    assert [one.heading for one in chunk(text, "text/markdown", 60)] == ["Guide"]
    assert [one.heading for one in chunk(text, "text/plain", 60)] == [""]


def test_nothing_comes_of_nothing() -> None:
    assert chunk("", "text/plain", 60) == chunk(" \n\n \f", "text/markdown", 60) == []


def test_embedding_text_names_the_place() -> None:
    passage = ChunkText(0, 4, "Text", "Guide > Install")
    assert embedding_text(passage, "docs/user_manual.md") == "user manual > Guide > Install\nText"
    assert embedding_text(ChunkText(0, 4, "Text"), ".md") == "Text"


blocks = st.lists(
    st.sampled_from(
        ["# H", "## H2", "word. " * 30, "x" * 500, "- item\n- item", "```\ncode\n\n```", "語。" * 40, ""]
    )
)


@given(blocks, st.sampled_from(["text/plain", "text/markdown"]), st.integers(20, 60))
def test_offsets_are_exact_and_no_passage_is_too_long(parts: list[str], media_type: str, most: int) -> None:
    text = "\n\n".join(parts)
    found = chunk(text, media_type, most)
    assert all(text[one.start : one.end] == one.text and one.text.strip() for one in found)
    assert all(count_words(one.text) <= most for one in found)
    assert all(left.end <= right.start for left, right in pairwise(found))
    if media_type == "text/plain":
        kept = "".join("".join(one.text.split()) for one in found)
        assert kept == "".join(text.split())
