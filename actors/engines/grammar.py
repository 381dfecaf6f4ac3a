"""JSON schemas as masks over tokens, by llguidance. Knows no engine."""

import json
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest

PARAM = "response_format"
STYLE: dict[str, Any] = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""One spelling only: small models fill optional whitespace until their tokens run out."""


@lru_cache(maxsize=128)
def strict_schema(json_schema: str) -> str:
    """A JSON-encoded schema, checked, with one way to write each value; `{}` means any JSON object.

    Raises InvalidRequest for what is no schema, or one that llguidance does not know.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator
    from llguidance import LLMatcher

    schema = json.loads(json_schema)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidRequest(f"invalid JSON schema: {error.message}", param=PARAM) from error
    if schema in ({}, True):
        schema = {"type": "object"}
    if not isinstance(schema, dict):
        raise InvalidRequest("invalid JSON schema: nothing satisfies false", param=PARAM)
    strict = json.dumps({**schema, "x-guidance": STYLE})
    fault = LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(strict))
    if fault:
        raise InvalidRequest(f"this JSON schema is not supported: {fault}", param=PARAM)
    return strict


class Grammars:
    """Makes matchers for one model's vocabulary; the first takes about a second."""

    def __init__(self, tokenizer_json: str, vocabulary: int, end_ids: tuple[int, ...]) -> None:
        from llguidance import LLTokenizer

        self._tokens = LLTokenizer(tokenizer_json, n_vocab=vocabulary, eos_token=list(end_ids))

    def matcher(self, json_schema: str) -> Any:
        """The state of one answer that must satisfy the schema. Raises InvalidRequest."""
        from llguidance import LLMatcher

        grammar = LLMatcher.grammar_from_json_schema(strict_schema(json_schema))
        matcher = LLMatcher(self._tokens, grammar, log_level=0)
        if matcher.is_error():
            raise InvalidRequest(f"this JSON schema is not supported: {matcher.get_error()}", param=PARAM)
        return matcher


def allowed_tokens(matcher: Any, vocabulary: int) -> NDArray[np.bool_]:
    """Which tokens may come next, shape (vocabulary,)."""
    bits = np.zeros((vocabulary + 31) // 32, dtype=np.int32)
    matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
    return np.unpackbits(bits.view(np.uint8), bitorder="little")[:vocabulary].astype(np.bool_)
