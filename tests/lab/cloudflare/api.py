"""A stand-in for Cloudflare's API v4 as far as DNS goes, over the zones that the lab's DNS server answers from.

Differences on purpose: proxied records resolve to their own content, as there is no proxy; `/_lab/` holds what tests
need and Cloudflare does not have (tokens, zones, faults).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from tests.lab.cloudflare import records
from tests.lab.cloudflare.access import RateLimit, Token, Tokens
from tests.lab.cloudflare.errors import ApiError, unroutable
from tests.lab.cloudflare.faults import App, CuttingApp, Faults
from tests.lab.config import LabConfig
from tests.lab.dns_server import Record, Zone, ZoneStore

ACCOUNT = {"id": "0" * 31 + "1", "name": "lab"}
_ID = re.compile(r"[0-9a-f]{32}")


def create_app(config: LabConfig, store: ZoneStore, rate_limit: RateLimit | None = None) -> App:
    """The ASGI application. Its state lives in `store`, except tokens and faults, which end with it."""
    faults = Faults()
    api = _Api(config, store, Tokens(config.cloudflare_token), rate_limit or RateLimit(), faults)
    return CuttingApp(api.app, faults)


class _Api:
    def __init__(
        self, config: LabConfig, store: ZoneStore, tokens: Tokens, rate_limit: RateLimit, faults: Faults
    ) -> None:
        self.config, self.store, self.tokens = config, store, tokens
        self.rate_limit, self.faults = rate_limit, faults
        self.app = FastAPI(title="Cloudflare API v4 (lab)", docs_url=None, redoc_url=None, openapi_url=None)
        self.app.exception_handler(ApiError)(_api_error)
        self.app.exception_handler(StarletteHTTPException)(_no_route)
        base = "/client/v4"
        one_zone, one_record = base + "/zones/{zone_id}", base + "/zones/{zone_id}/dns_records/{record_id}"
        route = self.app.add_api_route
        route(base + "/user/tokens/verify", self.verify, methods=["GET"])
        route(base + "/ips", self.ips, methods=["GET"])
        route(base + "/zones", self.list_zones, methods=["GET"])
        route(one_zone, self.get_zone, methods=["GET"])
        route(one_zone + "/dns_records", self.list_records, methods=["GET"])
        route(one_zone + "/dns_records", self.create_record, methods=["POST"])
        route(one_zone + "/dns_records/batch", self.batch, methods=["POST"])
        route(one_record, self.get_record, methods=["GET"])
        route(one_record, self.put_record, methods=["PUT"])
        route(one_record, self.patch_record, methods=["PATCH"])
        route(one_record, self.delete_record, methods=["DELETE"])
        route("/_lab/faults", self.lab_faults, methods=["GET", "PUT", "DELETE"])
        route("/_lab/tokens", self.lab_tokens, methods=["GET", "POST"])
        route("/_lab/tokens/{token_id}", self.lab_remove_token, methods=["DELETE"])
        route("/_lab/zones", self.lab_zones, methods=["POST"])

    # --- the API ---

    async def verify(self, request: Request) -> JSONResponse:
        token, headers = await self._enter(request, verifying=True)
        messages = [{"code": 10000, "message": "This API Token is valid and active"}]
        return _answer({"id": token.id, "status": token.status}, headers, messages=messages)

    async def ips(self) -> JSONResponse:
        await self.faults.before()
        cidrs = {"ipv4_cidrs": ["173.245.48.0/20", "104.16.0.0/13"], "ipv6_cidrs": ["2400:cb00::/32"]}
        return _answer({**cidrs, "etag": "lab"}, {})

    async def list_zones(self, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        if "Zone.Read" not in token.permissions:
            actor = f"Actor 'com.cloudflare.api.token.{token.id}'"
            raise ApiError(403, 0, f"{actor} requires permission 'com.cloudflare.api.account.zone.list' to list zones")
        query = request.query_params
        zones = [
            zone
            for zone in self.store.zones()
            if token.may("Zone.Read", zone.name)
            and query.get("name", zone.name).lower() == zone.name
            and query.get("status", zone.status) == zone.status
        ]
        zones.sort(key=lambda zone: zone.name, reverse=query.get("direction") == "desc")
        return _page([self._show_zone(zone, token) for zone in zones], request, headers, default=20, limit=50)

    async def get_zone(self, zone_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        zone = self._zone(
            request, zone_id, token, "Zone.Read", ApiError(403, 9109, "Unauthorized to access requested resource")
        )
        return _answer(self._show_zone(zone, token), headers)

    async def list_records(self, zone_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        zone = self._zone(request, zone_id, token, "DNS.Read")
        query = request.query_params
        order = query.get("order", "name")
        if order not in ("type", "name", "content", "ttl", "proxied"):
            raise ApiError(400, 9207, f"Invalid order {order!r}.")
        found = [record for record in _visible(zone) if records.matches(record, dict(query))]
        found.sort(key=lambda record: (getattr(record, order), record.id), reverse=query.get("direction") == "desc")
        return _page([records.show(zone, record) for record in found], request, headers, default=100, limit=5_000_000)

    async def get_record(self, zone_id: str, record_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        zone = self._zone(request, zone_id, token, "DNS.Read")
        return _answer(records.show(zone, _record(zone, record_id)), headers)

    async def create_record(self, zone_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        body = await _body(request)
        with self.store.changing():
            zone = self._zone(request, zone_id, token, "DNS.Edit")
            record = self.store.put_record(zone.id, records.read(zone, body))
        return _answer(records.show(zone, record), headers)

    async def put_record(self, zone_id: str, record_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        body = await _body(request)
        with self.store.changing():
            zone = self._zone(request, zone_id, token, "DNS.Edit")
            record = self._replace(zone, record_id, body)
        return _answer(records.show(zone, record), headers)

    async def patch_record(self, zone_id: str, record_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        body = await _body(request)
        with self.store.changing():
            zone = self._zone(request, zone_id, token, "DNS.Edit")
            record = self._change(zone, record_id, body)
        return _answer(records.show(zone, record), headers)

    async def delete_record(self, zone_id: str, record_id: str, request: Request) -> JSONResponse:
        token, headers = await self._enter(request)
        zone = self._zone(request, zone_id, token, "DNS.Edit")
        self.store.delete_record(zone.id, _record(zone, record_id).id)
        return _answer({"id": record_id}, headers)

    async def batch(self, zone_id: str, request: Request) -> JSONResponse:
        """Deletes, patches, puts, posts, in that order; all of them or none."""
        token, headers = await self._enter(request)
        body = await _body(request)
        result: dict[str, list[dict[str, Any]]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
        with self.store.changing():
            # Who may change nothing may not do that either.
            self._zone(request, zone_id, token, "DNS.Edit")
            for kind, done in result.items():
                for item in body.get(kind) or []:
                    # Read again for each: a step sees what those before it did.
                    zone = self._zone(request, zone_id, token, "DNS.Edit")
                    if kind == "deletes":
                        record = _record(zone, str(item.get("id")))
                        self.store.delete_record(zone.id, record.id)
                    elif kind == "patches":
                        record = self._change(zone, str(item.get("id")), item)
                    elif kind == "puts":
                        record = self._replace(zone, str(item.get("id")), item)
                    else:
                        record = self.store.put_record(zone.id, records.read(zone, item))
                    done.append(records.show(zone, record))
        return _answer(result, headers)

    # --- what only the lab has ---

    async def lab_faults(self, request: Request) -> JSONResponse:
        if request.method == "PUT":
            self.faults.set(await _body(request))
        elif request.method == "DELETE":
            self.faults.clear()
        return JSONResponse(self.faults.show())

    async def lab_tokens(self, request: Request) -> JSONResponse:
        if request.method == "GET":
            return JSONResponse(self.tokens.list())
        token = self.tokens.add(await _body(request))
        return JSONResponse({"id": token.id, "value": token.value}, status_code=201)

    async def lab_remove_token(self, token_id: str) -> JSONResponse:
        self.tokens.remove(token_id)
        return JSONResponse({"id": token_id})

    async def lab_zones(self, request: Request) -> JSONResponse:
        name = str((await _body(request)).get("name", ""))
        if not re.fullmatch(r"([a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}", name):
            raise ApiError(400, 400, f"name: {name!r} is not a domain name")
        try:
            zone = self.store.create_zone(name, self.config.gateway)
        except ValueError as error:
            raise ApiError(409, 1061, f"{name} already exists") from error
        return JSONResponse({"id": zone.id, "name": zone.name}, status_code=201)

    # --- parts ---

    async def _enter(self, request: Request, verifying: bool = False) -> tuple[Token, dict[str, str]]:
        await self.faults.before()
        token = self.tokens.of(request.headers.get("Authorization"), verifying)
        return token, self.rate_limit.count(token.value)

    def _zone(
        self, request: Request, zone_id: str, token: Token, permission: str, refusal: ApiError | None = None
    ) -> Zone:
        if not _ID.fullmatch(zone_id):
            raise unroutable(request.url.path)
        zone = self.store.zone(zone_id)
        # A zone of someone else and one that does not exist look the same, as they must.
        if zone is None or not token.may(permission, zone.name):
            raise refusal or ApiError(403, 10000, "Authentication error")
        return zone

    def _replace(self, zone: Zone, record_id: str, body: Any) -> Record:
        """A PUT: what the body leaves out goes back to its default."""
        old = _record(zone, record_id)
        fresh = records.read(zone, {"comment": None, "tags": [], "proxied": False, "ttl": 1, **body}, base=old)
        return self.store.put_record(zone.id, fresh)

    def _change(self, zone: Zone, record_id: str, body: Any) -> Record:
        return self.store.put_record(zone.id, records.read(zone, body, base=_record(zone, record_id)))

    def _show_zone(self, zone: Zone, token: Token) -> dict[str, Any]:
        return {
            "id": zone.id,
            "name": zone.name,
            "status": zone.status,
            "paused": False,
            "type": "full",
            "development_mode": 0,
            "name_servers": zone.name_servers,
            "original_name_servers": None,
            "original_registrar": None,
            "original_dnshost": None,
            "created_on": zone.created_on,
            "modified_on": zone.modified_on,
            "activated_on": zone.created_on,
            "meta": {"step": 4, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
            "owner": {"id": None, "type": "user", "email": None},
            "account": ACCOUNT,
            "tenant": {"id": None, "name": None},
            "tenant_unit": {"id": None},
            "permissions": [
                shown
                for permission, shown in (
                    ("DNS.Edit", "#dns_records:edit"),
                    ("DNS.Read", "#dns_records:read"),
                    ("Zone.Read", "#zone:read"),
                )
                if token.may(permission, zone.name)
            ],
            "plan": {"id": "0" * 32, "name": "Free Website", "price": 0, "currency": "USD", "legacy_id": "free"},
        }


def _visible(zone: Zone) -> list[Record]:
    """Without the zone's own name servers, which Cloudflare does not list among the records."""
    own = {(zone.name, "NS"), *((server, "A") for server in zone.name_servers)}
    return [record for record in zone.records.values() if (record.name, record.type) not in own]


