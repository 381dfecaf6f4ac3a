from typing import Any

import pytest

from actors.messages import InvalidRequest
from serve.schemas import check_schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"type": "array", "minItems": 10**9},
        {"anyOf": [{"properties": {"a": {"type": "string", "maxLength": 10**6}}}]},
        {"$ref": "http://elsewhere.example/schema"},
        {"items": {"$ref": "file:///etc/passwd"}},
    ],
)
def test_schemas_that_no_engine_should_see(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_schema(schema, "tools")
    assert (refused.value.param, refused.value.code) == ("tools", "invalid_json_schema")


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"properties": {"minItems": {"type": "null"}}},
    ],
)
def test_ordinary_schemas_pass(schema: dict[str, Any]) -> None:
    check_schema(schema, "response_format")
