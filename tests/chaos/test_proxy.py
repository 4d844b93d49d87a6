"""Each toxic over real sockets, against a server that notes what it sees. The proxy's waiting is ours, so nothing is timed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from app.embedded.ports import free_port
from tests.chaos.proxy import Fate, Line, Proxy, Toxic

REQUEST = b"POST /api/v1/captures HTTP/1.1\r\nHost: bank\r\nContent-Length: 4\r\n\r\nbody"
BODY = b'{"status": "captured"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@dataclass
class Server:
    """Answers every request the same, as soon as it may."""

    seen: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.seen.put_nowait(head + await reader.readexactly(4))
                await self.may_answer.wait()
                writer.write(ANSWER)
                await writer.drain()
                self.answered.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@dataclass
class Nap:
    """Sleeps until it is woken."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.begun.set()
        await self.over.wait()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """The bank's side."""
    made = Server()
    made.may_answer.set()
    yield made
    made.may_answer.set()


@pytest.fixture
def nap() -> Nap:
    """The proxy's waiting."""
    return Nap()


@pytest.fixture
async def proxy(server: Server, nap: Nap) -> AsyncIterator[Proxy]:
    """In between."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    made = Proxy(listening.sockets[0].getsockname()[1], sleep=nap)
    made.set_line(Line.UP)
    yield made
    await made.close()
    listening.close()
    await listening.wait_closed()


class Gateway:
    """The gateway's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self) -> None:
        self._writer.write(REQUEST)
        await self._writer.drain()

    async def answer(self) -> bytes:
        return await self._reader.readexactly(len(ANSWER))

    async def rest(self) -> bytes:
        """All that comes until the connection is closed. Raises ConnectionResetError when it is reset."""
        return await self._reader.read()

    def hang_up(self) -> None:
        self._writer.close()


@pytest.fixture
async def connected(proxy: Proxy) -> AsyncIterator[Callable[[], Awaitable[Gateway]]]:
    """Opens connections to the proxy."""
    async with AsyncExitStack() as opened:

        async def connect() -> Gateway:
            return await opened.enter_async_context(connection_to(proxy))

        yield connect


