"""RLlib's PPO over the real environment; what it learns is compared with a plain policy gradient."""

import numpy as np
import pytest
import torch

from actors.compression.chunks import Chunk, cut, estimate
from actors.compression.policy import Policy
from actors.models import keep
from benchmarks.keep_oracle import learn
from configs.compression import CompressionTraining
from tune.compress import MaskedBernoulli, pace, shares
from tune.training import kept_share, task_of

SETTINGS = CompressionTraining(iterations=12, chunks=16, minibatch=16, choices=8, rate=1e-2)
FILLER = ["of", "the", "and", "to", "in", "it", "was", "as", "for", "on", "that", "by", "with", "from", "at"]
NAMES = ["Anna", "Boris", "Clara", "Dmitri", "Edith", "Fritz", "Greta", "Hans", "Inga", "Jonas"]


def letters(count: int, seed: int) -> list[Chunk]:
    """Texts of small words among which names are mostly what is asked for, and years seldom."""
    chance = np.random.default_rng(seed)
    chunks = []
    for number in range(count):
        words = list(chance.choice(FILLER, 40))
        asked = []
        for place in chance.choice(40, 12, replace=False):
            words[place] = str(chance.choice(NAMES)) if place % 2 else str(chance.integers(1700, 1999))
            if chance.random() < (0.9 if place % 2 else 0.3):
                asked.append([words[place]])
        chunks += cut(str(number), "letters", " ".join(words), asked, estimate)
    return chunks


def test_a_distribution_counts_the_real_words_only() -> None:
    logits = torch.tensor([[0.3, -1.0, 5.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    kind = type("Three", (MaskedBernoulli,), {"choices": 3})
    held = kind.from_logits(torch.stack([logits, mask], dim=1))
    torch.manual_seed(1)
    drawn = held.sample()
    assert drawn.shape == (1, 3, 3)
    assert drawn[..., 2].sum() == 0
    expected = torch.distributions.Bernoulli(logits=logits[:, :2])
    each = expected.log_prob(drawn[0, :, :2].float()).sum(dim=1)
    torch.testing.assert_close(held.logp(drawn)[0], each)
    torch.testing.assert_close(held.entropy()[0, 0], expected.entropy().sum())
    torch.testing.assert_close(held.kl(held), torch.zeros(1, 1))
    other = kind.from_logits(torch.stack([-logits, mask], dim=1))
    told = torch.distributions.kl_divergence(expected, torch.distributions.Bernoulli(logits=-logits[:, :2]))
    torch.testing.assert_close(held.kl(other)[0, 0], told.sum())


def test_a_calibrated_choice_meets_the_budget_on_average_and_its_gradient_knows() -> None:
    torch.manual_seed(2)
    logits = (
        torch.randn(3, 20, dtype=torch.float64) + torch.tensor([[0.0], [90.0], [-90.0]])
    ).requires_grad_()
    mask = (torch.arange(20)[None] < torch.tensor([[20], [12], [5]])).double()
    costs = torch.randint(1, 5, (3, 20)).double()
    budget = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)

    def kept(values: torch.Tensor) -> torch.Tensor:
        shifted = keep.calibrated(values, mask, costs, budget)
        return (torch.sigmoid(shifted) * costs * mask).sum(dim=1) / (costs * mask).sum(dim=1)

    torch.testing.assert_close(kept(logits), budget, atol=1e-6, rtol=0)
    (slope,) = torch.autograd.grad(kept(logits).sum(), logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-6, rtol=0)


def test_what_is_always_kept_leaves_less_of_the_budget_for_the_rest() -> None:
    costs, mask = torch.tensor([[2.0, 1.0, 1.0, 9.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    free = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    assert keep.left(costs, mask, free, torch.tensor([0.75])).tolist() == [0.5]
    assert keep.left(costs, mask, mask, torch.tensor([0.75])).tolist() == [0.75]
    assert 0 < keep.left(costs, mask, free, torch.tensor([0.1])).item() < 0.1


def test_kinds_of_text_are_balanced() -> None:
    kinds = ["a"] * 9 + ["b"]
    assert shares(kinds, 1).tolist() == pytest.approx([0.1] * 10)
    assert shares(kinds, 0)[-1] == pytest.approx(0.5)


def test_the_rate_rises_then_falls() -> None:
    rates = [pace(iteration, 100) for iteration in range(100)]
    assert rates[0] == 0.2
    assert max(rates) == rates[4]
    assert rates[99] < 0.07


@pytest.mark.ray
@pytest.mark.usefixtures("ray_runtime")
def test_ppo_keeps_as_many_answers_as_the_oracle() -> None:
    from tune.compress import Learner

    train, test = letters(40, seed=1), letters(20, seed=2)
    task = task_of(SETTINGS, train)
    learner = Learner(SETTINGS, task)
    ratios = [learner.iterate(iteration)["ratio"] for iteration in range(SETTINGS.iterations)]
    ours = Policy(learner.weights())
    learner.close()
    oracle = Policy(learn(SETTINGS, task))
    shares = [
        kept_share(test, lambda chunk, budget, policy=policy: policy.scores(chunk.rows, budget), 0.2)
        for policy in (ours, oracle)
    ]
    assert 0.7 < shares[1] < 0.95
    assert shares[0] >= 0.95 * shares[1]
    assert all(0.3 < ratio < 0.7 for ratio in ratios)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_runtime")
@pytest.mark.parametrize(
    "changed",
    [
        {"choices": 1},
        {"credit": "choice"},
        {"policy": "attention"},
        {"environment": "word", "chunks": 2},
        {"calibrate": False, "reward": {"answers": 0, "reconstruction": 1}},
    ],
)
def test_every_variant_trains(changed: dict[str, object]) -> None:
    from tune.compress import Learner

    settings = CompressionTraining.model_validate({"iterations": 2, "chunks": 4, "minibatch": 4, **changed})
    learner = Learner(settings, task_of(settings, letters(4, seed=3)))
    before = learner.weights()
    figures = learner.iterate(0)
    after = learner.weights()
    learner.close()
    assert np.isfinite(list(figures.values())).all()
    assert any((before[name] != after[name]).any() for name in before)
    Policy(after)
