from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from actors.compression.features import WIDTH, features
from actors.compression.policy import CHUNK, MARGIN, Policy, _chunks
from actors.compression.words import split
from actors.messages import InvalidRequest


def test_the_shipped_policy_prefers_what_answers() -> None:
    text = "It was in the end built by Gustave Eiffel in 1889 for the city of Paris"
    words = split(text)
    scores = Policy.default().scores(features(text, words), 0.5)
    kept = {text[words[at].start : words[at].end] for at in np.argsort(scores)[-7:]}
    assert {"Gustave", "Eiffel", "1889", "Paris"} <= kept


def test_scores_are_finite_and_one_a_word_at_any_length() -> None:
    policy = Policy.default()
    for count in (0, 1, 2, CHUNK, CHUNK + 1, 1000):
        scores = policy.scores(np.random.default_rng(1).random((count, WIDTH), np.float32), 0.5)
        assert scores.shape == (count,)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("count", [1, CHUNK, CHUNK + 1, CHUNK + MARGIN, 2 * CHUNK, 5000, 5001])
def test_chunks_cover_each_word_once_and_are_never_too_long(count: int) -> None:
    chunks = _chunks(count)
    assert [at for _, start, end, _ in chunks for at in range(start, end)] == list(range(count))
    assert all(0 <= first <= start < end <= last <= count for first, start, end, last in chunks)
    assert all(last - first <= CHUNK for first, _, _, last in chunks)


def test_what_are_no_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no file"):
        Policy.load(tmp_path / "none.safetensors")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing")
    with pytest.raises(InvalidRequest, match="no keep policy's weights"):
        Policy.load(bad)
    save_file({"other": np.zeros(3, np.float32)}, bad.with_name("other.safetensors"))
    with pytest.raises(InvalidRequest, match="no keep policy's weights"):
        Policy.load(bad.with_name("other.safetensors"))


def test_weights_over_other_features_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="trained on 3 features"):
        Policy({"encode.weight": np.zeros((2, 4), np.float32)})
