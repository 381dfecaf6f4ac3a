"""One recorded transcript, over Ray Serve and in one process: bodies must be the same bytes.

    python -m benchmarks.transcript [--transcript benchmarks/transcript.yaml]

The engine is scripted and the clock fixed (serve.fixed_clock), so that ids and times are repeatable too.
Every body is compared as it came, streams too.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.hosts import pal_up

DEFAULT = Path(__file__).with_name("transcript.yaml")
SCRIPTED = {
    "PAL_ENGINE__KIND": "scripted",
    "PAL_MODELS__EMBEDDER": "hash",
    "PAL_SERVE__FIXED_CLOCK": "1700000000",
}


@dataclass(frozen=True)
class Reply:
    """What a client sees of one reply."""

    status: int
    kind: str
    body: bytes


def main() -> int:
    """Replay on both hosts; 0 if all bodies are the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcript", type=Path, default=DEFAULT, help="Recorded requests.")
    requests = yaml.safe_load(parser.parse_args().transcript.read_text(encoding="utf-8"))
    local = replay_on(requests, "--local")
    over_ray = replay_on(requests)
    unlike = [number for number, pair in enumerate(zip(local, over_ray, strict=True)) if pair[0] != pair[1]]
    for number in unlike:
        print(f"{requests[number]['name']}:\n  local {local[number]}\n  ray   {over_ray[number]}")
    streams = sum(reply.kind.startswith("text/event-stream") for reply in local)
    size = sum(len(reply.body) for reply in local)
    figures = {"requests": len(requests), "streams": streams, "bytes": size, "unlike": len(unlike)}
    print(json.dumps({**figures, "statuses": [reply.status for reply in local]}))
    return 1 if unlike else 0


def replay_on(requests: Sequence[dict[str, Any]], *arguments: str) -> list[Reply]:
    """The replies of a server started with these arguments, on an empty state directory."""
    with tempfile.TemporaryDirectory() as home, pal_up(*arguments, home=Path(home), environ=SCRIPTED) as host:
        return replay(requests, host.url)


def replay(requests: Sequence[dict[str, Any]], url: str) -> list[Reply]:
    """Send the requests one after another; `<name>` stands for the id that an earlier reply had kept."""
    ids: dict[str, str] = {}
    replies = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for request in requests:
            reply = _send(client, request, ids)
            if "keep_id" in request:
                ids[request["keep_id"]] = reply.json()["id"]
            kind = reply.headers.get("content-type", "")
            replies.append(Reply(reply.status_code, kind, reply.content))
    return replies


def _send(client: httpx.Client, request: dict[str, Any], ids: dict[str, str]) -> httpx.Response:
    path = _filled(request["path"], ids)
    headers = {"x-request-id": request["name"]}
    if "upload" in request:
        upload = request["upload"]
        files = {"file": (upload["filename"], upload["text"].encode())}
        return client.post(path, files=files, data={"purpose": "assistants"}, headers=headers)
    body = request.get("raw") or (json.dumps(request["json"]) if "json" in request else None)
    if body is None:
        return client.request(request["method"], path, headers=headers)
    headers["content-type"] = "application/json"
    return client.request(request["method"], path, content=_filled(body, ids), headers=headers)


def _filled(text: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f"<{name}>", value)
    return text


if __name__ == "__main__":
    raise SystemExit(main())
