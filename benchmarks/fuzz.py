"""Generated requests against our own OpenAPI description: runs schemathesis and counts server errors.

    python -m benchmarks.fuzz [--url http://127.0.0.1:8000 --api-key KEY]

Without --url it starts a server with the scripted engine. Prints one JSON line; fails on a server error, or
if fewer than --least cases ran.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from benchmarks.scripted_server import EMBEDDER, scripted_server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main() -> int:
    """Run schemathesis; 0 if no reply was a server error."""
    options = _options()
    server = nullcontext(options.url) if options.url else scripted_server()
    with server as url, tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "cases.har"
        finished = subprocess.run(
            _command(options, url, report), env=_environment(options), stdout=sys.stderr, check=False
        )
        entries = json.loads(report.read_text())["log"]["entries"]
    statuses = Counter(entry["response"]["status"] for entry in entries)
    errors = sum(number for status, number in statuses.items() if status >= 500)
    failed = {entry["request"]["url"] for entry in entries if entry["response"]["status"] >= 500}
    result = {
        "cases": len(entries),
        "server_errors": errors,
        "failed": sorted(failed)[:20],
        "statuses": {str(status): statuses[status] for status in sorted(statuses)},
        "all_checks_passed": finished.returncode == 0,
    }
    print(json.dumps(result))
    return 0 if errors == 0 and len(entries) >= options.least else 1


def _command(options: argparse.Namespace, url: str, report: Path) -> list[str]:
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{url.rstrip('/').removesuffix('/v1')}/openapi.json",
    ]
    command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
    command += ["--max-examples", str(options.examples), "--seed", str(options.seed), "--no-shrink"]
    command += ["--generation-database", "none", "--request-timeout", "60", "--suppress-health-check", "all"]
    command += ["--report", "har", "--report-har-path", str(report), "--output-sanitize", "false"]
    if options.only:
        command += ["--include-path-regex", options.only]
    if options.api_key:
        command += ["--header", f"Authorization: Bearer {options.api_key}"]
    return command


def _environment(options: argparse.Namespace) -> dict[str, str]:
    hooks = {"SCHEMATHESIS_HOOKS": "benchmarks.fuzz_hooks", "PYTHONPATH": str(Path(__file__).parents[1])}
    return {**os.environ, **hooks, "FUZZ_MODEL": options.model, "FUZZ_EMBEDDER": options.embedder}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="Server to test; unset starts one with the scripted engine.")
    parser.add_argument("--model", default="smollm2-135m", help="Name of the served model.")
    parser.add_argument("--embedder", default=EMBEDDER, help="Name of the served embedding model.")
    parser.add_argument("--api-key", help="Key of that server.")
    parser.add_argument("--only", help="Only paths that match this, e.g. /v1/memories.")
    parser.add_argument("--examples", type=int, default=20, help="Most fuzzed cases of each operation.")
    parser.add_argument("--least", type=int, default=500, help="Fewer cases than this are a failure.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the generator.")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
