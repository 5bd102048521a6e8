"""The gateway: one MCP server over the tools, resources, prompts and completions, for whoever calls it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio.to_thread
from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from livchat_cli.access import Principal
from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, Operation, Scope
from livchat_mcp import __version__, completions
from livchat_mcp.backend import Backend
from livchat_mcp.calls import Calls
from livchat_mcp.clean import Cleaner
from livchat_mcp.errors import ToolError, failure
from livchat_mcp.options import Options
from livchat_mcp.prompts import Prompts
from livchat_mcp.rate import Rates
from livchat_mcp.resources import Resources
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Toolbox, within

_log = logging.getLogger("livchat_mcp")
Context = ServerRequestContext[Any, Any]
# Requests that cost nothing to answer, and without which a client does not even get to know the rest.
_FREE = {
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
}
# Codes of JSON-RPC: what the eras before 2026-07-28 say of a resource that is not there, and any error of a server.
_NOT_FOUND, _SERVER_ERROR = -32002, -32000
# Milliseconds in which clients need not ask again for what does not change while the gateway runs.
_LASTING = 3_600_000


class Gateway:
    """Serves one home, or one API; `who` says who calls, at the moment of a call."""

    def __init__(
        self,
        home: Path,
        options: Options,
        *,
        backend: Callable[[Principal], Backend],
        secrets: Callable[[], tuple[str, ...]],
        who: Callable[[Context], Principal],
        rates: Rates | None = None,
    ) -> None:
        self._home = home
        self._options = options
        self._backend = backend
        self._who = who
        self._rates = rates or Rates()
        self._texts = Texts(options.language)
        self._clean = Cleaner(secrets)
        self._toolbox = Toolbox(options, self._texts)
        self._prompts = Prompts(self._texts)
        # Of callers that come again, what was read once is kept.
        self._for = lru_cache(maxsize=256)(self._made_for)

    def server(self) -> Server[Any]:
        """The MCP server; both protocol eras, over whatever transport it is run on."""
        lasting = CacheHint(ttl_ms=_LASTING, scope="private")
        server: Server[Any] = Server(
            "livchat",
            version=__version__,
            title="livchat.setup",
            instructions=self._texts("instructions"),
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
            get_tool_input_schema=self._input_schema,
            cache_hints={"tools/list": lasting, "prompts/list": lasting, "resources/templates/list": lasting},
        )
        server.middleware.append(self._guarded)
        return server

    # --- tools
    async def _list_tools(self, context: Context, params: Any) -> types.ListToolsResult:
        tools = self._toolbox.tools(self._who(context).scopes)
        return types.ListToolsResult(tools=[one.listed() for one in tools.values()])

    async def _call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        return await self._for(self._who(context))[0].answer(context, params)

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        """For the transport, which looks for parameters that are to come in headers; ours never are."""
        tool = self._toolbox.tools(Scope).get(name)
        return tool.listed().input_schema if tool else None

    # --- resources, prompts, completions
    async def _list_resources(self, context: Context, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=self._for(self._who(context))[1].listed())

    async def _list_templates(self, context: Context, params: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=self._for(self._who(context))[1].templates())

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        content = await self._for(self._who(context))[1].content(params.uri)
        return types.ReadResourceResult(contents=[content])

    async def _list_prompts(self, context: Context, params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=self._prompts.listed())

    async def _get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return self._prompts.text(params.name, params.arguments or {})

    async def _complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        principal = self._who(context)
        backend, permitted = self._backend(principal), self._permitted(principal)
        found = await anyio.to_thread.run_sync(lambda: completions.complete(backend, permitted, params))
        return types.CompleteResult(completion=found)

    # --- around every request
    async def _guarded(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Not more often than allowed; and what goes wrong comes out as a sentence of ours, without a traceback."""
        if ctx.request_id is None:
            return await call_next(ctx)
        if ctx.method not in _FREE and (wait := self._rates.wait(_identity(self._who(ctx)))):
            error = LivchatError("RATE_LIMITED", self._texts("rate"), retry_after=wait)
            if ctx.method == "tools/call":
                # A result, and no error of the protocol: a model sees it, and waits.
                result = failure(error, self._texts, self._clean)
                return result.model_dump(by_alias=True, mode="json", exclude_none=True)
            raise MCPError(_SERVER_ERROR, f"RATE_LIMITED: {error.message}", {"retry_after": wait})
        try:
            return await call_next(ctx)
        except LivchatError as error:
            # The protocol wants the caller's own address back.
            about = {"uri": str((ctx.params or {}).get("uri"))[:200]} if error.code == "RESOURCE_NOT_FOUND" else None
            message = error.message
            if isinstance(error, ToolError) and error.job:
                # It may hold what a server printed, and an error of the protocol has no place for the marks.
                message = self._texts("job_failed", job=error.job)
            said = self._clean.text(f"{error.code}: {message}")[:1000]
            raise MCPError(_code(error, ctx), said, about) from None
        except (MCPError, ValidationError):
            # The SDK makes its own of these, and quotes nothing.
            raise
        except Exception as defect:
            # Its text stays out: nobody knows what it quotes.
            _log.error("defect in %s: %s", ctx.method, type(defect).__name__)
            raise MCPError(types.INTERNAL_ERROR, self._texts("internal", kind=type(defect).__name__)) from None

    # --- who calls
    def _made_for(self, principal: Principal) -> tuple[Calls, Resources]:
        backend = self._backend(principal)
        calls = Calls(
            self._home,
            principal=principal,
            backend=backend,
            toolbox=self._toolbox,
            options=self._options,
            texts=self._texts,
            clean=self._clean,
        )
        return calls, Resources(backend, calls.read, self._permitted(principal), self._texts, self._clean)

    def _permitted(self, principal: Principal) -> dict[str, Operation]:
        permitted = [one for one in OPERATIONS if self._options.permits(one) and within(one, principal.scopes)]
        return {one.name: one for one in permitted}


def _identity(principal: Principal) -> str:
    """Names of tokens may come twice."""
    return principal.token or principal.name


def _code(error: LivchatError, context: Context) -> int:
    if error.code == "RESOURCE_NOT_FOUND" and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return _NOT_FOUND
    return types.INVALID_PARAMS if error.code.endswith(("_NOT_FOUND", "_UNKNOWN", "_INVALID")) else _SERVER_ERROR


class QuietFormatter(logging.Formatter):
    """Log lines without tracebacks: these quote arguments, and arguments may be secrets."""

    def __init__(self, clean: Cleaner) -> None:
        super().__init__("livchat-mcp: %(levelname)s %(name)s: %(message)s")
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        record.exc_info = record.exc_text = record.stack_info = None
        return self._clean.text(super().format(record)).replace("\n", " ")
