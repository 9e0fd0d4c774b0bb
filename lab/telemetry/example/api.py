"""An API: requests are measured by OpenTelemetry's names, and begin jobs that carry their trace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from church import telemetry
from fastapi import FastAPI, HTTPException
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from . import worker


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Measure while the application runs; each process of uvicorn's has its own."""
    del app
    telemetry.set_up()
    yield
    telemetry.shut_down()


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz() -> str:
    """Answer."""
    return "ok"


@app.get("/people/{person}")
async def person(person: str) -> dict[str, str]:
    """Answer, or not."""
    if person == "nobody":
        raise HTTPException(404)
    if person == "broken":
        raise RuntimeError("broken")
    return {"person": person, "trace": telemetry.trace_id()}


@app.post("/messages")
def message(text: str = "hello") -> dict[str, str]:
    """Have the worker send a message."""
    worker.send.apply_async((text,), queue="tenant-1:notifications")
    return {"trace": telemetry.trace_id()}


# Health checks come every few seconds, and say nothing of how people are served.
FastAPIInstrumentor.instrument_app(app, excluded_urls="healthz,metrics", exclude_spans=["receive", "send"])
