import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from actors.messages import InvalidRequest
from actors.models.tokenizer import ModelTokenizer
from configs.training import LongContextTraining
from tune import judge
from tune.haystack import EVERY, Haystack, asked, haystacks, room

LENGTH = 4 * EVERY


@pytest.fixture(scope="module")
def reader(tiny_model: Path) -> ModelTokenizer:
    return ModelTokenizer(tiny_model)


@pytest.fixture(scope="module")
def texts(reader: ModelTokenizer, tmp_path_factory: pytest.TempPathFactory) -> list[Haystack]:
    folder = tmp_path_factory.mktemp("texts")
    for name, count in (("a", 90), ("b", 5), ("c", 90)):
        (folder / f"{name}.txt").write_text(
            "\n\n".join(f"{name} {n}: the keeper wrote that {n} ships had passed." for n in range(count))
        )
    return list(haystacks(sorted(folder.iterdir()), LENGTH, 9, 0, reader))


def shown(reader: ModelTokenizer, ids: Any) -> str:
    return b"".join(reader.token_bytes(one) for one in ids).decode()


def test_facts_stand_between_paragraphs_and_can_be_asked_for(
    reader: ModelTokenizer, texts: list[Haystack]
) -> None:
    assert [text.name for text in texts] == ["a", "b+c"]
    for text in texts:
        assert len(text.tokens) == LENGTH
        assert f"user\n{text.name[0]} 0: the keeper" in shown(reader, text.tokens)
        for needle in text.needles:
            told = shown(reader, text.tokens[needle.begin : needle.end])
            assert shown(reader, needle.question).partition("assistant\n")[2] in told
            assert shown(reader, needle.answer) in told
            assert not any(text.counted[needle.begin : needle.end])
        one = asked(text, LENGTH, 1, 5, 0)[0]
        assert one.candidates[0] == one.needle.answer
        assert len(set(one.candidates)) == min(5, len(text.needles))
    made_up = next(haystacks([], 600, 1, 0, reader))
    assert not any(made_up.counted)
    with pytest.raises(InvalidRequest, match="tokens together"):
        list(haystacks([Path(__file__)], 10**6, 1, 0, reader))


def test_what_is_read_once_is_what_separate_calls_give(tiny_model: Path, texts: list[Haystack]) -> None:
    settings = LongContextTraining(rope={"method": "yarn", "reach": 4096}, length=512)
    model = judge.load(settings, tiny_model, torch.device("cpu"))
    assert model.config.rope_parameters["factor"] == 4.0
    text, half = texts[0], 3 * EVERY
    found = judge.read(model, text, [0, half, LENGTH], [half, LENGTH])
    with torch.no_grad():
        logits = model(torch.tensor([text.tokens])).logits[0]
        costs = cross_entropy(logits[:-1], torch.tensor(text.tokens[1:]), reduction="none")
    wanted = [float(cost) for cost, counts in zip(costs, text.counted[1:], strict=True) if counts]
    assert sum(span.nats for span in found.spans) == pytest.approx(math.fsum(wanted), rel=1e-4)
    assert sum(span.tokens for span in found.spans) == len(wanted)
    assert {answer.length for answer in found.answers} == {half, LENGTH}
    end = half - room(text)
    one = asked(text, end, judge.QUESTIONS, judge.CHOICES, 0)[0]
    scores = []
    for candidate in one.candidates:
        given = [*text.tokens[:end], *one.needle.question, *candidate]
        with torch.no_grad():
            last = model(torch.tensor([given])).logits[0, -len(candidate) - 1 : -1].log_softmax(-1)
        scores.append(float(last.gather(1, torch.tensor(candidate)[:, None]).sum()))
    answer = next(answer for answer in found.answers if answer.length == half)
    assert answer.rank == 1 + sum(score > scores[0] for score in scores[1:])
