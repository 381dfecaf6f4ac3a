"""Weights of the linear rankings: learned, few, and constant. Knows no feature's meaning.

Fitted by `python -m benchmarks.qa_fit --data FILE`, which prints them, on 2,400 questions over 24 SQuAD 1.1
dev articles (conditional logit; logistic regression for SUPPORT). On articles held out of the fit (6 folds):
right passage in five 0.968, answer in three sentences 0.900, AUROC of support, article in or deleted, 0.990.
"""

PASSAGE = {
    "text": -0.419,
    "window": 3.435,
    "cosine": 14.538,
    "placed": 3.24,
    "sentence": 2.434,
    "pairs": 2.941,
    "kind": 1.195,
    "kin": 2.458,
}
SENTENCE = {
    "passage": 0.573,
    "cosine": 5.307,
    "coverage": -3.053,
    "kin": 1.879,
    "placed": 6.043,
    "pairs": 0.852,
    "kind": 1.531,
}
SUPPORT = {
    "bias": -14.619,
    "cosine": 9.495,
    "coverage": 4.362,
    "sentence_cosine": 8.714,
    "sentence": 3.499,
    "names": 1.871,
}
SUPPORTED = 0.401
"""Support below which a question is not answered: held out, it answers 0.965 of the answerable questions and
abstains from 0.944 of the others."""
