"""Hetzner's error envelope."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is an error: HTTP status, Hetzner's code, its sentence and details."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, "details": details or {}}}


def invalid(field: str, message: str) -> ApiError:
    details = {"fields": [{"name": field, "messages": [message]}]}
    return ApiError(422, "invalid_input", f"invalid input in field '{field}'", details)


def not_found(kind: str, wanted: object) -> ApiError:
    return ApiError(404, "not_found", f"{kind.rstrip('s')} with ID '{wanted}' not found")


def not_unique(field: str = "name") -> ApiError:
    details = {"fields": [{"name": field, "messages": [f"{field} is already used"]}]}
    return ApiError(409, "uniqueness_error", f"{field} is already used", details)
