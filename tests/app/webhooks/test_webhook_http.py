"""Where messages go, and where they don't: each forbidden address is refused at the moment of connecting, whatever name leads there."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.webhook_http import READ_BYTES, WebhookHttp, WebhookPatience
from domain.webhook import MAX_ANSWER_CHARACTERS, Failure
from tests.app.webhooks.conftest import Receiver
from tests.domain.test_webhook_url import NOT_PUBLIC

NAME = "hooks.example"
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


class Names:
    """What a name leads to, look after look; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.looks = 0

    def __call__(self, _: str, port: int, **__: Any) -> list[Any]:
        self.looks += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses
        ]


@asynccontextmanager
async def sending(*answers: list[str], development: bool = False, **more: Any) -> AsyncIterator[tuple[WebhookHttp, Names]]:
    """A sender for whom the name leads there."""
    names = Names(*answers)
    patience = WebhookPatience(connect_s=2.0, total_s=more.pop("total_s", 2.0))
    made = WebhookHttp(lambda: NOW, development=development, look_up=names, patience=patience, **more)
    try:
        yield made, names
    finally:
        await made.close()


@pytest.fixture
async def sockets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that anybody connects to."""
    connected: list[Any] = []
    loop = asyncio.get_running_loop()
    original = loop.sock_connect

    async def note(sock: socket.socket, address: Any) -> None:
        connected.append(address)
        await original(sock, address)

    monkeypatch.setattr(loop, "sock_connect", note)
    return connected


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
async def test_a_name_that_leads_to_a_forbidden_address_is_refused_at_connect(address: str, sockets: list[Any]) -> None:
    async with sending([address]) as (post, names):
        reply = await post(f"https://{NAME}/hook", {}, b"{}")

    assert (reply.status, reply.failure) == (None, Failure.ADDRESS_REFUSED)
    assert names.looks == 1
    assert sockets == []


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
async def test_a_forbidden_address_in_the_url_is_refused_even_if_it_was_saved(address: str, sockets: list[Any]) -> None:
    host = f"[{address}]" if ":" in address else address
    async with sending(["8.8.8.8"]) as (post, _):
        reply = await post(f"https://{host}/hook", {}, b"{}")

    assert reply.failure is Failure.ADDRESS_REFUSED
    assert sockets == []


async def test_one_forbidden_address_among_good_ones_refuses_the_name(sockets: list[Any]) -> None:
    async with sending(["8.8.8.8", "10.0.0.1"]) as (post, _):
        reply = await post(f"https://{NAME}/", {}, b"{}")

    assert reply.failure is Failure.ADDRESS_REFUSED
    assert sockets == []


async def test_a_name_that_is_rebound_is_refused_at_its_next_connection(receiver: Receiver) -> None:
    """Good when it was looked at first, forbidden at the next look: no look is trusted for longer than the connection it is for."""
    async with sending(["127.0.0.1"], ["10.0.0.1"], development=True) as (post, names):
        url = f"http://localhost:{receiver.port}/hook"
        first = await post(url, {}, b"{}")
        await post.close()  # as ten seconds do, which is how long a name is remembered

        second = await post(url, {}, b"{}")

    assert (first.status, second.failure) == (204, Failure.ADDRESS_REFUSED)
    assert names.looks == 2
    assert len(receiver.received) == 1


async def test_the_socket_itself_is_refused_when_everything_before_it_was_cheated(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, sockets: list[Any]
) -> None:
    """Neither the check of the URL nor the one of the resolver."""
    monkeypatch.setattr("app.webhook_http.read_url", lambda *_, **__: None)
    monkeypatch.setattr(
        "app.webhook_http.CheckingResolver.resolve", lambda self, host, port, **more: self._inner.resolve(host, port, **more)
    )
    async with sending(["127.0.0.1"]) as (post, _):
        by_name = await post(f"http://{NAME}:{receiver.port}/", {}, b"{}")
        by_address = await post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}")

    assert {by_name.failure, by_address.failure} == {Failure.ADDRESS_REFUSED}
    assert (receiver.received, sockets) == ([], [])


async def test_a_name_that_leads_nowhere_is_said_to() -> None:
    def nobody(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    post = WebhookHttp(lambda: NOW, development=False, look_up=nobody)
    reply = await post(f"https://{NAME}/", {}, b"{}")
    await post.close()

    assert reply.failure is Failure.NAME_UNKNOWN


async def test_a_receiver_that_is_not_there_is_said_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with sending(["127.0.0.1"], development=True) as (post, _):
        reply = await post(f"http://127.0.0.1:{port}/", {}, b"{}")

    assert reply.failure is Failure.NOT_CONNECTED


async def test_a_receiver_that_hangs_is_given_up(receiver: Receiver) -> None:
    async with sending(["127.0.0.1"], development=True, total_s=0.2) as (post, _):
        reply = await post(receiver.url("/hang"), {}, b"{}")
    receiver.free.set()

    assert (reply.status, reply.failure) == (None, Failure.TIMED_OUT)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def raw_server(serve: Serve) -> AsyncIterator[str]:
    """A server that does what it likes, and its URL."""

    async def to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(to_the_end, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_what_is_no_http_is_a_failure() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"220 mail.example ESMTP\r\n")

    async with raw_server(serve) as url, sending(["127.0.0.1"], development=True) as (post, _):
        reply = await post(url, {}, b"{}")

    assert (reply.status, reply.failure) == (None, Failure.BROKEN_OFF)


async def test_only_the_beginning_of_an_endless_answer_is_read() -> None:
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * READ_BYTES)
                written += READ_BYTES
                await writer.drain()
        except ConnectionError:
            pass

    async with raw_server(serve) as url, sending(["127.0.0.1"], development=True) as (post, _):
        reply = await post(url, {}, b"{}")

    assert reply.status == 500
    assert reply.answer == "x" * MAX_ANSWER_CHARACTERS
    assert written < 100 * 1024 * 1024


async def test_a_kept_connection_that_was_closed_meanwhile_costs_no_attempt() -> None:
    """The second message goes over a connection that its server ends instead of answering; it is sent again at once."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"{}")
        served += 1
        writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")
        await writer.drain()
        if served == 1:
            await reader.readuntil(b"{}")  # and no answer

    async with raw_server(serve) as url, sending(["127.0.0.1"], development=True) as (post, _):
        replies = [await post(url, {}, b"{}") for _ in range(2)]

    assert [each.status for each in replies] == [204, 204]
    assert served == 2


