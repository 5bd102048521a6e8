"""Builds the bundle that Claude Desktop installs by a double click: `python mcp-server/build_mcpb.py [FOLDER]`.

It holds the wheels of livchat-setup and of the gateway; uv, which the desktop brings along, installs them and what they
need when the bundle is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENTRY = "from livchat_mcp.main import main\n\nraise SystemExit(main())\n"


def build(folder: Path) -> Path:
    """Writes the bundle into the folder; its path."""
    manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / f"{manifest['name']}-{manifest['version']}.mcpb"
    with tempfile.TemporaryDirectory() as made:
        wheels = [_wheel(source, Path(made)) for source in (HERE.parent, HERE)]
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(HERE / "manifest.json", "manifest.json")
            archive.writestr("server.py", ENTRY)
            archive.writestr("pyproject.toml", _project(manifest["version"], wheels))
            for wheel in wheels:
                archive.write(wheel, f"wheels/{wheel.name}")
    return bundle


def _wheel(source: Path, folder: Path) -> Path:
    place = folder / source.name
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(place), str(source)], check=True)
    (wheel,) = place.glob("*.whl")
    return wheel


def _project(version: str, wheels: list[Path]) -> str:
    names = [wheel.name.partition("-")[0].replace("_", "-") for wheel in wheels]
    lines = [
        "[project]",
        'name = "livchat-mcp-bundle"',
        f'version = "{version}"',
        'requires-python = ">=3.11"',
        f"dependencies = {json.dumps(names)}",
        "",
        "[tool.uv]",
        "package = false",
        "",
        "[tool.uv.sources]",
        *(f'{name} = {{ path = "wheels/{wheel.name}" }}' for name, wheel in zip(names, wheels, strict=True)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
