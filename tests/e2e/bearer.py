"""`python -m tests.e2e.bearer PORT URL KEY`: forwards requests with a token, for test suites that cannot send one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def application(url: str, key: str) -> Starlette:
    """Headers, the Host among them, go on as they came, and so does what comes back."""
    client = httpx.AsyncClient(timeout=120)

    async def forward(request: Request) -> Response:
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"authorization"]
        headers.append((b"authorization", f"Bearer {key}".encode()))
        sent = client.build_request(request.method, url, headers=headers, content=await request.body())
        answer = await client.send(sent, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            finally:
                await answer.aclose()

        kept = {name: value for name, value in answer.headers.items() if name.lower() != "transfer-encoding"}
        return StreamingResponse(body(), answer.status_code, kept)

    return Starlette(routes=[Route("/mcp", forward, methods=["GET", "POST", "DELETE"])])


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2], sys.argv[3]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
