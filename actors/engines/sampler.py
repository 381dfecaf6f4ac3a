"""Picks each sequence's next token from its logits. Knows no model and no batch.

Shapes: V tokens of the vocabulary.
"""

import torch

from actors.engines.grammar import allowed_tokens
from actors.engines.schedule import Request
from actors.messages import TokenLogprob

LIKELIEST = 1024
"""How many tokens top-p looks at before it sorts them all."""
Tensor = torch.Tensor


def pick(request: Request, logits_V: Tensor) -> tuple[int, TokenLogprob | None]:
    """The next token and, where asked for, the model's own log probability of it and the alternatives."""
    sampling = request.sampling
    adjusted_V = _adjusted(request, logits_V)
    if sampling.temperature <= 0:
        token = int(adjusted_V.argmax())
    else:
        token = _draw(adjusted_V / sampling.temperature, request)
    if sampling.logprobs is None:
        return token, None
    return token, token_logprob(logits_V, token, sampling.logprobs)


def token_logprob(logits_V: Tensor, token: int, alternatives: int) -> TokenLogprob:
    """A token's log probability under the logits, with the best alternatives."""
    logprobs_V = logits_V.float().log_softmax(-1)
    top: tuple[tuple[int, float], ...] = ()
    if alternatives:
        values, ids = logprobs_V.topk(min(alternatives, len(logprobs_V)))
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return TokenLogprob(token, float(logprobs_V[token]), top)


def _adjusted(request: Request, logits_V: Tensor) -> Tensor:
    """The logits with penalties, bias and grammar applied."""
    sampling = request.sampling
    penalised = bool(request.counts) and (sampling.frequency_penalty or sampling.presence_penalty)
    if not penalised and not sampling.logit_bias and request.matcher is None:
        return logits_V
    logits_V = logits_V.clone()
    if penalised:
        ids = torch.tensor(list(request.counts), device=logits_V.device)
        counts = torch.tensor(list(request.counts.values()), device=logits_V.device)
        logits_V[ids] -= sampling.frequency_penalty * counts + sampling.presence_penalty
    if sampling.logit_bias:
        ids = torch.tensor(list(sampling.logit_bias), device=logits_V.device)
        logits_V[ids] += torch.tensor(list(sampling.logit_bias.values()), device=logits_V.device)
    if request.matcher is not None:
        allowed_V = torch.from_numpy(allowed_tokens(request.matcher, len(logits_V)))
        logits_V.masked_fill_(~allowed_V.to(logits_V.device), float("-inf"))
    return logits_V


def _draw(logits_V: Tensor, request: Request) -> int:
    """One token by inverse transform: one uniform number of the request's own, on any device the same."""
    sampling = request.sampling
    uniform = request.random.random()
    if sampling.top_k <= 0 and sampling.top_p >= 1:
        return _invert(logits_V.softmax(-1), uniform)
    probabilities, ids = _likeliest(logits_V, sampling.top_k, sampling.top_p)
    return int(ids[_invert(probabilities, uniform)])


def _likeliest(logits_V: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """The tokens that top-k, then top-p, leave: their probabilities, highest first, and their ids."""
    size = len(logits_V)
    keep = min(top_k, size) if top_k > 0 else size
    values, ids = logits_V.topk(min(keep, LIKELIEST))
    total = logits_V.logsumexp(-1) if top_k <= 0 else logits_V.topk(keep).values.logsumexp(-1)
    probabilities = (values - total).exp()
    if keep > LIKELIEST and float(probabilities.sum()) < top_p:
        values, ids = logits_V.topk(keep)
        probabilities = (values - total).exp()
    before = probabilities.cumsum(-1) - probabilities
    kept = int((before < top_p).sum())
    return probabilities[: max(kept, 1)], ids[: max(kept, 1)]


def _invert(probabilities: Tensor, uniform: float) -> int:
    precise = probabilities.double() if probabilities.device.type != "mps" else probabilities
    cumulative = precise.cumsum(-1)
    place = int(torch.searchsorted(cumulative, float(cumulative[-1]) * uniform, right=True))
    return min(place, len(probabilities) - 1)
