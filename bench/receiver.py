"""A receiver of webhooks for the benchmark: answers 204 and counts, and does nothing else, so that it is not what is measured.

    python -m bench.receiver

Prints its port; on a line of input, what it has received so far as JSON. Whoever posts to /hang waits for ever.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import ClassVar, cast

import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection."""

    received: ClassVar[Counter[str]] = Counter()
    ids: ClassVar[set[bytes]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connects."""
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """As much of requests as has come."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(_header(head, b"content-length"))
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            path = head.split(b" ", 2)[1].decode()
            self.received[path] += 1
            self.ids.add(_header(head, b"webhook-id") + path.encode())
            if not path.startswith("/hang"):
                self._transport.write(ANSWER)


def _header(head: bytes, name: bytes) -> bytes:
    start = head.index(b"\r\n" + name + b": ") + len(name) + 4
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None]


async def main() -> None:
    """Receive until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0, backlog=2_000)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  (for the parent)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"received": Receiver.received, "ids": len(Receiver.ids)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main())
