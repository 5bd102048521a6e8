"""What others report: who may, what of it is kept, and who is told."""

from __future__ import annotations

import base64
import json
import time

import httpx
import pytest

from tests.unit.api.running import Running
from tests.unit.api.test_calls import problem


def test_a_report_goes_to_the_audit_log_to_hooks_and_to_prometheus(api: Running) -> None:
    folder = api.home / "hooks" / "health.down.d"
    folder.mkdir(parents=True)
    heard = api.home / "heard"
    hook = folder / "10-tell"
    hook.write_text(f"#!/bin/sh\ncat >> {heard}\n")
    hook.chmod(0o700)
    report = {"server": "s0", "instance": "n8n", "status": "down", "message": "HTTP 502"}
    with api.client("report") as client:
        answer = client.post("/v1/webhooks/health", json=report, headers={"X-Request-ID": "report-1"})
        assert (answer.status_code, answer.json()) == (200, {"event": "health.down", "told": 1})
        assert client.post("/v1/webhooks/health", json={"server": "s1", "status": "up"}).json()["told"] == 0
    deadline = time.monotonic() + 30
    while not heard.exists() or not heard.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    event = json.loads(heard.read_text())
    assert (event["event"], event["report"]) == ("health.down", report)
    audited = [json.loads(line) for line in (api.home / "audit.jsonl").read_text().splitlines()]
    told = next(line for line in audited if line.get("request_id") == "report-1")
    assert (told["operation"], told["actor"], told["parameters"]) == ("webhooks.health", "token:report", report)
    with api.client("read") as client:
        numbers = client.get("/metrics").text
        jobs = client.get("/v1/jobs").json()["items"]
    assert 'livchat_reported_up{instance="n8n",server="s0"} 0.0' in numbers
    assert 'livchat_reported_up{instance="",server="s1"} 1.0' in numbers
    assert event["id"].partition(".")[0] not in [job["id"] for job in jobs]


def test_portainer_and_others_may_give_the_token_as_a_password(api: Running) -> None:
    basic = base64.b64encode(f"portainer:{api.key('report')}".encode()).decode()
    report = {"server": "s1", "event": "stack.updated", "stack": "n8n"}
    answer = httpx.post(f"{api.url}/v1/webhooks/portainer", json=report, headers={"Authorization": f"Basic {basic}"})
    assert (answer.status_code, answer.json()["event"]) == (200, "portainer.reported")
    for wrong in ("x", base64.b64encode(b"portainer:wrong").decode(), "%%%"):
        answer = httpx.post(
            f"{api.url}/v1/webhooks/portainer", json=report, headers={"Authorization": f"Basic {wrong}"}
        )
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("path", "report", "status", "code"),
    [
        ("health", {"server": "gone", "status": "up"}, 404, "SERVER_UNKNOWN"),
        ("health", {"server": "s0", "instance": "gone", "status": "up"}, 404, "INSTANCE_UNKNOWN"),
        ("health", {"server": "s0", "status": "odd"}, 422, "INPUT_INVALID"),
        ("health", {"server": "s0", "status": "up", "message": "x" * 501}, 422, "INPUT_INVALID"),
        ("portainer", {"server": "gone", "event": "x"}, 404, "SERVER_UNKNOWN"),
        ("portainer", {"server": "s0", "event": "{{ x }}"}, 422, "INPUT_INVALID"),
    ],
)
def test_a_report_about_nothing_is_refused(
    api: Running, path: str, report: dict[str, str], status: int, code: str
) -> None:
    with api.client("report") as client:
        answer = client.post(f"/v1/webhooks/{path}", json=report)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)


def test_a_token_reports_about_its_servers_only(api: Running) -> None:
    with api.client("report", ["s1"]) as client:
        assert client.post("/v1/webhooks/health", json={"server": "s1", "status": "up"}).status_code == 200
        answer = client.post("/v1/webhooks/health", json={"server": "s0", "status": "up"})
        assert (answer.status_code, problem(answer)["code"]) == (403, "ACCESS_FORBIDDEN")
    with api.client("admin") as client:
        assert client.post("/v1/webhooks/health", json={"server": "s1", "status": "up"}).status_code == 403
