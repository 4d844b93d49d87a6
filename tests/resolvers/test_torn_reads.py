"""An operation that ends while somebody looks: what is shown was true at one moment."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.recovery import Recovery
from tests.app.serving import Api, BankLine

SHIP = (
    "query ($id: String!) { orderPayment(orderId: $id) { readyToShip reason state payment { state pendingOperation { verb } } } }"
)
ONE = "query ($id: ID!) { payment(id: $id) { state pendingOperation { verb } } }"
NODE = "query ($id: ID!) { node(id: $id) { ... on Payment { state pendingOperation { verb } } } }"
LIST = "{ payments { nodes { state pendingOperation { verb } } } }"


@pytest.fixture
async def voiding(api: Api, bank_line: BankLine) -> Any:
    """A payment whose void is under way, because the bank is away."""
    payment = await api.payment()
    bank_line.is_cut = True
    answer = await api.operate("void", payment["id"])
    assert answer["payment"]["pendingOperation"]["verb"] == "VOID"
    bank_line.is_cut = False
    return payment


@pytest.fixture
def ends_after_the_first(worker: Recovery, here: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], int]]:
    """Lets the void end right after the first of these reads has been done; answers how often that was."""

    def arrange(module: str, *readers: str) -> Callable[[], int]:
        ended = 0

        async def end() -> None:
            nonlocal ended
            if not ended:
                ended += 1
                here.pass_by(60)
                await worker.run_once()

        for name in readers:
            original: Callable[..., Awaitable[Any]] = getattr(__import__(module, fromlist=[name]), name)

            async def read(*arguments: Any, _original: Callable[..., Awaitable[Any]] = original, **options: Any) -> Any:
                found = await _original(*arguments, **options)
                await end()
                return found

            monkeypatch.setattr(f"{module}.{name}", read)
        return lambda: ended

    return arrange


async def test_an_order_whose_void_ends_while_one_asks_is_not_ready_to_ship(
    api: Api, voiding: Any, ends_after_the_first: Callable[..., Callable[[], int]]
) -> None:
    """Before, the void was under way; afterwards, the hold is gone. At no moment may the goods leave."""
    ended = ends_after_the_first("resolvers.payments", "get_standings_of_orders")

    answer = (await api.ask(SHIP, id=voiding["orderId"]))["orderPayment"]

    assert ended() == 1
    assert answer["readyToShip"] is False
    assert answer["reason"] in ("OPERATION_PENDING", "VOIDED")


@pytest.mark.parametrize(("document", "name"), [(ONE, "payment"), (NODE, "node")], ids=["payment", "node"])
async def test_a_payment_whose_void_ends_while_one_looks_is_not_shown_at_rest(
    api: Api, voiding: Any, ends_after_the_first: Callable[..., Callable[[], int]], document: str, name: str
) -> None:
    """A client that waits for the end of the operation would take AUTHORIZED for its outcome."""
    ended = ends_after_the_first("persistence.loaders", "get_standings")

    payment = (await api.ask(document, id=voiding["id"]))[name]

    assert ended() == 1
    assert payment != {"state": "AUTHORIZED", "pendingOperation": None}


async def test_a_payment_in_a_list_whose_void_ends_while_one_looks_is_not_shown_at_rest(
    api: Api, voiding: Any, ends_after_the_first: Callable[..., Callable[[], int]]
) -> None:
    ended = ends_after_the_first("resolvers.payments", "page_of_payments")

    (payment,) = (await api.ask(LIST))["payments"]["nodes"]

    assert ended() == 1
    assert payment != {"state": "AUTHORIZED", "pendingOperation": None}
