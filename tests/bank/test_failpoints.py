"""Where a crash test kills us, over real sockets: what the bank has got by then, and what we have read."""

import asyncio
import sys

import pytest

from domain.failpoint import Failpoint
from tests.bank.servers import ANSWER, CALL, DONE, HEAD, client_of, serving

LOOPS = {"asyncio": "asyncio.run", "uvloop": "uvloop.run"}
DIES = """
import asyncio, os, sys
import uvloop
from bank.client import BankClient, VoidCall, bank_http

async def die(failpoint):
    if failpoint == sys.argv[2]:
        os._exit(9)

async def ask():
    await BankClient(bank_http(sys.argv[1], reach=die)).send(VoidCall("auth_1"), "k")

{run}(ask())
"""


async def play_until_it_dies(url: str, loop: str, failpoint: Failpoint) -> int:
    command = [sys.executable, "-c", DIES.format(run=LOOPS[loop]), url, failpoint.value]
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()


@pytest.mark.parametrize("loop", LOOPS)
async def test_the_bank_has_the_whole_request_of_a_process_that_dies_when_it_is_sent(loop):
    async with serving(lambda connection: connection.request()) as server:
        code = await play_until_it_dies(server.url, loop, Failpoint.BANK_REQUEST_SENT)
        await server.idle()

    assert code == 9
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [b'{"authorization_id":"auth_1"}']


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_process_dies_between_the_head_and_the_body_of_an_answer(loop):
    seen = []

    async def answer_the_head(connection):
        await connection.request()
        await connection.answer(HEAD)
        seen.append(await connection.reader.read())  # until it is dead: the body was never said

    async with serving(answer_the_head) as server:
        code = await play_until_it_dies(server.url, loop, Failpoint.BANK_ANSWER_BEGUN)
        await server.idle()

    assert code == 9
    assert seen == [b""]


async def test_the_failpoints_are_passed_in_order_and_once_a_call():
    passed = []

    async def reach(failpoint):
        passed.append(failpoint)

    async def answer_all(connection):
        while True:
            await connection.request()
            await connection.answer(ANSWER)

    async with serving(answer_all) as server, client_of(server.url, reach=reach) as client:
        answers = [await client.send(CALL, f"k{n}") for n in range(2)]

    assert answers == [DONE, DONE]
    assert passed == [Failpoint.BANK_REQUEST_SENT, Failpoint.BANK_ANSWER_BEGUN] * 2
