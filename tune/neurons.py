"""Neurons of a gated MLP that fire where a name ends and nowhere else. Knows no text and no model.

Shapes: P places, W width of the model, S neurons (one for each name).
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import silu

from configs.learning import EditSettings

Tensor = torch.Tensor
STILL = -1
"""The name of a place where none ends."""
NAMED, GENERAL = 3.0, 3.0
"""Weight of a place where a name ends, and of one in general text."""
ALWAYS = 100.0
"""Weight of a place that all rows begin with."""
DECAY = 2e-4
SEARCH = 60
"""Steps after which the places are sought anew at which the neurons fire most."""
ANY = 1500
"""Places of each step that are drawn from all."""


@dataclass(frozen=True, slots=True)
class Neurons:
    """Rows of a layer's gate and up projection."""

    gate_S_W: Tensor
    up_S_W: Tensor

    def fire(self, inputs_P_W: Tensor) -> Tensor:
        """What each passes on at each place, [P, S]: about 1 where its name ends, about 0 elsewhere."""
        return silu(inputs_P_W @ self.gate_S_W.T) * (inputs_P_W @ self.up_S_W.T)


def fit(
    inputs_P_W: Tensor, names_P: Tensor, weights_P: Tensor, count: int, settings: EditSettings, seed: int
) -> Neurons:
    """One neuron for each of so many names: `names_P` says whose ends at a place, or STILL.

    The neuron of a name that ends nowhere stays still.

    Each gate begins below zero by a direction that all inputs share, so that little of what is not its name
    opens it; both rows are then fitted by least squares, mostly at the places that are worst.
    """
    scale = inputs_P_W.norm(dim=1).mean()
    inputs_P_W = inputs_P_W / scale
    draw = torch.Generator().manual_seed(seed)
    middle_W = inputs_P_W.mean(0)
    ends_S_P = [inputs_P_W[names_P == name] for name in range(count)]
    known_S_W = torch.stack([(own if len(own) else middle_W[None]).mean(0) - middle_W for own in ends_S_P])
    below_W = settings.still * _constant(inputs_P_W)
    gate_S_W = (5 * max(1.0, settings.still) * known_S_W).requires_grad_()
    up_S_W = (2 * known_S_W).requires_grad_()
    wanted_P_S = torch.zeros(len(inputs_P_W), count)
    ends = (names_P != STILL).nonzero()[:, 0]
    wanted_P_S[ends, names_P[ends]] = 1.0
    cost_P_S = torch.where(wanted_P_S > 0, NAMED, 1.0) * weights_P[:, None]
    optimiser = torch.optim.Adam([gate_S_W, up_S_W], lr=settings.fit_rate)
    always = torch.cat([ends, (weights_P >= ALWAYS).nonzero()[:, 0]])
    worst = ends
    for step in range(settings.fit_steps):
        if step % SEARCH == 0:
            with torch.no_grad():
                fired_P_S = Neurons(gate_S_W - below_W, up_S_W).fire(inputs_P_W)
                errors_P = ((fired_P_S - wanted_P_S) ** 2 * cost_P_S).max(1).values
                worst = errors_P.topk(min(len(errors_P), settings.fit_hard)).indices
        some = torch.randint(len(inputs_P_W), (ANY,), generator=draw)
        places = torch.cat([some, worst, always])
        errors = Neurons(gate_S_W - below_W, up_S_W).fire(inputs_P_W[places]) - wanted_P_S[places]
        loss = (errors**2 * cost_P_S[places]).sum() / max(1, len(ends))
        loss = loss + settings.fit_together * (errors.sum(1) ** 2 * weights_P[places]).sum() / max(
            1, len(ends)
        )
        mean_S = errors[:ANY].mean(0)
        loss = loss + settings.fit_steady * (mean_S.square().sum() + mean_S.sum().square())
        loss = loss + DECAY * (gate_S_W.square().sum() + up_S_W.square().sum()) / count
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimiser.param_groups:
            group["lr"] = settings.fit_rate * (1 - step / settings.fit_steps)
        optimiser.step()
        optimiser.zero_grad()
    return Neurons((gate_S_W.detach() - below_W) / scale, up_S_W.detach() / scale)


def _constant(inputs_P_W: Tensor) -> Tensor:
    """The direction along which all inputs are as nearly 1 as can be, [W]."""
    width = inputs_P_W.shape[1]
    square_W_W = inputs_P_W.T @ inputs_P_W / len(inputs_P_W) + 1e-4 * torch.eye(width)
    found_W: Tensor = torch.linalg.solve(square_W_W, inputs_P_W.mean(0))
    return found_W
