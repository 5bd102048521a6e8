"""Firewalls: kept and shown as Hetzner does; nothing is filtered in the lab."""

from __future__ import annotations

from typing import Any

from . import bodies, selector
from .actions import Step, nothing
from .errors import ApiError, invalid
from .project import Project
from .store import Resource, now


class Firewalls:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._store = project.store

    def create(self, body: bodies.CreateFirewall) -> dict[str, Any]:
        with self._store.changing():
            self._store.check_free("firewalls", body.name)
            targets = [self._checked(target, 422) for target in body.apply_to]
            if any(target in targets[:place] for place, target in enumerate(targets)):
                raise ApiError(422, "server_already_added", "a resource was given more than once")
            wall = self._store.add(
                "firewalls",
                {
                    "name": body.name,
                    "labels": body.labels,
                    "created": now(),
                    "rules": [rule.model_dump() for rule in body.rules],
                    "applied_to": targets,
                },
            )
            actions = [self._begin("set_firewall_rules", wall)] if body.rules else []
            actions += [self._begin("apply_firewall", wall, target) for target in targets]
            return {**self._project.show("firewalls", wall), "actions": actions}

    def delete(self, number: int) -> None:
        with self._store.changing():
            wall = self._store.must("firewalls", number)
            if wall["applied_to"]:
                raise ApiError(422, "resource_in_use", f"firewall with ID '{number}' is still in use")
            self._store.remove("firewalls", number)

    def set_rules(self, number: int, body: bodies.SetRules) -> list[Resource]:
        with self._store.changing():
            wall = self._store.must("firewalls", number)
            wall["rules"] = [rule.model_dump() for rule in body.rules]
            return [self._begin("set_firewall_rules", wall)]

    def apply(self, number: int, body: bodies.ApplyTo) -> list[Resource]:
        with self._store.changing():
            wall = self._store.must("firewalls", number)
            targets = [self._checked(target, 404) for target in body.apply_to]
            for target in targets:
                if target in wall["applied_to"]:
                    raise ApiError(422, "firewall_already_applied", "firewall is already applied to the resource")
            wall["applied_to"] += [target for place, target in enumerate(targets) if target not in targets[:place]]
            return [self._begin("apply_firewall", wall, target) for target in targets]

    def remove(self, number: int, body: bodies.RemoveFrom) -> list[Resource]:
        with self._store.changing():
            wall = self._store.must("firewalls", number)
            targets = [self._checked(target, 404) for target in body.remove_from]
            for target in targets:
                if target not in wall["applied_to"]:
                    raise self._not_applied(wall, target)
            wall["applied_to"] = [one for one in wall["applied_to"] if one not in targets]
            return [self._begin("remove_firewall", wall, target) for target in targets]

    def _not_applied(self, wall: Resource, target: dict[str, Any]) -> ApiError:
        server = self._store.get("servers", target["server"]["id"]) if target["type"] == "server" else None
        if server and wall in self._project.views.firewalls_of(server):
            return ApiError(
                422, "firewall_managed_by_label_selector", "firewall is applied by a label selector, remove that"
            )
        return ApiError(404, "firewall_resource_not_found", "firewall is not applied to the resource")

    def _checked(self, target: bodies.Target, status: int) -> dict[str, Any]:
        if target.server and target.type == "server":
            server = self._store.get("servers", target.server.id)
            if server is None:
                raise ApiError(status, "firewall_resource_not_found", f"server {target.server.id} does not exist")
        if target.label_selector and target.type == "label_selector":
            try:
                selector.matches(target.label_selector.selector, {})
            except selector.SelectorError as error:
                raise invalid("label_selector", "is not a valid selector") from error
        return target.stored()

    def _begin(self, command: str, wall: Resource, target: dict[str, Any] | None = None) -> Resource:
        about: tuple[tuple[str, int], ...] = (("firewall", wall["id"]),)
        if target and target["type"] == "server":
            about = (("server", target["server"]["id"]), *about)
        return self._project.actions.begin(Step(command, about, nothing))[0]
