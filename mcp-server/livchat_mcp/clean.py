"""What must not reach a model, and how the rest does: no secret, nothing that hides, foreign text marked as such."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from livchat_cli.events import Redactor, forms

# Colours and cursor movements of terminals; whole, so that no rest of them stays.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters but for tab and line feed; what turns the direction of text; what is there and cannot be seen.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)


# Of hosts, services, versions, codes and times; nobody can be told what to do with so little.
_PLAIN = re.compile(r"(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9._:/+-]{0,62}")


class Foreign(str):
    """Text that a server printed: whoever wrote it may want to be obeyed. It is shown between marks."""

    __slots__ = ()


def plain(text: str) -> bool:
    """Whether it is a name, or as little as one, whoever wrote it."""
    return _PLAIN.fullmatch(text) is not None


def visible(text: str) -> str:
    """The text without what a person would not see and a model would read."""
    return _HIDDEN.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


class Cleaner:
    """Takes secrets and hidden characters out of texts, however deep they stand.

    `secrets` gives all that are known, and may give the same object again to say that nothing changed.
    """

    def __init__(self, secrets: Callable[[], tuple[str, ...]]) -> None:
        self._secrets = secrets

    def __call__(self, value: Any, also: Iterable[str] = ()) -> Any:
        """The value without the known secrets and `also`, which came with the call itself."""
        # Twice: a hidden character may stand in the middle of a secret.
        return self._redacted(_each(self._redacted(value, also), visible), also)

    def text(self, text: str, also: Iterable[str] = ()) -> str:
        return str(self(text, also))

    def _redacted(self, value: Any, also: Iterable[str]) -> Any:
        # In all of it at once: a vault holds thousands, and hardly ever one of them is there.
        whole = json.dumps(value, ensure_ascii=False, default=str)
        known = (*map(_forms, also), *_all_forms(self._secrets()))
        found = {form for each in known for form, needle in each if needle in whole}
        return _each(value, Redactor(found))


def _each(value: Any, work: Callable[[str], str]) -> Any:
    """The value with each of its texts changed, keys of mappings included; lines together, where they are lines."""
    if isinstance(value, (list, tuple)) and value and all(type(one) is str for one in value):
        each, whole = [work(one) for one in value], work("\n".join(value))
        return each if whole == "\n".join(each) else whole.split("\n")
    if isinstance(value, str):
        return type(value)(work(value)) if isinstance(value, Foreign) else work(value)
    if isinstance(value, dict):
        return {work(str(key)): _each(one, work) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(one, work) for one in value]
    return value


@lru_cache(maxsize=4)
def _all_forms(secrets: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(map(_forms, secrets))


def _forms(secret: str) -> tuple[tuple[str, str], ...]:
    """The forms of the secret, each with how it looks in JSON."""
    return tuple((one, _quoted(one)) for one in forms(secret)) if secret else ()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
