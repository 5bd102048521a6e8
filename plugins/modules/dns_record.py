#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: dns_record
short_description: DNS records at Cloudflare
version_added: 0.1.0
author:
  - LivChat (@livchat)
description:
  - Brings a list of DNS records of one zone to the wanted state, with one change that is carried out as a whole.
  - Every record it makes carries a comment with its owner. Records without that comment were made by someone else, or
    for another owner; they are not changed or removed, but for those that O(adopt=true) takes over.
  - Runs on the controller; delegate it to C(localhost).
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
options:
  records:
    description:
      - The records. With O(state=present), the list tells all values that this owner wants for each name and type
        in it; values it made earlier and no longer wants are removed.
    type: list
    elements: dict
    suboptions:
      name:
        description: Full host name inside the zone, such as V(app.example.com) or V(*.example.com). V(@) is the zone.
        type: str
        required: true
      type:
        description: Type of the record.
        type: str
        choices: [A, AAAA, CAA, CNAME, MX, TXT]
        default: A
      value:
        description:
          - Content of the record. Required with O(state=present).
          - With O(state=absent) and no value, all records of the name and type are meant.
          - A C(CAA) record reads V(0 issue "letsencrypt.org").
        type: str
      ttl:
        description: Seconds to live, V(60) to V(86400), or V(1) to leave it to Cloudflare.
        type: int
        default: 1
      proxied:
        description: Whether requests go through Cloudflare's proxy. Only for C(A), C(AAAA) and C(CNAME).
        type: bool
        default: false
      priority:
        description: Preference of a C(MX) record. Required for one with O(state=present).
        type: int
  owner:
    description: Who the records belong to, such as V(server1/n8n). What C(dns.set) makes belongs to V(operator/dns).
    type: str
    required: true
  state:
    description:
      - Whether the records are to be there.
      - With V(absent), records of someone else are left in place with a warning. Without O(records), all of the
        owner's go.
    type: str
    choices: [present, absent]
    default: present
  adopt:
    description:
      - Take over records that someone else made under the same name and type.
        Addresses and aliases that stand in the way are replaced.
      - Records that this collection made for another owner are never taken over.
    type: bool
    default: false
  exclusive:
    description:
      - Whether O(records) tells all values of this owner. With V(false), those it has besides stay, which only
        types other than C(CNAME) can have.
    type: bool
    default: true
  unmanaged:
    description:
      - What to do about a record of someone else, or of another owner, that would not be changed; with O(state=present)
        because it says already what is wanted, with O(state=absent) because it is not this owner's.
      - V(leave) leaves it in place; O(state=absent) warns.
      - V(fail) fails with the code C(DNS_RECORD_CONFLICT), and nothing is done to any record.
    type: str
    choices: [leave, fail]
    default: leave
extends_documentation_fragment:
  - livchat.setup.cloudflare
seealso:
  - module: livchat.setup.dns_record_info
  - module: livchat.setup.dns_zone_info
"""

EXAMPLES = r"""
- name: Point the names of an app at its server
  livchat.setup.dns_record:
    zone: example.com
    owner: server1/n8n
    records:
      - {name: n8n.example.com, type: A, value: 192.0.2.10}
      - {name: hooks.example.com, type: A, value: 192.0.2.10}
  delegate_to: localhost

- name: Remove them again
  livchat.setup.dns_record:
    zone: example.com
    owner: server1/n8n
    state: absent
    records:
      - {name: n8n.example.com, type: A}
      - {name: hooks.example.com, type: A}
  delegate_to: localhost

- name: Remove all there are of a server that is gone
  livchat.setup.dns_record:
    zone: example.com
    owner: server1
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
records:
  description: What was done, or would be done in check mode, to each record that was looked at.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(update), V(delete), V(none), or V(unmanaged) for a record of someone else left alone.
      type: str
    name:
      description: Full name.
      type: str
    type:
      description: Type.
      type: str
    value:
      description: Content.
      type: str
    ttl:
      description: Seconds to live.
      type: int
    proxied:
      description: Whether it is proxied.
      type: bool
    priority:
      description: Preference. Of C(MX) records only.
      type: int
    before:
      description: What the content was, after the preference of a C(MX) record. Of updated records only.
      type: str
  sample:
    - {"action": "create", "name": "n8n.example.com", "type": "A", "value": "192.0.2.10", "ttl": 1, "proxied": false}
zone_id:
  description: Identifier of the zone.
  returned: success
  type: str
error:
  description: Code, message and details of what went wrong, and the seconds after which to try again, if known.
  returned: failure
  type: dict
