"""Versions come, go and harm under requests: over HTTP, the scripted engine, and the real lineage."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.lineage import Lineage
from actors.messages import InvalidRequest
from actors.training.versions import Verdict, Version
from configs.schema import EngineSettings, ServeSettings, Settings, WatchSettings
from serve.services import Services
from serve.swap import Swap
from serve.web import build_app

ACCEPTED = Verdict(accepted=True, slices=(), reasons=(), judged_at=0.0)
LOOP = "[[text:go go go go go go go go go go go go]]"
Build = Callable[..., Any]


@dataclass
class World:
    """A server in this process, and whoever keeps its versions."""

    client: httpx.AsyncClient
    services: Services
    make_adapter: Build
    made: list[Version] = field(default_factory=list)

    @property
    def lineage(self) -> Lineage:
        assert self.services.lineage is not None
        return self.services.lineage

    async def candidate(self, **given: Any) -> Version:
        """A version that a gate accepted."""
        told = {"method": "made", "events": (f"e-{len(self.made)}",), "scores": {}, **given}
        folder = self.make_adapter(seed=len(self.made))
        self.made.append(await self.lineage.judge((await self.lineage.admit(folder, **told)).id, ACCEPTED))
        return self.made[-1]

    async def ask(self, body: dict[str, Any], path: str = "/v1/chat/completions") -> dict[str, Any]:
        reply = await self.client.post(path, json=body)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        assert reply.headers["x-palimpsest-adapter"] == (found["palimpsest"]["adapter"] or "none")
        return found


@pytest.fixture
async def world(tmp_path: Path, make_adapter: Build, make_client: Build) -> AsyncIterator[World]:
    settings = Settings(
        home=tmp_path,
        engine=EngineSettings(kind="scripted"),
        serve=ServeSettings(max_ongoing_requests=256),
        watch=WatchSettings(probe_every=5),
    )
    async with AsyncExitStack() as closing:
        generator, compressor, lineage = Generator(settings), Compressor(settings), Lineage(settings)
        for part in (generator, compressor, lineage):
            await part.start()
            closing.push_async_callback(part.close)
        services = Services(
            settings=settings,
            generator=generator,
            embedder=cast(Embedder, None),
            keeper=cast(Keeper, None),
            compressor=compressor,
            lineage=lineage,
        )
        closing.push_async_callback(services.background.close)
        services.background.start(services.swap.follow())
        await asyncio.sleep(0)
        client = await closing.enter_async_context(make_client(build_app(services)))
        yield World(client, services, make_adapter)


async def test_no_answer_mixes_versions_and_none_fails(world: World, ask: Build) -> None:
    """Every token of an answer comes from the version that it names, each choice's too."""
    versions = [await world.candidate() for _ in range(4)]
    seen: set[str | None] = set()

    async def whole(number: int) -> None:
        found = await world.ask(ask(f"whole {number}", n=2))
        version = found["palimpsest"]["adapter"]
        texts = [choice["message"]["content"] for choice in found["choices"]]
        assert [_version_of(text) for text in texts] == [version] * 2
        assert found["system_fingerprint"] == f"smollm2-135m@{version or 'base'}"
        seen.add(version)

    async def streamed(number: int) -> None:
        body = ask(f"streamed {number}", stream=True)
        async with world.client.stream("POST", "/v1/chat/completions", json=body) as reply:
            lines = [json.loads(line[6:]) async for line in reply.aiter_lines() if line.startswith("data: {")]
        text = "".join(one["choices"][0]["delta"].get("content", "") for one in lines)
        assert _version_of(text) == lines[-1]["palimpsest"]["adapter"]
        assert {one["system_fingerprint"] for one in lines} == {lines[0]["system_fingerprint"]}

    async def plain(number: int) -> None:
        found = await world.ask({"model": "smollm2-135m", "prompt": f"plain {number}"}, "/v1/completions")
        assert _version_of(found["choices"][0]["text"]) == found["palimpsest"]["adapter"]

    requests = []
    for version in versions:
        requests += [asyncio.ensure_future(kind(n)) for n in range(10) for kind in (whole, streamed, plain)]
        await world.lineage.promote(version.id)
        first = await world.ask(ask("after"))
        assert first["palimpsest"]["adapter"] == version.id
    await asyncio.gather(*requests)
    await world.lineage.rollback()
    assert (await world.ask(ask("after")))["palimpsest"]["adapter"] == versions[-2].id
    assert len(seen) > 1


