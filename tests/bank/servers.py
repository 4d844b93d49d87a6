"""Small servers that play a bank which fails, over real sockets on loopback; and a client to ask them."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bank.answer import BankAnswer, Done, Unclarity, Unclear
from bank.client import BankClient, VoidCall, bank_http
from bank.transport import AiohttpTransport, Patience

CALL = VoidCall("auth_1")
DONE = Done("void_1", replayed=False)
BODY = b'{"void_id":"void_1","authorization_id":"auth_1","status":"voided"}\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
ANSWER = HEAD + BODY


@dataclass
class Server:
    """Where it listens, and what has happened."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    playing: set[asyncio.Task[None]] = field(default_factory=set)

    async def idle(self) -> None:
        """Until no connection is being played."""
        await asyncio.gather(*self.playing)


@dataclass
class Connection:
    """One connection, as the server sees it. The first has number 1."""

    server: Server
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The next whole request: head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        whole = head + await self.reader.readexactly(int(length.split(b":")[1]))
        self.server.requests.append(whole)
        return whole

    async def answer(self, *parts: bytes) -> None:
        """Hand bytes to the kernel."""
        for part in parts:
            self.writer.write(part)
        await self.writer.drain()

    def reset(self) -> None:
        """RST instead of FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Play = Callable[[Connection], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that plays `play` on each connection, and closes the connection at its end."""
    server = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        server.playing.add(task)
        server.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await play(Connection(server, server.connections, reader, writer))
        finally:
            server.playing.discard(task)
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    host = "https://localhost" if tls else "http://127.0.0.1"
    server.url = f"{host}:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        left = list(server.playing)
        for task in left:
            task.cancel()
        await asyncio.gather(*left)


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """A URL where nobody listens, and nobody else will meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def swallowing() -> Iterator[str]:
    """A URL where connections are neither taken nor refused: the queue of a listener that accepts nothing is full."""
    with contextlib.ExitStack() as open_ones:
        listener = open_ones.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # Linux takes one more than was said; what comes after that waits
            one = open_ones.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS, with a certificate for `localhost` that nobody has vouched for. Writes `certificate.pem` into `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context


@contextlib.asynccontextmanager
async def client_of(url: str, patience: Patience | None = None, **options: Any) -> AsyncIterator[BankClient]:
    """A client that is as patient as in earnest, unless a test is about waiting in vain."""
    client = BankClient(bank_http(url, AiohttpTransport(patience=patience or Patience(), **options)))
    try:
        yield client
    finally:
        await client.close()


async def ask(url: str, patience: Patience | None = None) -> BankAnswer:
    """One call of a client of its own."""
    async with client_of(url, patience) as client:
        return await client.send(CALL, "k")


Facts = tuple[Unclarity, str, bool]


def facts(answer: BankAnswer) -> Facts:
    """What an unclear answer is, without the name that is there for people."""
    assert isinstance(answer, Unclear), answer
    return (answer.why, answer.detail.split()[0], answer.may_have_acted)


def not_sent(error: str) -> Facts:
    return (Unclarity.NOT_SENT, error, False)


def no_answer(error: str) -> Facts:
    return (Unclarity.NO_ANSWER, error, True)
