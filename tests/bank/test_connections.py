"""Kept connections: when one is used again, and what must not come in over it. Played over real sockets."""

import asyncio
import gzip
import os
import sys
from pathlib import Path

import httpx
import pytest

from bank.answer import Unclarity, Unclear
from bank.client import BankHttp
from bank.transport import AiohttpTransport, Patience
from tests.bank.servers import ANSWER, BODY, CALL, DONE, HEAD, ask, client_of, facts, no_answer, self_signed, serving

ROOT = Path(__file__).resolve().parents[2]


async def answer_one(connection):
    await connection.request()
    await connection.answer(ANSWER)


async def answer_all(connection):
    while True:
        await connection.request()
        await connection.answer(ANSWER)


# --- kept connections -------------------------------------------------------------------------------------------------


async def test_connections_are_kept_and_used_again():
    async with serving(answer_all) as server, client_of(server.url) as client:
        answers = [await client.send(CALL, f"k{n}") for n in range(5)]

    assert answers == [DONE] * 5
    assert (server.connections, len(server.requests)) == (1, 5)


async def test_a_kept_connection_is_given_up_before_any_server_would():
    async with serving(answer_all) as server, client_of(server.url, Patience(keep_alive_s=0.01)) as client:
        await client.send(CALL, "k1")
        await asyncio.sleep(0.05)
        await client.send(CALL, "k2")

    assert server.connections == 2


async def test_a_connection_that_the_server_closed_while_it_was_idle_is_not_used():
    async with serving(answer_one) as server, client_of(server.url) as client:
        answers = [await client.send(CALL, f"k{n}") for n in range(3)]

    assert answers == [DONE] * 3
    assert len(server.requests) == 3


async def test_what_was_sent_on_a_connection_that_closes_is_never_sent_again_and_may_have_acted():
    """The race that no client can win: the server closes while the request is on its way."""

    async def answer_one_and_read_another(connection):
        await connection.request()
        await connection.answer(ANSWER)
        await connection.request()

    async with serving(answer_one_and_read_another) as server, client_of(server.url) as client:
        first, second = await client.send(CALL, "k1"), await client.send(CALL, "k2")

    assert first == DONE
    assert facts(second) == no_answer("RemoteProtocolError")
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_ones():
    """A proxy's 408 on an idle connection, or an answer said twice. It would become another payment's."""
    unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    idle = asyncio.Event()

    async def speak_unasked(connection):
        await connection.request()
        await connection.answer(ANSWER)
        await idle.wait()
        await connection.answer(unasked)
        await connection.request()

    async with serving(speak_unasked) as server, client_of(server.url) as client:
        first = await client.send(CALL, "k1")
        idle.set()
        await asyncio.sleep(0.02)  # the client's side of the loop reads it
        second = await client.send(CALL, "k2")

    assert (first, second) == (DONE, DONE)
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_not_even_one_that_is_still_in_the_kernel():
    writers = []

    async def answer_all(connection):
        writers.append(connection.writer)
        while True:
            await connection.request()
            await connection.answer(ANSWER)

    async with serving(answer_all) as server:
        transport = AiohttpTransport()
        request = BankHttp(transport, {"/": httpx.URL(server.url)}).request("/", {}, "k")
        await (await transport.handle_async_request(request)).aread()
        writers[0].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")  # and no turn for the loop to read it
        response = await transport.handle_async_request(request)
        body = await response.aread()
        await transport.aclose()

    assert (response.status_code, body) == (200, BODY)
    assert server.connections == 2


