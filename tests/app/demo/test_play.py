"""The whole play on an API in memory: it passes when everything is right, and says what is not when something is wrong."""

import io
import re
from typing import Any

import httpx
import pytest

from app.demo import cards
from app.demo.play import Outside, Settings, play
from app.demo.report import PlainReport
from app.demo.shop import Done, Shop
from app.demo.terminal_report import TerminalReport
from bank.client import AuthorizeCall
from domain.card import CardDetails
from domain.payment import PaymentState, Verb
from tests.app.demo.conftest import Time
from tests.app.demo.fake_api import KEY, URL, FakeApi

ORDERS = 12


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = {
        "graphql_url": URL,
        "api_key": KEY,
        "bank_url": "http://bank",
        "bank_control_url": "http://control",
        "orders": ORDERS,
    }
    return Settings(**{**given, **changes})


async def played(outside: Outside, **changes: Any) -> tuple[int, str]:
    """The exit code and what was printed."""
    stream = io.StringIO()
    code = await play(settings(**changes), PlainReport(stream), outside)
    return code, stream.getvalue()


async def test_every_expectation_holds_against_an_api_that_does_it_right(outside: Outside) -> None:
    code, text = await played(outside)

    assert "FAILED" not in text
    assert code == 0
    assert f"{ORDERS} of {ORDERS} orders agree with the bank's ledger" in text
    assert "11 passed, 0 failed, 0 skipped" in text


async def test_it_can_be_played_again_on_the_same_data(outside: Outside) -> None:
    first, second = await played(outside), await played(outside)

    assert (first[0], second[0]) == (0, 0), second[1]


async def test_a_foreign_bank_is_asked_reference_by_reference(outside: Outside) -> None:
    code, text = await played(outside, bank_control_url=None)

    assert code == 0, text
    assert f"{ORDERS} of {ORDERS} orders agree" in text
    assert "10 passed, 0 failed, 1 skipped" in text
    assert "no hold can be made to run out" in text


async def test_a_foreign_bank_that_has_another_amount_is_found_out(api: FakeApi, outside: Outside) -> None:
    api.hold = lambda card, amount_minor: AuthorizeCall(card, amount_minor + 1)  # type: ignore[method-assign]
    api._operate = never  # type: ignore[method-assign,assignment]

    code, text = await played(outside, bank_control_url=None)

    assert code == 1
    assert "0 of 12 orders agree" in text


async def never(*_: object) -> dict[str, Any]:
    raise AssertionError("not in this test")


async def test_plain_text_has_neither_control_characters_nor_whole_card_numbers(outside: Outside) -> None:
    _, text = await played(outside)

    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert not any(card.number in text for card in (cards.GOOD, cards.POOR, cards.EMPTY, cards.EXPIRED_AT_THE_BANK))
    assert KEY not in text


async def test_a_hold_that_is_made_twice_is_found_in_the_books(api: FakeApi, outside: Outside) -> None:
    class Twice:
        """Holds the money of one order of $1.53 twice."""

        def __init__(self) -> None:
            self.left = 1

        def __call__(self, card: CardDetails, amount_minor: int) -> AuthorizeCall:
            if amount_minor == 153 and self.left:
                self.left -= 1
                api.accidents.append(second_hold)
            return AuthorizeCall(card, amount_minor)

    async def hold_again() -> None:
        await api.bank.send(AuthorizeCall(cards.GOOD, 153), "att_of_nobody")

    holds: list[Any] = []

    def second_hold(_: httpx.Request) -> httpx.Response | None:
        holds.append(hold_again)
        return None

    api.hold = Twice()  # type: ignore[method-assign]
    real_page = api.page

    async def page(info: Any, **arguments: Any) -> dict[str, Any]:
        while holds:
            await holds.pop()()
        return await real_page(info, **arguments)

    api.page = page  # type: ignore[method-assign]
    code, text = await played(outside)

    assert code == 1
    assert "a hold that no receipt knows" in text
    assert "10 passed, 1 failed" in text


