#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Databases and their users in the server's shared database services
description:
  - Makes a database with a user of its own for each application, in PostgreSQL, MySQL or Redis, in one remote call.
  - A user owns its database and has no right beyond it. In Redis a user has no administrative commands.
  - Passwords and statements travel on standard input, never in arguments or the environment.
attributes:
  check_mode:
    support: full
    description: Reports what would be made. A service that does not run yet counts as without databases.
  diff_mode:
    support: none
    description: The result names what was made.
options:
  entries:
    description: Entries of a plan. Passwords are read from the vault on the controller.
    type: list
    elements: dict
    default: []
  databases:
    description: The databases. Made from O(entries) on the controller.
    type: list
    elements: dict
    default: []
    suboptions:
      engine:
        description: Kind of the database service.
        type: str
        choices: [postgres, mysql, redis]
        required: true
      service:
        description: Name of the Swarm service.
        type: str
        required: true
      database:
        description: Name of the database; in Redis the number of the logical one.
        type: str
        required: true
      user:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password of the user.
        type: str
        required: true
      admin_password:
        description: Password of the service's administrator; PostgreSQL needs none from inside.
        type: str
        required: true
      extensions:
        description: Extensions to create in a PostgreSQL database.
        type: list
        elements: str
        default: []
  only:
    description:
      - Of the databases in O(entries) those named here, as RV(created) names them. It serves to take back what a
        deploy made that failed.
    type: list
    elements: str
  state:
    description: V(absent) removes the databases with their data, and the users.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds to wait for a service that does not accept connections yet.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Make the databases a plan asks for
  livchat.setup.database:
    entries: "{{ plan.levels[1] }}"
"""

RETURN = r"""
made:
  description: What was made or removed, as engine, service and user.
  returned: success
  type: list
  elements: str
created:
  description: Of RV(made), those of which not even the database was there before, so that it can hold no data.
  returned: success
  type: list
  elements: str
"""

import hashlib
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._alone import GaveWay, be_alone, give_way
from ..module_utils._errors import LivchatError, fail

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
NUMBER = re.compile(r"[0-9]{1,4}")
SERVICE = re.compile(r"[a-z][a-z0-9-]{0,40}_[a-z][a-z0-9_]{0,40}")
EXTENSION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# What applications may do in Redis: all but administration and what harms others, plus what client libraries ask.
REDIS_RIGHTS = "~* &* +@all -@admin -@dangerous +info +client|setname +client|getname +client|setinfo +client|id"


class DatabaseService:
    """A running database service of the Swarm on this node, spoken to through its own client program."""

    def __init__(self, module, name, admin_password):
        self._module = module
        self.name = name
        self.admin_password = admin_password
        # Whether `present` found no database: what it made then holds nothing yet.
        self.fresh = False

    def container(self):
        """The id of the service's container here, or an empty text."""
        command = ["docker", "ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={self.name}"]
        _code, out, _err = self._module.run_command([*command, "--filter", "status=running"])
        return out.split()[0] if out.split() else ""

    def run(self, program, text):
        """What the program prints when given the text on standard input."""
        container = self.container()
        if not container:
            raise LivchatError("DATABASE_UNREACHABLE", f"service {self.name} has no running task on this node")
        code, out, err = self._module.run_command(["docker", "exec", "--interactive", container, *program], data=text)
        if code:
            raise LivchatError("DATABASE_ERROR", f"{self.name}: {(err or out).strip()[:500]}")
        return out.strip()

    def wait(self, timeout):
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.ping()
                return
            except LivchatError:
                if time.monotonic() > deadline:
                    raise
                give_way()
                time.sleep(0.5)


