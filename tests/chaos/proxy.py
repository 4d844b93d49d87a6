"""A TCP proxy between the gateway and the bank that spoils what goes through it, request by request or altogether.

It knows of HTTP/1.1 where a message ends and what its first line says, so that trouble can be aimed at one request. What TCP does
not do, it does not do either: nothing is delivered twice, and nothing is invented.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from app.embedded.ports import LOOPBACK, free_port

MAX_HEAD_BYTES = 64 * 1024  # of a message's first lines; both sides send some hundred bytes
CHUNK_BYTES = 16 * 1024  # of an answer's body at a time
BACKLOG = (
    1_000  # connections that the kernel takes while nobody accepts; the gateway opens no more (bank.transport.MAX_CONNECTIONS)
)
HOLE_S = 60.0  # far longer than the gateway waits for an answer (bank.transport.TOTAL_TIMEOUT_S); a bound, so that nothing stays for ever
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST, not FIN

T = TypeVar("T")


class Toxic(StrEnum):
    """What happens to one request and its answer."""

    NONE = "none"
    LATE_REQUEST = "late_request"
    """Goes on after `seconds`, even when the gateway has hung up by then: what is under way arrives."""
    LATE_ANSWER = "late_answer"
    """The bank has answered; the answer goes back after `seconds`."""
    RESET_BEFORE = "reset_before"
    """RST; the bank never sees the request."""
    RESET_AFTER = "reset_after"
    """The bank has done it and answered; the gateway gets RST instead."""
    HANG_UP = "hang_up"
    """Both sides are cut off `seconds` after the request was forwarded: the bank sees a client that leaves (contract §7.1)."""
    RESET_MID_BODY = "reset_mid_body"
    """Half of the answer's body, then RST."""
    TRUNCATE = "truncate"
    """Half of the answer's body, then an orderly end."""
    DRIP = "drip"
    """The answer's body byte by byte, `seconds` apart."""
    BLACK_HOLE = "black_hole"
    """Read, not forwarded, never answered."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to a request, and the seconds of those toxics that have some."""

    toxic: Toxic = Toxic.NONE
    seconds: float = 0.0


class Line(StrEnum):
    """How the line to the bank is altogether."""

    UP = "up"
    SILENT = "silent"
    """Nothing gets through in either direction and no connection is accepted, until the line is up again."""
    DOWN = "down"
    """Connections are refused, and those that there are were reset."""


class Ended(Exception):
    """The connection is over, in good order."""


class Broken(Exception):
    """The connection is to be reset: by order, or because a side ended in the middle of a message."""


@dataclass(frozen=True, slots=True)
class Head:
    """A message's first lines and how long its body is."""

    first_line: str
    raw: bytes
    length: int


class Connection:
    """One side of what goes through."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    async def head(self) -> Head | None:
        """The next message's head; None when the other side ends where one may end. Raises Broken."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Broken("the end of a head is missing") from error
            return None
        except (asyncio.LimitOverrunError, OSError) as error:
            raise Broken(str(error)) from error
        first_line, *lines = raw.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if not headers.get("content-length", "0").isdecimal() or "transfer-encoding" in headers:
            raise Broken("a body without a length")
        return Head(first_line, raw, int(headers.get("content-length", 0)))

    async def body(self, length: int) -> AsyncIterator[bytes]:
        """A body in pieces. Raises Broken when it ends early."""
        while length > 0:
            piece = await self._read(min(length, CHUNK_BYTES))
            if not piece:
                raise Broken("the end of a body is missing")
            length -= len(piece)
            yield piece

    async def send(self, data: bytes) -> None:
        """Write; whether it arrives is not our concern, as it is not TCP's."""
        with suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def ends(self) -> None:
        """Return when the other side has hung up. Raises Broken when it speaks out of turn instead."""
        if await self._read(1):
            raise Broken("both speak at once")

    async def _read(self, length: int) -> bytes:
        try:
            return await self.reader.read(length)
        except OSError:
            return b""

    def end(self) -> None:
        """FIN."""
        self._writer.close()

    def reset(self) -> None:
        """RST."""
        with suppress(OSError):
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._writer.transport.abort()


