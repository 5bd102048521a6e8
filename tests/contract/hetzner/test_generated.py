"""Requests nobody thought of: schemathesis makes them up from Hetzner's description of what the lab offers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.contract.hetzner.conftest import Cloud
from tests.contract.hetzner.description import Description

SECONDS = 60
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
    "use_after_free",
)
# Left out, because Hetzner itself would not pass:
# - negative_data_rejection: unknown fields of a body and unknown or empty query parameters are ignored;
# - positive_data_acceptance: most rules (host names, ranges of addresses, what is sold where) are not in the schema;
# - missing_required_header: the only header is the token, which `ignored_auth` is about;
# - ensure_resource_availability: a server that was asked for may fail to be made.


def test_generated_requests(cloud: Cloud, description: Description, tmp_path: Path) -> None:
    cloud.make_server("one", networks=[cloud.make_network()], firewalls=[{"firewall": cloud.make_firewall()}])
    cloud.make_key()
    cloud.make_address()
    cloud.make_group()
    limited = tmp_path / "description.json"
    limited.write_text(json.dumps(description.limited_to(cloud.lab.app)))
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(limited), "--url", cloud.lab.url]
    command += ["--header", f"Authorization: Bearer {cloud.lab.config.hetzner_token}"]
    command += ["--checks", ",".join(CHECKS), "--max-time", str(SECONDS), "--workers", "1", "--seed", "1"]
    command += ["--phases", "coverage,fuzzing,stateful", "--generation-database", "none", "--warnings", "off"]
    command += ["--continue-on-failure", "--suppress-health-check", "all", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS * 4)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
