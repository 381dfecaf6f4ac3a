from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actors.messages import Busy, InvalidRequest, NotFound, Unauthorized
from serve.errors import error_body, error_event, error_response, from_validation


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    size: int = Field(default=1, le=3)


class Outer(Inner):
    names: str | list[str] = Field(default="x", max_length=2)
    parts: list[Inner] = []


def fault(body: Any) -> InvalidRequest:
    try:
        Outer.model_validate(body)
    except ValidationError as error:
        return from_validation(error.errors())
    raise AssertionError("valid")


def test_an_error_is_openais_object() -> None:
    error = NotFound("gone", "file_id")
    assert error_body(error) == {
        "error": {"message": "gone", "type": "invalid_request_error", "param": "file_id", "code": "not_found"}
    }
    assert error_event(error).startswith(b'data: {"error"')
    assert error_event(error).endswith(b"\n\n")


def test_headers_tell_when_to_come_back_and_how_to_log_in() -> None:
    assert error_response(Busy("x"), 9).headers["retry-after"] == "9"
    assert error_response(Unauthorized("x")).headers["www-authenticate"] == "Bearer"
    assert "retry-after" not in error_response(NotFound("x")).headers


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"size": 9}, 422, "size"),
        ({"size": "9"}, 400, "size"),
        ({"parts": [{"size": 1}, {"size": 9}]}, 422, "parts[1].size"),
        ({"parts": [{"size": "1"}, {"size": 9}]}, 400, "parts[0].size"),
        ({"parts": [{"Odd Name": 1}]}, 400, "parts[0].Odd Name"),
        ({"names": 3}, 400, "names"),
        ({"names": [1]}, 400, "names[0]"),
        ([], 400, None),
    ],
)
def test_the_first_fault_is_named(body: Any, status: int, param: str | None) -> None:
    error = fault(body)
    assert (error.status, error.param) == (status, param), error.message


def test_all_unknown_fields_are_named() -> None:
    error = fault({"red": 1, "blue": 2, "size": 9})
    assert error.status == 400
    assert "red, blue" in error.message
