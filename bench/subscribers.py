"""Subscribers for `bench events`, a process of their own: `python -m bench.subscribers`, told on stdin what to follow.

Their WebSocket and HTTP are their own, for the usual clients cost more than the server that they would measure. It says `ready` when each
subscriber has seen the event `ready_at`, and writes what each has seen, and when, when the event `last` has come to all or time is up.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

DOCUMENT = (
    "subscription ($after: String) { transactionEvents(after: $after) "
    "{ id sequence type occurredAt payment { id state amount { minorUnits currency } orderId } } }"
)
SEEN = re.compile(rb'"id":"(evt_\w+)","sequence":(\d+)')
AT_ONCE = 50  # connections that are opened at a time


class Subscriber(asyncio.Protocol):
    """One connection, and each event on it: its id, its number, and when it came."""

    def __init__(self, opening: bytes, then: bytes) -> None:
        self.seen: list[tuple[bytes, int, int]] = []
        self.moved = asyncio.Event()
        self.is_lost = False
        self._opening, self._then = opening, then
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self._transport = transport
        transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        """Note what came."""
        now = time.monotonic_ns()
        if self._then and b"\r\n\r\n" in data:
            self._transport.write(self._then)
            self._then = b""
        data = self._rest + data
        end = 0
        for match in SEEN.finditer(data):
            if match.end() == len(data):  # its number may go on
                break
            self.seen.append((match[1], int(match[2]), now))
            end = match.end()
        self._rest = data[max(end, len(data) - 128) :]  # what may be the beginning of another one
        self.moved.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Somebody has ended it."""
        self.is_lost = True
        self.moved.set()

    async def until(self, number: int) -> None:
        """Wait for the event with this number."""
        while (not self.seen or self.seen[-1][1] < number) and not self.is_lost:
            self.moved.clear()
            await self.moved.wait()


def opening_of(wire: str, host: str, key: str, after: str, last: str | None = None) -> tuple[bytes, bytes]:
    """What a subscriber sends first, and what it sends when it is let in. `last`: the last event that it has seen, when it comes back."""
    asked = {"query": DOCUMENT, "variables": {"after": after if wire == "sse" else last or after}}
    if wire == "sse":
        body = json.dumps(asked).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n"
        head += f"Last-Event-ID: {last}\r\n" if last else ""
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body, b""
    head = (
        f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    init = {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}
    return head.encode(), frame(init) + frame({"type": "subscribe", "id": "1", "payload": asked})


def frame(message: Any) -> bytes:
    """A client's text frame (RFC 6455 §5.2). The mask is of zeros, which leaves the text as it is."""
    text = json.dumps(message).encode()
    assert 125 < len(text) < 65_536 or len(text) <= 125
    length = bytes([0x80 | len(text)]) if len(text) <= 125 else bytes([0x80 | 126]) + len(text).to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


async def _main() -> None:
    asked = json.loads(sys.stdin.readline())
    host, port, loop = asked["host"], asked["port"], asyncio.get_running_loop()
    subscribers: list[Subscriber] = []
    for start in range(0, len(asked["subscribers"]), AT_ONCE):
        page = asked["subscribers"][start : start + AT_ONCE]
        made = [Subscriber(*opening_of(each["wire"], host, each["key"], each["after"])) for each in page]
        await asyncio.gather(*(loop.create_connection(partial(_itself, each), host, port) for each in made))
        subscribers += made
        await asyncio.gather(*(each.until(asked["ready_at"]) for each in subscribers[start:]))
    print("ready", flush=True)  # noqa: T201
    lasts = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    try:
        async with asyncio.timeout(asked["patience_s"]):
            await asyncio.gather(*(each.until(last) for each, last in zip(subscribers, lasts, strict=True)))
    except TimeoutError:
        pass
    _write_down(Path(asked["file"]), subscribers)


def _itself(subscriber: Subscriber) -> Subscriber:
    return subscriber


def _write_down(path: Path, subscribers: Sequence[Subscriber]) -> None:
    with path.open("w") as file:
        for number, subscriber in enumerate(subscribers):
            for event_id, sequence, at in subscriber.seen:
                file.write(f"{number} {event_id.decode()} {sequence} {at}\n")


if __name__ == "__main__":
    uvloop.run(_main())
