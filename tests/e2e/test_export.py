"""The exported folder alone: every playbook of it, with a survey's answers, on a machine that has no home."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from livchat_cli.export import wrappers
from livchat_cli.operations import Effect, get
from tests import awx_inventory
from tests.e2e.conftest import SERVER
from tests.e2e.elsewhere import Elsewhere
from tests.e2e.foreign import machine
from tests.e2e.story import Story

NAME = SERVER.replace("e2e", "awx")
OTHER = f"{NAME}-adopted"
INSTANCE = "redis-awx"
RECORD = f"record.{NAME}.lab.test"
Answers = Mapping[str, str]


class Folder:
    """Runs playbooks of an exported folder as AWX and Semaphore do: from inside, with answers as extra-vars."""

    def __init__(self, machine: Elsewhere, folder: Path) -> None:
        self._machine = machine
        self.folder = folder

    def attempt(
        self, operation: str, answers: Answers, *options: str, extra: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The exit code and all that was reported."""
        given = self._machine.folder / "answers.json"
        given.write_text(json.dumps({f"survey_{name}": value for name, value in answers.items()}))
        playbook = f"{operation.replace('.', '_')}.yml"
        done = self._machine.attempt("playbook", playbook, "-e", f"@{given}", *options, cwd=self.folder, extra=extra)
        assert "{" in done.stdout, done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout[done.stdout.index("{") :])

    def run(self, operation: str, answers: Answers, *options: str, extra: Mapping[str, str] | None = None) -> Any:
        """The operation's result, and how much it changed."""
        code, report = self.attempt(operation, answers, *options, extra=extra)
        assert code == 0, json.dumps(report)[-4000:]
        changes = sum(one["changed"] for one in report["stats"].values())
        return report["global_custom_stats"]["livchat_result"], changes

    def refused(self, operation: str, answers: Answers, extra: Mapping[str, str] | None = None) -> str:
        """The code of the error."""
        code, report = self.attempt(operation, answers, extra=extra)
        assert code != 0
        return str(next(_errors(report))["code"])

    def inventory(self) -> str:
        """What AWX makes of the inventory: fixed when a job starts."""
        listed = json.loads(self._machine.run("inventory", "-i", wrappers.INVENTORY, "--list", cwd=self.folder))
        return str(awx_inventory.write(self._machine.folder / "hosts", listed))


