"""Who sees and moves which version over HTTP, and what stands behind an answer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.lineage import Lineage
from actors.training.versions import Verdict
from serve.services import Services
from serve.web import build_app

GOOD = Verdict(accepted=True, slices=(), reasons=(), judged_at=0.0)


@pytest.fixture
async def lineage(documents_services: Services) -> AsyncIterator[Lineage]:
    kept = Lineage(documents_services.settings)
    await kept.start()
    yield kept
    await kept.close()


def client_of(services: Services, lineage: Lineage, *keys: str) -> httpx.AsyncClient:
    settings = services.settings.model_copy(update={"api_keys": keys})
    app = build_app(replace(services, settings=settings, lineage=lineage))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000/v1")


def of(key: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {key}"}}


async def test_a_version_goes_its_way_over_http(
    documents_services: Services, lineage: Lineage, make_adapter: Callable[..., Path]
) -> None:
    async with client_of(documents_services, lineage) as http:
        wrong = await http.post("/adapters/import", json={"path": str(make_adapter(base_model="other"))})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "adapter_refused")
        taken = await http.post("/adapters/import", json={"path": str(make_adapter(events=["e-1"]))})
        id = taken.json()["version"]
        unjudged = await http.post(f"/adapters/{id}/promote", json={})
        assert (unjudged.status_code, unjudged.json()["error"]["code"]) == (400, "adapter_refused")
        tried = await http.post(f"/adapters/{id}/promote", json={"shadow_share": 0.5, "force": True})
        assert tried.json()["state"] == "shadow"
        promoted = await http.post(f"/adapters/{id}/promote", json={"force": True})
        assert (promoted.json()["state"], promoted.json()["events"]) == ("serving", ["e-1"])
        (listed,) = (await http.get("/adapters")).json()["data"]
        assert {name: listed[name] for name in ("version", "state", "parent", "base_model", "scores")} == {
            "version": id,
            "state": "serving",
            "parent": None,
            "base_model": "smollm2-135m",
            "scores": {"recall": 0.5},
        }
        shown = (await http.get(f"/adapters/{id}")).json()
        assert [one["state"] for one in shown["history"]] == ["candidate", "shadow", "serving"]
        assert (await http.post("/adapters/rollback", json={"reason": "worse"})).json() == {"version": None}
        assert (await http.get(f"/adapters/{id}")).json()["reason"] == "worse"
        assert (await http.get("/adapters/none")).status_code == 404


async def test_what_is_anothers_is_not_seen(
    documents_services: Services, lineage: Lineage, make_adapter: Callable[..., Path]
) -> None:
    common = await lineage.take(make_adapter(1, events=["e-of-bob"]))
    own = await lineage.take(make_adapter(2, events=["e-of-ann"], parent=common.id), "ann")
    for id, version in (("chatcmpl-1", own.id), ("chatcmpl-2", common.id), ("chatcmpl-3", None)):
        await lineage.note_answer(id, "ann", version, ["m-1"], 1.0)
    async with client_of(documents_services, lineage, "root:r", "ann:a", "bob:b") as http:
        assert len((await http.get("/adapters", **of("r"))).json()["data"]) == 2
        assert [one["version"] for one in (await http.get("/adapters", **of("a"))).json()["data"]] == [own.id]
        assert (await http.get("/adapters", **of("b"))).json()["data"] == []
        assert (await http.get(f"/adapters/{own.id}", **of("b"))).status_code == 404
        for path, body in (
            (f"/adapters/{own.id}/promote", {"force": True}),
            ("/adapters/import", {"path": "/"}),
            ("/adapters/rollback", {}),
            ("/adapters/rollback", {"user_id": "bob"}),
        ):
            assert (await http.post(path, json=body, **of("a"))).status_code == 403
        await lineage.judge(own.id, GOOD)
        await lineage.promote(own.id)
        assert (await http.post("/adapters/rollback", json={"user_id": "ann"}, **of("a"))).status_code == 200
        assert (await lineage.get(own.id)).state == "retired"

        behind = (await http.get("/lineage/chatcmpl-1", **of("a"))).json()
        assert (behind["version"], behind["memories"]) == (own.id, ["m-1"])
        assert [one["events"] for one in behind["versions"]] == [["e-of-ann"], None]
        assert (await http.get("/lineage/chatcmpl-1", **of("b"))).status_code == 404
        seen = (await http.get("/lineage/chatcmpl-1", **of("r"))).json()
        assert [one["events"] for one in seen["versions"]] == [["e-of-ann"], ["e-of-bob"]]
        assert (await http.get("/lineage/chatcmpl-3", **of("a"))).json()["versions"] == []