async def test_a_replay_that_is_not_marked_is_found(api: FakeApi, outside: Outside) -> None:
    api.replay = lambda answer: answer  # type: ignore[method-assign]

    code, text = await played(outside)

    assert code == 1
    assert "FAILED: a success, asked again: replayed\n        expected: True\n        got:      False" in text


async def test_an_answer_with_a_card_number_fails_the_play(api: FakeApi, outside: Outside) -> None:
    real = api.show
    api.show = lambda payment: {**real(payment), "customerId": "4111111111111111"}  # type: ignore[method-assign]

    code, text = await played(outside)

    assert code == 1
    assert re.search(r"answered, [1-9]\d* of them with a card number in the answer", text)


async def test_a_scene_that_breaks_off_leaves_the_others_playing(api: FakeApi, outside: Outside) -> None:
    api.ship_check = lambda info, orderId: None  # type: ignore[method-assign,assignment,return-value]  # noqa: ARG005, N803

    code, text = await played(outside)

    assert code == 1
    assert re.search(r"2\. .*\[FAILED", text)
    assert re.search(r"7\. .*\[ok", text)
    assert f"{ORDERS} of {ORDERS} orders agree" in text


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (httpx.Response(401, json={"errors": [{"message": "No key.", "extensions": {"code": "UNAUTHENTICATED"}}]}), "No key."),
        (None, "did not answer within 20 s"),
    ],
)
async def test_a_play_that_cant_begin_says_why(
    answer: httpx.Response | None, sentence: str, api: FakeApi, outside: Outside
) -> None:
    def accident(request: httpx.Request) -> httpx.Response:
        if answer is None:
            raise httpx.ConnectError("refused", request=request)
        return answer

    api.accidents = [accident] * 1_000

    code, text = await played(outside)

    assert code == 1
    assert sentence in text


async def test_an_empty_card_is_said_plainly(api: FakeApi, outside: Outside) -> None:
    await api.bank.send(AuthorizeCall(cards.GOOD, 998_000), "somebody else")

    code, text = await played(outside)

    assert code == 1
    assert "The demo's card has only $20.00 left" in text
    assert "has run out of money at the bank" in text


async def test_a_pending_answer_is_watched_until_it_is_final(api: FakeApi, shop: Shop, clock: Time) -> None:
    api.slow = True

    answer = await shop.authorize(shop.order(100), cards.GOOD)

    assert isinstance(answer, Done)
    assert answer.receipt.state is PaymentState.AUTHORIZED


async def test_an_api_that_dies_in_the_middle_costs_nothing_but_time(api: FakeApi, outside: Outside, clock: Time) -> None:
    def dead(request: httpx.Request) -> httpx.Response | None:
        raise httpx.ConnectError("refused", request=request)

    def dies_in_the_rush(_: httpx.Request) -> httpx.Response | None:
        in_the_rush = len(api.payments) >= 33  # the scenes before it make 28
        api.accidents[:] = [dead] * 20 if in_the_rush else [dies_in_the_rush]
        return None

    api.accidents = [dies_in_the_rush]

    code, text = await played(outside)

    assert code == 0, text
    assert "20 requests, because the API was away" in text
    assert clock.slept


async def test_the_terminal_gets_tables_and_says_the_same(outside: Outside) -> None:
    from rich.console import Console  # noqa: PLC0415

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=140, color_system="truecolor", highlight=False)

    code = await play(settings(), TerminalReport(console), outside)

    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert f"{ORDERS} of {ORDERS} orders agree with the bank's ledger" in plain
    assert "Every expectation held" in plain
    assert "╭" in plain


async def test_an_operation_on_an_expired_hold_is_refused_with_its_state(api: FakeApi, shop: Shop) -> None:
    answer = await shop.operate(Verb.CAPTURE, "pay_00000000000000000000000000")

    assert not isinstance(answer, Done)
    assert (answer.kind, answer.path) == ("NotFoundError", ("input", "paymentId"))
