"""tenant-api: what churches' people and apps ask. Synchronous SQLAlchemy in FastAPI's threads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from celery.result import AsyncResult
from fastapi import Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from pydantic import BaseModel
from sqlalchemy import Engine, text

from . import logs, tasks, telemetry, tenants
from .celery_app import celery


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Measure while the application runs; each process of uvicorn's has its own."""
    telemetry.set_up()
    yield
    telemetry.shut_down()


logs.set_up()
app = FastAPI(lifespan=lifespan)
app.add_middleware(logs.RequestLog)


@app.get("/healthz")
async def healthz() -> str:
    """Say that this process answers, and nothing more.

    No database, no Valkey, no other service: by this answer alone the load balancer takes a droplet out, and converge
    restarts a container. A hiccup of what all droplets share would take all of them out at once. And `async`: a plain
    `def` waits for one of 40 threads, which all wait for Postgres when that hangs.
    """
    return "ok"


async def tenant_of(tenant: UUID) -> str:
    """Remember the tenant for log lines and the trace. A real service reads it from the caller's token."""
    trace.get_current_span().set_attribute("presence360.tenant", str(tenant))
    logs.tenant.set(str(tenant))
    return str(tenant)


Tenant = Annotated[str, Depends(tenant_of)]


def database(tenant: Tenant) -> Engine:
    """Find the tenant's database."""
    return tenants.engine_for(tenant)


Database = Annotated[Engine, Depends(database)]


@app.exception_handler(tenants.NotServedError)
async def not_served(_request: Request, _error: Exception) -> Response:
    """Answer for a tenant that is suspended or retired: not 401 or 403, which make clients forget their sessions."""
    headers = {"Retry-After": "3600", "Cache-Control": "no-store"}
    return JSONResponse({"detail": "not served at present"}, status_code=503, headers=headers)


class Person(BaseModel):
    """Somebody who belongs to a church."""

    name: str


@app.get("/tenants/{tenant}/people")
def people(database: Database) -> list[Person]:
    """List a church's people."""
    with database.begin() as connection:
        names = connection.execute(text("SELECT name FROM people ORDER BY name")).scalars()
        return [Person(name=name) for name in names]


@app.post("/tenants/{tenant}/people", status_code=201)
def add(person: Person, database: Database) -> Person:
    """Add somebody."""
    with database.begin() as connection:
        connection.execute(text("INSERT INTO people (name) VALUES (:name)"), {"name": person.name})
    return person


@app.post("/tenants/{tenant}/exports", status_code=202)
def export(tenant: Tenant, seconds: float = 0) -> dict[str, str]:
    """Begin an export of a church's people; the worker does it, at so many seconds a person."""
    return {"id": tasks.export_people.delay(tenant, seconds).id}


class Arrival(BaseModel):
    """Somebody who stands before a church's camera, and has agreed to be greeted."""

    picture: str
    phone: str


@app.post("/tenants/{tenant}/arrivals", status_code=202)
def arrive(tenant: Tenant, arrival: Arrival) -> None:
    """Have the worker find out who it is, and greet them."""
    tasks.greet.delay(tenant, arrival.picture, arrival.phone)


@app.get("/tenants/{tenant}/exports/{job}/events", dependencies=[Depends(tenant_of)])
async def events(job: str) -> StreamingResponse:
    """Stream an export's state until it ends (server-sent events)."""

    async def follow() -> AsyncIterator[str]:
        while True:
            # Celery's client blocks: in a thread, or every other request waits for Valkey.
            state = await asyncio.to_thread(lambda: AsyncResult(job, app=celery).state)
            yield f"event: state\ndata: {state}\n\n"
            if state in {"SUCCESS", "FAILURE"}:
                return
            await asyncio.sleep(1)

    # nginx passes on what is written as it comes, to clients that do not say that they want events as well.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(follow(), media_type="text/event-stream", headers=headers)


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Say back what is said."""
    await socket.accept()
    async for words in socket.iter_text():
        await socket.send_text(words)


# Health checks come every few seconds, and say nothing of how people are served; of a stream, each piece would be a
# span.
FastAPIInstrumentor.instrument_app(app, excluded_urls="healthz,metrics", exclude_spans=["receive", "send"])
