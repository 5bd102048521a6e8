#!/usr/bin/env python3
"""A simulated Portainer for tests. It answers as the real one was seen to, and deploys with the real Docker.

Only the standard library: this file alone is the image's program. The contract tests say what it must do, and run
against a real Portainer as well.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

VERSION = "2.33.5"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated Portainer</title></head>
<body><h1>Simulated Portainer</h1><p>This is a stand-in for tests. It answers Portainer's API; it is not Portainer.</p>
</body></html>
"""
TOKEN_LIFETIME = 8 * 3600
REQUIRED_PASSWORD_LENGTH = 12
ACTIVE, INACTIVE = 1, 2
NAMESPACE_LABEL = "com.docker.stack.namespace"
# Objects of the engine that Portainer keeps an access list for, and the number of their kind.
CONTROLLED = {"containers": 1, "services": 2, "volumes": 3, "networks": 4, "secrets": 5, "configs": 7}
STACK_KIND = 6


class ApiError(Exception):
    def __init__(self, status: int, message: str, details: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "details": details or message}
        self.headers = headers or {}


class Answer(NamedTuple):
    status: int
    body: Any = None


class Database:
    """What outlives a restart, in one JSON file of the data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self._path = folder / "portainer.json"
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self.data: dict[str, Any] = json.loads(self._path.read_text())
        else:
            self.data = {
                "instance_id": secrets.token_hex(16),
                "jwt_key": secrets.token_hex(32),
                "users": [],
                "keys": [],
                "stacks": [],
                "next_id": {},
            }
            self.save()

    def next_id(self, kind: str) -> int:
        with self.lock:
            number = int(self.data["next_id"].get(kind, 1))
            self.data["next_id"][kind] = number + 1
            self.save()
            return number

    def save(self) -> None:
        with self.lock:
            temporary = self._path.with_suffix(".tmp")
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(self.data))
            temporary.replace(self._path)


class Users:
    """The administrator, tokens for sessions and API keys."""

    def __init__(self, database: Database, admin_timeout: float) -> None:
        self._database = database
        self._deadline = time.monotonic() + admin_timeout

    @property
    def initialised(self) -> bool:
        return bool(self._database.data["users"])

    @property
    def timed_out(self) -> bool:
        return not self.initialised and time.monotonic() > self._deadline

    def create_admin(self, name: str, password: str) -> dict[str, Any]:
        with self._database.lock:
            if self.initialised:
                details = "An administrator user already exists"
                raise ApiError(409, "Unable to create administrator user", details)
            salt = secrets.token_bytes(16)
            user = {"id": 1, "name": name, "salt": salt.hex(), "hash": _hash(password, salt)}
            self._database.data["users"].append(user)
            self._database.save()
        # The real one shows its bcrypt hash here; this has its form, so that a client which logs it is found out.
        shown_hash = "$2a$10$" + base64.b64encode(hashlib.sha512(salt).digest()).decode()[:53].replace("+", ".")
        return {**self.show(user), "Password": shown_hash}

    @staticmethod
    def show(user: dict[str, Any]) -> dict[str, Any]:
        return {
            "Id": user["id"],
            "Username": user["name"],
            "Role": 1,
            "TokenIssueAt": 0,
            "ThemeSettings": {"color": ""},
            "UseCache": False,
            "PortainerAuthorizations": None,
            "EndpointAuthorizations": None,
        }

    def check_password(self, name: str, password: str) -> dict[str, Any] | None:
        for user in self._database.data["users"]:
            known = _hash(password, bytes.fromhex(user["salt"]))
            if user["name"].lower() == name.lower() and hmac.compare_digest(known, user["hash"]):
                return dict(user)
        return None

    def by_id(self, user_id: int) -> dict[str, Any]:
        for user in self._database.data["users"]:
            if user["id"] == user_id:
                return dict(user)
        raise ApiError(
            404, "Unable to find a user with the specified identifier inside the database", "object not found"
        )

    def issue_jwt(self, user: dict[str, Any]) -> str:
        moment = int(time.time())
        claims = {"id": user["id"], "username": user["name"], "role": 1, "exp": moment + TOKEN_LIFETIME, "iat": moment}
        signed = _segment({"alg": "HS256", "typ": "JWT"}) + "." + _segment(claims)
        return signed + "." + self._signature(signed)

    def of_jwt(self, token: str) -> dict[str, Any] | None:
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        return self.by_id(claims["id"]) if claims["exp"] > time.time() else None

    def create_key(self, user: dict[str, Any], description: str) -> dict[str, Any]:
        raw = "ptr_" + base64.b64encode(secrets.token_bytes(32)).decode()
        with self._database.lock:
            key = {
                "id": self._database.next_id("key"),
                "userId": user["id"],
                "description": description,
                "prefix": raw[:7],
                "dateCreated": int(time.time()),
                "lastUsed": 0,
                "digest": base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode(),
            }
            self._database.data["keys"].append(key)
            self._database.save()
        return {"rawAPIKey": raw, "apiKey": key}

    def keys(self, user: dict[str, Any]) -> list[dict[str, Any]]:
        own = [key for key in self._database.data["keys"] if key["userId"] == user["id"]]
        return [{name: value for name, value in key.items() if name != "digest"} for key in own]

    def delete_key(self, user: dict[str, Any], key_id: int) -> None:
        with self._database.lock:
            keys = self._database.data["keys"]
            left = [key for key in keys if (key["id"], key["userId"]) != (key_id, user["id"])]
            if len(left) == len(keys):
                raise ApiError(404, "Unable to find an API key with the specified identifier inside the database")
            self._database.data["keys"] = left
            self._database.save()

    def of_key(self, raw: str) -> dict[str, Any] | None:
        digest = base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode()
        with self._database.lock:
            for key in self._database.data["keys"]:
                if hmac.compare_digest(key["digest"], digest):
                    key["lastUsed"] = int(time.time())
                    self._database.save()
                    return self.by_id(key["userId"])
        return None

    def _signature(self, signed: str) -> str:
        mac = hmac.digest(bytes.fromhex(self._database.data["jwt_key"]), signed.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def _hash(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1).hex()


def _segment(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


class Throttle:
    """More than ten tries in a second from one address: none for an hour, the right password included."""

    def __init__(self, tries: int = 10, window: float = 1.0, ban: float = 3600.0) -> None:
        self._tries, self._window, self._ban = tries, window, ban
        self._lock = threading.Lock()
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._banned: dict[str, float] = {}

    def check(self, address: str) -> None:
        moment = time.monotonic()
        with self._lock:
            times = self._times[address]
            times.append(moment)
            while times[0] < moment - self._window:
                times.popleft()
            if len(times) > self._tries:
                self._banned[address] = moment + self._ban
            if self._banned.get(address, 0) > moment:
                raise ApiError(403, "Access denied")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The Docker engine behind a socket, by its API and by the docker command."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    @contextlib.contextmanager
    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path, body, headers or {})
            yield connection.getresponse()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        with self.request("GET", path) as response:
            content = json.loads(response.read())
        if response.status != 200:
            raise ApiError(500, str(content.get("message", "the engine failed")))
        return content

    def is_up(self) -> bool:
        try:
            with self.request("GET", "/_ping") as response:
                return response.status == 200
        except OSError:
            return False

    def has_stack(self, name: str) -> bool:
        label = urllib.parse.quote(json.dumps({"label": [f"{NAMESPACE_LABEL}={name}"]}))
        return bool(self.get(f"/services?filters={label}"))

    def deploy(self, stack: dict[str, Any], content: str, prune: bool = False, resolve: bool = True) -> None:
        command = ["stack", "deploy", "--compose-file", "-", "--with-registry-auth"]
        command += ["--prune"] if prune else []
        command += [] if resolve else ["--resolve-image", "never"]
        variables = {entry["name"]: entry["value"] for entry in stack["Env"]}
        self._docker([*command, "--", stack["Name"]], content, variables)

    def remove(self, name: str) -> None:
        self._docker(["stack", "rm", "--", name])

    def _docker(self, arguments: list[str], content: str = "", variables: dict[str, str] | None = None) -> None:
        own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {**(variables or {}), **own, "DOCKER_HOST": self.url}
        done = subprocess.run(
            ["docker", *arguments],
            input=content,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise ApiError(500, done.stderr.strip() or f"docker ended with {done.returncode}")


class Stacks:
    """Stacks deployed through this server. Those deployed past it are not known here, only their names are taken."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine
        self._changing = threading.Lock()

    def list(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        stacks: list[dict[str, Any]] = self._database.data["stacks"]
        if swarm := filters.get("SwarmID"):
            stacks = [stack for stack in stacks if stack["SwarmId"] == swarm]
        if endpoint := filters.get("EndpointID"):
            stacks = [stack for stack in stacks if stack["EndpointId"] == endpoint]
        return stacks

    def get(self, stack_id: int) -> dict[str, Any]:
        for stack in self._database.data["stacks"]:
            if stack["Id"] == stack_id:
                return dict(stack)
        message = "Unable to find a stack with the specified identifier inside the database"
        raise ApiError(404, message, "object not found inside the database")

    def file(self, stack: dict[str, Any]) -> str:
        return (self._folder(stack) / "docker-compose.yml").read_text()

    def create(self, payload: dict[str, Any], endpoint_id: int, user: dict[str, Any]) -> dict[str, Any]:
        wanted_name = payload.get("name")
        if not isinstance(wanted_name, str) or not wanted_name:
            raise ApiError(400, "Invalid request payload", "Invalid stack name")
        if not payload.get("swarmID"):
            raise ApiError(400, "Invalid request payload", "Invalid Swarm ID")
        content = _content(payload)
        name = re.sub(r"[^-_a-z0-9]", "", wanted_name.lower())
        with self._changing:
            taken = any(stack["Name"] == name for stack in self._database.data["stacks"])
            if taken or self._engine.has_stack(name):
                raise ApiError(409, f"A stack with the normalized name '{name}' already exists")
            number = self._database.next_id("stack")
            stack = {
                "Id": number,
                "Name": name,
                "Type": 1,
                "EndpointId": endpoint_id,
                "SwarmId": payload["swarmID"],
                "EntryPoint": "docker-compose.yml",
                "Env": _environment(payload),
                "ResourceControl": _resource_control(f"{endpoint_id}_{name}", STACK_KIND),
                "Status": ACTIVE,
                "ProjectPath": f"/data/compose/{number}",
                "CreationDate": int(time.time()),
                "CreatedBy": user["name"],
                "UpdateDate": 0,
                "UpdatedBy": "",
                "AdditionalFiles": None,
                "AutoUpdate": None,
                "Option": None,
                "GitConfig": None,
                "FromAppTemplate": False,
                "Namespace": "",
            }
            self._engine.deploy(stack, content)
            self._write(stack, content)
            self._put(stack)
        return stack

    def update(self, stack: dict[str, Any], payload: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
        content = _content(payload)
        with self._changing:
            fresh = {**stack, "Env": _environment(payload), "Status": ACTIVE}
            self._engine.deploy(fresh, content, bool(payload.get("prune")), bool(payload.get("pullImage")))
            fresh.update(UpdateDate=int(time.time()), UpdatedBy=user["name"])
            self._write(fresh, content)
            self._put(fresh)
        return {**fresh, "ResourceControl": None}

    def stop(self, stack: dict[str, Any]) -> dict[str, Any]:
        with self._changing:
            if stack["Status"] == INACTIVE:
                raise ApiError(400, "Stack is already inactive")
            self._engine.remove(stack["Name"])
            return self._put({**stack, "Status": INACTIVE})

    def start(self, stack: dict[str, Any]) -> dict[str, Any]:
        with self._changing:
            if stack["Status"] == ACTIVE:
                raise ApiError(400, "Stack is already active")
            self._engine.deploy(stack, self.file(stack))
            return self._put({**stack, "Status": ACTIVE})

    def delete(self, stack: dict[str, Any]) -> None:
        with self._changing:
            if stack["Status"] == ACTIVE:
                self._engine.remove(stack["Name"])
            with self._database.lock:
                stacks = self._database.data["stacks"]
                self._database.data["stacks"] = [other for other in stacks if other["Id"] != stack["Id"]]
                self._database.save()
            shutil.rmtree(self._folder(stack), ignore_errors=True)

    def delete_external(self, name: str) -> None:
        if any(stack["Name"] == name for stack in self._database.data["stacks"]):
            raise ApiError(400, "A stack with this name exists inside the database. Cannot use external delete method")
        if not re.fullmatch(r"[-_a-zA-Z0-9]+", name):
            raise ApiError(400, "Invalid stack name")
        with self._changing:
            self._engine.remove(name)

    def _put(self, stack: dict[str, Any]) -> dict[str, Any]:
        with self._database.lock:
            others = [other for other in self._database.data["stacks"] if other["Id"] != stack["Id"]]
            self._database.data["stacks"] = sorted([*others, stack], key=lambda entry: int(entry["Id"]))
            self._database.save()
        return stack

    def _folder(self, stack: dict[str, Any]) -> Path:
        return self._database.folder / "compose" / str(stack["Id"])

    def _write(self, stack: dict[str, Any], content: str) -> None:
        folder = self._folder(stack)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "docker-compose.yml").write_text(content)


def _content(payload: dict[str, Any]) -> str:
    content = payload.get("stackFileContent")
    if not isinstance(content, str) or not content:
        raise ApiError(400, "Invalid request payload", "Invalid stack file content")
    return content


def _environment(payload: dict[str, Any]) -> list[dict[str, str]]:
    entries = payload.get("env") or []
    for entry in entries:
        if not isinstance(entry, dict) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", str(entry.get("name", ""))):
            raise ApiError(400, "Invalid request payload", "Invalid environment variable name")
    return [{"name": entry["name"], "value": str(entry.get("value", ""))} for entry in entries]


def _resource_control(resource: str, kind: int) -> dict[str, Any]:
    return {
        "Id": 1,
        "ResourceId": resource,
        "SubResourceIds": [],
        "Type": kind,
        "UserAccesses": [],
        "TeamAccesses": [],
        "Public": False,
        "AdministratorsOnly": True,
        "System": False,
    }


class Portainer:
    """All parts together, and the routes to them."""

    def __init__(self, folder: Path, socket_path: str | None, admin_timeout: float = 300.0) -> None:
        self.database = Database(folder)
        self.users = Users(self.database, admin_timeout)
        self.throttle = Throttle()
        self.engine = Engine(socket_path) if socket_path else None
        self.stacks = Stacks(self.database, self.engine) if self.engine else None
        number = r"(\d+)"
        self.routes: list[tuple[str, re.Pattern[str], bool, Callable[..., Answer]]] = [
            (method, re.compile(pattern), public, handler)
            for method, pattern, public, handler in (
                ("GET", r"/api/(?:system/)?status", True, self._status),
                ("GET", r"/api/settings/public", True, self._settings),
                ("GET", r"/api/users/admin/check", True, self._admin_check),
                ("POST", r"/api/users/admin/init", True, self._admin_init),
                ("POST", r"/api/auth", True, self._login),
                ("POST", r"/api/auth/logout", False, lambda request: Answer(204)),
                ("GET", r"/api/users/me", False, lambda request: Answer(200, self.users.show(request.user))),
                ("GET", rf"/api/users/{number}/tokens", False, self._keys),
                ("POST", rf"/api/users/{number}/tokens", False, self._create_key),
                ("DELETE", rf"/api/users/{number}/tokens/{number}", False, self._delete_key),
                ("GET", r"/api/endpoints", False, self._endpoints),
                ("GET", rf"/api/endpoints/{number}", False, self._endpoint),
                ("GET", r"/api/stacks", False, self._list_stacks),
                ("POST", r"/api/stacks/create/swarm/string", False, self._create_stack),
                ("GET", rf"/api/stacks/{number}", False, self._get_stack),
                ("GET", rf"/api/stacks/{number}/file", False, self._stack_file),
                ("PUT", rf"/api/stacks/{number}", False, self._update_stack),
                ("POST", rf"/api/stacks/{number}/(stop|start)", False, self._switch_stack),
                ("DELETE", r"/api/stacks/([^/]+)", False, self._delete_stack),
            )
        ]

    # --- without a token ---

    def _status(self, request: Request) -> Answer:
        return Answer(200, {"Version": VERSION, "InstanceID": self.database.data["instance_id"]})

    def _settings(self, request: Request) -> Answer:
        return Answer(200, {"AuthenticationMethod": 1, "RequiredPasswordLength": REQUIRED_PASSWORD_LENGTH})

    def _admin_check(self, request: Request) -> Answer:
        if not self.users.initialised:
            raise ApiError(404, "No administrator account found inside the database", "object not found")
        return Answer(204)

    def _admin_init(self, request: Request) -> Answer:
        payload = request.payload()
        name, password = (
            payload.get("Username") or payload.get("username"),
            payload.get("Password") or payload.get("password"),
        )
        if not isinstance(name, str) or not isinstance(password, str):
            raise ApiError(400, "Invalid request payload", "Invalid username or password")
        if not self.users.initialised and len(password) < REQUIRED_PASSWORD_LENGTH:
            raise ApiError(400, "Invalid request payload", "Password does not meet the requirements")
        return Answer(200, self.users.create_admin(name, password))

    def _login(self, request: Request) -> Answer:
        self.throttle.check(request.client_address[0])
        payload = request.payload()
        name, password = (
            payload.get("Username") or payload.get("username"),
            payload.get("Password") or payload.get("password"),
        )
        if not isinstance(name, str) or not isinstance(password, str):
            raise ApiError(400, "Invalid request payload", "Invalid username or password")
        user = self.users.check_password(name, password)
        if not user:
            raise ApiError(422, "Invalid credentials", "Unauthorized")
        return Answer(200, {"jwt": self.users.issue_jwt(user)})

    # --- API keys ---

    def _keys(self, request: Request, user_id: str) -> Answer:
        return Answer(200, self.users.keys(self.users.by_id(int(user_id))))

    def _create_key(self, request: Request, user_id: str) -> Answer:
        payload = request.payload()
        user = self.users.by_id(int(user_id))
        if not payload.get("description"):
            raise ApiError(400, "Invalid request payload", "invalid description: cannot be empty")
        if not self.users.check_password(user["name"], str(payload.get("password", ""))):
            raise ApiError(
                403, "Current password doesn't match", "Current password does not match the password provided"
            )
        return Answer(201, self.users.create_key(user, str(payload["description"])))

    def _delete_key(self, request: Request, user_id: str, key_id: str) -> Answer:
        self.users.delete_key(self.users.by_id(int(user_id)), int(key_id))
        return Answer(204)

    # --- environments ---

    def _endpoints(self, request: Request) -> Answer:
        if not self.engine:
            return Answer(200, [])
        return Answer(200, [self._show_endpoint(self.engine, request.flag("excludeSnapshots"))])

    def _endpoint(self, request: Request, endpoint_id: str) -> Answer:
        return Answer(200, self._show_endpoint(self.engine_of(endpoint_id), request.flag("excludeSnapshots")))

    @staticmethod
    def _show_endpoint(engine: Engine, short: bool) -> dict[str, Any]:
        up = engine.is_up()
        shown: dict[str, Any] = {
            "Id": 1,
            "Name": "primary",
            "Type": 1,
            "URL": engine.url,
            "GroupId": 1,
            "PublicURL": "",
            "Status": 1 if up else 2,
            "Snapshots": [],
        }
        if up and not short:
            raw = {"Containers": engine.get("/containers/json?all=1"), "Networks": engine.get("/networks")}
            shown["Snapshots"] = [{"Time": int(time.time()), "DockerSnapshotRaw": raw}]
        return shown

    def engine_of(self, endpoint_id: str | int) -> Engine:
        if not self.engine or str(endpoint_id) != "1":
            message = "Unable to find an environment with the specified identifier inside the database"
            raise ApiError(404, message, "object not found inside the database")
        return self.engine

    # --- stacks ---

    def _list_stacks(self, request: Request) -> Answer:
        try:
            filters = json.loads(request.query.get("filters", "{}"))
        except ValueError:
            raise ApiError(400, "Invalid query parameter: filters") from None
        return Answer(200, self.stacks.list(filters) if self.stacks else [])

    def _create_stack(self, request: Request) -> Answer:
        payload = request.payload()
        stacks = self._stacks_of(request)
        return Answer(200, stacks.create(payload, 1, request.user))

    def _get_stack(self, request: Request, stack_id: str) -> Answer:
        return Answer(200, self._known(stack_id)[1])

    def _stack_file(self, request: Request, stack_id: str) -> Answer:
        stacks, stack = self._known(stack_id)
        return Answer(200, {"StackFileContent": stacks.file(stack)})

    def _update_stack(self, request: Request, stack_id: str) -> Answer:
        stacks, stack = self._known(stack_id)
        self._stacks_of(request)
        return Answer(200, stacks.update(stack, request.payload(), request.user))

    def _switch_stack(self, request: Request, stack_id: str, verb: str) -> Answer:
        stacks, stack = self._known(stack_id)
        self._stacks_of(request)
        return Answer(200, stacks.stop(stack) if verb == "stop" else stacks.start(stack))

    def _delete_stack(self, request: Request, name: str) -> Answer:
        if request.flag("external"):
            self._stacks_of(request).delete_external(urllib.parse.unquote(name))
            return Answer(204)
        if not name.isdecimal():
            raise ApiError(400, "Invalid stack identifier route variable")
        stacks, stack = self._known(name)
        self._stacks_of(request)
        stacks.delete(stack)
        return Answer(204)

    def _known(self, stack_id: str) -> tuple[Stacks, dict[str, Any]]:
        if not self.stacks:
            raise ApiError(404, "Unable to find a stack with the specified identifier inside the database")
        return self.stacks, self.stacks.get(int(stack_id))

    def _stacks_of(self, request: Request) -> Stacks:
        endpoint = request.query.get("endpointId", "")
        if not endpoint.isdecimal():
            raise ApiError(400, "Invalid query parameter: endpointId", "missing or invalid query parameter")
        self.engine_of(endpoint)
        assert self.stacks
        return self.stacks


class Request(BaseHTTPRequestHandler):
    """One connection: reads requests, finds who asks and what for, writes answers."""

    protocol_version = "HTTP/1.1"
    server_version = "Portainer-stand-in"
    sys_version = ""
    timeout = 600
    portainer: Portainer
    path_only: str
    query: dict[str, str]
    user: dict[str, Any]
    body: bytes

    def handle_one(self) -> None:
        self.path_only, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.body = self._read_body()
        try:
            self._route()
        except ApiError as error:
            self._send(error.status, error.body, error.headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except OSError as error:
            self._send(500, {"message": "Unable to reach the engine", "details": str(error)})

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = handle_one  # noqa: N815  # http.server's names

    def payload(self) -> dict[str, Any]:
        try:
            payload = json.loads(self.body)
        except ValueError as error:
            raise ApiError(400, "Invalid request payload", str(error)) from None
        if not isinstance(payload, dict):
            raise ApiError(400, "Invalid request payload", "an object is needed")
        return payload

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("true", "1")

    def _route(self) -> None:
        portainer = self.portainer
        if portainer.users.timed_out:
            message = "Administrator initialization timeout"
            raise ApiError(303, message, headers={"redirect-reason": "AdminInitTimeout"})
        if self.path_only == "/" and self.command in ("GET", "HEAD"):
            return self._send_raw(200, PAGE.encode(), "text/html; charset=utf-8")
        if proxied := re.fullmatch(r"/api/endpoints/(\d+)/docker(/.*)", self.path_only):
            self._authenticate()
            return self._proxy(portainer.engine_of(proxied[1]), proxied[2])
        for method, pattern, public, handler in portainer.routes:
            if method == self.command and (match := pattern.fullmatch(self.path_only)):
                if not public:
                    self._authenticate()
                answer = handler(self, *match.groups())
                return self._send(answer.status, answer.body)
        return self._send_raw(404, b"404 page not found\n", "text/plain; charset=utf-8")

    def _authenticate(self) -> None:
        users = self.portainer.users
        if key := self.headers.get("X-API-KEY"):
            user = users.of_key(key)
        elif (authorization := self.headers.get("Authorization", "")).startswith("Bearer "):
            user = users.of_jwt(authorization.removeprefix("Bearer "))
        else:
            raise ApiError(401, "A valid authorization token is missing", "Unauthorized")
        if not user:
            raise ApiError(401, "Invalid JWT token", "Invalid JWT token")
        self.user = user

    def _proxy(self, engine: Engine, path: str) -> None:
        """Hands a request to the engine as it is, and its answer back, as it comes."""
        query = self.path.partition("?")[2]
        passed = ("content-type", "accept", "x-registry-config")
        headers = {name: value for name, value in self.headers.items() if name.lower() in passed}
        target = path + ("?" + query if query else "")
        with engine.request(self.command, target, self.body or None, headers) as response:
            kind = response.headers.get("Content-Type", "application/json")
            created = re.fullmatch(r"(?:/v[0-9.]+)?/(\w+)/create", path)
            if created and response.status == 201 and created[1] in CONTROLLED:
                content = json.loads(response.read())
                resource = content.get("Id") or content.get("ID") or content.get("Name")
                content["Portainer"] = {"ResourceControl": _resource_control(resource, CONTROLLED[created[1]])}
                return self._send(201, content)
            if response.status in (204, 304) or self.command == "HEAD" or response.headers.get("Content-Length"):
                return self._send_raw(response.status, response.read(), kind)
            self.send_response(response.status)
            self.send_header("Content-Type", kind)
            self.send_header("Transfer-Encoding", "chunked")
            self._finish_headers()
            while chunk := response.read1(65536):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode() + b"\n"
        self._send_raw(status, content, "application/json", headers)

    def _send_raw(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self._finish_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(content)

    def _finish_headers(self) -> None:
        self.send_header("X-Livchat-Lab", "simulated")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Method, path and status; never a query, a header or a body, where passwords and tokens are."""
        path = self.path.partition("?")[0]
        print(f"{self.log_date_time_string()} {self.command} {path} {code}", file=sys.stderr, flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def make_server(portainer: Portainer, host: str, port: int) -> Server:
    handler = type("BoundRequest", (Request,), {"portainer": portainer})
    return Server((host, port), handler)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="portainer", description="A simulated Portainer for tests", allow_abbrev=False
    )
    parser.add_argument("-H", "--host", help="the engine, unix:///var/run/docker.sock")
    parser.add_argument("-p", "--bind", default=":9000", help="address and port to serve HTTP on")
    parser.add_argument("-d", "--data", type=Path, default=Path("/data"), help="folder for what must be kept")
    parser.add_argument("--admin-password-file", type=Path, help="file with the administrator's password")
    for ignored in ("--no-analytics", "--http-enabled", "--tlsskipverify"):
        parser.add_argument(ignored, action="store_true", help="taken for the real one's sake")
    for ignored in ("--bind-https", "--tunnel-port", "--log-level", "--log-mode", "--trusted-origins", "--logo"):
        parser.add_argument(ignored, help="taken for the real one's sake")
    options = parser.parse_args()
    if options.host and not options.host.startswith("unix://"):
        parser.error(f"--host {options.host}: the stand-in reaches an engine by unix:// only")
    if not shutil.which("docker"):
        parser.error("the docker command is missing")
    timeout = float(os.environ.get("LIVCHAT_LAB_ADMIN_TIMEOUT", "300"))
    portainer = Portainer(options.data, options.host and options.host.removeprefix("unix://"), timeout)
    if options.admin_password_file and not portainer.users.initialised:
        portainer.users.create_admin("admin", options.admin_password_file.read_text().rstrip("\r\n"))
    host, _, port = options.bind.rpartition(":")
    server = make_server(portainer, host, int(port))
    print(f"simulated Portainer {VERSION} for tests, on port {server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
