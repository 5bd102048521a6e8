"""Results for people: tables of what is alike, plain lines for the rest."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(result: Any) -> None:
    """Prints a result."""
    console = Console()
    rows = result if isinstance(result, list) else [result]
    if not rows:
        console.print("nothing")
    elif all(isinstance(row, dict) for row in rows):
        columns = list(dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, dict)))
        table = Table(*columns)
        for row in rows:
            table.add_row(*(_text(row.get(column, "")) for column in columns))
        console.print(table)
    else:
        for row in rows:
            console.print(_text(row), markup=False)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_text(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={one}" for key, one in value.items())
    return str(value)
