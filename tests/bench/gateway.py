"""`python -m tests.bench.gateway`: what `listar-servidores` takes with 100 servers and 1,000 applications (100 ms)."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters

from tests.unit.api.running import state

ROUNDS = 40
# Seconds between two calls: a caller has five a second.
PAUSE = 0.25
BOUND = 0.1


async def measure(home: Path) -> list[float]:
    """Seconds of each call, over standard input and output, as a client sees them."""
    server = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "livchat_mcp"], env={"LIVCHAT_HOME": str(home)}
    )
    taken = []
    async with Client(server) as client:
        for _round in range(ROUNDS):
            began = time.monotonic()
            result = await client.call_tool("listar-servidores", {})
            taken.append(time.monotonic() - began)
            if result.is_error:
                raise RuntimeError(result.content)
            await anyio.sleep(PAUSE)
    return taken


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "state.json").write_text(json.dumps(state(servers=100, applications=10)))
        taken = sorted(anyio.run(measure, home))
    worst = taken[int(len(taken) * 0.95)]
    print(f"listar-servidores: median {statistics.median(taken) * 1000:.0f} ms, p95 {worst * 1000:.0f} ms")
    return 0 if worst < BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
