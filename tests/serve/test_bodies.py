import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import InvalidRequest, TooLarge
from configs.schema import EngineSettings, ServeSettings, Settings
from serve.bodies import check_json, depth, structure

SMALL = Settings(engine=EngineSettings(kind="scripted"), serve=ServeSettings(max_body_mib=0.01))


def nested(value: Any) -> int:
    """The depth of a JSON value, counted the slow way."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(nested, inner), default=0)


JSON = st.recursive(
    st.text(alphabet='[]{}"\\a', max_size=6) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON)
def test_depth_counts_brackets_outside_of_strings(value: Any) -> None:
    assert depth(structure(json.dumps(value).encode())) == nested(value)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100 + b"]" * 100,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'["\\u0000"]',
        b'{"a\\u0000": 1}',
        b'["\x00"]',
        b'["\\ud800"]',
        b'["\\udc00\\ud800"]',
    ],
)
async def test_unfit_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await check_json(body, 64)


@pytest.mark.parametrize(
    "body",
    [
        b'["\\ud83d\\ude00"]',
        b'["\\\\u0000"]',
        b'["\\\\ud800"]',
        b'["[[[[["]',
        b"[[],[],[]]",
        b"not json",
        b"\xff",
    ],
)
async def test_fit_json_passes_and_broken_json_is_left_to_the_parser(body: bytes) -> None:
    await check_json(body, 4)


@pytest.mark.parametrize("piece", [b"[", b"[]", b'""', b'"\\', b"{[", b'\\ud800"', b"\\u0000"])
async def test_hostile_bodies_of_megabytes_are_checked(piece: bytes) -> None:
    with suppress(InvalidRequest, TooLarge):
        await check_json(b"[" + piece * (8_000_000 // len(piece)), 64)


async def test_too_many_values_are_refused_but_not_a_long_text() -> None:
    with pytest.raises(TooLarge):
        await check_json(b"[" + b"1," * 300_001 + b"1]", 64)
    await check_json(b'["' + b"1," * 300_001 + b'"]', 64)


async def test_a_body_that_is_too_large_is_a_413(make_app: Any, make_client: Any) -> None:
    async def pieces() -> Any:
        for _ in range(8):
            yield b" " * 2000

    async with make_app(SMALL) as app, make_client(app) as client:
        for kind in ("application/json", "text/plain"):
            headers = {"content-type": kind}
            for content in (b" " * 16000, pieces()):
                reply = await client.post("/v1/chat/completions", content=content, headers=headers)
                assert reply.status_code == 413, (kind, reply.text)
                assert reply.json()["error"]["code"] == "request_too_large"


async def test_nul_in_the_url_is_a_400(client: Any) -> None:
    for path in ("/v1/models/a%00b", "/v1/models?x=%00"):
        assert (await client.get(path)).status_code == 400
