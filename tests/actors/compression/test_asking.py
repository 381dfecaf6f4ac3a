"""What a question makes of keep-scores."""

import numpy as np

from actors.compression.asking import favoured
from actors.compression.words import split

TEXT = "The mill was built of stone. The bridge was paid for by a widow named Agnes. Nobody lives there now."
SCORES = np.linspace(1, -1, len(split(TEXT)), dtype=np.float32)


def test_the_sentence_that_shares_most_with_the_question_gains_most() -> None:
    gained = favoured(TEXT, split(TEXT), SCORES, "Who paid for the bridge?") - SCORES
    second = [TEXT.index("The bridge") <= word.start < TEXT.index("Nobody") for word in split(TEXT)]
    assert gained[second].min() > gained[np.logical_not(second)].max()


def test_a_question_of_other_things_changes_nothing() -> None:
    assert np.array_equal(favoured(TEXT, split(TEXT), SCORES, "When did it rain?"), SCORES)
