"""control-plane-api: what administrators ask. Asynchronous SQLAlchemy with asyncpg, directly to Postgres."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from . import logs, telemetry


def engine() -> AsyncEngine:
    """Return the control plane's engine. Without its variable the start fails, and the release at its first droplet."""
    address = os.environ["CONTROL_PLANE_DATABASE_URL"]
    return create_async_engine(
        "postgresql+asyncpg://",
        # asyncpg reads the whole address, with the certificate's authority; from SQLAlchemy it takes no `sslmode`.
        async_creator=lambda: asyncpg.connect(address, timeout=5),
        pool_size=3,
        max_overflow=2,
        pool_timeout=10,
        pool_pre_ping=True,
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the engine, which connects to nothing yet: a service starts without its database."""
    telemetry.set_up()
    app.state.database = engine()
    yield
    await app.state.database.dispose()
    telemetry.shut_down()


logs.set_up()
app = FastAPI(lifespan=lifespan)
app.add_middleware(logs.RequestLog)


@app.get("/healthz")
async def healthz() -> str:
    """Say that this process answers, and nothing more."""
    return "ok"


@app.get("/database")
async def database(request: Request) -> dict[str, str]:
    """Say who this is to Postgres, and that the connection is encrypted."""
    async with request.app.state.database.begin() as connection:
        found = await connection.execute(
            text("SELECT current_user, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        )
        user, protocol = found.one()
    return {"user": user, "tls": protocol}


FastAPIInstrumentor.instrument_app(app, excluded_urls="healthz,metrics", exclude_spans=["receive", "send"])
