"""A line to Postgres that breaks exactly at a COMMIT."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from app.embedded.ports import LOOPBACK

# A simple query of PostgreSQL's protocol: its letter, its length, its text. This is how persistence/database.py commits.
COMMIT = b"Q" + (4 + len(b"COMMIT\0")).to_bytes(4, "big") + b"COMMIT\0"
DONE = b"COMMIT\0"  # the end of the server's answer to it


class CommitLine:
    """Relays to the server of `url`. Use it as `async with`."""

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self._breaks = 0
        self._is_done_before = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "CommitLine":
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The same database and login, over this line."""
        host, port = self._target
        return self._url.replace(f"{host}:{port}", f"{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}")

    def break_at_commits(self, count: int, *, when: str) -> None:
        """Break the connections of the next `count` commits: `lost` before they arrive, `done` after the server has done them."""
        self._breaks, self._is_done_before = count, when == "done"

    @property
    def breaks_left(self) -> int:
        return self._breaks

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        to_server = None
        try:
            with suppress(OSError):
                server, to_server = await asyncio.open_connection(*self._target)
                answers = asyncio.create_task(_copy(server, to_client))
                try:
                    while data := await client.read(65_536):
                        if self._breaks and COMMIT in data:
                            self._breaks -= 1
                            answers.cancel()
                            await asyncio.wait([answers])
                            if self._is_done_before:
                                to_server.write(data)
                                await _read_until(server, DONE)
                            break
                        to_server.write(data)
                        await to_server.drain()
                finally:
                    answers.cancel()
        finally:
            for writer in (to_client, to_server):
                if writer is not None:
                    writer.transport.abort()
            self._tasks.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


async def _read_until(reader: asyncio.StreamReader, end: bytes) -> None:
    said = b""
    while end not in said:
        data = await reader.read(65_536)
        assert data, "the server does what it is told"
        said += data
