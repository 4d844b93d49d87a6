"""Scripted faults as they look from outside. They are ours, not the contract's, and replays get them too: a
network or a proxy doesn't know what a replay is."""

from random import Random
from typing import Final

import orjson

from bank.mock.answers import Answer, plain_answer, refusal_answer
from bank.mock.chaos import Fault, FaultKind
from bank.mock.errors import RANDOM_FAILURE, Refusal
from bank.mock.validation import dashed
from bank.mock.wire import Exchange

_ERROR: Final = refusal_answer(RANDOM_FAILURE)
# Not the text of the injected failure: by that one the contract promises that nothing was done (§1).
_ERROR_AFTER: Final = refusal_answer(Refusal(500, "internal_error", "an internal error occurred"))
_UNAUTHORIZED: Final = plain_answer(401, "unauthorized")


async def play_before_effect(fault: Fault, exchange: Exchange) -> bool:
    """True when the fault was the whole answer: nothing was looked up, done or stored."""
    match fault.kind:
        case FaultKind.ERROR_BEFORE_EFFECT:
            await exchange.send(_ERROR)
        case FaultKind.HANG_BEFORE_EFFECT:
            await exchange.hang(fault.bound_s)
            await exchange.drop()
        case FaultKind.RESET_BEFORE_EFFECT:
            await exchange.drop(reset=True)
        case FaultKind.TOO_MANY_REQUESTS:
            retry_after = (b"retry-after", b"%d" % fault.retry_after_s)
            await exchange.send(plain_answer(429, "too many requests", retry_after))
        case FaultKind.UNAUTHORIZED:
            await exchange.send(_UNAUTHORIZED)
        case _:
            return False
    return True


async def play_after_effect(fault: Fault, exchange: Exchange, answer: Answer, random: Random) -> None:
    """Send `answer` as the fault has it. An answer that isn't 200 has no id or amount to falsify."""
    match fault.kind:
        case FaultKind.ERROR_AFTER_EFFECT:
            await exchange.send(_ERROR_AFTER)
        case FaultKind.HANG_AFTER_EFFECT:
            await exchange.hang(fault.bound_s)
            await exchange.drop()
        case FaultKind.RESET_MID_BODY:
            await exchange.reset_mid_body(answer)
        case FaultKind.TRUNCATED_JSON:
            await exchange.send(answer._replace(body=answer.body[: len(answer.body) // 2]))
        case FaultKind.OTHER_ID if answer.status == 200:
            await exchange.send(_with_other_id(answer, random))
        case FaultKind.OTHER_AMOUNT if answer.status == 200:
            await exchange.send(_with_other_amount(answer))
        case FaultKind.SLOW_DRIP:
            await exchange.drip(answer, fault.drip_ms / 1000)
        case _:
            await exchange.send(answer)


def _with_other_id(answer: Answer, random: Random) -> Answer:
    prefix, _, _ = answer.reference.partition("_")
    other = f"{prefix}_{dashed(f'{random.getrandbits(128):032x}')}"
    return answer._replace(body=answer.body.replace(answer.reference.encode(), other.encode()))


def _with_other_amount(answer: Answer) -> Answer:
    content = orjson.loads(answer.body)
    if "amount" in content:  # a void's answer has none (§2)
        content["amount"] += 1
    return answer._replace(body=orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))
