"""Weights of the linear rankings: learned, few, and constant. Knows no feature's meaning."""

PASSAGE = {
    "text": 0.7,
    "window": 0.3,
    "cosine": 8.0,
    "coverage": 2.0,
    "placed": 4.0,
    "sentence": 1.0,
    "pairs": 1.0,
    "kind": 1.0,
    "focus": 0.5,
}
SENTENCE = {
    "passage": 0.8,
    "cosine": 5.0,
    "coverage": 2.0,
    "kin": 2.0,
    "placed": 2.0,
    "names": 1.0,
    "pairs": 0.5,
    "focus": 0.5,
    "kind": 1.0,
    "length": 0.3,
}
SUPPORT = {
    "bias": -8.0,
    "cosine": 6.0,
    "coverage": 3.0,
    "sentence_cosine": 4.0,
    "sentence": 2.0,
    "names": 1.0,
}
SUPPORTED = 0.5
"""Support below which a question is not answered."""