async def test_a_user_has_a_version_of_his_own_and_may_name_others(world: World, ask: Build) -> None:
    common, own, hers = [await world.candidate(scope=scope) for scope in ("", "ann", "eve")]
    for version in (common, own, hers):
        await world.lineage.promote(version.id)

    async def version_for(**body: Any) -> Any:
        return (await world.ask(ask("hi", **body)))["palimpsest"]["adapter"]

    assert await version_for(user="ann") == own.id
    assert await version_for(user="bob") == common.id
    assert await version_for(user="ann", adapter=common.id) == common.id
    assert await version_for(user="ann", adapter="none") is None
    unjudged = await world.lineage.admit(world.make_adapter(seed=99), method="m", events=("x",), scores={})
    forgotten = await world.candidate(events=("secret",))
    await world.lineage.forget(["secret"])
    for wanted, status in ((hers.id, 404), ("made-none", 404), (unjudged.id, 400), (forgotten.id, 400)):
        reply = await world.client.post("/v1/chat/completions", json=ask("hi", user="ann", adapter=wanted))
        assert (reply.status_code, reply.json()["error"]["param"]) == (status, "adapter")


async def test_a_version_is_loaded_before_it_serves_and_never_serves_where_it_cannot_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = await world.candidate(), await world.candidate()
    loads: list[tuple[str, str | None]] = []
    load = world.services.generator.load_adapter

    async def watched(name: str, path: Path) -> None:
        common = (await world.lineage.standing()).common
        loads.append((name, common.id if common else None))
        if name == bad.id:
            raise InvalidRequest("it does not fit")
        await load(name, path)

    monkeypatch.setattr(world.services.generator, "load_adapter", watched)
    await world.lineage.promote(good.id)
    assert loads == [(good.id, None)]
    with pytest.raises(InvalidRequest, match="does not fit"):
        await world.lineage.promote(bad.id)
    assert (await world.lineage.standing()).common == await world.lineage.get(good.id)
    assert (await world.lineage.get(bad.id)).state == "candidate"
    bad = good
    services = world.services
    restarted = Swap(services.settings.home, services.generator, world.lineage, services.watch)
    services.background.start(restarted.follow())
    await asyncio.sleep(0.01)
    assert (await restarted.chosen("ann", None, "chatcmpl-0123456789abcdef")).version is None


async def test_a_shadow_answers_a_share_of_the_requests_unseen(world: World, ask: Build) -> None:
    common, tried = await world.candidate(), await world.candidate()
    await world.lineage.promote(common.id)
    await world.lineage.promote(tried.id, 0.5)
    found = [await world.ask(ask(f"question {n}")) for n in range(40)]
    await _until(lambda: not world.services.shadows.waiting)
    assert {one["palimpsest"]["adapter"] for one in found} == {common.id}
    figures = world.services.watch.shadows[tried.id]
    assert (figures.tried + figures.left_out, figures.failed) == (
        sum(int(one["id"][-16:], 16) < 2**63 for one in found),
        0,
    )
    assert figures.tokens > figures.tried > 5
    assert figures.likelihood == figures.served_likelihood < 0
    shown = (await world.client.get("/metrics")).text
    assert f'palimpsest_adapter_shadow_answers_total{{adapter="{tried.id}"}} {figures.tried}' in shown


@pytest.mark.parametrize(("text", "signal", "within"), [(LOOP, "degenerate", 7), ("[[fail]]", "errors", 4)])
async def test_a_version_that_harms_is_taken_back_by_itself(
    world: World, ask: Build, text: str, signal: str, within: int
) -> None:
    before, harmful = await world.candidate(), await world.candidate()
    await world.lineage.promote(before.id)
    for number in range(31):
        await world.ask(ask(f"fine {number}"))
    await world.lineage.promote(harmful.id)
    for _ in range(within):
        assert (await world.lineage.get(harmful.id)).state == "serving"
        await world.client.post("/v1/chat/completions", json=ask(text))
    await _until(lambda: world.services.watch.rollbacks)
    assert await world.lineage.get(before.id) == (await world.lineage.standing()).common
    gone = await world.lineage.get(harmful.id)
    assert gone.state == "retired"
    assert gone.reason.startswith(signal)
    assert (await world.ask(ask("fine")))["palimpsest"]["adapter"] == before.id
    told = (await world.client.get(f"/v1/adapters/{before.id}")).json()["live"]
    assert told["bands"]["errors"]["tolerated"] == 0.02
    shown = (await world.client.get("/metrics")).text
    assert f'palimpsest_adapter_rollbacks_total{{adapter="{harmful.id}",signal="{signal}"}} 1.0' in shown
    assert f'palimpsest_adapter_serving{{adapter="{before.id}"}} 1.0' in shown


async def test_thumbs_down_take_a_version_back(world: World, ask: Build) -> None:
    version = await world.candidate()
    await world.lineage.promote(version.id)
    await world.ask(ask("hi"))
    for _ in range(30):
        world.services.watch.rated(version.id, -1)
    await _until(lambda: world.services.watch.rollbacks)
    assert (await world.lineage.standing()).common is None


def _version_of(text: str) -> str | None:
    return text[1:].partition("]")[0] if text.startswith("[") else None


async def _until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
