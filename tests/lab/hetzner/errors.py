"""Hetzner's error envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An answer that is an error: HTTP status, Hetzner's code, its sentence and details."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, "details": details or {}}}


def invalid_fields(fields: Mapping[str, list[str]]) -> ApiError:
    named = ", ".join(f"'{field}'" for field in fields)
    details = {"fields": [{"name": field, "messages": messages} for field, messages in fields.items()]}
    return ApiError(422, "invalid_input", f"invalid input in field {named}", details)


def invalid(field: str, message: str) -> ApiError:
    return invalid_fields({field: [message]})


def not_found(kind: str, wanted: object) -> ApiError:
    return ApiError(404, "not_found", f"{kind.removesuffix('s')} with ID '{wanted}' not found")


def not_unique(field: str = "name") -> ApiError:
    details = {"fields": [{"name": field, "messages": [f"{field} is already used"]}]}
    return ApiError(409, "uniqueness_error", f"{field} is already used", details)


def unsupported(what: str) -> ApiError:
    """What Hetzner offers and the lab does not: said plainly instead of pretended."""
    return ApiError(422, "unsupported_error", f"the lab does not offer this: {what}")
