"""How closely the chat route keeps to OpenAI's: runs llm-comply against a server and counts.

    python -m benchmarks.comply [--url http://127.0.0.1:8000 --model smollm2-135m --api-key KEY]

Without --url it starts a server with the scripted engine. Prints one JSON line; fails if a check fails or
more than one is skipped.
"""

import argparse
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.scripted_server import scripted_server

MOST_SKIPPED = 1


def main() -> int:
    """Run llm-comply; 0 if all passed."""
    options = _options()
    with nullcontext(options.url) if options.url else scripted_server() as url:
        suite = _suite(options, url)
    for one in suite["results"]:
        faults = "; ".join([*one.get("errors", []), *one.get("warnings", [])])
        print(f"{one['status']:8} {one['name']}{'  ' + faults if faults else ''}", file=sys.stderr)
    statuses = [one["status"] for one in suite["results"]]
    counts = {name: statuses.count(name) for name in ("passed", "failed", "skipped")}
    warnings = sum(len(one.get("warnings", [])) for one in suite["results"])
    print(json.dumps({**counts, "warnings": warnings, "url": options.url or "scripted, in one process"}))
    return (
        0
        if counts["passed"] + counts["skipped"] == len(statuses) and counts["skipped"] <= MOST_SKIPPED
        else 1
    )


def _suite(options: argparse.Namespace, url: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("llm-comply")), "--format", "openai-chat", "--json"]
    command += ["--base-url", f"{url.rstrip('/').removesuffix('/v1')}/v1", "--model", options.model]
    command += ["--api-key", options.api_key or "none", "--timeout", str(options.timeout)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if not finished.stdout:
        raise SystemExit(f"llm-comply said nothing: {finished.stderr}")
    suite: dict[str, Any] = json.loads(finished.stdout)
    return suite


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="Server to check; unset starts one with the scripted engine.")
    parser.add_argument("--model", default="smollm2-135m", help="Model name.")
    parser.add_argument("--api-key", help="Key of that server.")
    parser.add_argument("--timeout", type=int, default=60, help="Seconds for each request.")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
