"""Cards that the bank issues: made once, counted, paid with; and their numbers, shown once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from bank.mock import Bank
from domain.scope import USUAL_SCOPES, Scope
from gateway.issuing import ASK_AGAIN_AFTER, IssuingRound
from gateway.parts import Parts
from persistence.database import Database
from tests.app.serving import Api, BankLine
from tests.conftest import Here
from tests.persistence.everything import everything_on_record
from tests.resolvers.cards import add, do, number
from tests.resolvers.issuing import REVEAL, issue, issued, reveal
from tests.resolvers.users import change, make

LOG = "query ($subject: ID) { auditLog(filter: { subject: $subject }) { nodes { action note idempotencyKey } } }"
EVENTS = "{ events(first: 100) { nodes { type subjectId card { id state } request { idempotencyKey } } } }"
PAY = """mutation ($input: AuthorizePaymentInput!) { authorizePayment(input: $input) {
    __typename ... on PaymentPayload { payment { state card { lastFour } } } ... on UserError { code message }
} }"""


async def actions_on(api: Api, subject: str) -> list[str]:
    """What was done to it, oldest first."""
    return [each["action"] for each in (await api.ask(LOG, subject=subject))["auditLog"]["nodes"]][::-1]


def without_issuing(bank: Bank) -> None:
    """Make it a bank that can't issue, as the real one."""
    bank.books.settings = replace(bank.books.settings, issuing=False)


@pytest.fixture(autouse=True)
async def nothing_is_left(owner: Database) -> None:
    """Of an earlier test, for the worker's round."""
    async with owner.without_tenant() as tx:
        await tx.execute(text("delete from issued_cards where bank_reference is null"))


@pytest.fixture
def round_of_a_worker(parts: Parts, watch: Database) -> IssuingRound:
    return IssuingRound(parts, watch)


async def test_a_card_is_issued_once_and_is_inactive(api: Api, bank: Bank) -> None:
    user = await make(api)
    wish = {"idempotencyKey": api.fresh("key"), "userId": user["id"]}

    first = await issue(api, **wish)
    again = await issue(api, **wish)

    card = first["card"]
    (made,) = bank.books.ledger.state.issued.values()
    assert (card["kind"], card["state"], card["userId"], card["brand"]) == ("ISSUED", "INACTIVE", user["id"], "VISA")
    assert (card["lastFour"], card["expiryMonth"]) == (made.account.last4, made.account.expiry_month)
    assert made.key == card["id"], "the card's id is the bank's key"
    assert [(each["before"], each["after"], each["actor"]) for each in card["history"]] == [(None, "INACTIVE", "test")]
    assert (first["replayed"], again) == (False, {**first, "replayed": True})
    assert await actions_on(api, card["id"]) == ["card.issue_requested"]
    events = [each for each in (await api.ask(EVENTS))["events"]["nodes"] if each["type"] == "CARD_ISSUED"]
    assert [(each["subjectId"], each["card"]["state"], each["request"]["idempotencyKey"]) for each in events] == [
        (card["id"], "INACTIVE", wish["idempotencyKey"])
    ]


async def test_an_activated_card_is_paid_with(api: Api) -> None:
    user = await make(api)
    card = await issued(api, userId=user["id"])
    shown = await reveal(api, card["id"])

    def wish() -> dict[str, Any]:
        source = {"storedCard": {"cardId": card["id"], "cvv": shown["cvv"]}}
        return api.wish(source=source, customerId=user["externalId"])

    before = (await api.ask(PAY, input=wish()))["authorizePayment"]
    await do(api, "activate", cardId=card["id"])
    after = (await api.ask(PAY, input=wish()))["authorizePayment"]

    assert before["code"] == "CARD_NOT_USABLE"
    assert after["payment"] == {"state": "AUTHORIZED", "card": {"lastFour": card["lastFour"]}}


async def test_a_bank_that_can_not_issue_is_said_so_and_nothing_is_done(api: Api, bank: Bank, owner: Database) -> None:
    user = await make(api)
    wish = {"idempotencyKey": api.fresh("key"), "userId": user["id"]}
    without_issuing(bank)

    refused = [await issue(api, **wish) for _ in range(2)]
    key_for_another = await do(api, "add", idempotencyKey=wish["idempotencyKey"], userId=user["id"], number=number(7))

    assert {(each["__typename"], each["code"]) for each in refused} == {("IssuingUnavailableError", "ISSUING_UNAVAILABLE")}
    assert key_for_another["__typename"] == "AddCardPayload", "the key was not used up"
    async with owner.tenant(api.tenant) as tx:
        rows = await tx.execute(text("select * from issued_cards where tenant_id = :tenant"), {"tenant": api.tenant})
        assert rows.all() == []


