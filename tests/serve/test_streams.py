import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from serve.streams import ClientGone, EventStream, merged, primed, while_there

LONG = "[[text:word ]][[tokens:100000]][[delay:0.01]]"


class Source:
    """Counts up to `most`, fails there if told to, and knows whether it was closed."""

    def __init__(self, most: int, fails: bool = False) -> None:
        self.most = most
        self.fails = fails
        self.closed = False

    async def items(self) -> AsyncGenerator[int]:
        try:
            for number in range(self.most):
                await asyncio.sleep(0)
                yield number
            if self.fails:
                raise ValueError("broken")
        finally:
            self.closed = True


async def test_merged_gives_all_items_of_all_sources() -> None:
    found = [item async for item in merged([Source(3).items(), Source(0).items(), Source(2).items()])]
    assert sorted(found) == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)]


async def test_one_broken_source_ends_the_others() -> None:
    endless, broken = Source(10**9), Source(3, fails=True)
    with pytest.raises(ValueError, match="broken"):
        async for _ in merged([endless.items(), broken.items()]):
            pass
    assert endless.closed
    assert broken.closed


@pytest.mark.parametrize("number", [1, 3])
async def test_closing_a_merged_stream_closes_its_sources(number: int) -> None:
    sources = [Source(10**9) for _ in range(number)]
    stream = merged([source.items() for source in sources])
    await anext(stream)
    await stream.aclose()
    assert all(source.closed for source in sources)


async def test_primed_raises_early_and_loses_nothing() -> None:
    assert [item async for item in await primed(Source(3).items())] == [0, 1, 2]
    assert [item async for item in await primed(Source(0).items())] == []
    with pytest.raises(ValueError, match="broken"):
        await primed(Source(0, fails=True).items())


async def test_work_ends_when_its_client_leaves() -> None:
    ended = asyncio.Event()

    async def leave() -> Any:
        return {"type": "http.disconnect"}

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ClientGone):
        await while_there(leave, work())
    assert ended.is_set()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_engine(
    url: str, app: Any, ask: Any, running: Any, stream: bool, n: int
) -> None:
    generator = app.state.services.generator
    body = ask(LONG, stream=stream, n=n, max_tokens=7000)
    async with httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.create_task(_begin(client, body, until_first=stream))
        await running(generator, n)
        if stream:
            await asking
        else:
            asking.cancel()
    await running(generator, 0)
    assert b"palimpsest_abandoned_generations_total %d.0" % n in app.state.metrics.text()


async def _begin(client: httpx.AsyncClient, body: Any, *, until_first: bool) -> None:
    """Send a request; leave at the first event of its stream."""
    if not until_first:
        await client.post("/v1/chat/completions", json=body)
        return
    async with client.stream("POST", "/v1/chat/completions", json=body) as reply:
        async for line in reply.aiter_lines():
            if '"content":"word' in line:
                return


async def test_an_interval_joins_tokens_but_not_the_first(make_app: Any, make_client: Any, ask: Any) -> None:
    from configs.schema import EngineSettings, ServeSettings, Settings

    slow = Settings(engine=EngineSettings(kind="scripted"), serve=ServeSettings(stream_interval_ms=10000))
    async with make_app(slow) as app, make_client(app) as client:
        reply = await client.post("/v1/chat/completions", json=ask("[[text:a b c d]]", stream=True))
    chunks = [json.loads(line[6:]) for line in reply.text.split("\n\n") if line and "[DONE]" not in line]
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert texts == ["", "a", " b c d", None]


async def test_a_fault_of_the_servers_own_ends_the_stream_with_an_error_event() -> None:
    async def broken() -> AsyncGenerator[str]:
        yield "1"
        raise ValueError("a secret of the inside")

    app = EventStream(broken())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        first, last, rest = (await client.get("/")).text.split("\n\n")
    assert (first, rest) == ("data: 1", "")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "internal_error"
    assert "secret" not in last