async def test_an_environments_proxy_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with sending(["127.0.0.1"], development=True) as (post, _):
        reply = await post(receiver.url(), {"webhook-id": "x"}, b"{}")

    assert reply.status == 204


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for a name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(pem))
    server.load_cert_chain(pem)
    return server, client


@pytest.mark.parametrize(("host", "failure"), [(NAME, None), ("other.example", Failure.TLS_FAILED)])
async def test_tls_asks_for_the_hosts_name_though_an_address_is_connected_to(
    tmp_path: Path, host: str, failure: Failure | None
) -> None:
    asked: list[str] = []
    server_side, client_side = certificate(tmp_path, NAME)
    server_side.sni_callback = lambda _socket, name, _context: asked.append(str(name))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read()  # until the client is gone
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        served.set()

    served = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
    async with server, sending(["127.0.0.1"], development=True, tls=client_side) as (post, _):
        port = server.sockets[0].getsockname()[1]
        reply = await post(f"https://{host}:{port}/", {}, b"{}")
        if reply.status is not None:
            await served.wait()

    assert asked == [host]
    assert reply.failure is failure


def test_the_table_has_every_kind_of_address_that_is_not_public() -> None:
    kinds = {name for each in NOT_PUBLIC.values() for name in _kinds(each)}

    assert kinds >= {
        "is_private",
        "is_loopback",
        "is_link_local",
        "is_multicast",
        "is_reserved",
        "is_unspecified",
        "is_site_local",
    }


def _kinds(address: str) -> list[str]:
    parsed = ip_address(address)
    return [name for name in dir(parsed) if name.startswith("is_") and getattr(parsed, name)]


async def test_what_is_cut_off_by_our_own_end_opens_no_connection_again(receiver: Receiver) -> None:
    async with sending(["127.0.0.1"], development=True) as (post, _):
        waiting = asyncio.create_task(post(receiver.url("/hang"), {}, b"{}"))
        await receiver.hung.wait()

        await post.close()
        reply = await waiting

    assert reply.failure is Failure.BROKEN_OFF
    assert len(receiver.received) == 1
