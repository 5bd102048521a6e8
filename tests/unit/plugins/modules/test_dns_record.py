"""The DNS modules against the lab's Cloudflare and its DNS server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.livchat.setup.plugins.module_utils import _cloudflare
from ansible_collections.livchat.setup.plugins.modules import dns_record, dns_record_info, dns_zone_info

from tests.lab.cloudflare.loopback import TOKEN, CloudflareLab

Run = Callable[..., dict[str, Any]]
OURS = "managed by livchat.setup: server1/n8n"
OPERATORS = "managed by livchat.setup: operator/dns"
A = {"name": "app.lab.test", "type": "A", "value": "192.0.2.1"}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the module would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(
        _cloudflare.CloudflareClient.__init__,
        "__kwdefaults__",
        {
            **_cloudflare.CloudflareClient.__init__.__kwdefaults__,
            "sleep": slept.append,
        },
    )
    return slept


@pytest.fixture
def run(lab: CloudflareLab, waits: list[float], capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*records: dict[str, Any], module: Any = dns_record, check: bool = False, **params: Any) -> dict[str, Any]:
        args = {"zone": "lab.test", "api_token": TOKEN, "api_endpoint": lab.url, **params}
        if args["api_token"] is None:
            del args["api_token"]
        if module is dns_record:
            args = {"owner": "server1/n8n", "records": list(records), **args}
        args.update(_ansible_check_mode=check, _ansible_diff=True)
        with patch_module_args(args), pytest.raises(SystemExit):
            module.main()
        output = capsys.readouterr().out
        assert TOKEN not in output.replace(f'"api_token": "{TOKEN}"', "")
        answer: dict[str, Any] = json.loads(output)
        return answer

    return call


def put(lab: CloudflareLab, **record: Any) -> None:
    status, answer = lab.request("POST", f"/client/v4/zones/{lab.zone_id}/dns_records", {"ttl": 1, **record})
    assert status == 200, answer


def actions(result: dict[str, Any]) -> list[str]:
    return [record["action"] for record in result["records"]]


def state(lab: CloudflareLab) -> list[tuple[Any, ...]]:
    return sorted((r["name"], r["type"], r["content"], r["comment"] or "") for r in lab.records())


def test_create_again_change_and_remove(lab: CloudflareLab, run: Run) -> None:
    wanted = [
        A,
        {"name": "*.lab.test", "type": "AAAA", "value": "2001:DB8::1"},
        {"name": "@", "type": "TXT", "value": "hi"},
    ]
    first = run(*wanted)
    assert first["changed"] and actions(first) == ["create"] * 3
    assert lab.values("app.lab.test") == ["192.0.2.1"]
    assert lab.values("lab.test", "TXT") == ['"hi"']
    assert {record["comment"] for record in lab.records()} == {OURS}
    again = run(*wanted)
    assert not again["changed"] and actions(again) == ["none"] * 3
    assert again["diff"]["before"] == again["diff"]["after"]

    moved = run({**A, "value": "192.0.2.2", "ttl": 300})
    assert actions(moved) == ["update"]
    assert "app.lab.test A 192.0.2.1 ttl=1" in moved["diff"]["before"]
    assert "app.lab.test A 192.0.2.2 ttl=300" in moved["diff"]["after"]
    assert lab.values("app.lab.test") == ["192.0.2.2"]

    other_value = run(A, state="absent")
    assert not other_value["changed"]
    gone = run({"name": "app.lab.test"}, state="absent")
    assert gone["changed"] and lab.values("app.lab.test") == []
    assert not run({"name": "app.lab.test"}, state="absent")["changed"]
    assert len(lab.records()) == 2


def test_check_mode_tells_the_same_and_changes_nothing(lab: CloudflareLab, run: Run) -> None:
    put(lab, name="text", type="TXT", content='"old"', comment=OURS)
    wanted = (A, {"name": "text.lab.test", "type": "TXT", "value": "new"})
    before = state(lab)
    promised = run(*wanted, check=True)
    assert state(lab) == before
    done = run(*wanted)
    assert (promised["changed"], promised["records"], promised["diff"]) == (True, done["records"], done["diff"])
    assert not run(*wanted, check=True)["changed"]
    assert run({"name": "text.lab.test", "type": "TXT"}, state="absent", check=True)["changed"]
    assert lab.values("text.lab.test", "TXT") == ['"new"']


def test_the_list_tells_all_values_of_a_name(lab: CloudflareLab, run: Run) -> None:
    both = [{**A, "value": "192.0.2.1"}, {**A, "value": "192.0.2.2"}]
    run(*both, *both)  # twice the same is once
    assert lab.values("app.lab.test") == ["192.0.2.1", "192.0.2.2"]
    assert sorted(actions(run({**A, "value": "192.0.2.3"}))) == ["delete", "update"]
    assert lab.values("app.lab.test") == ["192.0.2.3"]


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [
        ({"type": "A", "content": "203.0.113.9"}, {"type": "A", "value": "192.0.2.1"}),
        ({"type": "A", "content": "203.0.113.9"}, {"type": "CNAME", "value": "x.lab.test"}),
        ({"type": "CNAME", "content": "x.example.org"}, {"type": "A", "value": "192.0.2.1"}),
        ({"type": "A", "content": "192.0.2.1", "proxied": True}, {"type": "A", "value": "192.0.2.1"}),
    ],
)
def test_records_of_others_are_safe(
    lab: CloudflareLab, run: Run, theirs: dict[str, Any], wanted: dict[str, Any]
) -> None:
    put(lab, name="app.lab.test", **theirs)
    before = state(lab)
    failed = run({"name": "other.lab.test", "value": "192.0.2.8"}, {"name": "app.lab.test", **wanted})
    assert failed["failed"] and failed["error"]["code"] == "DNS_RECORD_CONFLICT"
    assert f"app.lab.test {theirs['type']} {theirs['content']}" in failed["msg"]
    assert state(lab) == before  # nothing of the list was done

    adopted = run({"name": "app.lab.test", **wanted}, adopt=True)
    assert adopted["changed"]
    assert state(lab) == [("app.lab.test", wanted["type"], wanted["value"], OURS)]
    assert not run({"name": "app.lab.test", **wanted})["changed"]


@pytest.mark.parametrize(
    ("comment", "said"),
    [(OURS + "2", ["livchat.setup for server1/n8n2", "destroy that server"]), (OPERATORS, ["operator", "dns.remove"])],
)
@pytest.mark.parametrize("value", ["192.0.2.1", "203.0.113.9"])
def test_records_of_another_owner_are_not_even_adopted(
    lab: CloudflareLab, run: Run, comment: str, said: list[str], value: str
) -> None:
    put(lab, name="app.lab.test", type="A", content="203.0.113.9", comment=comment)
    before = state(lab)
    failed = run({**A, "value": value}, adopt=True, unmanaged="fail")
    assert failed["error"]["code"] == "DNS_RECORD_CONFLICT"
    assert all(one in failed["msg"] for one in said)
    assert failed["error"]["details"]["owner"] == comment.partition(": ")[2]
    run({"name": "app.lab.test"}, state="absent", adopt=True)
    assert state(lab) == before


def test_who_wants_a_record_of_their_own_hears_of_one_that_is_there(lab: CloudflareLab, run: Run) -> None:
    put(lab, name="app.lab.test", type="A", content="192.0.2.1", comment="by hand")
    failed = run(A, unmanaged="fail")
    assert failed["error"]["code"] == "DNS_RECORD_CONFLICT"
    assert "someone else (comment: by hand), and it has that value already" in failed["msg"]
    assert "adopt" in failed["msg"]
    assert run(A, unmanaged="fail", adopt=True)["changed"]
    assert state(lab) == [("app.lab.test", "A", "192.0.2.1", OURS)]


def test_nothing_is_removed_when_a_part_of_it_is_somebody_elses(lab: CloudflareLab, run: Run) -> None:
    run({"name": "@", "type": "TXT", "value": "ours"})
    put(lab, name="lab.test", type="TXT", content='"theirs"')
    before = state(lab)
    failed = run({"name": "@", "type": "TXT"}, state="absent", unmanaged="fail")
    assert failed["error"]["code"] == "DNS_RECORD_CONFLICT"
    assert "theirs" in failed["msg"] and "nothing was removed" in failed["msg"] and "adopt" not in failed["msg"]
    assert state(lab) == before
    assert run({"name": "@", "type": "TXT", "value": "ours"}, state="absent", unmanaged="fail")["changed"]
    assert lab.values("lab.test", "TXT") == ['"theirs"']


def test_values_are_added_to_those_that_are_there(lab: CloudflareLab, run: Run) -> None:
    first = {"name": "@", "type": "MX", "value": "one.lab.test", "priority": 10}
    second = {"name": "@", "type": "MX", "value": "two.lab.test", "priority": 20}
    run({**first, "priority": 5})
    (moved,) = run(first)["records"]
    assert (moved["action"], moved["priority"], moved["before"]) == ("update", 10, "5 one.lab.test")
    added = run(second, exclusive=False)
    assert sorted(actions(added)) == ["create", "none"]
    assert not run(first, exclusive=False)["changed"]
    assert lab.values("lab.test", "MX") == ["10 one.lab.test.", "20 two.lab.test."]
    # Which mail server is meant, its preference need not be told to remove it.
    assert run({"name": "@", "type": "MX", "value": "one.lab.test"}, state="absent")["changed"]
    assert lab.values("lab.test", "MX") == ["20 two.lab.test."]


def test_an_alias_has_one_value_only(lab: CloudflareLab, run: Run) -> None:
    run({"name": "www.lab.test", "type": "CNAME", "value": "a.lab.test"})
    assert actions(run({"name": "www.lab.test", "type": "CNAME", "value": "b.lab.test"}, exclusive=False)) == ["update"]
    assert lab.values("www.lab.test", "CNAME") == ["b.lab.test."]


def test_a_record_of_others_that_says_what_is_wanted(lab: CloudflareLab, run: Run) -> None:
    put(lab, name="app.lab.test", type="A", content="192.0.2.1")
    before = state(lab)
    kept = run(A)
    assert not kept["changed"]
    assert actions(kept) == ["unmanaged"]
    left = run({"name": "app.lab.test"}, state="absent")
    assert not left["changed"]
    assert "app.lab.test A 192.0.2.1" in str(left["warnings"])
    assert state(lab) == before


def test_other_texts_and_mail_records_at_the_name_stay(lab: CloudflareLab, run: Run) -> None:
    put(lab, name="lab.test", type="TXT", content='"v=spf1 -all"')
    put(lab, name="lab.test", type="MX", content="mail.lab.test", priority=5)
    run(
        {"name": "@", "type": "TXT", "value": "ours"},
        {"name": "@", "type": "MX", "value": "two.lab.test", "priority": 20},
        {"name": "@", "type": "CAA", "value": '0 issue "letsencrypt.org"'},
    )
    assert lab.values("lab.test", "TXT") == ['"ours"', '"v=spf1 -all"']
    assert lab.values("lab.test", "MX") == ["20 two.lab.test.", "5 mail.lab.test."]
    assert lab.values("lab.test", "CAA") == ['0 issue "letsencrypt.org"']
    again = run(
        {"name": "@", "type": "TXT", "value": '"ours"'},
        {"name": "@", "type": "MX", "value": "TWO.lab.test.", "priority": 20},
        {"name": "@", "type": "CAA", "value": '0 issue "letsencrypt.org"'},
    )
    assert not again["changed"]
    run({"name": "@", "type": "TXT"}, state="absent")
    assert lab.values("lab.test", "TXT") == ['"v=spf1 -all"']


def test_our_alias_becomes_an_address_in_one_change(lab: CloudflareLab, run: Run) -> None:
    run({"name": "app.lab.test", "type": "CNAME", "value": "x.lab.test"})
    assert sorted(actions(run(A))) == ["create", "delete"]
    assert state(lab) == [("app.lab.test", "A", "192.0.2.1", OURS)]


@pytest.mark.parametrize("fault", ["cut_after", "server_error"])
def test_a_lost_answer_makes_no_second_record(lab: CloudflareLab, run: Run, waits: list[float], fault: str) -> None:
    lab.faults(**{fault: 2})
    result = run(A, {"name": "b.lab.test", "value": "192.0.2.1"})
    assert result["changed"] and actions(result) == ["create", "create"]
    assert len(lab.records()) == 2
    assert waits  # it did not hurry


def test_rate_limits_are_waited_for_within_bounds(lab: CloudflareLab, run: Run, waits: list[float]) -> None:
    lab.faults(rate_limited=3)
    assert run(A)["changed"]
    assert waits == [1, 1, 1]
    lab.faults(rate_limited=5)
    failed = run(A, patience=2)
    assert failed["error"]["code"] == "DNS_RATE_LIMITED"
    assert failed["error"]["retry_after"] == 1


def test_faults_are_waited_for_within_bounds(lab: CloudflareLab, run: Run, waits: list[float]) -> None:
    lab.faults(server_error=100)
    failed = run(A, patience=20)
    assert failed["error"]["code"] == "DNS_API_UNAVAILABLE"
    # Some of the time goes into the requests themselves.
    assert waits == [1, 2, 4, 8]
    waits.clear()
    # The zone and its records can be read, and no change is ever answered.
    lab.faults(server_error=0, cut_after=100)
    assert run(A, patience=20)["changed"]
    assert [record["name"] for record in lab.records()] == ["app.lab.test"]


def test_a_server_that_is_down(run: Run, waits: list[float]) -> None:
    failed = run(A, api_endpoint="http://127.0.0.1:9/client/v4")
    assert failed["error"]["code"] == "DNS_API_UNREACHABLE"
    assert "127.0.0.1:9" in failed["msg"]
    assert 40 < sum(waits) <= 60


def test_a_server_that_is_no_cloudflare(lab: CloudflareLab, run: Run) -> None:
    failed = run(A, api_endpoint=lab.url.replace("/client/v4", "/other"))
    assert failed["error"]["code"] == "DNS_ENDPOINT_INVALID"


def test_zones_with_many_records(lab: CloudflareLab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    init = _cloudflare.CloudflareClient.__init__
    monkeypatch.setitem(init.__kwdefaults__, "page_size", 4)
    monkeypatch.setattr(dns_record, "BATCH_SIZE", 5)
    wanted = [{"name": f"n{number}.lab.test", "value": "192.0.2.1"} for number in range(12)]
    assert actions(run(*wanted)) == ["create"] * 12
    assert not run(*wanted)["changed"]
    run(*wanted, state="absent")
    assert lab.records() == []


def test_tokens(lab: CloudflareLab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(**params: Any) -> str:
        return str(run(A, **params)["error"]["code"])

    assert code(api_token="wrong") == "DNS_TOKEN_INVALID"
    assert code(api_token="two\nlines") == "DNS_TOKEN_INVALID"
    assert code(api_token=lab.token(permissions=["Zone.Read", "DNS.Read"])) == "DNS_TOKEN_FORBIDDEN"
    assert code(api_token=lab.token(permissions=["DNS.Edit"])) == "DNS_TOKEN_FORBIDDEN"
    assert code(api_token=lab.token(zones=["other.test"])) == "DNS_ZONE_NOT_FOUND"
    assert code(zone="nowhere.test", api_token=TOKEN) == "INVALID_PARAMETER"
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    assert code(api_token=None) == "DNS_TOKEN_MISSING"
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    assert run(A, api_token=None)["changed"]
    assert lab.values("app.lab.test") == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "app.other.test"}, "records[1].name"),
        ({"name": "evillab.test"}, "records[1].name"),
        ({"name": "a b.lab.test"}, "records[1].name"),
        ({"value": "192.0.2.256"}, "records[1].value"),
        ({"value": None}, "records[1].value"),
        ({"type": "AAAA"}, "records[1].value"),
        ({"type": "CNAME", "value": "http://x.example.org"}, "records[1].value"),
        ({"type": "TXT", "value": "two\nlines"}, "records[1].value"),
        ({"type": "TXT", "value": "x", "proxied": True}, "records[1].proxied"),
        ({"type": "CAA", "value": "letsencrypt.org"}, "records[1].value"),
        ({"type": "MX", "value": "mail.lab.test"}, "records[1].priority"),
        ({"ttl": 30}, "records[1].ttl"),
    ],
)
def test_wrong_input_is_named_before_anything_happens(
    lab: CloudflareLab, run: Run, change: dict[str, Any], field: str
) -> None:
    failed = run(A, {**A, "name": "b.lab.test", **change})
    assert failed["error"]["code"] == "INVALID_PARAMETER"
    assert failed["error"]["details"]["field"] == field
    assert field in failed["msg"]
    assert lab.records() == []


def test_of_a_single_record_the_option_alone_is_named(run: Run) -> None:
    assert run({**A, "value": "x"})["error"]["details"]["field"] == "value"


def test_wrong_owner_and_zone(run: Run) -> None:
    assert "owner" in run(A, owner="two words")["msg"]
    assert "zone" in run(A, zone="no_zone")["msg"]


def test_proxied_records_keep_cloudflares_ttl(lab: CloudflareLab, run: Run) -> None:
    assert run({**A, "proxied": True, "ttl": 600})["changed"]
    assert not run({**A, "proxied": True, "ttl": 600})["changed"]
    assert run({**A, "proxied": False})["records"][0]["action"] == "update"


def test_zone_info(lab: CloudflareLab, run: Run) -> None:
    run(A)
    zone = run(module=dns_zone_info)["zone"]
    assert zone == {
        "id": lab.zone_id,
        "name": "lab.test",
        "status": "active",
        "name_servers": ["ns1.lab.test"],
        "record_count": 1,
    }
    assert run(module=dns_zone_info, zone="none.test")["error"]["code"] == "DNS_ZONE_NOT_FOUND"
    assert run(module=dns_zone_info, api_token="wrong")["error"]["code"] == "DNS_TOKEN_INVALID"


def test_zone_info_finds_a_token_that_may_only_read(lab: CloudflareLab, run: Run) -> None:
    token = lab.token(permissions=["Zone.Read", "DNS.Read"])
    assert run(module=dns_zone_info, api_token=token)["zone"]["name"] == "lab.test"
    refused = run(module=dns_zone_info, api_token=token, editable=True)
    assert refused["error"]["code"] == "DNS_TOKEN_FORBIDDEN" and "DNS Edit" in refused["msg"]
    assert not run(module=dns_zone_info, editable=True)["changed"]


def test_zone_info_finds_names_that_are_outside_of_the_zone(lab: CloudflareLab, run: Run) -> None:
    assert run(module=dns_zone_info, names=["lab.test", "prod.lab.test"])["zone"]["name"] == "lab.test"
    refused = run(module=dns_zone_info, names=["prod.lab.test", "otherlab.test", ""])["error"]
    assert (refused["code"], refused["details"]["names"]) == ("DNS_NAME_INVALID", ["otherlab.test", ""])


def test_records_are_listed_with_their_owners(lab: CloudflareLab, run: Run) -> None:
    run(A, {"name": "deep.app.lab.test", "value": "192.0.2.3", "ttl": 600})
    put(lab, name="lab.test", type="MX", content="mail.lab.test", priority=5, comment="by hand")
    put(lab, name="myapp.lab.test", type="TXT", content='"x"', comment=OPERATORS)

    def listed(**params: Any) -> list[tuple[str, str, str | None]]:
        found = run(module=dns_record_info, **params)
        assert not found["changed"]
        return [(one["name"], one["value"], one["owner"]) for one in found["records"]]

    app, deep = ("app.lab.test", "192.0.2.1", "server1/n8n"), ("deep.app.lab.test", "192.0.2.3", "server1/n8n")
    mail, text = ("lab.test", "mail.lab.test", None), ("myapp.lab.test", '"x"', "operator/dns")
    assert listed() == listed(name="@") == [app, deep, mail, text]
    assert listed(name="APP.lab.test.") == [app, deep]
    assert listed(managed=True) == [app, deep, text]
    assert listed(owner="operator/dns") == listed(type="TXT") == [text]
    assert listed(check=True, name="none.lab.test") == []
    (one,) = run(module=dns_record_info, type="MX")["records"]
    assert (one["priority"], one["ttl"], one["proxied"], one["comment"]) == (5, 1, False, "by hand")
    assert (one["name"], one["zone"]) == ("lab.test", "lab.test")
    failed = run(module=dns_record_info, name="app.other.test")
    assert failed["error"]["code"] == "INVALID_PARAMETER" and "lab.test" in failed["msg"]
    assert run(module=dns_record_info, zone="none.test")["error"]["code"] == "DNS_ZONE_NOT_FOUND"


def test_through_ansible(lab: CloudflareLab, tmp_path: Path) -> None:
    root = Path(__file__).parents[4]
    task = {"zone": "lab.test", "owner": "server1/n8n", "records": [A], "api_endpoint": lab.url}
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"livchat.setup.dns_record": task}]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(tmp_path / "play.yml"), "--diff", "-vvv"]
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.timer",
        "CLOUDFLARE_API_TOKEN": TOKEN,
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    for options, changed in (([], 1), (["--check"], 0)):
        done = subprocess.run(
            command + options, env=env, cwd=root, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"changed={changed} " in done.stdout
        assert TOKEN not in done.stdout + done.stderr
    assert lab.values("app.lab.test") == ["192.0.2.1"]
