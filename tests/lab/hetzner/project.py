"""One project of the lab's cloud: what all its resources share."""

from __future__ import annotations

from typing import Any

from tests.lab.config import LabConfig
from tests.lab.vps import VpsHost

from .actions import Actions
from .faults import Faults
from .store import Resource, Store
from .views import Views


class Project:
    def __init__(self, config: LabConfig, store: Store, host: VpsHost) -> None:
        self.config = config
        self.store = store
        self.host = host
        self.faults = Faults()
        self.actions = Actions(store, self.faults)
        self.views = Views(store, self.faults)

    def show(self, kind: str, resource: Resource) -> dict[str, Any]:
        """A resource in the envelope of its kind."""
        return {kind.removesuffix("s"): self.views.show(kind, resource)}
