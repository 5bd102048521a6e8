"""The errors Cloudflare's API answers with: HTTP status, numeric code and sentence."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        also: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.errors: list[dict[str, Any]] = [{"code": code, "message": message}, *(also or [])]
        self.headers = headers or {}


def invalid_content(kind: str, what: str) -> ApiError:
    return ApiError(400, 9005, f"Content for {kind} record {what}")


def validation(reason: str) -> ApiError:
    error = ApiError(400, 1004, "DNS Validation Error")
    error.errors[0]["error_chain"] = [{"code": 9207, "message": reason}]
    return error


def unroutable(path: str) -> ApiError:
    return ApiError(
        404,
        7003,
        f"Could not route to {path}, perhaps your object identifier is invalid?",
        [{"code": 7000, "message": "No route for that URI"}],
    )
