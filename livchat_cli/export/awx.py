"""The folder for AWX: a playbook that loads everything with AWX's own collection."""

from __future__ import annotations

from typing import Any

from livchat_cli import collection
from livchat_cli.export import documents, wrappers
from livchat_cli.export.choices import Choices
from livchat_cli.export.surveys import Kind, Question, questions
from livchat_cli.initialise import TOKENS
from livchat_cli.operations import Effect, Operation

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._vault import CARRIED, ENVIRONMENT, PASSWORD  # noqa: E402

NAME = "livchat.setup"
_SERVERS, _DNS, _VAULT, _CARRIED = (f"{NAME} {one}" for one in ("servers", "DNS", "vault", "carried vault"))
_TYPES = {
    Kind.TEXT: "text",
    Kind.LINES: "textarea",
    Kind.SECRET: "password",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "float",
    Kind.CHOICE: "multiplechoice",
    Kind.CHOICES: "multiselect",
}
# Where DNS is not managed, nothing asks for its provider's token.
_MANAGES_DNS = (
    "{{ ((lookup('ansible.builtin.file', playbook_dir ~ '/../settings.yml') | from_yaml or {}).dns"
    " | default({}, true)).provider | default('cloudflare') != 'none' }}"
)
# Whose limits are lengths.
_TEXTS = (Kind.TEXT, Kind.LINES, Kind.SECRET)


def files(choices: Choices) -> dict[str, str]:
    """`awx/load.yml`, for `ansible-playbook` with CONTROLLER_HOST and CONTROLLER_OAUTH_TOKEN in its environment."""
    play = {
        "name": f"Load {NAME} into AWX",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "awx_organization": choices.organization,
            "awx_repository": choices.repository,
            "awx_branch": choices.branch,
            # The credential for a repository that is not public.
            "awx_repository_credential": "",
            "awx_image": choices.image,
            # Where in the execution environment the home is mounted.
            "awx_home": choices.home,
            # AWX shows no secret, so that whether one differs is not known: true replaces those that it has.
            "awx_update_secrets": False,
            "awx_manages_dns": _MANAGES_DNS,
            "awx_credentials": f"{{{{ ['{_SERVERS}', '{_VAULT}'] + (['{_DNS}'] if awx_manages_dns | bool else []) }}}}",
        },
        "tasks": [
            _check_secrets(),
            *_credential_types(),
            *_credentials(),
            *_surroundings(),
            *map(_job_template, wrappers.exported()),
        ],
    }
    note = "With CONTROLLER_HOST and CONTROLLER_OAUTH_TOKEN set, and the secrets: ansible-playbook awx/load.yml"
    return {"awx/load.yml": documents.text([play], wrappers.NOTE, note)}


def survey(operation: Operation) -> dict[str, Any]:
    """The survey as AWX keeps it; empty for an operation without parameters."""
    asked = questions(operation)
    if not asked:
        return {}
    return {"name": operation.name, "description": operation.summary, "spec": [_question(one) for one in asked]}


def _question(question: Question) -> dict[str, Any]:
    written: dict[str, Any] = {
        "question_name": question.title,
        "question_description": question.description,
        "variable": question.variable,
        "type": _TYPES[question.kind],
        "required": question.required,
    }
    if question.default is not None:
        written["default"] = question.default
    if question.choices:
        written["choices"] = list(question.choices)
    limits = {"min": question.minimum, "max": question.maximum}
    if question.required and question.kind in _TEXTS:
        # An empty text is an answer to AWX's API, unless it is too short.
        limits["min"] = question.minimum or 1
    return {**written, **{name: limit for name, limit in limits.items() if limit is not None}}


def _task(title: str, module: str, **arguments: Any) -> dict[str, Any]:
    return {"name": title, f"awx.awx.{module}": arguments}


def _secret(name: str, label: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "string", "label": label, "secret": True, **more}


def _template(text: str) -> documents.Unsafe:
    return documents.Unsafe(f"{{{{ {text} }}}}")


