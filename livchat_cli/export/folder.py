"""Writes an export into a folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from livchat_cli.errors import LivchatError
from livchat_cli.export import awx, readme, semaphore, wrappers
from livchat_cli.export.choices import Choices

TARGETS = {"awx": awx.files, "semaphore": semaphore.files}


def export(target: str, folder: Path, choices: Choices, home: Path) -> dict[str, Any]:
    """Writes the folder, and says what changed in it. The folder may hold other files; ours that are no more go.

    Raises:
        LivchatError: INPUT_INVALID, for a home that is no absolute path or a source of the collection that is not
            allowed; EXPORT_FAILED, when it cannot be written, or holds files of others where ours would be.
    """
    if not choices.home.startswith("/"):
        message = f"--home: {choices.home!r} is not allowed; allowed: an absolute path, such as /var/lib/livchat"
        raise LivchatError("INPUT_INVALID", message, {"field": "home"})
    wanted = {**wrappers.files(choices), **TARGETS[target](choices)}
    wanted["README.md"] = readme.text(target, choices)
    _check_ours(folder, wanted)
    kept = {name: text for name, text in wrappers.first_files(home, choices).items() if not (folder / name).exists()}
    try:
        removed = _remove_stale(folder, set(wanted))
        written = [name for name, text in sorted({**wanted, **kept}.items()) if _write(folder / name, text)]
    except OSError as error:
        raise LivchatError("EXPORT_FAILED", f"{error.filename}: {error.strerror}") from error
    return {"folder": str(folder), "changed": bool(written or removed), "written": written, "removed": removed}


def _check_ours(folder: Path, wanted: Collection[str]) -> None:
    """Raises LivchatError EXPORT_FAILED where a file that somebody else wrote would be replaced."""
    # JSON holds no remark: in a folder of ours, its files are.
    ours = _noted(folder / "README.md")
    others = [
        name
        for name in sorted(wanted)
        if (folder / name).exists() and not (ours if name.endswith(".json") else _noted(folder / name))
    ]
    if others:
        message = f"{folder} holds files that no export wrote: {', '.join(others[:5])}; name a folder of its own"
        raise LivchatError("EXPORT_FAILED", message, {"folder": str(folder), "files": others})


def _noted(path: Path) -> bool:
    return path.is_file() and wrappers.NOTE in path.read_text(encoding="utf-8", errors="replace")


def _write(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def _remove_stale(folder: Path, wanted: set[str]) -> list[str]:
    """What an earlier export wrote for operations that are gone."""
    mine = f"---\n# {wrappers.NOTE}"
    playbooks = [
        one for one in folder.glob("*.yml") if one.read_text(encoding="utf-8", errors="replace").startswith(mine)
    ]
    schemas = folder.glob("schemas/*.json") if _noted(folder / "README.md") else ()
    stale = [one for one in (*playbooks, *schemas) if str(one.relative_to(folder)) not in wanted]
    for one in stale:
        one.unlink()
    return sorted(str(one.relative_to(folder)) for one in stale)