def _record(zone: Zone, record_id: str) -> Record:
    for record in _visible(zone):
        if record.id == record_id:
            return record
    raise ApiError(404, 81044, "Record does not exist.")


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, 9207, "Request body is invalid.")
    return body


def _page(items: Sequence[Any], request: Request, headers: dict[str, str], default: int, limit: int) -> JSONResponse:
    numbers = {}
    for name, fallback, highest in (("page", 1, 10**9), ("per_page", default, limit)):
        text = request.query_params.get(name, str(fallback))
        if not text.isdecimal() or not 1 <= int(text) <= highest:
            raise ApiError(400, 9207, f"Invalid {name} {text!r}: must be from 1 to {highest}.")
        numbers[name] = int(text)
    page, per_page = numbers["page"], numbers["per_page"]
    shown = list(items[(page - 1) * per_page : page * per_page])
    info = {
        "page": page,
        "per_page": per_page,
        "count": len(shown),
        "total_count": len(items),
        "total_pages": math.ceil(len(items) / per_page),
    }
    return _answer(shown, headers, info=info)


def _answer(
    result: Any,
    headers: dict[str, str],
    info: dict[str, int] | None = None,
    messages: list[dict[str, Any]] | None = None,
) -> JSONResponse:
    envelope: dict[str, Any] = {"result": result, "success": True, "errors": [], "messages": messages or []}
    if info:
        envelope["result_info"] = info
    return JSONResponse(envelope, headers=headers)


async def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    envelope = {"result": None, "success": False, "errors": error.errors, "messages": []}
    return JSONResponse(envelope, status_code=error.status, headers=error.headers)


async def _no_route(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException) and error.status_code == 405:
        failure = ApiError(405, 10405, "Method not allowed for this authentication scheme")
    else:
        failure = unroutable(request.url.path)
    return await _api_error(request, failure)
