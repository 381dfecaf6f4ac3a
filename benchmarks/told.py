"""What is told in a chat is learned by the loop, known without memory, by nobody else, and forgotten again.

    python -m benchmarks.told [--ray] [--engine torch] [--facts 15] [--forget 2]

Two users have a key each; the first agrees to training. He tells a fact a session, the loop runs, and each
fact is asked for with memory switched off, by him and by the other. Then some memories are deleted: what
learned them must stop serving at once, and after the next round the rest is known and these are not.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hosts import Host, pal_up
from benchmarks.memory_chat import (
    ANN,
    BOB,
    FACTS,
    KEYS,
    answer_of,
    holds,
    json_of,
    say,
    with_key,
)
from configs.load import load
from configs.schema import Settings

APART = {"read": False, "write": False}
POLL_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as asked on the command line; 1 if somebody knows what they must not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true", help="over Ray Serve instead of in one process")
    parser.add_argument("--engine", default="torch", help="torch or vllm")
    parser.add_argument("--facts", type=int, default=len(FACTS), help="how many of the facts")
    parser.add_argument("--forget", type=int, default=2, help="how many of them are forgotten")
    parser.add_argument("--gate", type=Path, help="thresholds in place of the gate's defaults, as YAML")
    parser.add_argument("--learning", type=Path, help="settings of the learning, as YAML")
    options = parser.parse_args(arguments)
    figures = run(load().settings, options)
    print(json.dumps(figures, indent=1))
    return 0 if not figures["other_user"] and not figures["forgotten_known_again"] else 1


def run(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Tell, learn, ask; forget, learn, ask again. Raises RuntimeError if a server does not start."""
    environ = {"PAL_API_KEYS": KEYS, "PAL_ENGINE__KIND": options.engine}
    for name in ("gate", "learning"):
        if path := getattr(options, name):
            environ[f"PAL_LOOP__{name.upper()}"] = str(path.absolute())
    flags = () if options.ray else ("--local",)
    facts = FACTS[: options.facts]
    with tempfile.TemporaryDirectory(prefix="told-") as directory:
        home = Path(directory)
        (home / "models").symlink_to(settings.home / "models")
        with pal_up(*flags, home=home, environ=environ) as host:
            unaided = known(host, ANN, facts)
            agree(host)
            for number, (text, _, _) in enumerate(facts):
                say(host, ANN, text, f"told-{number}")
            rounds = [learn(host)]
            after, other = known(host, ANN, facts), known(host, BOB, facts)
            gone = [text for text, _, _ in facts[: options.forget]]
            forget(host, gone)
            states = {one["version"]: one["state"] for one in versions(host)}
            serving = say(host, ANN, "Hello", "still", memory=APART)["palimpsest"].get("adapter")
            rounds.append(learn(host))
            again = known(host, ANN, facts)
    return {
        "facts": len(facts),
        "known_before": len(unaided),
        "known": len(after),
        "other_user": sorted(other - unaided),
        "serving_after_forgetting": serving,
        "states_after_forgetting": states,
        "known_again": len(again - set(gone)),
        "forgotten_known_again": sorted((again & set(gone)) - unaided),
        "rounds": rounds,
    }


def agree(host: Host) -> None:
    """The first user lets what he tells be learned."""
    body = {"consent": "on"}
    json_of(httpx.put(f"{host.url}/v1/train/consent", json=body, headers=with_key(ANN)))


def learn(host: Host) -> dict[str, Any]:
    """Have the loop run for the first user; its last round."""
    json_of(httpx.post(f"{host.url}/v1/train/interactions", json={"user_id": "ann"}, headers=with_key(ANN)))
    while True:
        status = json_of(httpx.get(f"{host.url}/v1/train/status", headers=with_key(ANN), timeout=60))
        if status["running"] is None and not status["waiting"]:
            return dict(status["rounds"][0]) if status["rounds"] else {"fault": status["fault"]}
        time.sleep(POLL_S)


def known(host: Host, key: str, facts: Sequence[tuple[str, str, tuple[str, ...]]]) -> set[str]:
    """Which of the facts a user is told when he asks, memory switched off."""
    found = set()
    for number, (text, question, values) in enumerate(facts):
        answer = answer_of(say(host, key, question, f"bare-{number}", memory=APART))
        if holds(answer, values):
            found.add(text)
    return found


def forget(host: Host, texts: Sequence[str]) -> None:
    """Delete the first user's memories of these words."""
    query = {"user_id": "ann", "page_size": "100"}
    held = json_of(httpx.get(f"{host.url}/v1/memories", params=query, headers=with_key(ANN)))["results"]
    for one in held:
        if one["memory"] in texts:
            path = f"{host.url}/v1/memories/{one['id']}"
            httpx.delete(path, params={"user_id": "ann"}, headers=with_key(ANN)).raise_for_status()


def versions(host: Host) -> list[dict[str, Any]]:
    """All adapter versions."""
    return list(json_of(httpx.get(f"{host.url}/v1/adapters", headers=with_key(ANN)))["data"])


if __name__ == "__main__":
    raise SystemExit(main())
