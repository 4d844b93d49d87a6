"""The client asks once and never raises for what the network or the bank does."""

import asyncio
import json
import logging

import httpx
import pytest

from bank.answer import Done, Refused, Unclarity, Unclear
from bank.client import (
    MAX_ANSWER_BYTES,
    AuthorizeCall,
    BankClient,
    CaptureCall,
    RefundCall,
    VoidCall,
    bank_http,
)
from bank.transport import CONNECT_TIMEOUT_S, POOL_WAIT_S, READ_TIMEOUT_S, TOTAL_TIMEOUT_S
from domain.card import CardDetails
from gateway.attempts import LEASE_S
from gateway.driving import CALL_S
from tests.bank.servers import ANSWER, BODY, CALL, DONE, HEAD, client_of, serving

CARD = CardDetails("4111111111111111", "123", 12, 2030)


@pytest.fixture
async def client(bank):
    """A client of the mock bank, without sockets."""
    made = BankClient(bank_http("http://bank", httpx.ASGITransport(app=bank.app)))
    yield made
    await made.close()


def client_with(handler):
    return BankClient(bank_http("http://bank", httpx.MockTransport(handler)))


async def test_the_four_calls_do_what_they_say_at_a_bank_that_keeps_the_contract(client):
    hold = await client.send(AuthorizeCall(CARD, 500), "k1")
    other = await client.send(AuthorizeCall(CARD, 500), "k2")
    capture = await client.send(CaptureCall(hold.reference, 500), "k3")
    void = await client.send(VoidCall(other.reference), "k4")
    refund = await client.send(RefundCall(capture.reference, 500), "k5")

    assert [each.reference.partition("_")[0] for each in (hold, other, capture, void, refund)] == [
        "auth",
        "auth",
        "cap",
        "void",
        "ref",
    ]


async def test_the_same_key_gets_the_same_answer_marked_as_a_replay(client):
    first = await client.send(AuthorizeCall(CARD, 500), "same")
    second = await client.send(AuthorizeCall(CARD, 500), "same")

    assert second == Done(first.reference, replayed=True)


async def test_a_decline_is_a_refusal_with_the_banks_code(client):
    answer = await client.send(AuthorizeCall(CARD, 10_000_01), "broke")

    assert isinstance(answer, Refused)
    assert answer.code == "insufficient_funds"


@pytest.mark.parametrize(
    ("error", "why", "may_have_acted"),
    [
        (httpx.ConnectError("refused"), Unclarity.NOT_SENT, False),
        (httpx.ConnectTimeout("slow"), Unclarity.NOT_SENT, False),
        (httpx.PoolTimeout("full"), Unclarity.NOT_SENT, False),
        (httpx.ReadTimeout("silent"), Unclarity.NO_ANSWER, True),
        (httpx.ReadError("reset"), Unclarity.NO_ANSWER, True),
        (httpx.WriteError("broken"), Unclarity.NO_ANSWER, True),
        (httpx.RemoteProtocolError("half an answer"), Unclarity.NO_ANSWER, True),
        (httpx.DecodingError("garbled"), Unclarity.NO_ANSWER, True),
        (ConnectionResetError(), Unclarity.NO_ANSWER, True),
        (TimeoutError(), Unclarity.NO_ANSWER, True),
    ],
)
async def test_what_the_network_does_is_unclear_and_only_an_unsent_request_is_harmless(error, why, may_have_acted):
    def fail(request):
        raise error

    answer = await client_with(fail).send(VoidCall("auth_1"), "k")

    assert answer == Unclear(why, type(error).__name__, may_have_acted)


async def test_an_endless_answer_is_cut_off():
    answer = await client_with(lambda _: httpx.Response(200, content=b"x" * (MAX_ANSWER_BYTES + 1))).send(VoidCall("a"), "k")

    assert answer.why is Unclarity.UNINTELLIGIBLE
    assert answer.may_have_acted


async def test_the_request_is_what_the_contract_wants():
    seen = []

    def look(request):
        seen.append(request)
        return httpx.Response(500)

    await client_with(look).send(AuthorizeCall(CARD, 1999), "att_1")

    (request,) = seen
    assert (request.method, request.url.path) == ("POST", "/api/v1/authorizations")
    assert request.headers["idempotency-key"] == "att_1"
    assert json.loads(request.content) == {
        "card_number": "4111111111111111",
        "cvv": "123",
        "amount": 1999,
        "expiry_month": 12,
        "expiry_year": 2030,
    }


async def test_neither_a_call_nor_a_failure_shows_the_card(caplog):
    caplog.set_level(logging.DEBUG)

    def fail(request):
        raise httpx.ReadError("reset", request=request)

    call = AuthorizeCall(CARD, 1999)
    answer = await client_with(fail).send(call, "k")

    assert "4111" not in f"{call!r} {answer!r} {caplog.text}"


def test_a_lease_outlasts_a_call_and_a_call_outlasts_the_banks_slowest_answer():
    assert 2 < READ_TIMEOUT_S < TOTAL_TIMEOUT_S < CALL_S < LEASE_S
    assert POOL_WAIT_S + CONNECT_TIMEOUT_S < TOTAL_TIMEOUT_S  # so that the total never ends a call that was not sent
    assert READ_TIMEOUT_S < 15  # the bank drops answers after that (contract §7.6)


async def test_a_caller_that_is_cancelled_leaves_and_the_bank_says_its_answer_to_the_end():
    """Hanging up is what makes the bank lose keys (contract §7.1)."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer_late(connection):
        await connection.request()
        asked.set()
        await go_on.wait()
        await connection.answer(HEAD)
        await connection.answer(BODY)
        await connection.request()
        await connection.answer(ANSWER)

    async with serving(answer_late) as server, client_of(server.url) as client:
        caller = asyncio.create_task(client.send(CALL, "k1"))
        await asked.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        go_on.set()
        while client.under_way:  # noqa: ASYNC110 - nobody waits for that call any more
            await asyncio.sleep(0)
        again = await client.send(CALL, "k2")

    assert again == DONE
    assert (server.connections, len(server.requests)) == (1, 2), (
        "the first answer was read to its end, so the connection was kept"
    )


async def test_closing_waits_for_the_calls_whose_callers_have_left():
    asked = asyncio.Event()
    hung_up = []

    async def answer_late(connection):
        await connection.request()
        asked.set()
        for part in (HEAD, BODY):
            await asyncio.sleep(0.02)
            hung_up.append(connection.reader.at_eof())
            await connection.answer(part)

    async with serving(answer_late) as server:
        client = BankClient(bank_http(server.url))
        caller = asyncio.create_task(client.send(CALL, "k"))
        await asked.wait()
        caller.cancel()
        await client.close()
        under_way = client.under_way
        await server.idle()

    assert under_way == 0
    assert hung_up == [False, False]
    with pytest.raises(asyncio.CancelledError):
        await caller
