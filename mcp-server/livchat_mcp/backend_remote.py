"""Operations carried out by a REST API of livchat.setup somewhere else."""

from __future__ import annotations

import copy
import functools
import ipaddress
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import MaxRetryError

from livchat_cli import routes
from livchat_cli.access import Principal, end_in
from livchat_cli.api.pages import MOST, Listing
from livchat_cli.errors import LivchatError
from livchat_cli.operations import Operation, get
from livchat_mcp.backend import Index, indexed

# Seconds to connect, and between two signs of life: the API sends one each 15 s into a stream of events.
_TIMEOUT = (5, 30)
# Of a list not more than so many pages are asked for. Seconds for which one that was read whole is kept.
_PAGES, _KEPT = 20, 5.0
# Of so many jobs that were asked for here it is known by whom, the newest.
_ASKED = 10_000
# Jobs in one page at most.
_MOST_JOBS = 200
# Errors of an API that will be there again.
_PASSING = ("API_UNREACHABLE", "API_TIMEOUT", "API_ERROR", "RATE_LIMITED", "API_BUSY", "STREAMS_LIMITED")
# Seconds between two looks at an API that was not there, and between two looks at whether anybody still listens.
_PAUSE, _MOMENT = 1.0, 0.1
# Seconds after which a request is sent again whose connection was cut: as long as an API takes to start again.
_AGAIN = (0.5, 1.0, 2.0, 4.0)


class _Lists:
    """Whole lists of an API, kept for a moment: whoever types, or turns pages, asks for the same again and again."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    def get(self, name: str, read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The list of that name, read anew when it is older than a moment."""
        moment = time.monotonic()
        when, known = self._kept.get(name, (-_KEPT, []))
        if moment - when >= _KEPT:
            known = read()
            self._kept[name] = (moment, known)
        return known


class _Askers:
    """Who asked for which job: for the API all of them are the gateway's own. It is forgotten when the gateway ends."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Principal] = OrderedDict()

    def note(self, job: Mapping[str, Any], who: Principal) -> None:
        self._known[str(job["id"])] = who
        if len(self._known) > _ASKED:
            self._known.popitem(last=False)

    def named(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """The job's record as if the API had been asked by whoever asked the gateway."""
        who = self._known.get(str(job["id"]))
        return {**job, "principal": who.name, "token": who.token} if who else job


