"""What the exported folder says of itself."""

from __future__ import annotations

from livchat_cli.export import wrappers
from livchat_cli.export.choices import Choices

_LOAD = {
    "awx": """Load it into AWX with its own collection (`ansible-galaxy collection install awx.awx`):

```
export CONTROLLER_HOST=https://awx.example.com CONTROLLER_OAUTH_TOKEN=…
export HCLOUD_TOKEN=… CLOUDFLARE_API_TOKEN=… LIVCHAT_VAULT_PASSWORD=…
ansible-playbook awx/load.yml
```

Where `settings.yml` has `dns.provider: none`, there is no Cloudflare token to give.
""",
    "semaphore": """Load it into Semaphore, which restores the project in `semaphore/project.json` and fills its keys:

```
export SEMAPHORE_URL=https://semaphore.example.com SEMAPHORE_TOKEN=…
export HCLOUD_TOKEN=… CLOUDFLARE_API_TOKEN=… LIVCHAT_VAULT_PASSWORD=…
ansible-playbook semaphore/load.yml
```
""",
}


def text(target: str, choices: Choices) -> str:
    rows = "\n".join(f"| `{wrappers.file_name(one)}` | {one.summary} |" for one in wrappers.exported())
    return f"""<!-- {wrappers.NOTE} -->
# livchat.setup

Playbooks for the operations of `livchat.setup`. State, vault and keys are in `{choices.home}`, a directory that lasts
and that jobs see. By it, jobs that change one server take turns: two directories, or a file system without locks
between machines, keep nothing apart.

{_LOAD[target]}
Without either, from this folder:

```
ansible-galaxy collection install -r collections/requirements.yml
LIVCHAT_HOME={choices.home} ansible-playbook status.yml
LIVCHAT_HOME={choices.home} ansible-playbook app_install.yml -e survey_target=prod -e survey_apps=n8n
```

| playbook | what it does |
|---|---|
{rows}

`settings.yml`, the `certificates/` that it names, `livchat.yml` and `execution-environment.yml` are yours to change.
"""