async def test_a_server_that_speaks_first_on_a_new_connection_is_heard():
    """An overloaded proxy says 503 to whoever connects. Connecting again and again would not help it."""

    async def say_503(connection):
        await connection.answer(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")
        await connection.reader.read()

    async with serving(say_503) as server:
        answer = await ask(server.url)

    assert answer == Unclear(Unclarity.BANK_ERROR, "status 503", may_have_acted=True, retry_after_s=2.0)
    assert server.connections == 1


async def test_a_bank_with_a_certificate_that_the_system_trusts_is_asked_over_a_kept_connection(tmp_path):
    """TLS 1.3 sends tickets when it likes; they are no reason to give a connection up. The system's store is read at the start."""
    program = (
        "import asyncio, sys\n"
        "from tests.bank.servers import CALL, client_of\n"
        "async def ask():\n"
        "    async with client_of(sys.argv[1]) as client:\n"
        "        print([await client.send(CALL, f'k{n}') for n in range(3)])\n"
        "asyncio.run(ask())\n"
    )
    tls = self_signed(tmp_path)

    async with serving(answer_all, tls) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, server.url),
            env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "certificate.pem")},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()

    assert printed.decode().strip() == repr([DONE] * 3)
    assert server.connections == 1


# --- nothing that we did not ask for ----------------------------------------------------------------------------------


async def test_answers_on_the_way_are_passed_over():
    async def play(connection):
        await connection.request()
        await connection.answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ANSWER)

    async with serving(play) as server:
        assert await ask(server.url) == DONE


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (BODY, DONE),
        (BODY[:10], Unclear(Unclarity.UNINTELLIGIBLE, "status 200 without a JSON object", may_have_acted=True)),
        (b"", Unclear(Unclarity.UNINTELLIGIBLE, "status 200 without a JSON object", may_have_acted=True)),
    ],
)
async def test_an_answer_without_a_length_ends_with_its_connection_and_counts_if_it_is_whole(said, expected):
    async def play(connection):
        await connection.request()
        await connection.answer(b"HTTP/1.1 200 OK\r\n\r\n", said)

    async with serving(play) as server:
        assert await ask(server.url) == expected


async def test_a_change_of_protocol_is_no_answer_and_may_have_acted():
    async def play(connection):
        await connection.request()
        await connection.answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")

    async with serving(play) as server:
        answer = await ask(server.url)

    assert answer == Unclear(Unclarity.UNINTELLIGIBLE, "status 101", may_have_acted=True)


async def test_redirects_are_not_followed():
    async with serving(answer_one) as elsewhere:

        async def redirect(connection):
            await connection.request()
            await connection.answer(f"HTTP/1.1 307 Go\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n".encode())

        async with serving(redirect) as server:
            answer = await ask(server.url)

    assert answer == Unclear(Unclarity.UNINTELLIGIBLE, "status 307", may_have_acted=True)
    assert elsewhere.requests == []


async def test_cookies_are_not_kept():
    async def set_cookies(connection):
        while True:
            await connection.request()
            await connection.answer(HEAD.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n"), BODY)

    async with serving(set_cookies) as server, client_of(server.url.replace("127.0.0.1", "localhost")) as client:
        await client.send(CALL, "k1")
        await client.send(CALL, "k2")

    assert b"cookie:" not in server.requests[1].lower()


async def test_nothing_is_inflated():
    """We say that we want it as it is. Some bytes on the wire must not become gigabytes here."""
    squeezed = gzip.compress(BODY)

    async def squeeze(connection):
        await connection.request()
        await connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(squeezed), squeezed
        )

    async with serving(squeeze) as server:
        answer = await ask(server.url)

    assert answer == Unclear(Unclarity.UNINTELLIGIBLE, "status 200 without a JSON object", may_have_acted=True)
    assert b"accept-encoding: identity" in server.requests[0].lower()


async def test_the_environments_proxy_never_sees_a_card(monkeypatch):
    async with serving(answer_one) as proxy, serving(answer_one) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        answer = await ask(server.url)

    assert answer == DONE
    assert proxy.requests == []


async def test_each_header_is_sent_once():
    async with serving(answer_one) as server:
        await ask(server.url)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().lower().split("\r\n")
    names = sorted(header.partition(":")[0] for header in headers)
    assert line == "post /api/v1/voids http/1.1"
    assert names == ["accept", "accept-encoding", "content-length", "content-type", "host", "idempotency-key", "user-agent"]
    assert body == b'{"authorization_id":"auth_1"}'
