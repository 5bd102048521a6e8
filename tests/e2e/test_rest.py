"""The story over the REST API, by a client of no kin: from an empty project to n8n over HTTPS, and back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import SERVER
from tests.e2e.https import get
from tests.e2e.locked import environment
from tests.e2e.story import Story
from tests.throwaway import ROOT, Tree
from tests.unit.api.running import Running

NAME = f"{SERVER}-rest"
# With a client that a generator made: its address and key come on standard input.
GENERATED = """
import sys
from made.api.catalog import catalog_show
from made.api.job import jobs_list
from made.api.server import server_show
from made.client import AuthenticatedClient
url, key = sys.stdin.read().split()
client = AuthenticatedClient(base_url=url, token=key)
print(catalog_show.sync("n8n", client=client)["name"], type(jobs_list.sync(client=client).items).__name__)
print(server_show.sync("nobody", client=client).code)
"""
# Seconds that a job may take on a machine which has much else to do.
PATIENCE = 900


@pytest.fixture(scope="module")
def api(story: Story) -> Iterator[Running]:
    running = Running(Tree(ROOT), story.home, settings=None)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(api: Running) -> Iterator[httpx.Client]:
    with api.client("admin") as found:
        yield found


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The record of the job that was asked for, once it has ended."""
    assert answer.status_code in (200, 202), answer.text
    deadline = time.monotonic() + PATIENCE
    while (job := client.get(answer.headers["Location"]).json())["finished_at"] is None:
        assert time.monotonic() < deadline, job
        time.sleep(0.5)
    found: dict[str, Any] = job
    return found


def result(client: httpx.Client, method: str, path: str, **more: Any) -> Any:
    """The result of the job that does it."""
    job = ended(client, client.request(method, path, **more))
    assert job["status"] == "successful", job["error"]
    return job["result"]


def test_the_whole_story(story: Story, api: Running, client: httpx.Client) -> None:
    lab, domain = story.lab, f"{NAME}.{story.lab.zone}"
    assert NAME not in [one["name"] for one in result(client, "GET", "/v1/servers", params={"live": True})]

    created = result(client, "POST", "/v1/servers", json={"name": NAME, "domain": domain})
    assert client.get(f"/v1/servers/{NAME}").json()["ip_address"] == created["ip_address"]
    result(client, "POST", f"/v1/servers/{NAME}/setup", json={})

    (plan,) = result(client, "POST", "/v1/plans", json={"apps": ["n8n"], "target": [NAME]})
    assert [entry["instance"] for level in plan["levels"] for entry in level] == ["postgres", "redis", "n8n"]
    assert "n8n" not in [one["instance"] for one in client.get(f"/v1/servers/{NAME}/apps").json()["items"]]

    headers = {"Idempotency-Key": f"install-{NAME}", "X-Request-ID": f"install-{NAME}"}
    started = client.post(f"/v1/servers/{NAME}/apps", json={"apps": ["n8n"]}, headers=headers)
    assert started.status_code == 202, started.text
    with client.stream("GET", f"/v1/jobs/{started.json()['id']}/events", timeout=PATIENCE) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    last = json.loads(lines[-1].removeprefix("data: "))
    assert (last["status"], last["result"][0]["changed"]) == ("successful", True)
    assert NAME in {json.loads(line.removeprefix("data: "))["host"] for line in lines[:-1]}
    # Sent once more, as one does who was not told, it installs nothing twice.
    again = client.post(f"/v1/servers/{NAME}/apps", json={"apps": ["n8n"]}, headers=headers)
    assert again.json()["id"] == started.json()["id"]
    assert get(f"n8n.{domain}", created["ip_address"], lab.acme_root_file).status == 200
    installed = client.get(f"/v1/servers/{NAME}/apps").json()["items"]
    assert {"n8n", "postgres", "redis"} <= {one["instance"] for one in installed}

    record = {"name": f"extra.{domain}", "type": "A", "value": "203.0.113.7"}
    assert result(client, "POST", "/v1/dns/set", json=record)["changed"] is True
    (listed,) = result(client, "GET", "/v1/dns/list", params={"name": record["name"]})
    assert (listed["value"], listed["owner"]) == ("203.0.113.7", "operator/dns")
    result(client, "POST", "/v1/dns/remove", json={"name": record["name"], "type": "A", "confirm_name": record["name"]})

    (status,) = result(client, "GET", f"/v1/servers/{NAME}/status")
    assert status["reachable"] and any(one["stack"] == "n8n" for one in status["services"])
    assert "n8n" in json.dumps(result(client, "GET", f"/v1/servers/{NAME}/apps/n8n/logs"))

    refused = client.delete(f"/v1/servers/{NAME}/apps/n8n")
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFIRMATION_REQUIRED")
    result(client, "DELETE", f"/v1/servers/{NAME}/apps/n8n", params={"confirm_name": "n8n", "drop_data": True})
    assert "n8n" not in [one["instance"] for one in client.get(f"/v1/servers/{NAME}/apps").json()["items"]]
    (lost,) = result(client, "GET", "/v1/server/loss", params={"name": NAME})
    assert lost["server"] == NAME
    result(client, "DELETE", f"/v1/servers/{NAME}", params={"confirm_name": NAME})
    assert client.get(f"/v1/servers/{NAME}").status_code == 404

    assert not [call for call in api.calls() if call.get("status", 0) >= 500]
    audited = [json.loads(line) for line in (story.home / "audit.jsonl").read_text().splitlines()]
    # What the playbook changed, and that it ended well: all by the one job that the request began.
    assert {one["job"] for one in audited if one.get("request_id") == f"install-{NAME}"} == {started.json()["id"]}


def test_a_client_that_a_generator_made_from_the_description(
    story: Story, api: Running, client: httpx.Client, tmp_path: Path
) -> None:
    programs = environment(story.lab.folder, "openapi-client")
    description = tmp_path / "openapi.json"
    description.write_bytes(client.get("/v1/openapi.json").content)
    command = ["generate", "--path", str(description), "--meta", "none", "--output-path", str(tmp_path / "made")]
    # A warning, such as of a part that it cannot make anything of, is a failure.
    generator = [str(programs / "openapi-python-client"), *command, "--fail-on-warning"]
    made = subprocess.run(generator, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    asked = subprocess.run(
        [str(programs / "python"), "-c", GENERATED],
        cwd=tmp_path,
        input=f"{api.url} {api.key()}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.stdout.split() == ["n8n", "list", "SERVER_UNKNOWN"], asked.stderr
