"""Log lines: JSON, one a line, each with the request and the tenant that it belongs to."""

import json
import logging
import logging.config
import os
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="")
tenant: ContextVar[str] = ContextVar("tenant", default="")

access = logging.getLogger("church.access")

_ID = r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?:/|$)"
_TELEPHONE = rf"(?!{_ID})(?:[a-z]+:)?\+?[0-9](?:[ .-]?[0-9]){{8}}"
_PRIVATE = re.compile(rf"/(?:[^/]*(?:@|%40)|{_TELEPHONE}|[A-Za-z0-9_.~=-]{{40}})")
"""What may be a person or a token in a path: an e-mail address, 9 digits of a telephone, a word of 40 characters."""


def shown(path: str) -> str:
    """Return a path for log lines: up to what may be a person or a token, as nginx does."""
    found = _PRIVATE.search(path)
    return f"{path[: found.start() + 1]}*" if found else path


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": os.environ.get("PRESENCE360_SERVICE", ""),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "tenant": tenant.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up() -> None:
    """Send everything through one handler, uvicorn's and Celery's own lines as well."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "json",
                }
            },
            "root": {"handlers": ["stdout"], "level": "INFO"},
            "loggers": {
                **{
                    name: {"handlers": [], "propagate": True}
                    for name in ("uvicorn", "uvicorn.error", "celery")
                },
                # Named here, or this would switch it on again: UVICORN_ACCESS_LOG only takes its handlers away.
                "uvicorn.access": {"handlers": [], "propagate": False},
            },
        }
    )


class RequestLog:
    """ASGI middleware: remembers nginx's request id, and writes a line for each request.

    Instead of uvicorn's own access log, which has the query string, and so people's data. Plain ASGI and no
    `BaseHTTPMiddleware`: streams pass as they are written.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] == "/healthz":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id.set(headers.get(b"x-request-id", b"").decode("latin-1"))
        began, status = time.monotonic(), 0

        async def remember(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, remember)
        finally:
            fields = {
                "method": scope.get("method", "WEBSOCKET"),
                "path": shown(scope["path"]),
                "status": status,
                "seconds": round(time.monotonic() - began, 3),
            }
            access.info("request", extra={"fields": fields})
