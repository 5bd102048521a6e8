# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Portainer's HTTP API, as far as stacks of a Swarm need it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import typing as t
import urllib.error
import urllib.parse

from ansible.module_utils.urls import Request

from ._errors import LivchatError
from ._patience import ConnectionCutError

ACTIVE, INACTIVE = 1, 2
SWARM_STACK = 1
# Kinds of environments that are a Docker engine: its socket, or Portainer's agent.
DOCKER_ENVIRONMENTS = (1, 2)
# Seconds to go on trying while Portainer or Traefik before it starts, and while it deploys what it took.
PATIENCE = 30
DEPLOYING_PATIENCE = 120
Stack = t.Dict[str, t.Any]
Variables = t.List[t.Dict[str, str]]


class _NotReachedError(LivchatError):
    """The request never got to Portainer, so it may be sent again whatever it is."""


class _NamedContext(ssl.SSLContext):
    """TLS that checks the certificate of a host by its name, whatever the address it is reached by."""

    host = ""

    def wrap_socket(self, *arguments: t.Any, **options: t.Any) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **{**options, "server_hostname": self.host})


class PortainerClient:
    """Calls Portainer with an access token.

    `address` is connected to instead of what the URL's name resolves to; `authority` (PEM) is trusted instead of the
    system's authorities. Requests that may be repeated are, for `patience` seconds.

    Raises:
        LivchatError: PORTAINER_UNREACHABLE (ConnectionCutError when the request may have been carried out),
            PORTAINER_TOKEN_INVALID, PORTAINER_LOCKED, PORTAINER_ERROR, TLS_NOT_TRUSTED, CA_FILE_INVALID.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        address: str = "",
        authority: str = "",
        server: str = "SERVER",
        timeout: float = 120,
        patience: float = PATIENCE,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._place = parts.netloc
        self._base = f"{parts.scheme}://{address or host}:{port}"
        self._token = token
        self._server = server
        self._timeout = timeout
        self._patience = patience
        self._sleep = sleep
        self._context = _trusting(host, authority) if parts.scheme == "https" else None

    def environment(self, swarm_id: str) -> int:
        """The number of the environment that is this Swarm.

        Raises:
            LivchatError: PORTAINER_ENVIRONMENT_NOT_FOUND
        """
        for one in self._call("GET", "/api/endpoints?excludeSnapshots=true"):
            if one.get("Type") in DOCKER_ENVIRONMENTS and one.get("Status") == ACTIVE:
                try:
                    found = self._call("GET", f"/api/endpoints/{one['Id']}/docker/swarm")
                except LivchatError as error:
                    # One that is no manager says so with a status.
                    if "status" not in error.details:
                        raise
                    continue
                if found.get("ID") == swarm_id:
                    return int(one["Id"])
        message = f"Portainer at {self._place} has no environment that is the Swarm of {self._server}; add it there"
        raise LivchatError("PORTAINER_ENVIRONMENT_NOT_FOUND", message, {"swarm": swarm_id})

    def stacks(self, environment: int) -> list[Stack]:
        """What was deployed through Portainer; stacks from elsewhere are not among them."""
        return [one for one in self._call("GET", "/api/stacks") if one.get("EndpointId") == environment]

    def file(self, stack_id: int) -> str:
        return str(self._call("GET", f"/api/stacks/{stack_id}/file")["StackFileContent"])

    def create(self, environment: int, swarm_id: str, name: str, content: str, variables: Variables) -> Stack:
        """Deploys a new stack. After ConnectionCutError look for it: it may be there."""
        body = {"name": name, "swarmID": swarm_id, "stackFileContent": content, "env": variables}
        path = f"/api/stacks/create/swarm/string?endpointId={environment}"
        return dict(self._call("POST", path, body, repeatable=False))

    def update(self, environment: int, stack_id: int, content: str, variables: Variables, prune: bool) -> Stack:
        """Deploys a stack anew; what is not given in `variables` is gone afterwards."""
        body = {"stackFileContent": content, "env": variables, "prune": prune, "pullImage": True}
        return dict(self._call("PUT", f"/api/stacks/{stack_id}?endpointId={environment}", body))

    def stop(self, environment: int, stack_id: int) -> None:
        """Removes a stack's services, and keeps its record."""
        self._call("POST", f"/api/stacks/{stack_id}/stop?endpointId={environment}", repeatable=False)

    def delete(self, environment: int, stack_id: int) -> None:
        """Removes a stack with its services. Volumes stay."""
        try:
            self._call("DELETE", f"/api/stacks/{stack_id}?endpointId={environment}")
        except LivchatError as error:
            if error.details.get("status") != 404:
                raise

    def settled(self, stack: Stack) -> None:
        """Waits until Portainer is done with the stack: versions after 2.33 answer first, and deploy then.

        Raises:
            LivchatError: STACK_DEPLOY_FAILED
        """
        deadline = time.monotonic() + DEPLOYING_PATIENCE
        while stack.get("Status", ACTIVE) not in (ACTIVE, INACTIVE):
            said = (stack.get("DeploymentStatus") or [{}])[-1]
            if reason := said.get("Message") or said.get("message"):
                raise LivchatError("STACK_DEPLOY_FAILED", f"Portainer could not deploy {stack['Name']}: {reason}")
            if time.monotonic() > deadline:
                message = f"Portainer is not done with {stack['Name']} after {DEPLOYING_PATIENCE} seconds"
                raise LivchatError("STACK_DEPLOY_FAILED", message, {"status": stack["Status"]})
            self._sleep(0.3)
            stack = self._call("GET", f"/api/stacks/{stack['Id']}")

    def _call(self, method: str, path: str, body: t.Any = None, repeatable: bool = True) -> t.Any:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._send(method, path, body)
            except (_NotReachedError, ConnectionCutError) as error:
                again = repeatable or isinstance(error, _NotReachedError)
                if not again or time.monotonic() > deadline:
                    raise
            self._sleep(0.5)

    def _send(self, method: str, path: str, body: t.Any) -> t.Any:
        headers = {"Host": self._place, "X-API-KEY": self._token, "Content-Type": "application/json"}
        try:
            try:
                response = Request().open(
                    method,
                    self._base + path,
                    data=None if body is None else json.dumps(body),
                    headers=headers,
                    timeout=self._timeout,
                    context=self._context,
                    # A redirect would carry the token elsewhere, and no proxy leads to this machine.
                    follow_redirects="none",
                    use_proxy=False,
                    use_netrc=False,
                    http_agent="livchat.setup",
                )
            except urllib.error.HTTPError as error:
                response = error
            status, text = response.getcode(), response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(method, path, error) from None
        if status >= 300:
            raise self._refusal(method, path, status, text)
        try:
            return json.loads(text) if text.strip() else None
        except ValueError:
            message = f"what answers at {self._place} is no Portainer: {method} {_bare(path)} gave no JSON"
            raise LivchatError("PORTAINER_ERROR", message, {"status": status}) from None

    def _no_answer(self, method: str, path: str, error: Exception) -> LivchatError:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            message = (
                f"the certificate of Portainer at {self._place} is not trusted: {reason.verify_message}; "
                "name the file of a private authority in the setting acme.root_file"
            )
            return LivchatError("TLS_NOT_TRUSTED", message, {"host": self._place})
        message = (
            f"Portainer at {self._place} ({self._base}) does not answer {method} {_bare(path)}: {reason}; "
            f"look at the services traefik and portainer of {self._server}"
        )
        never = isinstance(reason, (ConnectionRefusedError, socket.gaierror))
        kind = _NotReachedError if never else ConnectionCutError
        return kind("PORTAINER_UNREACHABLE", message, {"url": self._base})

    def _refusal(self, method: str, path: str, status: int, raw: bytes) -> LivchatError:
        try:
            answer = json.loads(raw)
            said = str(answer["message"])
        except (ValueError, KeyError, TypeError):
            answer, said = {}, ""
        details = {"status": status, "method": method, "path": _bare(path)}
        if status == 303:
            message = (
                f"Portainer at {self._place} has locked itself, as nobody became its administrator in time: restart it "
                f"(docker service update --force portainer_portainer), then: livchat-setup server setup {self._server} "
                "--full"
            )
            return LivchatError("PORTAINER_LOCKED", message, details)
        if status == 401:
            message = (
                f"Portainer at {self._place} does not accept the access token in the vault ({said or 'HTTP 401'}); "
                f"this makes a new one: livchat-setup server setup {self._server} --full"
            )
            return LivchatError("PORTAINER_TOKEN_INVALID", message, details)
        if not said and status in (404, 502, 503, 504):
            # Traefik's own words: it has no such router, no healthy server, or lost the server under way.
            message = (
                f"nothing behind Traefik answers as Portainer at {self._place}: {method} {_bare(path)} gave {status}; "
                f"look at the service portainer of {self._server}"
            )
            kind = _NotReachedError if status in (404, 503) else ConnectionCutError
            return kind("PORTAINER_UNREACHABLE", message, {"url": self._base})
        more = str(answer.get("details") or "")
        reason = f"{said}: {more}" if more and more not in said else said or f"HTTP {status}"
        message = f"Portainer at {self._place} refuses {method} {_bare(path)}: {reason}"
        return LivchatError("PORTAINER_ERROR", message, {**details, "said": reason})


def _bare(path: str) -> str:
    return path.partition("?")[0]


def _trusting(host: str, authority: str) -> ssl.SSLContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.host = host
    if not authority:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=authority)
    except ssl.SSLError as error:
        message = f"what acme.root_file holds is no certificate authority in PEM form: {error.reason}"
        raise LivchatError("CA_FILE_INVALID", message) from None
    return context
