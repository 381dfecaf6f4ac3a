"""Submits trainings to Ray as jobs, seen in its dashboard: the door to job submission. Knows no training."""

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.messages import NotReady
from actors.training.launch import PATIENCE_S, Ended

POLL_S = 0.2
STARTING = "No available agent"
"""What Ray says while the part of it that takes jobs still starts, up to a minute after the rest."""
ATTEMPTS, AGAIN_S = 30, 2.0


@dataclass(frozen=True)
class RayJobs:
    """Jobs of the Ray whose dashboard is at `dashboard`, asked for with the token of this process."""

    dashboard: str
    niceness: int
    on_ray: bool = True

    def launch(self, id: str, command: Sequence[str], log: Path, environ: Mapping[str, str]) -> str:
        """Submit a job; its output goes to `log` too. Raises NotReady where Ray does not take it."""
        program = shlex.join(["nice", "-n", str(self.niceness), *command])
        session = f"(echo {self.niceness} > /proc/self/autogroup) 2> /dev/null"
        entrypoint = f"{session}; set -o pipefail; {program} 2>&1 | tee -a {shlex.quote(str(log))}"
        handle = f"{id}-{time.time_ns()}"
        for left in reversed(range(ATTEMPTS)):
            try:
                submitted: str = self._client().submit_job(
                    entrypoint=f"bash -c {shlex.quote(entrypoint)}",
                    submission_id=handle,
                    runtime_env={"env_vars": dict(environ)},
                    metadata={"name": f"palimpsest {id}"},
                )
            except (RuntimeError, ConnectionError) as error:
                if not left or STARTING not in str(error):
                    raise NotReady(f"Ray at {self.dashboard} did not take the job: {error}") from error
                time.sleep(AGAIN_S)
            else:
                break
        return submitted

    def ended(self, handle: str) -> Ended | None:
        """How it ended; without a code where Ray knows of no such job any more."""
        try:
            info = self._client().get_job_info(handle)
        except (RuntimeError, ConnectionError):
            return Ended(None)
        if not info.status.is_terminal():
            return None
        code = info.driver_exit_code
        return Ended(None if code is None and info.status != "SUCCEEDED" else code or 0)

    def stop(self, handle: str) -> None:
        """End it; returns when it has ended."""
        if self.ended(handle) is not None:
            return
        self._client().stop_job(handle)
        deadline = time.monotonic() + PATIENCE_S
        while self.ended(handle) is None and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def _client(self) -> Any:
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(self.dashboard)
