"""A closed-loop load generator: so many connections, each with one request under way.

Its HTTP is its own, since the usual clients cost more than the servers that they would measure.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MAX_HEAD_BYTES = 64 * 1024


@dataclass
class Measured:
    """What a load did: requests a second, and each request's seconds."""

    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failures: int = 0
    first_failure: str = ""

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_ms(self, share: float) -> float:
        """The latency that `share` of the requests stay below, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


class Target:
    """A URL to POST JSON to."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        assert parts.hostname, "an absolute URL"
        self.host, self.port = parts.hostname, parts.port or 80
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join(lines)

    def request(self, body: bytes, headers: str = "") -> bytes:
        """The request's bytes; `headers` are further lines, each ended by CRLF."""
        return f"{self._head}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def closed_loop(
    target: Target, requests: Callable[[], bytes], is_good: Callable[[bytes], bool], *, clients: int, seconds: float
) -> Measured:
    """POST as fast as answers come, for `seconds`. An answer that is not good counts as a failure, not as a request."""
    measured = Measured()
    began = time.perf_counter()
    until = began + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(target.host, target.port, limit=MAX_HEAD_BYTES)
        try:
            while (started := time.perf_counter()) < until:
                writer.write(requests())
                answer = await _answer(reader)
                if is_good(answer):
                    measured.latencies_s.append(time.perf_counter() - started)
                else:
                    measured.failures += 1
                    measured.first_failure = measured.first_failure or answer[:300].decode(errors="replace")
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    measured.elapsed_s = time.perf_counter() - began
    return measured


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)