async def test_cards_that_are_being_issued_count_and_no_more_are_issued_than_a_user_may_have(
    api: Api, bank_line: BankLine, bank: Bank
) -> None:
    user = await make(api)
    bank_line.is_cut = True
    being_issued = await issue(api, userId=user["id"])
    bank_line.is_cut = False

    answers = await asyncio.gather(*(issue(api, userId=user["id"]) for _ in range(6)))
    added = await do(api, "add", userId=user["id"], number=number(3))

    kinds = [each["__typename"] for each in answers]
    assert being_issued["code"] == "IDEMPOTENCY_IN_PROGRESS"
    assert (kinds.count("IssueCardPayload"), kinds.count("LimitReachedError")) == (4, 2)
    assert (added["__typename"], added["limit"]) == ("LimitReachedError", 5)
    assert len(bank.books.ledger.state.issued) == 4


async def test_a_bank_that_is_silent_leaves_it_to_a_repetition(api: Api, bank_line: BankLine, bank: Bank) -> None:
    wish = {"idempotencyKey": api.fresh("key"), "userId": (await make(api))["id"]}
    bank_line.is_cut = True
    unknown = await issue(api, **wish)
    bank_line.is_cut = False

    known = await issue(api, **wish)

    assert unknown["code"] == "IDEMPOTENCY_IN_PROGRESS"
    assert (known["__typename"], known["replayed"]) == ("IssueCardPayload", True)
    assert len(bank.books.ledger.state.issued) == 1


async def test_what_nobody_repeats_the_worker_finishes(
    api: Api, bank_line: BankLine, bank: Bank, round_of_a_worker: IssuingRound, here: Here
) -> None:
    user = await make(api)
    bank_line.is_cut = True
    await issue(api, userId=user["id"])
    bank_line.is_cut = False
    too_early = await round_of_a_worker.run_once()

    here.time += ASK_AGAIN_AFTER
    in_time = await round_of_a_worker.run_once()
    again = await round_of_a_worker.run_once()

    found = await api.ask("query ($f: CardFilter) { cards(filter: $f) { nodes { kind state } } }", f={"userId": user["id"]})
    assert (too_early, in_time, again) == (0, 1, 0)
    assert found["cards"]["nodes"] == [{"kind": "ISSUED", "state": "INACTIVE"}]
    assert len(bank.books.ledger.state.issued) == 1


async def test_a_repetition_and_the_worker_at_once_make_one_card(
    api: Api, bank_line: BankLine, bank: Bank, round_of_a_worker: IssuingRound, here: Here
) -> None:
    wish = {"idempotencyKey": api.fresh("key"), "userId": (await make(api))["id"]}
    bank_line.is_cut = True
    await issue(api, **wish)
    bank_line.is_cut = False
    here.time += ASK_AGAIN_AFTER

    answers = await asyncio.gather(*(issue(api, **wish) for _ in range(5)), round_of_a_worker.run_once())

    cards = {each["card"]["id"] for each in answers[:-1]}
    assert len(cards) == len(bank.books.ledger.state.issued) == 1
    events = [each for each in (await api.ask(EVENTS))["events"]["nodes"] if each["type"] == "CARD_ISSUED"]
    assert len(events) == 1


async def test_a_card_that_was_asked_for_before_its_user_was_erased_is_closed_and_has_no_number(
    api: Api, bank_line: BankLine, round_of_a_worker: IssuingRound, here: Here, owner: Database, bank: Bank
) -> None:
    user = await make(api)
    bank_line.is_cut = True
    await issue(api, userId=user["id"])
    bank_line.is_cut = False
    await change(api, "deactivate", userId=user["id"])
    await change(api, "erase", userId=user["id"])

    here.time += ASK_AGAIN_AFTER
    await round_of_a_worker.run_once()

    (card,) = (
        await api.ask("query ($f: CardFilter) { cards(filter: $f) { nodes { id state reason } } }", f={"userId": user["id"]})
    )["cards"]["nodes"]
    assert (card["state"], card["reason"]) == ("CLOSED", "CUSTOMER_REQUEST")
    async with owner.tenant(api.tenant) as tx:
        numbers = await tx.execute(text("select * from card_numbers where tenant_id = :tenant"), {"tenant": api.tenant})
        assert numbers.all() == []


@pytest.mark.parametrize("state", ["DEACTIVATED", "ERASED"])
async def test_no_card_is_issued_for_a_user_who_is_not_active(api: Api, state: str, bank: Bank) -> None:
    user = await make(api)
    for verb in ("deactivate", "erase")[: 1 + (state == "ERASED")]:
        await change(api, verb, userId=user["id"])

    answer = await issue(api, userId=user["id"])

    assert (answer["__typename"], answer["path"]) == ("UserNotUsableError", ["input", "userId"])
    assert state in answer["message"]
    assert bank.books.ledger.state.issued == {}


@pytest.mark.parametrize("user_id", ["usr_nobody", "card_01m7xkgs2xfc0bb3htsdppkvjr", "", "🙂"])
async def test_an_unknown_user_is_not_found(api: Api, user_id: str) -> None:
    answer = await issue(api, userId=user_id)

    assert (answer["__typename"], answer["path"]) == ("NotFoundError", ["input", "userId"])


