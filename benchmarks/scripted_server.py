"""A server of our own over the scripted engine, for measurements of the HTTP surface. Uses no model file."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.hosting import listen

STOP_S = 30
EMBEDDER = "hash"


@contextmanager
def scripted_server() -> Iterator[str]:
    """The URL of a server that runs for the length of the block, its state in a directory of its own."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        environ = os.environ | {"PAL_HOME": home, "PAL_MODELS__EMBEDDER": EMBEDDER}
        command = [sys.executable, "-m", "cluster", "up", "--local", "--engine", "scripted", "--json"]
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("the server did not start; its reason stands above")
            yield str(json.loads(line)["url"])
        finally:
            process.terminate()
            process.wait(STOP_S)
