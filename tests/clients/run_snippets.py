"""Run snippets one after the other, each with variables of its own; started with the Python that has the clients.

Standard input is a list of `{"name", "code", "variables"}`. For each there is a line of JSON on standard output: what
it left in `answer`, or in `error` what it raised.
"""

import json
import os
import ssl
import sys
import traceback
from typing import Any

_ordinary = ssl.create_default_context


def _as_in_python_3_13(*arguments: Any, **options: Any) -> ssl.SSLContext:
    context = _ordinary(*arguments, **options)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


# Images have a newer Python than this machine may have (Python documentation, "ssl", changed in version 3.13).
ssl.create_default_context = _as_in_python_3_13


def run(code: str, variables: dict[str, str]) -> dict[str, Any]:
    os.environ.update(variables)
    names: dict[str, Any] = {"__name__": "snippet"}
    try:
        exec(compile(code, "snippet", "exec"), names)  # noqa: S102 (a page's own)
    except BaseException as error:
        return {"error": "".join(traceback.format_exception_only(error)).strip()}
    return {"answer": names.get("answer")}


for one in json.load(sys.stdin):
    print(json.dumps({"name": one["name"], **run(one["code"], one["variables"])}), flush=True)  # noqa: T201
os._exit(0)  # clients that could not connect may have threads that still try