class RemoteBackend:
    """See `Backend`. The API's token is the one of the gateway's operator: what a caller may do is checked here too."""

    def __init__(self, url: str, token: str) -> None:
        """Raises LivchatError INPUT_INVALID where the token would cross a network in the clear."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LivchatError("INPUT_INVALID", "LIVCHAT_API_URL is no address such as https://setup.example.com")
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise LivchatError("INPUT_INVALID", "LIVCHAT_API_URL: the token must not be readable on its way: use https")
        if not token:
            raise LivchatError("ACCESS_TOKEN_MISSING", "LIVCHAT_API_TOKEN is not set: make a token where the API runs")
        self._url = url.rstrip("/")
        self._token = token
        self._principal: Principal | None = None
        self._lists = _Lists()
        self._askers = _Askers()

    def of(self, principal: Principal) -> RemoteBackend:
        """The same API for another caller."""
        other = copy.copy(self)
        other._principal = principal
        return other

    def check(self, operation: Operation, values: Mapping[str, Any]) -> None:
        parameters, who = operation.parse(values), self._principal
        if who is None:
            return
        if job_id := getattr(parameters, "job", None):
            who.check_job(operation, self._askers.named(self.show(job_id)))
        else:
            who.check(operation, operation.named_servers(parameters))

    def call(self, operation: Operation, values: Mapping[str, Any], request_id: str) -> Any:
        self.check(operation, values)
        if self._principal and operation.target == "token" and operation.reveals:
            self._check_grants(self._principal, operation, values)
        if self._principal and operation.name == "jobs.list":
            return self._jobs(self._principal, operation, values)
        return self._found(operation, values, request_id)

    def look(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        self.check(operation, values)
        return self._found(operation, values, "")

    def start(
        self, operation: Operation, values: Mapping[str, Any], request_id: str, timeout: int | None
    ) -> dict[str, Any]:
        self.check(operation, values)
        more = {"live": "true"} if operation.index else {}
        if timeout is not None:
            # It can only shorten the operation's own, here as there.
            more["timeout"] = str(min(timeout, operation.timeout))
        record: dict[str, Any] = self._ask(operation, values, request_id, more).json()
        if self._principal:
            self._askers.note(record, self._principal)
        return record

    def follow(self, job_id: str, tell: Callable[[dict[str, Any]], None], stopped: Callable[[], bool]) -> None:
        path = f"{routes.of(get('jobs.show'))[0].request({'job': job_id}).path}/events"
        after = 0
        while not stopped():
            pause = _PAUSE
            try:
                with self._send("GET", path, params={"after": after}, stream=True) as answer:
                    for kind, number, data in _events(answer.iter_lines(chunk_size=1, decode_unicode=True)):
                        if stopped() or kind == "end":
                            return
                        if kind == "step":
                            after = number
                            tell(data)
            except (requests.RequestException, ValueError):
                # It was cut off: the next one goes on where this one was.
                pass
            except LivchatError as error:
                # It restarts, or is asked too much: the job goes on all the same.
                if error.code not in _PASSING:
                    raise
                pause = error.retry_after or _PAUSE
            _wait(pause, stopped)

    def show(self, job_id: str) -> dict[str, Any]:
        record: dict[str, Any] = self._ask(get("jobs.show"), {"job": job_id}, "").json()
        return record

    def index(self, servers: Collection[str] = (), *, applications: bool = True) -> Index:
        def ask(operation: str, values: dict[str, Any]) -> Any:
            read = functools.partial(self._found, get(operation), values, "")
            # A plan is made, and carried out, by what is so at that moment: of servers that are named, nothing is kept.
            return read() if values else self._lists.get(operation, read)

        return indexed(ask, self._principal.servers if self._principal else (), servers, applications)

    def _check_grants(self, who: Principal, operation: Operation, values: Mapping[str, Any]) -> None:
        """Raises LivchatError ACCESS_FORBIDDEN where a key would open more than the caller may do.

        The API asks that of the gateway's own token, which may do more.
        """
        parameters: Any = operation.parse(values)
        if operation.name == "token.create":
            who.check_grants(parameters.scopes, parameters.servers, end_in(parameters.days))
            return
        for known in self._found(get("token.list"), {}, ""):
            if known["id"] == parameters.token:
                who.check_grants(known["scopes"], known["servers"], known["expires_at"])

    def _jobs(self, who: Principal, operation: Operation, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """As many jobs that the caller may see as are asked for, of the newest thousands."""
        wanted, asked = int(getattr(operation.parse(values), "limit", 0)), dict(values)
        seen: list[dict[str, Any]] = []
        for _page in range(_PAGES):
            page = self._found(operation, asked, "")
            seen += [job for job in page if who.sees(self._askers.named(job))]
            if len(seen) >= wanted or len(page) < asked.get("limit", wanted):
                break
            # Those of others are passed over: the more at once, the sooner.
            asked |= {"before": page[-1]["id"], "limit": _MOST_JOBS}
        return seen[:wanted]

    # --- HTTP
    def _found(self, operation: Operation, values: Mapping[str, Any], request_id: str) -> Any:
        """The answer, of a list all pages.

        Raises:
            LivchatError: what the API answered; LIST_TOO_LONG where there are more than are read.
        """
        listing = Listing.of(operation, operation.schema())
        paged = {"limit": str(MOST)} if listing and not listing.pages_itself else {}
        answer = self._ask(operation, values, request_id, paged).json()
        if not isinstance(answer, dict) or "next_cursor" not in answer:
            return answer
        items = list(answer["items"])
        if not paged:
            # It has its own way to go on, which the caller knows.
            return items
        for _page in range(_PAGES - 1):
            if not (cursor := answer["next_cursor"]):
                break
            answer = self._ask(operation, values, request_id, {**paged, "cursor": cursor}).json()
            items += answer["items"]
        if answer["next_cursor"]:
            message = f"{operation.name}: the API at {self._url} has more than the {len(items)} that are read"
            raise LivchatError("LIST_TOO_LONG", message, {"read": len(items)})
        return items

    def _ask(
        self, operation: Operation, values: Mapping[str, Any], request_id: str, more: Mapping[str, str] | None = None
    ) -> requests.Response:
        request = routes.of(operation)[0].request(values)
        headers = {"X-Request-ID": request_id} if request_id else {}
        send = functools.partial(
            self._send, request.method, request.path, json=request.body, params=dict(more or {}), headers=headers
        )
        if request.method != "POST" or not request_id:
            return send()
        # Should it be sent twice, it is done once.
        headers["Idempotency-Key"] = request_id
        return _surely(send)

    def _send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> requests.Response:
        try:
            answer = requests.request(
                method,
                self._url + path,
                headers={**(headers or {}), "Authorization": f"Bearer {self._token}"},
                timeout=_TIMEOUT,
                # A redirect would carry the token to another host.
                allow_redirects=False,
                **more,
            )
        except requests.Timeout as error:
            message = f"the API at {self._url} has not answered in time"
            raise LivchatError("API_TIMEOUT", message) from error
        except requests.RequestException as error:
            if method != "GET" and _cut(error):
                message = f"the connection to the API at {self._url} was cut before it answered: it may be done"
                raise LivchatError("API_TIMEOUT", message) from error
            message = f"the API at {self._url} cannot be reached: {type(error).__name__}"
            raise LivchatError("API_UNREACHABLE", message) from error
        if answer.status_code < 300:
            return answer
        raise _problem(answer)


def _surely(send: Callable[[], requests.Response]) -> requests.Response:
    """The answer to a request that has a key, sent again where the connection was cut before it came.

    Raises:
        LivchatError: what the API answered; API_TIMEOUT where it stays unknown whether it is done.
    """
    try:
        return send()
    except LivchatError as error:
        if not isinstance(error.__cause__, requests.RequestException) or not _cut(error.__cause__):
            raise
        lost = error
    for pause in _AGAIN:
        time.sleep(pause)
        try:
            return send()
        except LivchatError as error:
            # The first one may still be worked on.
            busy = error.code == "IDEMPOTENCY_CONFLICT" and error.retry_after
            if error.code not in _PASSING and not busy:
                raise
    raise lost


def _cut(error: requests.RequestException) -> bool:
    """Whether there was a connection, so that the request may have arrived."""
    refused = bool(error.args) and isinstance(error.args[0], MaxRetryError)
    return not refused and not isinstance(error, requests.Timeout)


def _wait(seconds: float, stopped: Callable[[], bool]) -> None:
    """Waits so long, or until nobody listens."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stopped():
        time.sleep(min(left, _MOMENT))


def _problem(answer: requests.Response) -> LivchatError:
    try:
        body = answer.json()
        return LivchatError(body["code"], body["message"], body.get("details") or {}, body.get("retry_after"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return LivchatError("API_ERROR", f"the API answered {answer.status_code}, not as an API of livchat.setup does")


def _events(lines: Iterator[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Server-Sent Events as kind, number and data; a comment, which only says that the API lives, has neither."""
    kind, number = "", 0
    for line in lines:
        name, _, value = line.partition(": ")
        if line.startswith(":"):
            yield "", 0, {}
        elif name == "event":
            kind = value
        elif name == "id" and value.isdigit():
            number = int(value)
        elif name == "data":
            yield kind, number, json.loads(value)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
