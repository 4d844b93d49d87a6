"""What a network can do to one call, played over real sockets: was the request sent or not, and may the bank have acted."""

import asyncio
import inspect
import socket
import threading

import aiohttp
import httpx
import pytest

from bank.resolver import Resolver
from bank.transport import MEANINGS, NEVER_SENT, Patience, SpokeUnasked, meaning_of
from domain.failpoint import Failpoint
from tests.bank.servers import (
    ANSWER,
    BODY,
    CALL,
    DONE,
    HEAD,
    ask,
    client_of,
    facts,
    no_answer,
    not_sent,
    refusing,
    self_signed,
    serving,
    swallowing,
)

SOON = Patience(pool_s=0.1, connect_s=0.1, read_s=0.1, total_s=0.2)


# --- never sent -------------------------------------------------------------------------------------------------------


async def test_a_refused_connection_was_never_sent():
    with refusing() as url:
        answer = await ask(url)

    assert facts(answer) == not_sent("ConnectError")


async def test_a_connection_that_is_neither_taken_nor_refused_was_never_sent():
    with swallowing() as url:
        answer = await ask(url, SOON)

    assert facts(answer) == not_sent("ConnectTimeout")


async def test_a_bank_without_the_tls_that_we_expect_was_never_sent_anything():
    async with serving(lambda connection: connection.answer(b"220 mail.example.com\r\n")) as server:
        answer = await ask(server.url.replace("http:", "https:"))

    assert facts(answer) == not_sent("ConnectError")


async def test_a_certificate_that_nobody_vouches_for_gets_no_request(tmp_path):
    async with serving(lambda connection: connection.request(), self_signed(tmp_path)) as server:
        answer = await ask(server.url)

    assert facts(answer) == not_sent("ConnectError")
    assert server.requests == []


async def test_a_handshake_that_never_ends_was_never_sent():
    async with serving(lambda connection: connection.reader.read()) as server:
        answer = await ask(server.url.replace("http:", "https:"), SOON)

    assert facts(answer) == not_sent("ConnectTimeout")


async def test_a_name_that_nobody_knows_was_never_sent(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr("bank.transport.Resolver", lambda: Resolver(unknown))

    answer = await ask("http://bank.example:8787")

    assert facts(answer) == not_sent("ConnectError")


async def test_a_resolver_that_hangs_holds_up_neither_the_call_nor_others_nor_the_end(monkeypatch):
    """It has a thread of its own, and one only, however many calls wait for the name."""
    awake, asked = threading.Event(), []

    def hang(*_, **__):
        asked.append(threading.current_thread())
        awake.wait()
        return []

    monkeypatch.setattr("bank.transport.Resolver", lambda: Resolver(hang))

    async with client_of("http://bank.example:8787", SOON) as client:
        answers = await asyncio.gather(*(client.send(CALL, f"k{n}") for n in range(3)))
        elsewhere = await asyncio.to_thread(lambda: "not held up")

    assert {facts(answer) for answer in answers} == {not_sent("ConnectTimeout")}
    assert elsewhere == "not held up"
    assert [thread.daemon for thread in asked] == [True]
    awake.set()
    asked[0].join()


async def test_a_call_that_finds_no_free_connection_was_never_sent():
    asked = asyncio.Event()

    async def never(connection):
        await connection.request()
        asked.set()
        await connection.reader.read()

    async with serving(never) as server, client_of(server.url, Patience(pool_s=0.05, read_s=0.3), max_connections=1) as client:
        first = asyncio.create_task(client.send(CALL, "first"))
        await asked.wait()
        second = await client.send(CALL, "second")

        assert facts(second) == not_sent("PoolTimeout")
        assert facts(await first) == no_answer("ReadTimeout")
        assert len(server.requests) == 1


# --- sent, and no answer ----------------------------------------------------------------------------------------------


async def closes_at_once(connection):
    pass


async def closes_after_reading(connection):
    await connection.request()


async def resets_after_reading(connection):
    await connection.request()
    connection.reset()


async def breaks_off(connection):
    await connection.request()
    await connection.answer(HEAD, BODY[:10])


async def breaks_off_in_the_head(connection):
    await connection.request()
    await connection.answer(HEAD[:20])


async def breaks_off_between_chunks(connection):
    await connection.request()
    await connection.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


async def says_garbage(connection):
    await connection.request()
    await connection.answer(b"-ERR unknown command 'POST', 4111111111111111\r\n")


async def has_a_huge_header(connection):
    await connection.request()
    await connection.answer(b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 100_000 + b"\r\n\r\n")


async def has_a_thousand_headers(connection):
    await connection.request()
    await connection.answer(b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 1000 + b"\r\n")


async def counts_its_bytes_wrong(connection):
    await connection.request()
    await connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + BODY)


async def is_silent(connection):
    await connection.request()
    await connection.reader.read()


async def is_silent_after_the_head(connection):
    await connection.request()
    await connection.answer(HEAD)
    await connection.reader.read()


async def drips(connection):
    """A byte now and then, each in time, and together longer than anybody waits."""
    await connection.request()
    await connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100_000):
        await connection.answer(b" ")
        await asyncio.sleep(0.01)


