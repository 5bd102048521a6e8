"""What Prometheus is told of the home."""

from __future__ import annotations

from pathlib import Path

from livchat_cli.api.metrics import Metrics
from livchat_cli.jobs import JOBS_KEPT, JobFolder


def test_jobs_are_counted_whatever_their_number(tmp_path: Path) -> None:
    oldest = JobFolder.make(tmp_path / "jobs")
    with oldest.lock():
        oldest.update(operation="server.setup", status="running")
        for number in range(JOBS_KEPT):
            later = JobFolder(tmp_path / "jobs", f"29991231T235959-{number:06x}")
            later.path.mkdir()
            later.update(operation="status", status="successful")
        told = Metrics(tmp_path).text().decode()
    assert 'livchat_jobs{status="running"} 1.0' in told
    assert f'livchat_jobs{{status="successful"}} {float(JOBS_KEPT)}' in told