class Postgres(DatabaseService):
    # From inside the container the superuser needs no password.
    PROGRAM = (
        "psql",
        "--username=postgres",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
    )

    def ping(self):
        self.run(self.PROGRAM, "SELECT 1;")

    def present(self, wanted, check):
        name, user = wanted["database"], wanted["user"]
        self.fresh = not self._exists("pg_database", "datname", name)
        if check:
            return self.fresh
        made = not self._exists("pg_roles", "rolname", user)
        if made:
            self.run(self.PROGRAM, f'CREATE ROLE "{user}" LOGIN;')
        password = wanted["password"].replace("'", "''")
        rights = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
        self.run(self.PROGRAM, f"ALTER ROLE \"{user}\" LOGIN {rights} PASSWORD '{password}';")
        if self.fresh:
            self.run(self.PROGRAM, f'CREATE DATABASE "{name}" OWNER "{user}";')
        self.run(self.PROGRAM, f'REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC;')
        for extension in wanted["extensions"]:
            self.run((*self.PROGRAM, f"--dbname={name}"), f'CREATE EXTENSION IF NOT EXISTS "{extension}";')
        return made or self.fresh

    def absent(self, wanted, check):
        name, user = wanted["database"], wanted["user"]
        there = self._exists("pg_database", "datname", name) or self._exists("pg_roles", "rolname", user)
        if there and not check:
            self.run(self.PROGRAM, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')
            self.run(self.PROGRAM, f'DROP ROLE IF EXISTS "{user}";')
        return there

    def _exists(self, table, column, value):
        query = f"SELECT 1 FROM {table} WHERE {column} = '{value}';"  # noqa: S608  # names pass check_input first
        return self.run(self.PROGRAM, query) == "1"


class Mysql(DatabaseService):
    # The client takes a password from a file only; the service's own secret is already one.
    PROGRAM = (
        "sh",
        "-euc",
        "umask 077; file=$(mktemp); trap 'rm -f \"$file\"' EXIT; "
        "{ echo '[client]'; echo 'user=root'; "
        'printf \'password="%s"\\n\' "$(cat /run/secrets/root_password)"; } > "$file"; '
        'mysql --defaults-extra-file="$file" --batch --skip-column-names',
    )

    def ping(self):
        self.run(self.PROGRAM, "SELECT 1;")

    def present(self, wanted, check):
        name, user = wanted["database"], wanted["user"]
        self.fresh = not self._database(name)
        made = self.fresh or not self._user(user)
        if not check:
            password = wanted["password"].replace("\\", "\\\\").replace("'", "''")
            self.run(
                self.PROGRAM,
                f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4;"
                f"CREATE USER IF NOT EXISTS '{user}'@'%';"
                f"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}';"
                f"GRANT ALL PRIVILEGES ON `{name}`.* TO '{user}'@'%';",
            )
        return made

    def absent(self, wanted, check):
        name, user = wanted["database"], wanted["user"]
        there = self._database(name) or self._user(user)
        if there and not check:
            self.run(self.PROGRAM, f"DROP DATABASE IF EXISTS `{name}`; DROP USER IF EXISTS '{user}'@'%';")
        return there

    def _database(self, name):
        query = f"SELECT 1 FROM information_schema.schemata WHERE schema_name = '{name}';"  # noqa: S608  # as above
        return self.run(self.PROGRAM, query) == "1"

    def _user(self, user):
        query = f"SELECT 1 FROM mysql.user WHERE user = '{user}';"  # noqa: S608  # as above
        return self.run(self.PROGRAM, query) == "1"


class Redis(DatabaseService):
    def ping(self):
        if "PONG" not in self._say("PING"):
            raise LivchatError("DATABASE_UNREACHABLE", f"{self.name} does not answer PING")

    def present(self, wanted, check):
        user = wanted["user"]
        digest = hashlib.sha256(wanted["password"].encode()).hexdigest()
        before = self._user(user)
        # A user that is missed where there is data is one that was lost.
        self.fresh = not before and self._say(f"SELECT {wanted['database']}", "DBSIZE").endswith("\n0")
        if check:
            return not before
        self._say(f"ACL SETUSER {user} reset on #{digest} {REDIS_RIGHTS}", "ACL SAVE")
        return self._user(user) != before

    def absent(self, wanted, check):
        there = bool(self._user(wanted["user"]))
        if there and not check:
            self._say(f"SELECT {wanted['database']}", "FLUSHDB", f"ACL DELUSER {wanted['user']}", "ACL SAVE")
        return there

    def _user(self, user):
        lines = self._say("ACL LIST").splitlines()
        return next((line for line in lines if line.startswith(f"user {user} ")), "")

    def _say(self, *commands):
        out = self.run(("redis-cli",), "\n".join((f"AUTH default {self.admin_password}", *commands)) + "\n")
        if error := re.search(r"^(ERR|WRONGPASS|NOPERM|NOAUTH)\b.*$", out, re.MULTILINE):
            raise LivchatError("DATABASE_ERROR", f"{self.name}: {error[0]}")
        return out


ENGINES = {"postgres": Postgres, "mysql": Mysql, "redis": Redis}


def check_input(wanted):
    rules = {"service": SERVICE, "user": NAME, "database": NUMBER if wanted["engine"] == "redis" else NAME}
    for field, pattern in rules.items():
        if not pattern.fullmatch(wanted[field]):
            message = f"databases: {field} {wanted[field]!r} must match {pattern.pattern}"
            raise LivchatError("DATABASE_NAME_INVALID", message, {"field": field, "value": wanted[field]})
    for extension in wanted["extensions"]:
        if not EXTENSION.fullmatch(extension):
            raise LivchatError(
                "DATABASE_NAME_INVALID", f"databases: extension {extension!r} must match {EXTENSION.pattern}"
            )


def main():
    module = AnsibleModule(
        argument_spec={
            "entries": {"type": "list", "elements": "dict", "default": []},
            "databases": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "engine": {"type": "str", "choices": sorted(ENGINES), "required": True},
                    "service": {"type": "str", "required": True},
                    "database": {"type": "str", "required": True},
                    "user": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "admin_password": {"type": "str", "required": True, "no_log": True},
                    "extensions": {"type": "list", "elements": "str", "default": []},
                },
            },
            "only": {"type": "list", "elements": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    made, created = [], []
    try:
        for wanted in module.params["databases"]:
            check_input(wanted)
        if not module.check_mode:
            be_alone()
        for wanted in module.params["databases"]:
            label = f"{wanted['engine']} {wanted['service']} {wanted['user']}"
            if module.params["only"] is not None and label not in module.params["only"]:
                continue
            service = ENGINES[wanted["engine"]](module, wanted["service"], wanted["admin_password"])
            if module.check_mode and not service.container():
                made.append(label)
                created.append(label)
                continue
            service.wait(module.params["timeout"])
            if getattr(service, module.params["state"])(wanted, module.check_mode):
                made.append(label)
            if service.fresh:
                created.append(label)
    except LivchatError as error:
        fail(module, error, created=created)
    except GaveWay as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(made), made=made, created=created)


if __name__ == "__main__":
    main()
