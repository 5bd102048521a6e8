"""An app of the operator's own: one file under the home's apps/, installed like any other. Its image is simulated."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import SERVER
from tests.e2e.https import get
from tests.e2e.story import Story
from tests.lab import registry
from tests.lab.images import Filler

IMAGE = "example/myapp:1.2.3"
DEFINITION = {
    "name": "myapp",
    "title": "My app",
    "description": "An application that keeps its data in PostgreSQL and its queue in Redis",
    "category": "tools",
    "homepage": "https://example.com",
    "license": "Proprietary",
    "version": "1.2.3",
    "requirements": {"memory_mb": 64, "cpu_cores": 0.1, "disk_gb": 1},
    "dependencies": [{"app": "postgres", "version": ">=15"}, {"app": "redis"}],
    "domains": {"web": {"default": "${instance}", "path": "/health"}},
    "services": {
        "web": {
            "image": IMAGE,
            "environment": {
                "DATABASE_URL": "postgres://${dependencies.postgres.user}@${dependencies.postgres.host}"
                ":${dependencies.postgres.port}/${dependencies.postgres.database}",
                "DATABASE_PASSWORD_FILE": "/run/secrets/postgres_password",
                "REDIS_HOST": "${dependencies.redis.host}",
                "REDIS_PORT": "${dependencies.redis.port}",
                "REDIS_DB": "${dependencies.redis.database}",
                "REDIS_USERNAME": "${dependencies.redis.user}",
                "REDIS_PASSWORD_FILE": "/run/secrets/redis_password",
            },
            "secrets": ["postgres_password", "redis_password"],
            "healthcheck": {"test": ["CMD-SHELL", "curl -fsS http://127.0.0.1:3000/health"], "interval": "5s"},
            "resources": {"memory_mb": 128, "cpus": 0.5},
            "route": {"domain": "web", "port": 3000},
        }
    },
}


@pytest.fixture(scope="module")
def result(story: Story, installed: dict[str, Any]) -> Any:
    if registry.mirrors(story.lab):
        pytest.skip("the lab mirrors a public registry, which takes no images of ours")
    Filler(story.lab, story.say).stand_in(IMAGE, [3000])
    folder = story.home / "apps"
    folder.mkdir(exist_ok=True)
    (folder / "myapp.yml").write_text(yaml.safe_dump(DEFINITION))
    (done,) = story.install(SERVER, "myapp")
    return done


def test_it_reached_its_own_database_and_its_own_place_in_redis(
    story: Story, installed: dict[str, Any], result: Any
) -> None:
    assert result["changed"] is True
    host = f"myapp.{SERVER}.{story.lab.zone}"
    answer = get(host, installed["address"], story.lab.acme_root_file, "/health")
    told = json.loads(answer.body)
    assert (answer.status, told["simulated"], told["reached_all"]) == (200, True, True)
    reached = {one["engine"]: one for one in told["databases"]}
    assert set(reached) == {"postgres", "redis"}
    assert (reached["postgres"]["user"], reached["postgres"]["database"]) == ("myapp", "myapp")
    # n8n has the first one.
    assert (reached["redis"]["user"], reached["redis"]["database"]) == ("myapp", "1")
    for name in ("postgres_password", "redis_password"):
        assert story.secret(f"servers/{SERVER}/apps/myapp/{name}") not in answer.body.decode()


def test_a_second_install_changes_nothing(story: Story, result: Any) -> None:
    (again,) = story.install(SERVER, "myapp")
    assert again["changed"] is False


def test_it_goes_like_any_other(story: Story, target: Any, result: Any) -> None:
    story.run("app", "uninstall", "myapp", "--target", SERVER, "--drop-data", "--yes")
    assert "myapp" not in target.check_output("docker stack ls --format '{{.Name}}'").split()
