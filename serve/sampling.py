"""What chat and plain completions share: sampling, and what an engine must be able to do."""

from actors.messages import Capabilities, InvalidRequest, Sampling
from configs.schema import ServeSettings
from serve.catalog import Catalog
from serve.swap import Chosen
from serve.wire import SamplingBody


def sampling_of(body: SamplingBody, defaults: ServeSettings) -> Sampling:
    """What chat and plain completions share."""
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    return Sampling(
        max_tokens=body.max_tokens,
        temperature=defaults.default_temperature if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=max(body.top_k or 0, 0),
        seed=body.seed,
        stop=stop,
        logit_bias={int(token): bias for token, bias in (body.logit_bias or {}).items()},
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        ignore_eos=bool(body.ignore_eos),
    )


def require(able: bool, what: str, param: str, capabilities: Capabilities) -> None:
    """Raises InvalidRequest where the engine cannot do what was asked."""
    if not able:
        raise InvalidRequest(
            f"The {capabilities.engine} engine cannot give {what}.", param, "unsupported_value"
        )


def fingerprint(catalog: Catalog, chosen: Chosen) -> str:
    """`system_fingerprint`: the model and the adapter's version."""
    return f"{catalog.base}@{chosen.name or 'base'}"
