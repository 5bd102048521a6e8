"""What removing an application takes away, and what it leaves for the next installation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.e2e.conftest import SERVER, container
from tests.e2e.story import StepError, Story
from tests.e2e.test_failed_deploy import definition, seen
from tests.e2e.test_n8n import sql
from tests.lab.images import N8N

APP = "guestbook"


def uninstall(story: Story, instance: str, *options: str) -> Any:
    (removed,) = story.run("app", "uninstall", instance, "--target", SERVER, "--yes", *options)
    return removed


def redis(target: Any, instance: str, command: str) -> str:
    said = f'{{ printf "AUTH default "; cat /run/secrets/redis_password; echo; echo "{command}"; }} | redis-cli'
    found = container(target, f"{instance}_redis")
    return str(target.check_output(f"docker exec {found} sh -c %s", said)).splitlines()[-1]


def secrets(story: Story, instance: str) -> list[str]:
    names: list[str] = Vault(Home(str(story.home))).names(f"servers/{SERVER}/apps/{instance}")
    return names


def remembered(story: Story, instance: str) -> dict[str, Any]:
    state = story.index()
    found: dict[str, Any] = state["applications"].get(f"{SERVER}/{instance}", {})
    return found


@pytest.fixture(scope="module")
def app(story: Story, installed: dict[str, Any], target: Any) -> Iterator[dict[str, Any]]:
    """An app with a name, a database in PostgreSQL and a place in Redis; what the server was like without it."""
    path = story.home / "apps" / f"{APP}.yml"
    path.parent.mkdir(exist_ok=True)
    answer = "require('http').createServer((q, r) => r.end('ok')).listen(8000)"
    path.write_text(yaml.safe_dump(definition(APP, f"n8nio/n8n:{N8N}", entrypoint=["node", "-e", answer])))
    yield seen(story, target)
    uninstall(story, APP, "--drop-data")
    path.unlink()


def test_data_in_a_volume_waits_for_the_next_installation(story: Story, installed: dict[str, Any], target: Any) -> None:
    story.install(SERVER, "redis:spare")
    assert redis(target, "redis-spare", "SET word kept") == "OK"
    removed = uninstall(story, "redis-spare")
    assert removed["removed"] is True and "volume redis-spare_data" in removed["kept"]
    assert "redis-spare" not in target.check_output("docker stack ls --format '{{.Name}}'; docker secret ls")
    assert "redis-spare_data" in target.check_output("docker volume ls -q").split()
    assert uninstall(story, "redis-spare")["removed"] is False
    story.install(SERVER, "redis:spare")
    assert redis(target, "redis-spare", "GET word") == "kept"
    assert uninstall(story, "redis-spare", "--drop-data")["volumes"] == ["redis-spare_data"]
    assert (secrets(story, "redis-spare"), remembered(story, "redis-spare")) == ([], {})
    story.install(SERVER, "redis:spare")
    assert redis(target, "redis-spare", "EXISTS word") == "0"
    uninstall(story, "redis-spare", "--drop-data")
    assert "redis-spare" not in target.check_output("docker volume ls -q")


def test_databases_wait_too_and_names_do_not(story: Story, app: dict[str, Any], target: Any) -> None:
    story.install(SERVER, APP)
    sql(target, APP, "CREATE TABLE guests (name text); INSERT INTO guests VALUES ('ana')")
    number = remembered(story, APP)["databases"][1]["database"]
    removed = uninstall(story, APP)
    assert removed["dns_records"] == [f"{APP}.{SERVER}.{story.lab.zone}"]
    after = seen(story, target)
    assert after["names"] == app["names"] and APP in after["databases"] and APP in after["redis users"]
    assert (remembered(story, APP)["status"], len(secrets(story, APP))) == ("uninstalled", 2)
    # What its data is in is not to be dropped from under it.
    with pytest.raises(StepError) as refused:
        uninstall(story, "postgres", "--drop-data")
    assert refused.value.error["code"] == "APP_IN_USE"
    # Another one does not get its place.
    story.install(SERVER, f"{APP}:other")
    assert remembered(story, f"{APP}-other")["databases"][1]["database"] != number
    uninstall(story, f"{APP}-other", "--drop-data")
    story.install(SERVER, APP)
    assert sql(target, APP, "SELECT name FROM guests") == "ana"
    assert remembered(story, APP)["databases"][1]["database"] == number


def test_a_removal_that_was_interrupted_is_completed(story: Story, app: dict[str, Any], target: Any) -> None:
    story.install(SERVER, APP)
    # As far as a run gets that is killed right after it removed the stack.
    target.check_output("docker stack rm %s", APP)
    removed = uninstall(story, APP, "--drop-data")
    assert removed["removed"] is True and len(removed["databases"]) == 2
    assert seen(story, target) == app
    assert (secrets(story, APP), remembered(story, APP)) == ([], {})
    assert uninstall(story, APP, "--drop-data")["removed"] is False


def test_what_every_server_needs_is_not_removed(story: Story, installed: dict[str, Any]) -> None:
    for instance in ("traefik", "portainer"):
        with pytest.raises(StepError) as refused:
            uninstall(story, instance)
        assert refused.value.error["code"] == "APP_REQUIRED"