class Proxy:
    """Listens on a port of 127.0.0.1 and forwards to another. `fate_of` is asked for each request, with its first line."""

    def __init__(
        self,
        target_port: int,
        fate_of: Callable[[str], Fate] = lambda _: Fate(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.fate_of = fate_of
        self._sleep = sleep
        self.line = Line.UP
        self._target_port = target_port
        self._claim = free_port()  # it stays ours while nobody listens
        self._flowing = asyncio.Event()
        self._listener: socket.socket | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._gateways: set[Connection] = set()

    @property
    def url(self) -> str:
        """What the gateway takes for the bank's address."""
        return f"http://{LOOPBACK}:{self._claim.number}"

    def set_line(self, line: Line) -> None:
        """Change how the line is."""
        self.line = line
        loop = asyncio.get_running_loop()
        match line:
            case Line.UP:
                self._flowing.set()
                loop.add_reader(self._listen(), self._accept)
            case Line.SILENT:
                self._flowing.clear()
                loop.remove_reader(self._listen())
            case Line.DOWN:
                self._flowing.set()
                if self._listener:
                    loop.remove_reader(self._listener)
                    self._listener.close()
                    self._listener = None
                for connection in self._gateways:
                    connection.reset()

    async def close(self) -> None:
        """Reset everything and give the port back."""
        self.set_line(Line.DOWN)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._claim.close()

    def _listen(self) -> socket.socket:
        if not self._listener:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((LOOPBACK, self._claim.number))
            self._listener.listen(BACKLOG)
            self._listener.setblocking(False)
        return self._listener

    def _accept(self) -> None:
        """All that wait. One at a time would, on a busy machine, accept only those who have given up waiting by then."""
        assert self._listener
        with suppress(BlockingIOError):
            while True:
                accepted, _ = self._listener.accept()
                accepted.setblocking(False)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                task = asyncio.create_task(self._serve(accepted))
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        """The requests of one connection, one after the other, over one connection to the bank."""
        gateway = Connection(*await asyncio.open_connection(sock=accepted, limit=MAX_HEAD_BYTES))
        bank: Connection | None = None
        self._gateways.add(gateway)
        try:
            bank = Connection(*await asyncio.open_connection(LOOPBACK, self._target_port, limit=MAX_HEAD_BYTES))
            while (head := await _unless_ended(bank, gateway.head())) is not None:
                request = head.raw + b"".join([piece async for piece in gateway.body(head.length)])
                fate = self.fate_of(head.first_line)
                relay = self._relay(request, fate, gateway, bank)
                await (relay if fate.toxic is Toxic.LATE_REQUEST else _unless_ended(gateway, relay))
            gateway.end()
        except Ended:
            gateway.end()
        except (Broken, OSError):
            gateway.reset()
        finally:
            self._gateways.discard(gateway)
            if bank:
                await self._flowing.wait()  # in the silence the bank does not hear that the gateway has hung up either
                bank.end()

    async def _relay(self, request: bytes, fate: Fate, gateway: Connection, bank: Connection) -> None:
        """One request and its answer. Raises Broken or Ended when the connection to the gateway is to end so."""
        match fate.toxic:
            case Toxic.RESET_BEFORE:
                raise Broken(fate.toxic)
            case Toxic.BLACK_HOLE:
                await self._sleep(HOLE_S)
                raise Broken(fate.toxic)
            case Toxic.LATE_REQUEST:
                await self._sleep(fate.seconds)
        await self._flowing.wait()
        await bank.send(request)
        if fate.toxic is Toxic.HANG_UP:
            await self._sleep(fate.seconds)
            raise Broken(fate.toxic)
        head = await bank.head()
        if head is None:
            raise Broken("the bank hung up")
        match fate.toxic:
            case Toxic.RESET_AFTER:
                raise Broken(fate.toxic)
            case Toxic.LATE_ANSWER:
                await self._sleep(fate.seconds)
        await self._flowing.wait()
        await gateway.send(head.raw)
        await self._send_body(head.length, fate, gateway, bank)

    async def _send_body(self, length: int, fate: Fate, gateway: Connection, bank: Connection) -> None:
        halved = fate.toxic in (Toxic.RESET_MID_BODY, Toxic.TRUNCATE)
        async for piece in bank.body(length // 2 if halved else length):
            if fate.toxic is Toxic.DRIP:
                for place in range(len(piece)):
                    await gateway.send(piece[place : place + 1])
                    await self._sleep(fate.seconds)
            else:
                await gateway.send(piece)
        if halved:
            raise Broken(fate.toxic) if fate.toxic is Toxic.RESET_MID_BODY else Ended(fate.toxic)


async def _unless_ended(other: Connection, work: Coroutine[None, None, T]) -> T:
    """What the work comes to. Raises Ended when the other side hangs up before."""
    working, ending = asyncio.create_task(work), asyncio.create_task(other.ends())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            ending.result()
            raise Ended("the other side hung up")
        return working.result()
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)
