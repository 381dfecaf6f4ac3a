import asyncio
from typing import Any

import pytest

from actors.messages import Busy
from configs.schema import EngineSettings, ServeSettings, Settings
from serve.limits import Admission
from serve.metrics import Metrics

SLOW = "[[text:a b c d e f g h]][[delay:0.2]]"


def settings(**serve: Any) -> Settings:
    return Settings(engine=EngineSettings(kind="scripted"), serve=ServeSettings(**serve))


async def test_slots_are_held_waited_for_and_refused() -> None:
    metrics = Metrics("m")
    admission = Admission(ServeSettings(max_ongoing_requests=1, max_queued_requests=1), metrics)
    entered = asyncio.Event()

    async def wait_in_line() -> None:
        async with admission.slot():
            entered.set()

    async with admission.slot():
        waiting = asyncio.create_task(wait_in_line())
        await asyncio.sleep(0)
        assert not entered.is_set()
        with pytest.raises(Busy):
            async with admission.slot():
                pass
    await waiting
    assert entered.is_set()
    assert b'palimpsest_rejected_requests_total{reason="queue_full"} 1.0' in metrics.text()


async def test_a_full_queue_is_a_503_with_retry_after_and_health_still_answers(
    make_app: Any, make_client: Any, ask: Any
) -> None:
    tight = settings(max_ongoing_requests=1, max_queued_requests=0, retry_after_s=7)
    async with make_app(tight) as app, make_client(app) as client:
        async with app.state.admission.slot():
            refused = await client.post("/v1/chat/completions", json=ask())
            healthy = await client.get("/health")
        accepted = await client.post("/v1/chat/completions", json=ask())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
    assert refused.json()["error"]["code"] == "overloaded"
    assert (healthy.status_code, accepted.status_code) == (200, 200)


async def test_a_request_that_takes_too_long_is_a_504(make_app: Any, make_client: Any, ask: Any) -> None:
    async with make_app(settings(request_timeout_s=0.3)) as app, make_client(app) as client:
        whole = await client.post("/v1/chat/completions", json=ask(SLOW))
        stream = await client.post("/v1/chat/completions", json=ask(SLOW, stream=True))
        health = await app.state.services.generator.health()
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "timeout")
    assert stream.status_code == 200
    assert '"code": "timeout"' in stream.text.strip().splitlines()[-1]
    assert health.running == 0
