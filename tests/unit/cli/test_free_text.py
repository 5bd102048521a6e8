"""Texts that no pattern keeps out, as values of operations that take them: nothing runs them, and none is changed."""

from __future__ import annotations

import copy
import errno
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from tests.direct import DirectJob
from tests.lab.cloudflare.loopback import TOKEN, CloudflareLab
from tests.unit.mcp.test_arguments import ATTACKS, CANARY
from tests.unit.plugins.plugin_utils.test_catalog import MINIMAL

PLAN = Path(__file__).parent / "playbooks" / "plan.yml"
# What a template's header, a variable of a shell, or a placeholder of ours would be.
MORE = (
    f"#jinja2: variable_start_string: '[%', variable_end_string: '%]'\n[% lookup('pipe', 'touch {CANARY}') %]",
    f"{{% set x = lookup('pipe', 'touch {CANARY}') %}}{CANARY}",
    f"$HOME ~ ${{variables.text}} $$ {CANARY}",
    f"~/{CANARY}",
)
# An attack by its place in the list, since no two tests have the same file for it to make.
NUMBERS = range(len(ATTACKS) + len(MORE))


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """The file that an attack would make, which is not there at the end either."""
    path = tmp_path / CANARY
    yield path
    assert not path.exists()


def attacks(mark: Path) -> list[str]:
    return [one.replace(CANARY, str(mark)) for one in (*ATTACKS, *MORE)]


@pytest.fixture
def client(tmp_path: Path, lab: CloudflareLab, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Operations of a home whose DNS zone is the lab's."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text(yaml.safe_dump({"dns": {"zone": "lab.test", "api_endpoint": lab.url}}))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    monkeypatch.delenv("LIVCHAT_HOME", raising=False)
    return Client(home)


def contents(lab: CloudflareLab) -> list[str]:
    _status, answer = lab.request("GET", f"/client/v4/zones/{lab.zone_id}/dns_records?per_page=100")
    return [one["content"] for one in answer["result"]]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_records_value_is_data(client: Client, lab: CloudflareLab, mark: Path, number: int) -> None:
    attack = attacks(mark)[number]
    name: dict[str, Any] = {"name": "text.lab.test", "type": "TXT"}
    if not attack.isprintable():
        for operation in ("dns.set", "dns.remove"):
            confirmed = {"confirm_name": name["name"]} if operation == "dns.remove" else {}
            with pytest.raises(LivchatError, match="printable characters") as caught:
                client.run(operation, **name, **confirmed, value=attack)
            assert caught.value.code == "INVALID_PARAMETER"
        assert contents(lab) == []
        return
    client.run("dns.set", **name, value=attack)
    quoted = attack.replace("\\", "\\\\").replace('"', '\\"')
    assert contents(lab) == [f'"{quoted}"']
    removed = client.run("dns.remove", **name, value=attack, confirm_name=name["name"])
    assert removed["changed"] and contents(lab) == []


@pytest.mark.parametrize("kind", ["A", "CAA", "CNAME", "MX"])
def test_a_records_value_that_is_no_text_is_no_template_either(
    client: Client, lab: CloudflareLab, mark: Path, kind: str
) -> None:
    harm = f"{{{{ lookup('pipe', 'touch {mark}') }}}}"
    if kind == "CAA":
        harm = f'0 issue "{harm}"'
        client.run("dns.set", name="lab.test", type=kind, value=harm)
        assert contents(lab) == [harm]
        return
    with pytest.raises(LivchatError, match="lookup") as caught:
        client.run("dns.set", name="lab.test", type=kind, value=harm, priority=1 if kind == "MX" else None)
    assert caught.value.code == "INVALID_PARAMETER" and contents(lab) == []


def run(tmp_path: Path, *command: str) -> dict[str, Any]:
    """What the operation exec says of a command on a server that is this machine."""
    inventory = tmp_path / "hosts.yml"
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"prod": here}}}))
    given = {"command": list(command), "target": "prod"}
    (result,) = DirectJob(tmp_path).run("livchat.setup.exec", given, str(inventory))
    return dict(result)


def test_a_commands_arguments_are_data(tmp_path: Path, mark: Path) -> None:
    given = [one for one in attacks(mark) if "\0" not in one]
    ran = run(tmp_path, "printf", "<%s>", *given)
    assert (ran["rc"], ran["stderr"]) == (0, "")
    assert ran["stdout"] == "".join(f"<{one}>" for one in given)


@pytest.mark.parametrize("command", ["touch {}", "; touch {}", "$(touch {})", "{{{{ lookup('pipe', 'touch {}') }}}}"])
def test_a_command_is_the_name_of_a_program(tmp_path: Path, mark: Path, command: str) -> None:
    ran = run(tmp_path, command.format(mark))
    assert (ran["rc"], ran["stderr"]) == (errno.ENOENT, f"{command.format(mark)} cannot be executed there")


def test_a_command_with_what_no_argument_can_hold_is_not_run(tmp_path: Path, mark: Path) -> None:
    assert run(tmp_path, "touch", f"{mark}\0")["rc"] != 0


@pytest.mark.parametrize("number", NUMBERS)
def test_a_keys_file_is_refused_or_not_there(client: Client, mark: Path, number: int) -> None:
    attack = attacks(mark)[number]
    with pytest.raises(LivchatError, match="private_key") as caught:
        client.run("server.adopt", name="old", address="127.0.0.1", domain="old.lab.test", private_key=attack)
    assert caught.value.code == "INPUT_INVALID"


def test_a_keys_file_whose_name_looks_like_an_option_is_a_file(client: Client, tmp_path: Path, mark: Path) -> None:
    file = Path(f"{tmp_path}/key -o ProxyCommand touch {mark}")
    file.parent.mkdir(parents=True)
    file.write_text("no key")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(LivchatError) as caught:
            client.run(
                "server.adopt",
                name="old",
                address="127.0.0.1",
                port=port,
                domain="old.lab.test",
                private_key=str(file),
            )
    assert caught.value.code == "SERVER_UNREACHABLE"


def test_the_values_of_an_applications_variables_are_data(tmp_path: Path, mark: Path) -> None:
    definition = copy.deepcopy(MINIMAL)
    definition["variables"] = {"text": {"description": "Any text", "default": ""}}
    (service,) = definition["services"].values()
    service["environment"] = {"TEXT": "${variables.text}"}
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / f"{definition['name']}.yml").write_text(yaml.safe_dump(definition))
    texts = {f"{definition['name']}-t{number}": text for number, text in enumerate(attacks(mark))}
    given = {
        "apps": [f"{definition['name']}:t{number}" for number in range(len(texts))],
        "variables": {instance: {"text": text} for instance, text in texts.items()},
    }
    entries = DirectJob(tmp_path).run(str(PLAN), given, "localhost,")
    rendered = {}
    for entry in entries:
        (service,) = entry["compose"]["services"].values()
        rendered[entry["instance"]] = service["environment"]["TEXT"]
    # Docker reads `$NAME` in a stack file itself, so each `$` is doubled.
    assert json.dumps(rendered) == json.dumps({name: text.replace("$", "$$") for name, text in texts.items()})
