"""What a call would do to DNS records: by the rules of the module that does it, and changing nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError
from livchat_mcp.clean import Foreign, plain, visible
from livchat_mcp.errors import ToolError, sentence
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Call

collection.activate()

from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import (  # noqa: E402
    MARK,
    OPERATOR,
    owner_of,
    plain_name,
    same_value,
)
from ansible_collections.livchat.setup.plugins.modules.dns_record import (  # noqa: E402
    RecordPlan,
    Rules,
    WantedRecords,
)

# Records of one kind of change that are named, and characters of a value that are shown.
_MOST, _LONGEST = 30, 120
# What a record says. Its identifier, and the time of its last change, may be others and it says the same.
_FIELDS = ("name", "type", "value", "priority", "ttl", "proxied", "comment")


@dataclass
class Foreigners:
    """Texts that others wrote, each under a number by which the sentences of a plan or an error name it."""

    texts: dict[str, Foreign] = field(default_factory=dict)

    def named(self, text: Any) -> str:
        """The text as a sentence may have it: itself, where it is a name; otherwise its number."""
        shown = _shown(text)
        if plain(shown):
            return shown
        known = {one: number for number, one in self.texts.items()}
        return known.get(Foreign(shown)) or self._added(shown)

    def _added(self, shown: str) -> str:
        number = f"[{len(self.texts) + 1}]"
        self.texts[number] = Foreign(shown)
        return number


def changes(call: Call) -> bool:
    """Whether the call's plan is about DNS records: it removes some, or replaces those of others."""
    name = call.operation.name
    return name == "dns.remove" or (name == "dns.set" and bool(getattr(call.parameters, "adopt", False)))


def asked(call: Call) -> dict[str, Any]:
    """Parameters of dns.list that show all records that the call may touch, those of others included."""
    parameters: Any = call.parameters
    asked = {"name": parameters.name, "everything": True}
    if call.operation.name == "dns.remove":
        # An alias gives way to an address that is set, and an address to an alias; so this does not hold for dns.set.
        asked["type"] = parameters.type
    return asked | ({"zone": parameters.zone} if parameters.zone else {})


@dataclass(frozen=True)
class Records:
    """Records of the one name that a call is about, as dns.list shows them."""

    found: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, call: Call, listed: Iterable[Mapping[str, Any]]) -> Records:
        """Those of its name: dns.list shows what is below it as well."""
        parameters: Any = call.parameters
        return cls(tuple(one for one in listed if one["name"] == plain_name(parameters.name, str(one.get("zone", "")))))

    def state(self) -> list[list[Any]]:
        """What does not change unless the records do."""
        return sorted(([one.get(field) for field in _FIELDS] for one in self.found), key=repr)

    def parts(self, call: Call, texts: Texts, foreign: Foreigners) -> dict[str, list[str]]:
        """What would happen to them, by the parts of a plan; what others wrote there goes into `foreign`.

        Raises:
            LivchatError: DNS_RECORD_CONFLICT or INPUT_INVALID, where the operation would do nothing either.
        """
        parameters: Any = call.parameters
        try:
            plan = self._plan(call)
        except LivchatError as error:
            # In a sentence of ours: theirs quotes the argument, or whatever stands in the zone.
            if error.code != "DNS_RECORD_CONFLICT":
                raise LivchatError("INPUT_INVALID", sentence(error.code, "", error.details, texts)) from None
            found = {**error.details["record"], "comment": error.details["comment"]}
            words = _words({**found, "content": found["value"]}, texts, foreign)
            conflict = LivchatError("DNS_RECORD_CONFLICT", texts("record_conflict", **words))
            raise ToolError(conflict, foreign=foreign.texts) from None
        named = {"name": _shown(parameters.name), "type": parameters.type}
        parts = {
            "destroi": [texts("record_removed", **_words(one, texts, foreign)) for one in plan.deletes[:_MOST]],
            "muda": [],
            "cria": [
                texts("record_made", name=_shown(one["name"]), type=one["type"], value=_value(one))
                for one in plan.creates
            ],
        }
        if len(plan.deletes) > _MOST:
            parts["destroi"].append(f"… +{len(plan.deletes) - _MOST}")
        # One record is wanted: it takes the place of one at most.
        for there, wanted in plan.updates:
            words, more = _words(there, texts, foreign), _settings(there, wanted)
            # Whole values: what is shown of them may be alike.
            if not same_value(there, wanted):
                words["by"] = _value(wanted)
                parts["destroi"].append("; ".join([texts("record_replaced", **words), *more]))
            else:
                taken = "record_changed" if there.get("comment") == wanted["comment"] else "record_taken"
                parts["muda"].append("; ".join([texts(taken, **words), *more]))
        if not plan.changed:
            removing = call.operation.name == "dns.remove"
            parts["destroi" if removing else "muda"].append(texts("no_record" if removing else "record_stays", **named))
        return parts

    def _plan(self, call: Call) -> RecordPlan:
        parameters: Any = call.parameters
        state = "absent" if call.operation.name == "dns.remove" else "present"
        comment = MARK + OPERATOR
        rules = Rules(
            comment,
            state,
            adopt=getattr(parameters, "adopt", False),
            exclusive=not getattr(parameters, "add", False),
            unmanaged="fail",
        )
        item = {
            "name": parameters.name,
            "type": parameters.type,
            "value": parameters.value,
            "ttl": getattr(parameters, "ttl", 1),
            "proxied": getattr(parameters, "proxied", False),
            "priority": getattr(parameters, "priority", None),
        }
        # Where there are no records, any zone will do; that the name is in it, dns.list has checked.
        zone = str(next((one.get("zone") for one in self.found), None) or parameters.zone or parameters.name)
        # The parts of a CAA record are not among what dns.list shows, its text is.
        wanted = [
            {key: value for key, value in one.items() if key != "data"}
            for one in WantedRecords(zone, state, comment).read([item])
        ]
        existing = [{**one, "content": one["value"]} for one in self.found]
        plan = RecordPlan(rules)
        return plan.present(existing, wanted) if state == "present" else plan.absent(existing, wanted)


def _words(record: Mapping[str, Any], texts: Texts, foreign: Foreigners) -> dict[str, str]:
    owner, comment = owner_of(dict(record)), record.get("comment")
    if owner is None:
        whose = texts("by_others", comment=foreign.named(comment) if comment else "-")
    else:
        whose = texts("by_owner", owner=foreign.named(owner))
    preference = f"{record['priority']} " if record["type"] == "MX" else ""
    value = preference + foreign.named(record["content"])
    return {"name": foreign.named(record["name"]), "type": record["type"], "value": value, "whose": whose}


def _settings(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What changes besides the value, by the names of the parameters."""
    return [
        f"{name}: {json.dumps(there.get(name))} → {json.dumps(wanted[name])}"
        for name in ("ttl", "proxied")
        if there.get(name) != wanted[name]
    ]


def _value(record: Mapping[str, Any]) -> str:
    """What the caller wants it to be, of mail with the preference that belongs to it."""
    preference = f"{record['priority']} " if record["type"] == "MX" else ""
    return _shown(f"{preference}{record['content']}")


def _shown(text: Any) -> str:
    """A text that somebody wrote into a zone, in one line."""
    line = visible(str(text)).replace("\n", " ")
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