async def goes_on_processing(connection):
    await connection.request()
    for _ in range(100_000):
        await connection.answer(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("play", "errors"),
    [
        (closes_at_once, {"RemoteProtocolError", "ReadError", "WriteError"}),  # whichever the kernel tells first
        (closes_after_reading, {"RemoteProtocolError"}),
        (resets_after_reading, {"ReadError"}),
        (breaks_off, {"RemoteProtocolError"}),
        (breaks_off_in_the_head, {"RemoteProtocolError"}),
        (breaks_off_between_chunks, {"RemoteProtocolError"}),
        (says_garbage, {"RemoteProtocolError"}),
        (has_a_huge_header, {"RemoteProtocolError"}),
        (has_a_thousand_headers, {"RemoteProtocolError"}),
        (counts_its_bytes_wrong, {"RemoteProtocolError"}),
    ],
)
async def test_a_connection_that_ends_without_a_whole_answer_may_have_acted(play, errors):
    async with serving(play) as server:
        answer = await ask(server.url)

    assert facts(answer) in {no_answer(error) for error in errors}
    assert "4111" not in answer.detail


@pytest.mark.parametrize("play", [is_silent, is_silent_after_the_head])
async def test_a_bank_that_falls_silent_may_have_acted(play):
    async with serving(play) as server:
        answer = await ask(server.url, Patience(read_s=0.1))

    assert facts(answer) == no_answer("ReadTimeout")


@pytest.mark.parametrize("play", [drips, goes_on_processing])
async def test_a_bank_that_never_ends_is_left_after_the_total_and_may_have_acted(play):
    async with serving(play) as server:
        answer = await ask(server.url, Patience(total_s=0.2))

    assert facts(answer) == no_answer("ReadTimeout")


async def test_a_reset_in_mid_body_may_have_acted():
    headed = asyncio.Event()

    async def reset_in_mid_body(connection):
        await connection.request()
        await connection.answer(HEAD, BODY[:10])
        await headed.wait()
        connection.reset()

    async def reach(failpoint):
        if failpoint is Failpoint.BANK_ANSWER_BEGUN:
            headed.set()

    async with serving(reset_in_mid_body) as server, client_of(server.url, reach=reach) as client:
        answer = await client.send(CALL, "k")

    assert facts(answer) == no_answer("RemoteProtocolError")


async def test_the_wait_for_a_connection_counts_towards_the_total():
    """Without the wait, the second answer would come in time."""

    async def answer_after(connection):
        for wait_s in (0.5, 0.8):
            await connection.request()
            await asyncio.sleep(wait_s)
            await connection.answer(ANSWER)

    async with serving(answer_after) as server, client_of(server.url, Patience(total_s=1.0), max_connections=1) as client:
        first, second = await asyncio.gather(client.send(CALL, "first"), client.send(CALL, "second"))

    assert first == DONE
    assert facts(second) == no_answer("ReadTimeout")


# --- the table --------------------------------------------------------------------------------------------------------

SENT = {
    "ClientConnectionError": httpx.ReadError,
    "ClientConnectionResetError": httpx.WriteError,
    "ClientError": httpx.ReadError,
    "ClientHttpProxyError": httpx.RemoteProtocolError,
    "ClientOSError": httpx.ReadError,
    "ClientPayloadError": httpx.RemoteProtocolError,
    "ClientResponseError": httpx.RemoteProtocolError,
    "ContentTypeError": httpx.RemoteProtocolError,
    "InvalidURL": httpx.ReadError,
    "InvalidUrlRedirectClientError": httpx.RemoteProtocolError,
    "NonHttpUrlRedirectClientError": httpx.RemoteProtocolError,
    "RedirectClientError": httpx.ReadError,
    "ServerConnectionError": httpx.ReadError,
    "ServerDisconnectedError": httpx.RemoteProtocolError,
    "ServerFingerprintMismatch": httpx.ReadError,
    "ServerTimeoutError": httpx.ReadTimeout,
    "SocketTimeoutError": httpx.ReadTimeout,
    "TooManyRedirects": httpx.RemoteProtocolError,
    "UploadAbortedError": httpx.ReadError,
    "WSMessageTypeError": httpx.ReadError,
    "WSServerHandshakeError": httpx.RemoteProtocolError,
}
UNSENT = {
    "ClientConnectorCertificateError": httpx.ConnectError,
    "ClientConnectorDNSError": httpx.ConnectError,
    "ClientConnectorError": httpx.ConnectError,
    "ClientConnectorSSLError": httpx.ConnectError,
    "ClientProxyConnectionError": httpx.ConnectError,
    "ClientSSLError": httpx.ConnectError,
    "ConnectionTimeoutError": httpx.ConnectTimeout,
    "InvalidUrlClientError": httpx.ConnectError,
    "NonHttpUrlClientError": httpx.ConnectError,
    "UnixClientConnectorError": httpx.ConnectError,
}


def test_every_exception_of_aiohttps_has_a_meaning_that_somebody_thought_about():
    found = dict(inspect.getmembers(aiohttp.client_exceptions, inspect.isclass))
    exceptions = {
        name: each
        for name, each in found.items()
        if issubclass(each, Exception) and each.__module__ == "aiohttp.client_exceptions"
    }

    assert {name: meaning_of(each) for name, each in exceptions.items()} == SENT | UNSENT
    assert {name for name, each in exceptions.items() if meaning_of(each) in NEVER_SENT} == set(UNSENT)


def test_every_entry_of_the_table_is_an_exception_of_aiohttps_or_the_last_resort():
    ours = {TimeoutError: httpx.ReadTimeout, Exception: httpx.ReadError, SpokeUnasked: httpx.ConnectError}

    assert {each for each in MEANINGS if not each.__module__.startswith("aiohttp")} == set(ours)
    assert all(MEANINGS[each] is meaning for each, meaning in ours.items())


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError, AssertionError, KeyError, ConnectionResetError])
def test_what_nobody_thought_of_counts_as_sent(error):
    assert meaning_of(error) is httpx.ReadError
