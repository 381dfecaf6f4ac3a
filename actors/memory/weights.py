"""Weights of the linear rankings: learned, few, and constant. Knows no feature's meaning.

Fitted by `python -m benchmarks.qa_fit --data FILE`, which prints them, on 2,400 questions over 24 SQuAD 1.1
dev articles (conditional logit; logistic regression for SUPPORT). On articles held out of the fit (6 folds):
right passage in five 0.970, 0.972 once reread; answer in three sentences 0.900; AUROC of support, article in
or deleted, 0.990.
"""

PASSAGE = {
    "text": -0.498,
    "window": 3.51,
    "cosine": 14.294,
    "placed": 3.202,
    "sentence": 2.036,
    "pairs": 1.402,
    "phrase": 3.939,
    "kind": 1.205,
    "kin": 2.418,
}
REREAD = {
    "found": 0.777,
    "sentence": 5.505,
}
SENTENCE = {
    "passage": 0.615,
    "cosine": 4.346,
    "coverage": -3.103,
    "kin": 2.11,
    "placed": 6.102,
    "pairs": 0.894,
    "kind": 1.598,
}
SUPPORT = {
    "bias": -14.568,
    "cosine": 9.997,
    "coverage": 4.31,
    "sentence_cosine": 8.275,
    "sentence": 3.554,
    "names": 1.821,
}
SUPPORTED = 0.41
"""Support below which a question is not answered: held out, it answers 0.965 of the answerable questions and
abstains from 0.945 of the others."""
