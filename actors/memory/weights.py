"""Weights of the linear rankings: learned, few, and constant. Knows no feature's meaning."""

PASSAGE = {
    "text": 0.3,
    "window": 3.4,
    "cosine": 14.3,
    "placed": 5.0,
    "sentence": 2.8,
    "pairs": 3.0,
    "kind": 1.3,
    "kin": 1.0,
}
SENTENCE = {
    "passage": 0.57,
    "cosine": 6.0,
    "coverage": -1.96,
    "kin": 2.2,
    "placed": 4.95,
    "pairs": 0.9,
    "kind": 1.65,
}
SUPPORT = {
    "bias": -14.653,
    "cosine": 9.445,
    "coverage": 4.318,
    "sentence_cosine": 8.751,
    "sentence": 3.56,
    "names": 1.893,
}
SUPPORTED = 0.414
"""Support below which a question is not answered."""
