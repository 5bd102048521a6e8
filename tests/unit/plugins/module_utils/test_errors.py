"""The one shape of an error."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError, fail


class Module:
    def __init__(self) -> None:
        self.failed: dict[str, Any] = {}

    def fail_json(self, **result: Any) -> None:
        self.failed = result


def test_the_shape() -> None:
    error = LivchatError("SERVER_GONE", "server x is gone", {"server": "x"}, retry_after=5)
    shape = {"code": "SERVER_GONE", "message": "server x is gone", "details": {"server": "x"}, "retry_after": 5}
    assert error.to_dict() == shape
    assert str(error) == "SERVER_GONE: server x is gone"
    assert LivchatError("X", "y").to_dict() == {"code": "X", "message": "y", "details": {}, "retry_after": None}


@pytest.mark.parametrize("code", ["server gone", "serverGone", "", "_X", "X-Y"])
def test_a_code_is_a_code(code: str) -> None:
    with pytest.raises(ValueError, match="upper case"):
        LivchatError(code, "message")


def test_it_survives_the_way_between_processes() -> None:
    error = LivchatError("A_B", "m", {"k": 1}, 3)
    assert pickle.loads(pickle.dumps(error)).to_dict() == error.to_dict()  # noqa: S301  # made one line above


def test_later_changes_of_the_given_details_do_not_reach_it() -> None:
    details = {"a": 1}
    error = LivchatError("A", "m", details)
    details["a"] = 2
    assert error.to_dict()["details"] == {"a": 1}


def test_a_module_fails_with_sentence_and_object() -> None:
    module = Module()
    with pytest.raises(LivchatError):
        fail(module, LivchatError("A_B", "sentence"), changed=True)
    assert module.failed["msg"] == "A_B: sentence"
    assert module.failed["error"]["code"] == "A_B"
    assert module.failed["changed"] is True
