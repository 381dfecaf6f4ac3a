import json
from typing import Any

import pytest
import websockets

from configs.schema import CompressionSettings, EngineSettings, Settings

LONG = "[[text:word ]][[tokens:100000]][[delay:0.01]]"


def address(url: str) -> str:
    return url.replace("http", "ws") + "/v1/chat/ws"


async def turn(socket: Any, body: Any) -> list[Any]:
    """Everything the server says to one request."""
    await socket.send(body if isinstance(body, str | bytes) else json.dumps(body))
    said = []
    while not said or not ("done" in said[-1] or "error" in said[-1]):
        said.append(json.loads(await socket.recv()))
    return said


async def test_several_turns_and_errors_on_one_socket(url: str, ask: Any) -> None:
    async with websockets.connect(address(url)) as socket:
        first = await turn(socket, ask("[[text:a b]]"))
        assert "".join(c["choices"][0]["delta"].get("content", "") for c in first[:-1]) == "a b"
        assert first[-1] == {"done": True}
        assert "palimpsest" in first[-2]
        for wrong, code in (
            ("{", "invalid_json"),
            ({"model": "gpt-9", "messages": ask()["messages"]}, "model_not_found"),
            (ask(colour=1), "unknown_parameter"),
            ("[" * 200 + "]" * 200, "json_too_deep"),
            ("[]", "invalid_json"),
            (b"\xff\xfe", "invalid_json"),
        ):
            assert (await turn(socket, wrong))[-1]["error"]["code"] == code
        assert (await turn(socket, ask("[[fail]]")))[-1]["error"]["code"] == "engine_error"
        assert (await turn(socket, ask("[[text:c]]")))[-1] == {"done": True}


async def test_compression_is_reported_in_the_last_chunk(make_app: Any, listen_to: Any, ask: Any) -> None:
    compression = CompressionSettings(prefill_us=1e6)
    settings = Settings(engine=EngineSettings(kind="scripted"), compression=compression)
    text = f"{'The harbour was rebuilt by people of the old town. ' * 20}\n\nWho rebuilt it?"
    async with (
        make_app(settings) as app,
        listen_to(app) as other,
        websockets.connect(address(other)) as socket,
    ):
        said = await turn(socket, ask(text, compression={"budget": 0.5}))
        assert said[-2]["palimpsest"]["prompt_tokens_saved"] > 0
        refused = await turn(socket, ask(text, compression={"budget": 2}))
        assert refused[-1]["error"]["param"] == "compression.budget"


async def test_a_client_that_leaves_stops_the_engine(url: str, app: Any, ask: Any, running: Any) -> None:
    generator = app.state.services.generator
    async with websockets.connect(address(url)) as socket:
        await socket.send(json.dumps(ask(LONG, max_tokens=7000)))
        await socket.recv()
        assert (await generator.health()).running == 1
    await running(generator, 0)


async def test_foreign_pages_and_missing_keys_are_refused(
    url: str, make_app: Any, listen_to: Any, ask: Any
) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(address(url), origin=websockets.Origin("https://evil.example"))
    assert refused.value.response.status_code == 403
    keyed = Settings(engine=EngineSettings(kind="scripted"), api_keys=("ann:k",))
    async with make_app(keyed) as app, listen_to(app) as other:
        with pytest.raises(websockets.InvalidStatus) as unknown:
            await websockets.connect(address(other))
        assert unknown.value.response.status_code == 401
        headers = {"Authorization": "Bearer k"}
        async with websockets.connect(address(other), additional_headers=headers) as socket:
            assert (await turn(socket, ask()))[-1] == {"done": True}
