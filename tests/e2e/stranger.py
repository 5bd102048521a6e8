"""Somebody who waits for an application to come up, and asks it to be its owner."""

from __future__ import annotations

import threading
from typing import Any

from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._https import Outside

# Seconds between two attempts.
INTERVAL = 0.2


class Stranger:
    """Sends one request again and again while it is entered; `told` are the statuses of the answers, in their order."""

    def __init__(self, address: str, ca_file: str, host: str, path: str, body: Any) -> None:
        self.told: list[int] = []
        self._outside = Outside(address, ca_file)
        self._request = (host, path, "POST", body)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._try, daemon=True)

    def __enter__(self) -> Stranger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _try(self) -> None:
        while not self._ended.wait(INTERVAL):
            try:
                self.told.append(self._outside.request(*self._request).status)
            except LivchatError:
                # Nothing listens yet.
                self.told.append(0)
