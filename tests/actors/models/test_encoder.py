from pathlib import Path

import numpy as np
import pytest

from actors.messages import NotReady
from actors.models.encoder import HASH, WINDOW, HashEncoder, OnnxEncoder, load_encoder
from configs.schema import ModelSettings, Settings

TEXTS = ["The cat sat on the mat.", "A cat was sitting on a rug.", "Stocks fell sharply on Monday.", ""]


def test_hashed_words_are_near_where_words_are_shared() -> None:
    encoder = HashEncoder()
    near, far = ["the red house", "a red house"], ["the red house", "market news"]
    for texts, like in ((near, True), (far, False)):
        one, two = encoder.vectors(encoder.tokens(texts))
        assert bool(one @ two > 0.5) == like


def test_hashed_vectors_are_of_unit_length_even_without_words() -> None:
    encoder = HashEncoder()
    vectors = encoder.vectors(encoder.tokens([*TEXTS, "!?"]))
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_the_settings_name_the_encoder(tmp_path: Path) -> None:
    hashed = Settings(home=tmp_path, models=ModelSettings(embedder=HASH))
    assert isinstance(load_encoder(hashed), HashEncoder)
    with pytest.raises(NotReady, match="pal models pull minilm-l6"):
        load_encoder(Settings(home=tmp_path))
    with pytest.raises(NotReady, match=r"model\.onnx is not in it"):
        load_encoder(Settings(home=tmp_path, models=ModelSettings(embedder=str(tmp_path))))


@pytest.fixture(scope="module")
def encoder(embedder_dir: Path) -> OnnxEncoder:
    return OnnxEncoder(embedder_dir)


@pytest.mark.model
def test_meaning_is_near(encoder: OnnxEncoder) -> None:
    cat, other_cat, stocks, _ = encoder.vectors(encoder.tokens(TEXTS))
    assert cat.shape == (384,)
    assert cat @ other_cat > 0.7 > 0.3 > cat @ stocks


@pytest.mark.model
def test_a_text_has_the_same_vector_alone_and_in_a_batch(encoder: OnnxEncoder) -> None:
    texts = [*TEXTS, "word " * 100, "another much longer passage " * 30]
    tokens = encoder.tokens(texts)
    together = encoder.vectors(tokens)
    alone = np.concatenate([encoder.vectors([ids]) for ids in tokens])
    assert np.abs(together - alone).max() <= 1e-5


@pytest.mark.model
def test_a_long_text_is_cut_to_the_window_and_keeps_its_last_token(encoder: OnnxEncoder) -> None:
    (ids,) = encoder.tokens(["word " * 1000])
    assert len(ids) == 1002
    cut = [*ids[: WINDOW - 1], ids[-1]]
    assert np.array_equal(encoder.vectors([ids]), encoder.vectors([cut]))
