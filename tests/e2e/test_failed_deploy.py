"""A deploy that fails leaves the server as it was: no stack, no database, no name; what ran goes on running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cloudflare import Cloudflare

from tests.e2e.conftest import SERVER
from tests.e2e.story import StepError, Story
from tests.e2e.test_n8n import sql
from tests.lab.images import N8N

# Its own PostgreSQL comes in a level of its own, which succeeds before the application fails.
PROVIDER = "postgres"


def definition(name: str, image: str, **service: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "description": "An application that fails",
        "category": "tools",
        "homepage": "https://example.com",
        "license": "MIT",
        "version": "1",
        "requirements": {"memory_mb": 32, "cpu_cores": 0.1, "disk_gb": 1},
        "dependencies": [{"app": PROVIDER, "version": ">=13"}, {"app": "redis"}],
        "domains": {"site": {"default": "${instance}"}},
        "services": {
            "site": {
                "image": image,
                "secrets": ["postgres_password"],
                "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
                "resources": {"memory_mb": 128, "cpus": 0.5},
                "route": {"domain": "site", "port": 8000},
                **service,
            }
        },
    }


@pytest.fixture(scope="module")
def apps(story: Story) -> Iterator[None]:
    """Definitions of the user's own: one whose image is not to be had, one that runs and answers with an error."""
    folder = story.home / "apps"
    folder.mkdir(exist_ok=True)
    answer = "require('http').createServer((q, r) => { r.statusCode = 500; r.end() }).listen(8000)"
    for one in (
        definition("nowhere", "nobody/nothing:1.0.0"),
        definition("faulty", f"n8nio/n8n:{N8N}", entrypoint=["node", "-e", answer]),
    ):
        (folder / f"{one['name']}.yml").write_text(yaml.safe_dump(one))
    yield
    for path in folder.glob("*.yml"):
        path.unlink()


@pytest.fixture
def before(story: Story, installed: dict[str, Any], target: Any) -> dict[str, Any]:
    return seen(story, target)


def seen(story: Story, target: Any) -> dict[str, Any]:
    """What a deploy can leave behind."""
    cloudflare = Cloudflare(api_token=story.lab.cloudflare_token, base_url=story.lab.cloudflare_url)
    (zone,) = cloudflare.zones.list(name=story.lab.zone)
    records = [str(one.name) for one in cloudflare.dns.records.list(zone_id=zone.id)]
    redis = target.check_output("docker ps -q --filter label=com.docker.swarm.service.name=redis_redis")
    said = '{ printf "AUTH default "; cat /run/secrets/redis_password; echo; echo "ACL USERS"; } | redis-cli'
    state = story.index()
    return {
        "stacks": sorted(target.check_output("docker stack ls --format '{{.Name}}'").split()),
        "databases": sorted(sql(target, "postgres", "SELECT datname FROM pg_database").split()),
        "roles": sorted(sql(target, "postgres", "SELECT rolname FROM pg_roles").split()),
        "redis users": sorted(target.check_output(f"docker exec {redis} sh -c %s", said).split()),
        "secrets": sorted(target.check_output("docker secret ls --format '{{.Name}}'").split()),
        # Of this server's alone: others may be at work in the zone.
        "names": sorted(name for name in records if name.endswith(f"{SERVER}.{story.lab.zone}")),
        "applications": sorted(state["applications"]),
    }


def newest_deployment(story: Story) -> dict[str, Any]:
    newest: dict[str, Any] = story.index()["deployments"][-1]
    return newest


def test_an_image_that_cannot_be_had(story: Story, apps: None, before: dict[str, Any], target: Any) -> None:
    with pytest.raises(StepError) as failure:
        story.install(SERVER, "nowhere")
    assert failure.value.error["code"] == "STACK_ROLLED_BACK"
    assert "nowhere_site" in failure.value.error["message"]
    assert seen(story, target) == before
    deployment = newest_deployment(story)
    assert (deployment["apps"], deployment["status"]) == (["nowhere"], "failed")
    assert deployment["finished_at"] >= deployment["started_at"]


def test_an_application_that_answers_with_an_error(
    story: Story, apps: None, before: dict[str, Any], target: Any
) -> None:
    # A person's command line waits for minutes here, since an application may take long to be ready.
    done = story.bare("deploy", {"target": SERVER, "apps": "postgres:spare,faulty", "app_verify_timeout": 25})
    assert done.returncode == 2, done.stdout
    assert "HTTP_STATUS" in done.stdout and "500" in done.stdout
    # The second PostgreSQL, which was asked for and came up, is taken back too: a deploy is applied as a whole.
    assert seen(story, target) == before
    assert newest_deployment(story)["status"] == "failed"