"""

import ipaddress
import itertools
import re
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import (
    ARGUMENTS,
    MARK,
    OPERATOR,
    CloudflareClient,
    RecordsMovedError,
    invalid,
    maker_of,
    name_outside,
    owner_of,
    plain_name,
    same_value,
    within,
)
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError, fail
from ansible_collections.livchat.setup.plugins.module_utils._patience import ConnectionCutError

# Where traffic goes: a second one of these beside ours would take a part of it.
ROUTING_TYPES = ("A", "AAAA", "CNAME")
# What the smallest plan takes in one change.
BATCH_SIZE = 200
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
ZONE = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
HOST = re.compile(r"(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
CAA = re.compile(r'(0|128) (issue|issuewild|iodef) "([\x20\x21\x23-\x7e]*)"')


class WantedRecords:
    """Reads the module's `records` and says in plain words what is wrong with them."""

    def __init__(self, zone: str, state: str, comment: str) -> None:
        self._zone = zone
        self._state = state
        self._comment = comment

    def read(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        wanted: list[dict[str, Any]] = []
        for number, item in enumerate(items):
            # Of a single one, the option alone says where.
            record = self._one("records[%d]." % number if len(items) > 1 else "", item)
            if not any(_key(record) == _key(other) and _same(record, other) for other in wanted):
                wanted.append(record)
        return wanted

    def _one(self, where: str, item: dict[str, Any]) -> dict[str, Any]:
        kind, value = item["type"], item["value"]
        record: dict[str, Any] = {"name": self._name(where, item["name"]), "type": kind, "comment": self._comment}
        proxied = bool(item["proxied"])
        if proxied and kind not in ROUTING_TYPES:
            raise invalid(where + "proxied", True, "only %s records can be proxied" % ", ".join(ROUTING_TYPES))
        if item["ttl"] != 1 and not 60 <= item["ttl"] <= 86400:
            raise invalid(where + "ttl", item["ttl"], "allowed are 1 (automatic) and 60 to 86400")
        # Cloudflare sets the TTL of what it proxies.
        record.update(proxied=proxied, ttl=1 if proxied else item["ttl"])
        if kind == "MX" and (self._state == "present" or item["priority"] is not None):
            if item["priority"] is None or not 0 <= item["priority"] <= 65535:
                raise invalid(where + "priority", item["priority"], "an MX record needs one from 0 to 65535")
            record["priority"] = item["priority"]
        if value is None:
            if self._state == "present":
                raise invalid(where + "value", None, "state=present needs a value")
            return record
        record["content"] = self._value(where + "value", kind, value)
        if kind == "CAA":
            flags, tag, text = CAA.fullmatch(value).groups()  # type: ignore[union-attr]  # _value() matched it
            record["data"] = {"flags": int(flags), "tag": tag, "value": text}
        return record

    def _name(self, where: str, given: str) -> str:
        name = plain_name(given, self._zone)
        if name == self._zone:
            return name
        if not within(name, self._zone) or not HOST.fullmatch(name):
            raise name_outside(where + "name", given, self._zone)
        return name

    @staticmethod
    def _value(where: str, kind: str, value: str) -> str:
        try:
            if kind == "A":
                return str(ipaddress.IPv4Address(value))
            if kind == "AAAA":
                return str(ipaddress.IPv6Address(value))
        except ValueError:
            family = "IPv4" if kind == "A" else "IPv6"
            raise invalid(where, value, "a record of type %s needs an %s address" % (kind, family)) from None
        if kind in ("CNAME", "MX"):
            host = value.lower().rstrip(".")
            if not HOST.fullmatch(host) or host.startswith("*"):
                raise invalid(where, value, "a record of type %s needs a host name" % kind)
            return host
        if kind == "CAA" and not CAA.fullmatch(value):
            raise invalid(where, value, 'a CAA record reads like 0 issue "letsencrypt.org"')
        if kind == "TXT":
            if not value or len(value) > 2048 or not value.isprintable():
                raise invalid(where, value[:40], "a TXT record needs 1 to 2048 printable characters")
            # Cloudflare quotes it otherwise, and warns.
            if not (len(value) > 1 and value.startswith('"') and value.endswith('"')):
                return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
        return value


class Rules(NamedTuple):
    """What holds for all records of one call."""

    comment: str
    state: str
    adopt: bool
    exclusive: bool
    unmanaged: str


class RecordPlan:
    """The changes that lead from the records there are to the wanted ones. Changes nothing itself."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.deletes: list[dict[str, Any]] = []
        self.updates: list[tuple[dict[str, Any], dict[str, Any]]] = []  # what there is, what it becomes
        self.creates: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self.unmanaged: list[dict[str, Any]] = []

    @property
    def changed(self) -> bool:
        return bool(self.deletes or self.updates or self.creates)

    def present(self, existing: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> RecordPlan:
        for key in dict.fromkeys(_key(record) for record in wanted):
            name, kind = key
            there = [record for record in existing if _key(record) == key]
            self._group(there, [record for record in wanted if _key(record) == key])
            for record in existing:
                if record["name"] == name and _excludes(kind, record["type"]) and record not in self.deletes:
                    self._claim(record)
                    self.deletes.append(record)
        return self

    def absent(self, existing: list[dict[str, Any]], unwanted: list[dict[str, Any]]) -> RecordPlan:
        for record in existing:
            if not any(_meant(one, record) for one in unwanted):
                continue
            if self._owned(record) or self._adoptable(record):
                self.deletes.append(record)
            else:
                self._leave(record, "nothing was removed")
        return self

    def purged(self, existing: list[dict[str, Any]]) -> RecordPlan:
        self.deletes.extend(record for record in existing if self._owned(record))
        return self

    def _group(self, there: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
        """The records of one name and type."""
        left, missing = list(there), []
        for record in wanted:
            match = next((other for other in left if same_value(other, record)), None)
            if match is None:
                missing.append(record)
                continue
            left.remove(match)
            self._match(match, record)
        for record in left:
            if self._owned(record) and not self._rules.exclusive and record["type"] != "CNAME":
                self.kept.append(record)
            elif self._owned(record) or record["type"] in ROUTING_TYPES:
                self._claim(record)
                # Changing a record in place leaves no moment in which the name does not resolve.
                if missing:
                    self.updates.append((record, missing.pop(0)))
                else:
                    self.deletes.append(record)
        self.creates.extend(missing)

    def _match(self, there: dict[str, Any], wanted: dict[str, Any]) -> None:
        differs = (there["ttl"], bool(there.get("proxied"))) != (wanted["ttl"], wanted["proxied"])
        if self._owned(there):
            if differs:
                self.updates.append((there, wanted))
            else:
                self.kept.append(there)
        elif self._adoptable(there):
            self.updates.append((there, wanted))
        elif bool(there.get("proxied")) != wanted["proxied"]:
            self._claim(there)
        else:
            self._leave(there, "it has that value already")

    def _owned(self, record: dict[str, Any]) -> bool:
        return record.get("comment") == self._rules.comment

    def _adoptable(self, record: dict[str, Any]) -> bool:
        return self._rules.adopt and owner_of(record) is None

    def _claim(self, record: dict[str, Any]) -> None:
        if not (self._owned(record) or self._adoptable(record)):
            raise self._conflict(record, "it stands in the way")

    def _leave(self, record: dict[str, Any], why: str) -> None:
        if self._rules.unmanaged == "fail":
            raise self._conflict(record, why)
        self.unmanaged.append(record)

    def _conflict(self, record: dict[str, Any], why: str) -> LivchatError:
        owner = owner_of(record)
        if owner == OPERATOR:
            cure = "dns.remove removes it"
        elif owner is not None:
            cure = "what it was made for removes it: uninstall that application, or destroy that server"
        elif self._rules.state == "absent":
            cure = "remove it where it was made; to remove another value of that name, say which"
        else:
            cure = "remove it where it was made, or have it taken over (adopt=true, on the command line --adopt)"
        shown = "%s %s %s" % (record["name"], record["type"], _whole_value(record))
        message = "the record %s was made by %s, and %s: %s" % (shown, maker_of(record), why, cure)
        return LivchatError(
            "DNS_RECORD_CONFLICT",
            message,
            {"record": _shown("conflict", record), "owner": owner, "comment": record.get("comment")},
        )


class DnsRecords:
    """Reads, plans and applies, again if the outcome of a change is not known."""

    def __init__(self, client: CloudflareClient, zone: str, rules: Rules) -> None:
        self._client = client
        self._rules = rules
        self.zone_id = str(client.zone(zone)["id"])

    def plan(self, wanted: list[dict[str, Any]] | None) -> RecordPlan:
        """The plan for these records; for None, the plan that removes all of the owner's."""
        plan = RecordPlan(self._rules)
        existing = self._client.records(self.zone_id)
        if wanted is None:
            return plan.purged(existing)
        return plan.present(existing, wanted) if self._rules.state == "present" else plan.absent(existing, wanted)

    def apply(self, plan: RecordPlan, wanted: list[dict[str, Any]] | None) -> None:
        for attempt in itertools.count():
            try:
                self._send(plan)
                return
            except (ConnectionCutError, RecordsMovedError) as error:
                self._client.patience.wait(error, attempt)
                plan = self.plan(wanted)

    def _send(self, plan: RecordPlan) -> None:
        deletes = [record["id"] for record in plan.deletes]
        patches = [{**wanted, "id": there["id"]} for there, wanted in plan.updates]
        posts = list(plan.creates)
        while deletes or patches or posts:
            room = BATCH_SIZE
            batch: list[list[Any]] = []
            for items in (deletes, patches, posts):
                batch.append(items[:room])
                del items[:room]
                room -= len(batch[-1])
            self._client.change_records(self.zone_id, *batch)


def _key(record: dict[str, Any]) -> tuple[str, str]:
    return record["name"], record["type"]


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return ("content" in one) == ("content" in other) and same_value(one, other)


def _meant(unwanted: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether a record is one of those to remove: what is not said of them does not matter."""
    if _key(unwanted) != _key(record):
        return False
    there = record if "priority" in unwanted else {**record, "priority": None}
    return "content" not in unwanted or same_value(unwanted, there)


def _excludes(kind: str, other: str) -> bool:
    """Whether records of two types cannot be at one name."""
    return kind != other and "CNAME" in (kind, other) and {kind, other} <= set(ROUTING_TYPES)


def _whole_value(record: dict[str, Any]) -> str:
    """The content, for mail with the preference that belongs to it."""
    return "%s %s" % (record["priority"], record["content"]) if record["type"] == "MX" else str(record["content"])


def _shown(action: str, record: dict[str, Any]) -> dict[str, Any]:
    shown = {"action": action, "value": record["content"]}
    shown.update((key, record[key]) for key in ("name", "type", "ttl", "proxied", "priority") if key in record)
    return shown


def _line(record: dict[str, Any]) -> str:
    proxied = " proxied" if record.get("proxied") else ""
    comment = "  # %s" % record["comment"] if record.get("comment") else ""
    line = (record["name"], record["type"], _whole_value(record), record["ttl"], proxied, comment)
    return "%s %s %s ttl=%s%s%s" % line


def diff(plan: RecordPlan) -> dict[str, str]:
    before = plan.kept + plan.deletes + [there for there, wanted in plan.updates]
    after = plan.kept + plan.creates + [wanted for there, wanted in plan.updates]
    text = ["".join(sorted(_line(record) + "\n" for record in records)) for records in (before, after)]
    return {"before": text[0], "after": text[1], "before_header": "DNS records", "after_header": "DNS records"}


def report(plan: RecordPlan) -> list[dict[str, Any]]:
    shown = [_shown("delete", record) for record in plan.deletes]
    shown += [{**_shown("update", wanted), "before": _whole_value(there)} for there, wanted in plan.updates]
    shown += [_shown("create", record) for record in plan.creates]
    shown += [_shown("none", record) for record in plan.kept]
    shown += [_shown("unmanaged", record) for record in plan.unmanaged]
    return sorted(shown, key=lambda record: (record["name"], record["type"], record["value"]))


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    zone = plain_name(params["zone"])
    if not ZONE.fullmatch(zone):
        raise invalid("zone", params["zone"], "it must be a domain name, such as example.com")
    if not OWNER.fullmatch(params["owner"]):
        raise invalid("owner", params["owner"], "it must match %s" % OWNER.pattern)
    comment = MARK + params["owner"]
    given = params["records"]
    wanted = None if given is None else WantedRecords(zone, params["state"], comment).read(given)
    client = CloudflareClient.of(params)
    rules = Rules(comment, params["state"], params["adopt"], params["exclusive"], params["unmanaged"])
    records = DnsRecords(client, zone, rules)
    plan = records.plan(wanted)
    if plan.changed and not module.check_mode:
        records.apply(plan, wanted)
    if params["state"] == "absent":
        for record in plan.unmanaged:
            module.warn("the record %s was left in place: this owner did not make it" % _line(record))
    return {"changed": plan.changed, "records": report(plan), "zone_id": records.zone_id, "diff": diff(plan)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "records": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "type": {"type": "str", "choices": ["A", "AAAA", "CAA", "CNAME", "MX", "TXT"], "default": "A"},
                    "value": {"type": "str"},
                    "ttl": {"type": "int", "default": 1},
                    "proxied": {"type": "bool", "default": False},
                    "priority": {"type": "int"},
                },
            },
            "owner": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "adopt": {"type": "bool", "default": False},
            "exclusive": {"type": "bool", "default": True},
            "unmanaged": {"type": "str", "choices": ["leave", "fail"], "default": "leave"},
        },
        required_if=[("state", "present", ("records",))],
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except LivchatError as error:
        fail(module, error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
