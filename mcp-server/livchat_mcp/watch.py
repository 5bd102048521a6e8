"""Watches a job for a while, on behalf of one call; the job needs nobody who does."""

from __future__ import annotations

import math
import threading
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from livchat_cli.errors import LivchatError
from livchat_mcp.backend import Backend
from livchat_mcp.progress import Steps

# Seconds between two looks at whether there is something to say.
_INTERVAL = 1.0
# Jobs watched at once for one caller; more have to wait until one that is watched ends.
WATCHED = 10


class Watch:
    def __init__(self, backend: Backend, job: str, room: anyio.CapacityLimiter) -> None:
        """`room` is that of the caller, for WATCHED jobs: nobody else has to wait for it."""
        self._backend = backend
        self._job = job
        self._room = room
        self._stopped = threading.Event()

    async def ended(self, patience: float, steps: Steps | None = None) -> bool:
        """Whether the job ends within so many seconds; until then, its steps are told.

        Raises:
            LivchatError: it cannot be watched.
        """
        sending, receiving = anyio.create_memory_object_stream[dict[str, Any]](math.inf)
        problems: list[LivchatError] = []
        over = False

        def tell(event: dict[str, Any]) -> None:
            try:
                anyio.from_thread.run_sync(sending.send_nowait, event)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
                # Nobody listens any more.
                self._stopped.set()

        async def watch() -> None:
            nonlocal over
            async with sending:
                try:
                    await anyio.to_thread.run_sync(
                        self._backend.follow,
                        self._job,
                        tell,
                        self._stopped.is_set,
                        abandon_on_cancel=True,
                        limiter=self._room,
                    )
                    over = True
                except LivchatError as problem:
                    problems.append(problem)

        try:
            with anyio.move_on_after(patience):
                async with receiving, anyio.create_task_group() as group:
                    group.start_soon(watch)
                    await self._pass_on(receiving, steps)
        finally:
            self._stopped.set()
        if problems:
            raise problems[0]
        return over

    @staticmethod
    async def _pass_on(events: MemoryObjectReceiveStream[dict[str, Any]], steps: Steps | None) -> None:
        while True:
            event = None
            with anyio.move_on_after(_INTERVAL):
                try:
                    event = await events.receive()
                except anyio.EndOfStream:
                    return
            if event and steps:
                await steps.tell(event)
            elif steps:
                await steps.keep_alive()
