"""A store of traces for tests, with OpenTelemetry's own reading of its protocol: python span_store.py PORT FILE.

It runs where lab/services/backend/requirements.lock is installed, and writes each span as a line of JSON.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

# Installed for the services' examples alone, so mypy does not find them.
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

PORT, FILE = int(sys.argv[1]), Path(sys.argv[2])


def flat(attributes: Any) -> dict[str, Any]:
    """Return attributes as a mapping."""
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


class Handler(BaseHTTPRequestHandler):
    """Takes what VictoriaTraces takes, at its path."""

    def do_POST(self) -> None:
        """Read all of it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = MessageToDict(ExportTraceServiceRequest.FromString(body))
        with FILE.open("a") as file:
            for resource in request.get("resourceSpans", []):
                for scope in resource.get("scopeSpans", []):
                    for span in scope["spans"]:
                        found = {
                            **span,
                            "attributes": flat(span.get("attributes", [])),
                            "resource": flat(resource.get("resource", {}).get("attributes", [])),
                            "asked": self.path,
                        }
                        file.write(json.dumps(found) + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