async def test_a_key_that_was_used_otherwise_is_a_mismatch(api: Api) -> None:
    key = api.fresh("key")
    card = await issued(api, idempotencyKey=key)

    other_user = await issue(api, idempotencyKey=key)
    shown = await reveal(api, card["id"], idempotencyKey=key)

    assert other_user["code"] == shown["code"] == "IDEMPOTENCY_MISMATCH"


async def test_a_number_is_shown_once(api: Api, bank: Bank) -> None:
    card = await issued(api)
    (account,) = (each.account for each in bank.books.ledger.state.issued.values())
    key = api.fresh("key")

    shown = await reveal(api, card["id"], idempotencyKey=key)
    repeated = await reveal(api, card["id"], idempotencyKey=key)
    second = await reveal(api, card["id"])

    assert (shown["number"], shown["cvv"], shown["replayed"]) == (account.card_number, account.cvv, False)
    assert (repeated["number"], repeated["cvv"], repeated["replayed"]) == (None, None, True)
    assert repeated["card"] == shown["card"]
    assert (second["__typename"], second["code"]) == ("CardAlreadyRevealedError", "CARD_ALREADY_REVEALED")
    assert second["cardId"] == card["id"]
    assert await actions_on(api, card["id"]) == ["card.issue_requested", "card.revealed"]


async def test_of_many_requests_with_one_key_at_once_one_shows_it(api: Api) -> None:
    card, key = await issued(api), api.fresh("key")

    answers = await asyncio.gather(*(reveal(api, card["id"], idempotencyKey=key) for _ in range(6)))

    assert sorted((each["replayed"], each["number"] is None) for each in answers) == [(False, False), *[(True, True)] * 5]


async def test_of_many_requests_at_once_one_shows_it(api: Api) -> None:
    card = await issued(api)

    answers = await asyncio.gather(*(reveal(api, card["id"]) for _ in range(6)))

    assert sum(each.get("number") is not None for each in answers) == 1
    assert sum(each["__typename"] == "CardAlreadyRevealedError" for each in answers) == 5


async def test_what_is_shown_is_kept_nowhere(api: Api, bank: Bank, owner: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    card = await issued(api)
    shown = await reveal(api, card["id"])
    await do(api, "activate", cardId=card["id"])

    on_record = await everything_on_record(owner)
    events = str(await api.ask(EVENTS)) + str(await api.ask(LOG, subject=card["id"]))

    assert len(shown["number"]) == 16
    for place in (on_record, caplog.text, events):
        assert shown["number"] not in place
        assert shown["number"].encode().hex() not in place


async def test_a_silent_bank_uses_nothing_up(api: Api, bank_line: BankLine) -> None:
    card, key = await issued(api), api.fresh("key")
    bank_line.is_cut = True
    silent = await reveal(api, card["id"], idempotencyKey=key)
    bank_line.is_cut = False

    shown = await reveal(api, card["id"], idempotencyKey=key)

    assert (silent["__typename"], silent["code"]) == ("BankUnavailableError", "BANK_UNAVAILABLE")
    assert shown["number"] is not None


async def test_only_the_number_of_an_issued_card_that_is_not_closed_is_shown(api: Api) -> None:
    added, closed = await add(api), await issued(api)
    await do(api, "close", cardId=closed["id"], reason="LOST")

    answers = [await reveal(api, each["id"]) for each in (added, closed)]

    assert [(each["__typename"], each["cardState"]) for each in answers] == [
        ("CardNotUsableError", "ACTIVE"),
        ("CardNotUsableError", "CLOSED"),
    ]
    assert "Only the number of an issued card is shown" in answers[0]["message"]


async def test_revealing_needs_a_scope_that_no_key_has_unless_it_was_named(
    api: Api, make_key: Callable[..., Awaitable[str]]
) -> None:
    card = await issued(api)
    usual = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=USUAL_SCOPES))
    narrow = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=frozenset({Scope.CARDS_REVEAL})))
    wish = {"idempotencyKey": api.fresh("key"), "cardId": card["id"]}

    (refused,) = await usual.errors(REVEAL, input=wish)
    shown = await reveal(narrow, **{"card_id": card["id"], "idempotencyKey": wish["idempotencyKey"]})

    assert (refused["extensions"]["code"], refused["extensions"]["scope"]) == ("FORBIDDEN", "cards:reveal")
    assert shown["number"] is not None


async def test_another_partners_card_is_not_revealed(
    api: Api, other_tenant: Any, make_key: Callable[..., Awaitable[str]]
) -> None:
    card = await issued(api)
    stranger = api.as_somebody(other_tenant, await make_key(other_tenant))

    answer = await reveal(stranger, card["id"])

    assert (answer["__typename"], answer["path"]) == ("NotFoundError", ["input", "cardId"])
    assert (await reveal(api, card["id"]))["number"] is not None


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\u0000b"])
async def test_a_key_that_is_none_is_told_with_its_path(api: Api, key: str) -> None:
    card = await issued(api)

    for answer in (await issue(api, idempotencyKey=key), await reveal(api, card["id"], idempotencyKey=key)):
        assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["input", "idempotencyKey"])
