"""`make demo`: from nothing to n8n over HTTPS on the lab, with the time of each phase."""

from __future__ import annotations

import sys

from tests.e2e.https import get
from tests.e2e.story import StepError, Story
from tests.lab import config, supervisor

SERVER = "demo"


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a pipe would hold the progress back
    supervisor.up()
    lab = config.load()
    story = Story(lab, lab.folder / "demo-home")
    try:
        with story.phase("home"):
            story.init()
        with story.phase("create the server through the Hetzner API"):
            server = story.create(SERVER)
        with story.phase("set it up over SSH"):
            story.setup(SERVER)
        with story.phase("install n8n with postgres and redis"):
            (installed,) = story.install(SERVER, "n8n")
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    host = f"n8n.{SERVER}.{lab.zone}"
    answer = get(host, server["ip_address"], lab.acme_root_file)
    (login,) = (one["login"] for one in installed["applications"] if one["login"])
    print(f"""
URL          https://{host}/   (server {server["ip_address"]})
answered     HTTP {answer.status} over TLS, verified against the lab's ACME root
certificate  {answer.subject}, issued by {answer.issuer}
changed      {", ".join(installed["summary"]) if installed["changed"] else "nothing"}
login        {login["user"]} (its password is in the vault, at {login["secret"]})
simulated    the Hetzner and Cloudflare APIs, and Portainer; all else is real (tests/lab/README.md)
""")
    width = max(map(len, story.timings))
    for phase, seconds in story.timings.items():
        print(f"{phase:<{width}}  {seconds:6.1f} s")
    print(f"{'total':<{width}}  {sum(story.timings.values()):6.1f} s")
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    raise SystemExit(main())