def _errors(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for play in report["plays"]:
        for task in play["tasks"]:
            for result in task["hosts"].values():
                if result.get("failed") and "error" in result:
                    yield result["error"]


@pytest.fixture(scope="module")
def lasting(story: Story) -> Iterator[Path]:
    """The directory that lasts, empty at first; in the lab's folder, to clean up after a test that was interrupted."""
    home = story.lab.folder / NAME
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(story: Story, lasting: Path, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    place = tmp_path_factory.mktemp("export")
    exported = place / "folder"
    common = ("--to", str(exported), "--repository", "https://git.example.com/ops.git", "--home", str(lasting))
    story.run("export", "semaphore", *common)
    lab = story.lab
    (place / "machine").mkdir()
    (place / "nobody").mkdir()
    return Folder(
        Elsewhere(
            place / "machine",
            {
                "HOME": str(place / "nobody"),
                "LANG": "C.UTF-8",
                "ANSIBLE_SHOW_CUSTOM_STATS": "true",
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "LIVCHAT_HOME": str(lasting),
                "HCLOUD_TOKEN": lab.hetzner_token,
                "CLOUDFLARE_API_TOKEN": lab.cloudflare_token,
                "LIVCHAT_VAULT_PASSWORD": "a password for this test",
            },
        ),
        exported,
    )


@pytest.fixture(scope="module")
def launched(folder: Folder, lasting: Path, story: Story) -> Iterator[Any]:
    """A server that the folder's own playbook made, set up and gave Redis, from AWX's kind of inventory."""
    destroy = {"name": NAME, "confirm_name": NAME}
    if (lasting / "state.json").exists():
        folder.run("server.destroy", destroy)
        shutil.rmtree(lasting)
    lasting.mkdir(mode=0o700)
    try:
        answers = {
            "names": NAME,
            "domain": story.lab.zone,
            "apps": "redis:awx",
            "labels": "made-by=a-test",
            "image": "",
        }
        result, _ = folder.run("launch", answers, "-i", folder.inventory())
        yield result
    finally:
        folder.run("server.destroy", destroy)


def test_a_home_that_is_not_there_is_not_made(folder: Folder, tmp_path: Path) -> None:
    missing = tmp_path / "not-mounted"
    assert folder.refused("status", {}, extra={"LIVCHAT_HOME": str(missing)}) == "HOME_MISSING"
    assert not missing.exists()


# In this order; each with what its result shows.
RUNS: list[tuple[str, Answers, Callable[[Any], bool]]] = [
    ("server.create", {"name": NAME, "domain": f"{NAME}.lab.test"}, lambda it: not it["changed"]),
    ("server.setup", {"target": NAME, "full": "false"}, lambda it: it == [NAME]),
    ("server.list", {}, lambda it: NAME in [one["name"] for one in it]),
    ("server.show", {"name": NAME}, lambda it: it["metadata"]["labels"]["made-by"] == "a-test"),
    ("app.plan", {"apps": "redis:awx", "target": NAME, "variables": ""}, lambda it: not it[0]["changed"]),
    ("app.install", {"apps": "redis:awx", "target": NAME}, lambda it: not it[0]["changed"]),
    ("app.list", {"target": NAME}, lambda it: INSTANCE in [one["instance"] for one in it]),
    ("status", {"target": f"{NAME}, {NAME}"}, lambda it: it[0]["reachable"]),
    ("logs", {"instance": INSTANCE, "target": NAME, "service": "", "lines": "3"}, lambda it: it[0]["lines"]),
    ("exec", {"target": NAME, "command": "echo 'two words' -n"}, lambda it: it[0]["stdout"] == "two words -n"),
    ("server.adopt", {"name": OTHER, "address": "{address}", "private_key": "{key}"}, lambda it: it["name"] == OTHER),
    ("server.loss", {"name": NAME}, lambda it: it[0]["removed"]),
    ("dns.set", {"name": RECORD, "type": "A", "value": "203.0.113.7"}, lambda it: it["changed"]),
    ("dns.list", {"name": RECORD}, lambda it: [one["value"] for one in it] == ["203.0.113.7"]),
    ("dns.check", {}, lambda it: it["healthy"]),
    ("dns.remove", {"name": RECORD, "type": "A", "confirm_name": RECORD}, lambda it: it["changed"]),
    ("catalog.list", {"category": "databases"}, lambda it: "redis" in [one["name"] for one in it]),
    ("catalog.show", {"app": "redis"}, lambda it: it["name"] == "redis" and it["services"]),
    ("catalog.order", {"apps": "n8n, wordpress"}, lambda it: it.index("postgres") < it.index("n8n")),
    ("catalog.server", {"server_type": "cx33"}, lambda it: float(it["monthly"]) > 0 and it["available"]),
    ("deployments.list", {"server": NAME, "status": ""}, lambda it: INSTANCE in it[-1]["apps"]),
    ("secrets.list", {"below": f"servers/{NAME}"}, lambda it: it and all(one.startswith("servers/") for one in it)),
    ("server.destroy", {"name": OTHER, "confirm_name": OTHER}, lambda it: it["changed"]),
    ("app.uninstall", {"instance": INSTANCE, "target": NAME, "confirm_name": INSTANCE}, lambda it: it[0]["removed"]),
]


def test_every_exported_operation_is_run_here() -> None:
    assert {"launch", *(name for name, _, _ in RUNS)} == {one.name for one in wrappers.exported()}


def test_launch_knows_a_server_that_the_inventory_lacks(launched: Any) -> None:
    assert [one["name"] for one in launched["servers"]] == [NAME]
    assert [one["instance"] for one in launched["installed"][0]["applications"]] == [INSTANCE]


def test_the_folder_works_without_a_directory_that_lasts(
    folder: Folder, launched: Any, lasting: Path, tmp_path: Path
) -> None:
    """With a vault that a credential brings: what reads works, what needs a new secret says that it cannot be kept."""
    vault = tmp_path / "vault"
    shutil.copy(lasting / "credentials.vault", vault)
    extra = {"LIVCHAT_VAULT_FILE": str(vault), "LIVCHAT_HOME": str(tmp_path / "goes")}
    (seen,), changes = folder.run("status", {"target": NAME}, extra=extra)
    assert seen["reachable"] and changes == 0
    install = {"apps": "redis:another", "target": NAME}
    assert folder.refused("app.install", install, extra=extra) == "VAULT_READ_ONLY"
    destroy = {"name": NAME, "confirm_name": NAME}
    assert folder.refused("server.destroy", destroy, extra=extra) == "VAULT_READ_ONLY"
    listed, _ = folder.run("app.list", {"target": NAME}, extra=extra)
    instances = {one["instance"] for one in listed}
    assert INSTANCE in instances and "redis-another" not in instances


@pytest.mark.parametrize(
    ("operation", "answers", "code"),
    [
        ("server.show", {"name": "not a name"}, "INPUT_INVALID"),
        ("app.install", {"apps": "redis", "target": ""}, "INPUT_INVALID"),
        ("server.destroy", {"name": NAME, "confirm_name": "another"}, "CONFIRMATION_MISMATCH"),
        ("app.uninstall", {"instance": INSTANCE, "target": NAME}, "CONFIRMATION_REQUIRED"),
    ],
)
def test_answers_are_checked_before_anything_is_done(
    folder: Folder, launched: Any, operation: str, answers: Answers, code: str
) -> None:
    assert folder.refused(operation, answers) == code


@pytest.fixture
def foreign(story: Story, launched: Any, lasting: Path) -> Iterator[dict[str, str]]:
    """Address of a machine that no cloud knows, and a key that lets its owner in."""
    key = lasting / "ssh_keys" / NAME
    with machine(story.lab, OTHER, "debian-13", 22, public_key=key.with_suffix(".pub").read_text()) as made:
        yield {"address": made.address, "key": str(key)}


def test_every_playbook_runs_with_a_surveys_answers(folder: Folder, launched: Any, foreign: dict[str, str]) -> None:
    for operation, answers, good in RUNS:
        said = {name: value.format(**foreign) for name, value in answers.items()}
        if operation == "server.adopt":
            said["domain"] = f"{OTHER}.lab.test"
        result, changes = folder.run(operation, said)
        assert good(result), f"{operation}: {result}"
        if get(operation).effect is Effect.READ or operation in ("server.create", "server.setup", "app.install"):
            assert changes == 0, operation


def test_state_and_keys_come_back_from_the_cloud_and_the_vault(folder: Folder, launched: Any, lasting: Path) -> None:
    (lasting / "state.json").unlink()
    shutil.rmtree(lasting / "ssh_keys")
    (plan,), changes = folder.run("app.plan", {"apps": "redis:awx", "target": NAME})
    assert plan["domain"] == f"{NAME}.lab.test" and plan["changed"]
    assert changes == 1, "the key is put back, and nothing else changes"


def test_nothing_was_kept_in_the_home_directory(folder: Folder, launched: Any) -> None:
    kept = {path.name for path in Path(folder._machine.environment["HOME"]).iterdir()}
    assert ".livchat" not in kept
