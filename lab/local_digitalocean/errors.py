"""Refusals, with DigitalOcean's error body (OpenAPI document, schema "error": id, message, request_id)."""

import http

FORBIDDEN, NOT_FOUND, CONFLICT = (
    http.HTTPStatus.FORBIDDEN,
    http.HTTPStatus.NOT_FOUND,
    http.HTTPStatus.CONFLICT,
)
PRECONDITION_FAILED = http.HTTPStatus.PRECONDITION_FAILED
UNPROCESSABLE, TOO_MANY = http.HTTPStatus.UNPROCESSABLE_ENTITY, http.HTTPStatus.TOO_MANY_REQUESTS

# What DigitalOcean writes in "id" for a status.
IDENTIFIERS = {
    http.HTTPStatus.BAD_REQUEST: "bad_request",
    http.HTTPStatus.UNAUTHORIZED: "unauthorized",
    FORBIDDEN: "forbidden",
    NOT_FOUND: "not_found",
    http.HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    CONFLICT: "conflict",
    PRECONDITION_FAILED: "precondition_failed",
    UNPROCESSABLE: "unprocessable_entity",
    TOO_MANY: "too_many_requests",
    http.HTTPStatus.INTERNAL_SERVER_ERROR: "server_error",
    http.HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
}


class ApiError(Exception):
    """A request that DigitalOcean would refuse.

    Attributes:
        status: the HTTP status.
        message: what is wrong, for the caller.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = http.HTTPStatus(status)
        self.message = message

    @property
    def identifier(self) -> str:
        """What stands in "id"."""
        return IDENTIFIERS.get(self.status, self.status.phrase.lower().replace(" ", "_"))


def not_found(what: str = "The resource you were accessing could not be found.") -> ApiError:
    """Return the refusal of something that does not exist."""
    return ApiError(NOT_FOUND, what)


def unprocessable(message: str) -> ApiError:
    """Return the refusal of a request that is understood and wrong."""
    return ApiError(UNPROCESSABLE, message)
