"""Every failure as OpenAI's error object. Knows no route."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from actors.messages import InvalidRequest, PalError, Unprocessable

RETRY_STATUSES = frozenset({429, 503})
MOST_FAULTS = 100
"""Faults of one request that are looked at."""
CLIENT_ERRORS = (401, 403, 404, 413, 415, 422, 503, 504)
_MALFORMED = re.compile(
    r"json_|missing$|extra_|none_required|(.*_)?(type|parsing|unicode)$|union_tag_|.*_attributes"
)
_BRANCH = re.compile(r"[A-Z\[\]()\- ]|^(str|int|float|bool|dict|list|tuple|none|function|constrained)$")


class ErrorDetail(BaseModel):
    """What went wrong, and in which field of the request."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """The body of every reply that is not a success."""

    error: ErrorDetail


_DESCRIPTION = "OpenAI's error object"
_BY_REFERENCE = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorReply"}}}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorReply, "description": _DESCRIPTION},
    **{status: {"description": _DESCRIPTION, "content": _BY_REFERENCE} for status in CLIENT_ERRORS},
}


def error_body(error: PalError) -> dict[str, Any]:
    """OpenAI's error object for an error."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def error_event(error: PalError) -> bytes:
    """The last event of a stream that failed after its start."""
    return f"data: {json.dumps(error_body(error))}\n\n".encode()


def internal_error(request_id: str) -> PalError:
    """The error for a fault of the server's own, which says nothing of it but where to look."""
    return PalError(
        f"The server failed on this request; its log says why, under request id {request_id}.",
        code="internal_error",
    )


def error_response(error: PalError, retry_after_s: int = 1) -> JSONResponse:
    """The reply for an error; 429 and 503 carry Retry-After."""
    headers = {"retry-after": str(retry_after_s)} if error.status in RETRY_STATUSES else {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(error), error.status, headers)


def install(app: FastAPI, retry_after_s: int) -> None:
    """Make every exception that leaves a route an error object."""

    async def on_pal_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, PalError)
        return error_response(error, retry_after_s)

    async def on_invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(from_validation(error.errors()))

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _http_response(error)

    app.add_exception_handler(PalError, on_pal_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, _on_bug)


def from_validation(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """One error for all that validation found; every unknown field is named.

    400 if any part is malformed, 422 if only values are not acceptable.
    """
    errors = _without_other_branches(errors[:MOST_FAULTS])
    malformed = [found for found in errors if _is_malformed(found)]
    first = (malformed or list(errors))[0]
    unknown = [_path(found) for found in errors if found["type"] == "extra_forbidden"]
    if first["type"] == "json_invalid":
        return InvalidRequest("The request body is not valid JSON.", code="invalid_json")
    if unknown:
        names = ", ".join(unknown[:20])
        return InvalidRequest(
            f"Unrecognized request argument supplied: {names}", unknown[0], "unknown_parameter"
        )
    if first["type"] == "missing":
        param = _path(first) or "body"
        return InvalidRequest(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
    if not _path(first) and first["type"].startswith(("model_", "dict_")):
        return InvalidRequest("Send a JSON object, with content-type: application/json.", code="invalid_json")
    kind = InvalidRequest if malformed else Unprocessable
    message = "; ".join(f"'{_path(one) or 'body'}': {_reason(one)}" for one in (malformed or errors)[:4])
    return kind(
        f"Invalid value for {message}", _path(first) or None, "invalid_type" if malformed else "invalid_value"
    )


def _without_other_branches(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leaves out "should be a string" where the value was a list, and the list is what is wrong."""
    paths = [_path(found) for found in errors]
    right_type = [path for path, found in zip(paths, errors, strict=True) if not _is_malformed(found)]
    return [
        found
        for path, found in zip(paths, errors, strict=True)
        if not _is_malformed(found)
        or (path not in right_type and not any(other.startswith(f"{path}[") for other in paths))
    ]


def _is_malformed(found: Mapping[str, Any]) -> bool:
    return _MALFORMED.match(found["type"]) is not None


def _reason(found: Mapping[str, Any]) -> str:
    return str(found["msg"]).removeprefix("Value error, ")


def _path(found: Mapping[str, Any]) -> str:
    """The field at fault as `messages[0].content`; names of union branches are left out."""
    *parents, last = found["loc"] or ("",)
    if parents[:1] and parents[0] in ("body", "query", "path", "header"):
        parents = parents[1:]
    elif not parents and last == "body":
        return ""
    keep = [part for part in parents if isinstance(part, int) or not _BRANCH.search(part)]
    if found["type"] == "extra_forbidden" or isinstance(last, int) or not _BRANCH.search(last):
        keep.append(last)
    path = ""
    for before, part in zip([None, *keep], keep, strict=False):
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != before:
            path += f".{part}"
    return path.lstrip(".")[:200]


def _http_response(error: HTTPException) -> JSONResponse:
    if error.status_code == 400 and "parsing the body" in str(error.detail):
        return error_response(InvalidRequest("The request body cannot be parsed.", code="invalid_json"))
    messages = {404: "There is no such route.", 405: "This route does not take this method."}
    message = messages.get(error.status_code, str(error.detail))
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code)
    kind = "invalid_request_error" if error.status_code < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return JSONResponse(body, error.status_code, dict(error.headers or {}))


async def _on_bug(request: Request, _: Exception) -> JSONResponse:
    found: str = getattr(request.state, "request_id", "")
    return JSONResponse(error_body(internal_error(found)), 500, {"x-request-id": found})
