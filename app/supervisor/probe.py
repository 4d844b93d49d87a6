"""Asks a child over HTTP whether it is ready."""

import asyncio
from contextlib import suppress

from app.embedded.ports import LOOPBACK

ANSWER_S = 2.0  # a health page that takes longer is not healthy


async def answers_200(port: int, path: str) -> bool:
    """Whether a GET is answered with 200 within ANSWER_S seconds. Asked once; never raises for a server that is away."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode())
                status = (await reader.readline()).split()
                return len(status) > 1 and status[1] == b"200"
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    return False
