"""Extends a model's context beyond the length that it was trained on, by its config. Knows no weights."""

from typing import Any

from actors.messages import InvalidRequest
from configs.training import RopeSettings


def trained_length(config: Any) -> int:
    """Tokens of the longest sequence that the model was trained on, before any extension of its config."""
    parameters = config.rope_parameters or {}
    return int(parameters.get("original_max_position_embeddings") or config.max_position_embeddings)


def extend(config: Any, rope: RopeSettings, longest: int) -> float:
    """Change a transformers config in place so that `longest` tokens are familiar. Returns the factor.

    Nothing is changed, and the factor is 1, for sequences that the model knows. NTK is written as a larger
    base, so that every engine computes it. Raises InvalidRequest where the model would be out of its depth.
    """
    known = trained_length(config)
    if longest <= config.max_position_embeddings:
        return 1.0
    if rope.method == "none":
        raise InvalidRequest(
            f"the model was trained on {known} tokens, and the sequences have {longest}: "
            "set rope.method to yarn, ntk or linear, or length to less"
        )
    parameters = dict(config.rope_parameters)
    if parameters.get("rope_type", "default") != "default":
        raise InvalidRequest(
            f"the model's context is extended already ({parameters['rope_type']}): set length to at most "
            f"{config.max_position_embeddings}"
        )
    factor = rope.factor or longest / known
    if factor * known < longest:
        raise InvalidRequest(
            f"rope.factor {factor:g} reaches {int(factor * known)} tokens, and the sequences have {longest}"
        )
    config.rope_parameters = _parameters(parameters, rope.method, factor, known, _head_width(config))
    config.max_position_embeddings = max(longest, int(factor * known))
    return factor


def _parameters(
    parameters: dict[str, Any], method: str, factor: float, known: int, width: int
) -> dict[str, Any]:
    if method == "ntk":
        return parameters | {"rope_theta": parameters["rope_theta"] * factor ** (width / (width - 2))}
    if method == "linear":
        return parameters | {"rope_type": "linear", "factor": factor}
    return parameters | {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": known,
    }


def _head_width(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
