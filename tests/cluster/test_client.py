import json
import os

import httpx
import pytest

from actors.messages import NotReady, PalError, Timeout, Unauthorized
from cluster.client import Client, connect
from cluster.running import Running, this_process, write_note
from configs.schema import ServeSettings, Settings


def client_of(answer: httpx.Response | Exception) -> Client:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://127.0.0.1:1", transport=httpx.MockTransport(handle))


def error(status: int, code: str | None, message: str = "said the server") -> httpx.Response:
    return httpx.Response(
        status, json={"error": {"message": message, "type": "t", "param": "p", "code": code}}
    )


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (error(400, None), PalError, "said the server"),
        (error(401, "invalid_api_key"), Unauthorized, "--api-key"),
        (error(503, "not_ready"), NotReady, "said the server"),
        (error(503, "overloaded"), PalError, "said the server"),
        (httpx.Response(502, text="<html>"), PalError, "502"),
        (httpx.Response(500, json=["?"]), PalError, "500"),
        (httpx.Response(200, text="hello"), PalError, "JSON"),
        (httpx.ConnectError("refused"), NotReady, "pal up"),
        (httpx.ReadTimeout("slow"), Timeout, "in time"),
        (httpx.RemoteProtocolError("cut"), PalError, "cut"),
    ],
)
def test_failures_become_one_message(
    answer: httpx.Response | Exception, kind: type[PalError], message: str
) -> None:
    with client_of(answer) as client, pytest.raises(PalError, match=message) as raised:
        client.get("/v1/models")
    assert type(raised.value) is kind


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://[::", "http://a:b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PalError, match="no http address"):
        Client(url)


@pytest.mark.parametrize("url", ["localhost:8000", "http://localhost:8000/", "http://localhost:8000/v1"])
def test_an_address_may_be_short(url: str) -> None:
    assert Client(url).url == "http://localhost:8000"


def test_stream_yields_chunks_and_ends_at_done() -> None:
    text = 'data: {"a": 1}\n\n: a comment\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n'
    with client_of(httpx.Response(200, text=text)) as client:
        assert list(client.stream("/v1/chat/completions", {})) == [{"a": 1}, {"a": 2}]


def test_an_error_within_a_stream_is_raised_after_what_came_before() -> None:
    text = 'data: {"a": 1}\n\ndata: {"error": {"message": "broke", "code": "engine_error"}}\n\n'
    with client_of(httpx.Response(200, text=text)) as client:
        chunks = client.stream("/v1/chat/completions", {})
        assert next(chunks) == {"a": 1}
        with pytest.raises(PalError, match="broke") as raised:
            next(chunks)
    assert raised.value.code == "engine_error"


def test_an_error_instead_of_a_stream_is_raised() -> None:
    with client_of(error(404, "model_not_found")) as client, pytest.raises(PalError, match="said the server"):
        next(client.stream("/v1/chat/completions", {}))


def test_pages_follows_the_list_to_its_end() -> None:
    pages = {None: (["f1", "f2"], True), "f2": (["f3"], False)}

    def handle(request: httpx.Request) -> httpx.Response:
        ids, more = pages[request.url.params.get("after")]
        return httpx.Response(200, json={"data": [{"id": one} for one in ids], "has_more": more})

    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(handle)) as client:
        assert [one["id"] for one in client.pages("/v1/files")] == ["f1", "f2", "f3"]


@pytest.mark.parametrize(
    ("keys", "given", "sent"),
    [
        ((), None, None),
        (("ann:k:1", "k2"), None, "Bearer k:1"),
        (("k2",), None, "Bearer k2"),
        (("k2",), "mine", "Bearer mine"),
    ],
)
def test_the_key_is_the_given_one_else_the_first_of_the_settings(
    keys: tuple[str, ...], given: str | None, sent: str | None
) -> None:
    with connect(Settings(api_keys=keys), api_key=given) as client:
        assert client._http.headers.get("authorization") == sent


def test_the_server_is_found_by_flag_then_note_then_settings() -> None:
    settings = Settings(
        home=os.environ["PAL_HOME"], port=9001, api_keys=("k",), serve=ServeSettings(host="::")
    )
    assert connect(settings).url == "http://[::1]:9001"
    pid, started_at = this_process()
    url = "http://127.0.0.1:9002"
    write_note(
        settings.home,
        Running(pid=pid, started_at=started_at, host="127.0.0.1", port=9002, url=url, mode="local"),
    )
    assert connect(settings).url == url
    assert connect(settings, "http://example.org/").url == "http://example.org"


def test_upload_sends_the_name_and_the_bytes() -> None:
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.read())
        return httpx.Response(200, json={"id": "file-1"})

    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(handle)) as client:
        assert json.dumps(client.upload("docs/a.md", b"# A")) == '{"id": "file-1"}'
    assert b'filename="docs/a.md"' in seen[0]
    assert b"# A" in seen[0]


def test_lines_are_cut_at_newlines_alone() -> None:
    content = 'a\u2028b\n{"c": 1}\nlast'.encode()
    with client_of(httpx.Response(200, content=content)) as client:
        assert list(client.lines("/x")) == ["a\u2028b".encode(), b'{"c": 1}', b"last"]
    with client_of(error(404, None)) as client, pytest.raises(PalError, match="said the server"):
        next(client.lines("/x"))
