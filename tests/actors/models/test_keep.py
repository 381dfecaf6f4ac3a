import numpy as np
import pytest
import torch

from actors.compression.features import WIDTH
from actors.compression.policy import Policy
from actors.models.keep import Kind, build


@pytest.mark.parametrize("kind", ["convolution", "attention"])
def test_numpy_and_torch_agree(kind: Kind) -> None:
    torch.manual_seed(3)
    module = build(kind, WIDTH).eval()
    policy = Policy({name: value.numpy() for name, value in module.state_dict().items()})
    rows = np.random.default_rng(3).random((2, 256, WIDTH), np.float32)
    mask = torch.ones(2, 256)
    mask[1, 40:] = 0
    given = torch.cat([torch.from_numpy(rows), torch.full((2, 256, 1), 0.4)], dim=2)
    given[1, 40:] = 7.0
    with torch.no_grad():
        logits, _ = module(given, mask)
    for index, count in enumerate((256, 40)):
        expected = logits[index, :count].numpy()
        np.testing.assert_allclose(policy.scores(rows[index, :count], 0.4), expected, atol=1e-5)


def test_the_default_is_small() -> None:
    assert 4_000 < sum(weight.numel() for weight in build("convolution", WIDTH).parameters()) < 6_500
