"""The bundle for Claude Desktop, unpacked and started as its manifest says, with nothing of this checkout in sight."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters

HERE = Path(__file__).parents[1] / "mcp-server"
# What would let a program find this checkout, or a home of whoever tests.
_OURS = ("PYTHON", "VIRTUAL_ENV", "ANSIBLE_", "LIVCHAT_", "HCLOUD_", "CLOUDFLARE_")


class Bundle:
    """Built into one folder, and unpacked in it."""

    def __init__(self, folder: Path) -> None:
        done = subprocess.run(
            [sys.executable, str(HERE / "build_mcpb.py"), str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (self.archive,) = folder.glob("*.mcpb")
        self.path = folder / "unpacked"
        with zipfile.ZipFile(self.archive) as archive:
            archive.extractall(self.path)
        self.manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        self.wheels = sorted((self.path / "wheels").glob("*.whl"))
        programs = folder / "bin"
        programs.mkdir()
        # It stands beside the interpreter of a checkout, among programs that must not be found.
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert uv, "there is no uv, which tools/bootstrap installs"
        (programs / "uv").symlink_to(uv)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            "PATH": f"{programs}:{os.defpath}",
            # The one that tests run with; none is fetched.
            "UV_PYTHON": str(Path(sys.base_prefix) / "bin" / "python3"),
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def install(self) -> Path:
        """Makes its environment of its wheels and of the packages that this one has, without any network.

        From then on uv takes it as it is. Returns the folder of its programs.
        """
        place = self.path / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
        (site,) = place.glob("lib/python*/site-packages")
        # A path file inside a path file is not read: this brings the packages, not the checkout they know of.
        (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.environment |= {"UV_NO_SYNC": "1", "UV_OFFLINE": "1"}
        python = str(place / "bin" / "python")
        found = subprocess.run([python, "-c", "import livchat_cli"], env=self.environment, cwd="/", check=False)
        assert found.returncode != 0, "the checkout is still in sight"
        command = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", python, *map(str, self.wheels)]
        subprocess.run(command, env=self.environment, cwd="/", check=True)
        return place / "bin"

    def server(self, home: Path) -> StdioServerParameters:
        """The command of its manifest, with the answers that a person gives who leaves all but the home as it is."""
        answers = {name: about["default"] for name, about in self.manifest["user_config"].items()}
        answers |= {"home": str(home)}

        def filled(text: str) -> str:
            text = text.replace("${__dirname}", str(self.path))
            return re.sub(r"\$\{user_config\.(\w+)\}", lambda name: str(answers[name[1]]), text)

        config = self.manifest["server"]["mcp_config"]
        return StdioServerParameters(
            command=filled(config["command"]),
            args=[filled(one) for one in config["args"]],
            env={**self.environment, **{name: filled(value) for name, value in config["env"].items()}},
            cwd="/",
        )
