"""A FastAPI service for tests: it counts what it executes, and writes streams, large headers and large answers."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse

app = FastAPI()
EXECUTED = Path(os.environ["EXECUTED"])
"""A line for each; it outlives the process."""
written = {"bytes": 0}


@app.get("/healthz")
async def healthz() -> dict[str, bool]:
    """Answer."""
    return {"ok": True}


@app.api_route("/count/{name}", methods=["GET", "POST"])
async def count(name: str, request: Request) -> dict[str, int]:
    """Count an execution, and read the whole body."""
    with EXECUTED.open("a") as file:
        file.write(f"{name}\n")
    return {"bytes": len(await request.body())}


@app.get("/written")
async def taken() -> dict[str, int]:
    """Return how much of the last download was taken."""
    return written


@app.get("/items/")
async def items() -> list[str]:
    """Return something; without the slash FastAPI redirects to it."""
    return []


@app.get("/seen/{rest:path}")
async def seen(request: Request) -> dict[str, object]:
    """Return what arrived."""
    return {
        "path": request.scope["raw_path"].decode(),
        "scheme": request.url.scheme,
        "client": request.client.host if request.client else "",
        "headers": dict(request.headers),
    }


@app.get("/cookies")
async def cookies(size: int) -> Response:
    """Set cookies that make the header about so many bytes long."""
    response = Response("ok")
    for number in range(5):
        response.headers.append("Set-Cookie", f"part{number}=" + "x" * (size // 5 - 24))
    return response


@app.get("/slow")
async def slow(seconds: float) -> dict[str, bool]:
    """Answer late."""
    await asyncio.sleep(seconds)
    return {"ok": True}


async def _pieces() -> AsyncIterator[str]:
    for number in range(3):
        yield f"data: {number}\n\n"
        await asyncio.sleep(0.5)


@app.get("/stream")
async def stream(kind: str = "text/event-stream", mark: str = "") -> StreamingResponse:
    """Write three pieces, half a second apart, and say nothing to nginx unless told."""
    headers = {"X-Accel-Buffering": mark} if mark else {}
    return StreamingResponse(_pieces(), media_type=kind, headers=headers)


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[int]:
    """Do the same as FastAPI does it."""
    for number in range(3):
        yield number
        await asyncio.sleep(0.5)


@app.get("/download")
async def download(mib: int) -> StreamingResponse:
    """Write a large answer."""

    async def body() -> AsyncIterator[bytes]:
        written["bytes"] = 0
        for _ in range(mib * 16):
            yield b"x" * 65_536
            written["bytes"] += 65_536

    return StreamingResponse(body(), media_type="application/octet-stream")


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    """Count pieces and bytes of a body."""
    sizes = [len(piece) async for piece in request.stream()]
    return {"bytes": sum(sizes), "pieces": len(sizes)}


@app.websocket("/ws")
async def web_socket(socket: WebSocket) -> None:
    """Send back what comes."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