@asynccontextmanager
async def connection_to(proxy: Proxy) -> AsyncIterator[Gateway]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
    try:
        yield Gateway(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


Connected = Callable[[], Awaitable[Gateway]]


def always(toxic: Toxic, seconds: float = 0.0) -> Callable[[str], Fate]:
    return lambda _: Fate(toxic, seconds)


async def test_what_has_no_toxic_goes_through_unchanged_again_and_again(
    proxy: Proxy, server: Server, connected: Connected
) -> None:
    gateway = await connected()

    for _ in range(3):
        await gateway.ask()
        assert await gateway.answer() == ANSWER
        assert server.seen.get_nowait() == REQUEST


async def test_trouble_can_be_aimed_at_one_kind_of_request(proxy: Proxy, connected: Connected) -> None:
    asked: list[str] = []
    gateway = await connected()
    proxy.fate_of = lambda first_line: asked.append(first_line) or Fate(Toxic.NONE)  # type: ignore[func-returns-value]

    await gateway.ask()
    await gateway.answer()

    assert asked == ["POST /api/v1/captures HTTP/1.1"]


async def test_a_reset_before_the_request_leaves_nothing_done(proxy: Proxy, server: Server, connected: Connected) -> None:
    proxy.fate_of = always(Toxic.RESET_BEFORE)
    gateway = await connected()

    await gateway.ask()

    with pytest.raises(ConnectionResetError):
        await gateway.rest()
    await server.left.wait()
    assert server.seen.empty()


async def test_a_reset_after_the_request_loses_the_answer_to_what_was_done(
    proxy: Proxy, server: Server, connected: Connected
) -> None:
    proxy.fate_of = always(Toxic.RESET_AFTER)
    gateway = await connected()

    await gateway.ask()

    with pytest.raises(ConnectionResetError):
        await gateway.rest()
    assert server.seen.get_nowait() == REQUEST
    assert server.answered.is_set()


async def test_a_hang_up_reaches_the_bank_before_it_has_answered(
    proxy: Proxy, server: Server, nap: Nap, connected: Connected
) -> None:
    proxy.fate_of = always(Toxic.HANG_UP, 0.3)
    server.may_answer.clear()
    gateway = await connected()

    await gateway.ask()
    await server.seen.get()
    nap.over.set()

    with pytest.raises(ConnectionResetError):
        await gateway.rest()
    server.may_answer.set()  # it can't know before it looks
    await server.left.wait()
    assert nap.seconds == [0.3]


async def test_a_reset_in_mid_body_comes_after_half_of_it(proxy: Proxy, connected: Connected) -> None:
    proxy.fate_of = always(Toxic.RESET_MID_BODY)
    gateway = await connected()

    await gateway.ask()

    with pytest.raises(ConnectionResetError):
        await gateway.rest()


async def test_a_truncated_answer_ends_in_good_order_after_half_of_the_body(proxy: Proxy, connected: Connected) -> None:
    proxy.fate_of = always(Toxic.TRUNCATE)
    gateway = await connected()

    await gateway.ask()

    assert await gateway.rest() == ANSWER[: -(len(BODY) - len(BODY) // 2)]


async def test_a_dripping_answer_is_whole_in_the_end(proxy: Proxy, nap: Nap, connected: Connected) -> None:
    proxy.fate_of = always(Toxic.DRIP, 0.1)
    nap.over.set()
    gateway = await connected()

    await gateway.ask()

    assert await gateway.answer() == ANSWER
    assert nap.seconds[: len(BODY)] == [0.1] * len(BODY)


async def test_a_late_request_waits_and_then_goes_on(proxy: Proxy, server: Server, nap: Nap, connected: Connected) -> None:
    proxy.fate_of = always(Toxic.LATE_REQUEST, 1.5)
    gateway = await connected()

    await gateway.ask()
    await nap.begun.wait()
    seen_before = server.seen.qsize()
    nap.over.set()

    assert await gateway.answer() == ANSWER
    assert (seen_before, server.seen.qsize(), nap.seconds) == (0, 1, [1.5])


async def test_a_late_request_arrives_even_when_the_gateway_has_hung_up(
    proxy: Proxy, server: Server, nap: Nap, connected: Connected
) -> None:
    proxy.fate_of = always(Toxic.LATE_REQUEST, 15)
    gateway = await connected()

    await gateway.ask()
    await nap.begun.wait()
    gateway.hang_up()
    nap.over.set()

    assert await server.seen.get() == REQUEST


async def test_a_late_answer_is_to_something_that_was_done_in_time(
    proxy: Proxy, server: Server, nap: Nap, connected: Connected
) -> None:
    proxy.fate_of = always(Toxic.LATE_ANSWER, 1.5)
    gateway = await connected()

    await gateway.ask()
    await nap.begun.wait()
    seen_before = server.seen.qsize()
    nap.over.set()

    assert await gateway.answer() == ANSWER
    assert (seen_before, nap.seconds) == (1, [1.5])


async def test_a_black_hole_reads_and_never_answers(proxy: Proxy, server: Server, nap: Nap, connected: Connected) -> None:
    proxy.fate_of = always(Toxic.BLACK_HOLE)
    gateway = await connected()

    await gateway.ask()
    await nap.begun.wait()
    gateway.hang_up()

    await server.left.wait()
    assert server.seen.empty()


async def test_when_the_gateway_hangs_up_the_bank_is_told(proxy: Proxy, server: Server, connected: Connected) -> None:
    server.may_answer.clear()
    gateway = await connected()

    await gateway.ask()
    await server.seen.get()
    gateway.hang_up()
    server.may_answer.set()

    await server.left.wait()


async def test_a_line_that_is_down_refuses_and_resets_and_is_up_again_at_the_same_address(
    proxy: Proxy, connected: Connected
) -> None:
    gateway = await connected()
    await gateway.ask()
    await gateway.answer()
    await gateway.ask()

    proxy.set_line(Line.DOWN)
    with pytest.raises(ConnectionResetError):
        await gateway.rest()
    with pytest.raises(ConnectionRefusedError):
        await connected()
    proxy.set_line(Line.UP)
    again = await connected()
    await again.ask()

    assert await again.answer() == ANSWER


async def test_a_silent_line_takes_requests_and_carries_nothing_until_it_is_up(
    proxy: Proxy, server: Server, connected: Connected
) -> None:
    before, server_was_asked = await connected(), server.seen
    await before.ask()
    await before.answer()
    await server_was_asked.get()
    server.may_answer.clear()
    await before.ask()
    await server_was_asked.get()

    proxy.set_line(Line.SILENT)
    server.answered.clear()
    server.may_answer.set()
    await server.answered.wait()
    meanwhile = await connected()  # the kernel takes it; the proxy does not
    await meanwhile.ask()
    in_the_silence = server_was_asked.qsize()
    proxy.set_line(Line.UP)

    assert await before.answer() == ANSWER
    assert await meanwhile.answer() == ANSWER
    assert in_the_silence == 0


async def test_a_bank_that_is_away_resets_its_clients(proxy: Proxy) -> None:
    """As the address of a bank whose process died does."""
    claim = free_port()
    to_nobody = Proxy(claim.number)
    to_nobody.set_line(Line.UP)
    async with connection_to(to_nobody) as gateway:
        await gateway.ask()
        with pytest.raises(ConnectionResetError):
            await gateway.rest()

    await to_nobody.close()
    claim.close()