def _credential_types() -> list[dict[str, Any]]:
    """The inventory takes one credential, so that what finds the servers is one: the provider's token, and the home."""
    home = {
        "id": "home",
        "type": "string",
        "label": "Directory of state, vault and keys",
        "help_text": "It has to be there in the execution environment, and to last",
    }
    kinds = (
        (
            _SERVERS,
            "The cloud provider, and the directory that lasts",
            [_secret("token", TOKENS["hetzner"][1]), home],
            ["token", "home"],
            {"env": {ENVIRONMENT["tokens/hetzner"]: _template("token"), "LIVCHAT_HOME": _template("home")}},
        ),
        (
            _DNS,
            "The DNS provider",
            [_secret("token", TOKENS["cloudflare"][1])],
            ["token"],
            {"env": {ENVIRONMENT["tokens/cloudflare"]: _template("token")}},
        ),
        (
            _VAULT,
            "The password of the vault",
            [_secret("password", "Password of credentials.vault")],
            ["password"],
            {
                "file": {"template": _template("password")},
                "env": {"LIVCHAT_VAULT_PASSWORD_FILE": _template("tower.filename")},
            },
        ),
        (
            _CARRIED,
            "A copy of the vault, for jobs that have no directory that lasts, and may only read it",
            [_secret("vault", "Content of credentials.vault", multiline=True)],
            ["vault"],
            {"file": {"template": _template("vault")}, "env": {CARRIED: _template("tower.filename")}},
        ),
    )
    return [
        _task(
            f"Credential type {name}",
            "credential_type",
            name=name,
            description=description,
            kind="cloud",
            inputs={"fields": fields, "required": required},
            injectors=injectors,
        )
        for name, description, fields, required, injectors in kinds
    ]


def _check_secrets() -> dict[str, Any]:
    """All of them each time: a credential that is changed in part loses in AWX what was not given again."""
    dns = ENVIRONMENT["tokens/cloudflare"]
    given = {name: f"lookup('ansible.builtin.env', '{name}') | length > 0" for name in wrappers.SECRETS}
    given[dns] = f"not awx_manages_dns | bool or {given[dns]}"
    return {
        "name": "Check that the secrets are in the environment",
        "ansible.builtin.assert": {
            "that": list(given.values()),
            "fail_msg": f"set {', '.join(given)}; {dns} not where settings.yml has dns.provider none",
            "quiet": True,
        },
    }


def _credentials() -> list[dict[str, Any]]:
    inputs = {
        _SERVERS: {"token": _from_environment(ENVIRONMENT["tokens/hetzner"]), "home": "{{ awx_home }}"},
        _DNS: {"token": _from_environment(ENVIRONMENT["tokens/cloudflare"])},
        _VAULT: {"password": _from_environment(PASSWORD)},
    }
    return [
        {
            **_task(
                f"Credential {name}",
                "credential",
                name=name,
                organization="{{ awx_organization }}",
                credential_type=name,
                inputs=one,
                update_secrets="{{ awx_update_secrets }}",
            ),
            "no_log": True,
            **({"when": "awx_manages_dns | bool"} if name == _DNS else {}),
        }
        for name, one in inputs.items()
    ]


def _from_environment(name: str) -> str:
    return f"{{{{ lookup('ansible.builtin.env', '{name}') }}}}"


def _surroundings() -> list[dict[str, Any]]:
    organization = "{{ awx_organization }}"
    return [
        _task("Execution environment", "execution_environment", name=NAME, image="{{ awx_image }}"),
        _task(
            "Project",
            "project",
            name=NAME,
            organization=organization,
            scm_type="git",
            scm_url="{{ awx_repository }}",
            scm_branch="{{ awx_branch }}",
            credential="{{ awx_repository_credential | default(omit, true) }}",
            scm_update_on_launch=True,
            # AWX takes a template only for a playbook that it has seen.
            update_project=True,
            default_environment=NAME,
        ),
        _task("Inventory", "inventory", name=NAME, organization=organization),
        _task(
            "Servers of the inventory",
            "inventory_source",
            name=NAME,
            inventory=NAME,
            organization=organization,
            source="scm",
            source_project=NAME,
            source_path=wrappers.INVENTORY,
            credential=_SERVERS,
            execution_environment=NAME,
            overwrite=True,
            overwrite_vars=True,
            # A server that one job made, the next one has to know.
            update_on_launch=True,
        ),
    ]


def _job_template(operation: Operation) -> dict[str, Any]:
    asked = survey(operation)
    return _task(
        f"Job template {operation.name}",
        "job_template",
        name=f"{NAME} {operation.name}",
        description=operation.summary,
        organization="{{ awx_organization }}",
        job_type="run",
        project=NAME,
        playbook=wrappers.file_name(operation),
        inventory=NAME,
        execution_environment=NAME,
        credentials="{{ awx_credentials }}",
        # A check shows what would be done.
        ask_job_type_on_launch=operation.effect is not Effect.READ,
        ask_verbosity_on_launch=True,
        allow_simultaneous=operation.effect is Effect.READ,
        survey_enabled=bool(asked),
        survey_spec=asked,
    )
