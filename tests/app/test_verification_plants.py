"""Every kind of violation is planted in real books, by SQL in ours or in the bank's ledger, and the checker finds that and no other."""

import copy
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.payment import PaymentState, Verb
from domain.violation import Breach
from persistence.database import Database
from tests.app.verifying import Till

S = PaymentState
B = Breach
GUARDS = (
    "alter table attempts drop constraint attempts_closed_forget_the_card",
    "alter table payments drop constraint payments_follow_the_state_machine",
    "drop index attempts_one_open_per_payment",
)
_COPY = (
    "insert into attempts (tenant_id, id, payment_id, verb, fingerprint, opened_at, lease_until, lease_token, tries, unanswered, "
    "closed_at, resolution) select tenant_id, gen_random_uuid(), payment_id, {verb}, fingerprint, opened_at, lease_until, "
    "lease_token, tries, unanswered, {closed_at}, {resolution} from attempts where verb = '{of}'"
)
_EVENT = (
    "insert into events (tenant_id, sequence, id, type, occurred_at, payment_id, previous_state, payment) "
    "select tenant_id, 4, gen_random_uuid(), {type}, occurred_at, payment_id, {previous}, {payment} from events where sequence = 3"
)


def another_attempt(of: Verb, verb: str = "verb", closed_at: str = "closed_at", resolution: str = "resolution") -> str:
    return _COPY.format(of=of, verb=verb, closed_at=closed_at, resolution=resolution)


def another_event(type: str = "type", previous: str = "previous_state", payment: str = "payment") -> str:  # noqa: A002
    return _EVENT.format(type=type, previous=previous, payment=payment)


def state_of(document: str, state: str, path: str) -> str:
    return f"jsonb_set({document}, '{path}', '\"{state}\"')"


OURS: list[tuple[str, PaymentState, list[str], set[Breach]]] = [
    (
        "a step that there is not",
        S.CAPTURED,
        ["update events set previous_state = 'VOIDED' where sequence = 3"],
        {B.FORBIDDEN_STEP},
    ),
    ("another type", S.CAPTURED, ["update events set type = 'payment.voided' where sequence = 3"], {B.MISLABELLED_EVENT}),
    (
        "another order",
        S.CAPTURED,
        [
            "update events set sequence = 1000 where sequence = 3",
            "update events set sequence = 3 where sequence = 2",
            "update events set sequence = 2 where sequence = 1000",
        ],
        {B.BROKEN_CHAIN},
    ),
    ("another time", S.CAPTURED, ["update payments set captured_at = captured_at + interval '1 microsecond'"], {B.OTHER_TIME}),
    (
        "a time before the others",
        S.CAPTURED,
        [
            "update payments set captured_at = captured_at - interval '1 day'",
            "update events set occurred_at = occurred_at - interval '1 day' where sequence = 3",
        ],
        {B.TIME_RUNS_BACKWARDS},
    ),
    ("an old attempt", S.PENDING, ["update attempts set opened_at = opened_at - interval '1 hour'"], {B.OPEN_TOO_LONG}),
    ("no attempt", S.PENDING, ["delete from attempts"], {B.NOBODY_WORKS_ON_IT}),
    ("no card", S.PENDING, ["update attempts set sealed_card = null"], {B.UNFINISHABLE}),
    (
        "a capture of what is voided",
        S.VOIDED,
        [another_attempt(Verb.VOID, "'CAPTURE'", "null", "null")],
        {B.UNFINISHABLE},
    ),
    (
        "a capture and a void at once",
        S.AUTHORIZED,
        [another_attempt(Verb.AUTHORIZE, f"'{verb}'", "null", "null") for verb in (Verb.CAPTURE, Verb.VOID)],
        {B.SEVERAL_OPEN},
    ),
    (
        "gone back",
        S.CAPTURED,
        ["update payments set state = 'AUTHORIZED'"],
        {B.BROKEN_CHAIN, B.STATES_DIFFER},
    ),
    (
        "a missing event",
        S.CAPTURED,
        ["delete from events where sequence = 3", "update event_sequences set last = 2"],
        {B.EVENT_MISSING},
    ),
    ("an event twice", S.CAPTURED, [another_event(), "update event_sequences set last = 4"], {B.EVENT_TWICE}),
    (
        "an event of nothing",
        S.CAPTURED,
        [
            another_event("'payment.declined'", "'PENDING'", state_of("payment", "DECLINED", "{state}")),
            "update event_sequences set last = 4",
        ],
        {B.EVENT_OF_NOTHING},
    ),
    ("a state without an attempt", S.DECLINED, ["delete from attempts"], {B.UNEXPLAINED_STATE}),
    ("a state with two attempts", S.CAPTURED, [another_attempt(Verb.CAPTURE)], {B.EXPLAINED_TWICE}),
    (
        "an outcome that the payment lost",
        S.CAPTURED,
        [another_attempt(Verb.CAPTURE, "'REFUND'", resolution=state_of("resolution", "REFUNDED", "{payment,state}"))],
        {B.LOST_OUTCOME},
    ),
    (
        "an outcome that there is not",
        S.CAPTURED,
        [another_attempt(Verb.CAPTURE, "'REFUND'", resolution=state_of("resolution", "PENDING", "{payment,state}"))],
        {B.IMPOSSIBLE_OUTCOME},
    ),
    ("a refusal that is not flagged", S.CAPTURED, [another_attempt(Verb.CAPTURE, "'REFUND'")], {B.UNFLAGGED_REFUSAL}),
    ("another order in the row", S.CAPTURED, ["update payments set order_id = 'another'"], {B.OTHER_TERMS}),
    (
        "another reference in a stored answer",
        S.CAPTURED,
        [
            "update attempts set resolution = jsonb_set(resolution, '{payment,bank,authorization}', '\"auth_x\"') where verb = 'CAPTURE'"
        ],
        {B.OTHER_OUTCOME},
    ),
    ("a reference too many", S.CAPTURED, ["update payments set bank_void = 'void_x'"], {B.SURPLUS_REFERENCE}),
    (
        "a gap",
        S.CAPTURED,
        ["update events set sequence = 9 where sequence = 3", "update event_sequences set last = 9"],
        {B.GAP},
    ),
    ("a counter that is behind", S.CAPTURED, ["update event_sequences set last = 2"], {B.WRONG_COUNTER}),
    ("no counter", S.CAPTURED, ["delete from event_sequences"], {B.WRONG_COUNTER}),
    ("a card that was kept", S.CAPTURED, ["update attempts set sealed_card = 'x' where verb = 'AUTHORIZE'"], {B.KEPT_CARD}),
    ("another amount", S.CAPTURED, ["update payments set amount_minor = 2000"], {B.OTHER_TERMS, B.OTHER_HOLD}),
    ("another hold", S.CAPTURED, ["update payments set bank_authorization = 'auth_x'"], {B.OTHER_OUTCOME, B.MISSING_HOLD}),
]


@pytest.fixture(scope="module", autouse=True)
async def unguarded(owner: Database) -> None:
    """This module's database without the constraints that keep such rows out."""
    async with owner.without_tenant() as tx:
        for statement in GUARDS:
            await tx.execute(text(statement))


@pytest.mark.parametrize(("state", "statements", "expected"), [plant[1:] for plant in OURS], ids=[plant[0] for plant in OURS])
async def test_what_is_planted_in_our_books_is_found(
    till: Till, state: PaymentState, statements: list[str], expected: set[Breach]
) -> None:
    await till.payment_in(state)
    assert await till.breaches() == set()

    for statement in statements:
        await till.sql(statement)

    assert await till.breaches() == expected


async def test_a_reference_that_is_missing_without_a_flag_is_found(till: Till) -> None:
    payment = await till.payment_in(S.AUTHORIZED)
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    await till.operate(Verb.CAPTURE, payment)
    assert await till.breaches() == set()

    await till.sql("update payments set review_reasons = '{}'")

    assert await till.breaches() == {B.MISSING_REFERENCE}


Change = Callable[[Any], object]


def first(name: str, **changes: object) -> Change:
    return lambda document: document[name][0].update(changes)


def copied(name: str, **changes: object) -> Change:
    return lambda document: document[name].append({**document[name][0], **changes})


def removed(name: str) -> Change:
    return lambda document: document[name].pop(0)


def both(*changes: Change) -> Change:
    return lambda document: [change(document) for change in changes]


BANKS: list[tuple[str, PaymentState, Change, set[Breach]]] = [
    ("no hold", S.CAPTURED, removed("authorizations"), {B.MISSING_HOLD}),
    ("a hold of somebody else's", S.AUTHORIZED, first("authorizations", idempotency_key="somebody's"), {B.FOREIGN_HOLD}),
    ("a hold of another amount", S.AUTHORIZED, first("authorizations", amount=2000), {B.OTHER_HOLD}),
    ("a hold on another card", S.AUTHORIZED, first("authorizations", last4="4242"), {B.OTHER_HOLD}),
    ("a second hold", S.AUTHORIZED, copied("authorizations", authorization_id="auth_x"), {B.SECOND_HOLD}),
    (
        "a second hold that was voided, and captured all the same",
        S.CAPTURED,
        both(
            copied("authorizations", authorization_id="auth_x", state="voided"),
            copied("captures", authorization_id="auth_x", capture_id="cap_x", idempotency_key="somebody's"),
        ),
        {B.SECOND_HOLD_USED},
    ),
    ("a second capture", S.CAPTURED, copied("captures", capture_id="cap_x"), {B.CAPTURED_TWICE}),
    ("a second refund", S.REFUNDED, copied("refunds", refund_id="ref_x"), {B.REFUNDED_TWICE}),
    ("a capture of another amount", S.CAPTURED, first("captures", amount=2000), {B.OTHER_AMOUNT}),
    ("a refund of another amount", S.REFUNDED, first("refunds", amount=1), {B.OTHER_AMOUNT}),
    ("a void of another hold", S.VOIDED, copied("voids", authorization_id="auth_x"), {B.MISPLACED_EFFECT}),
    (
        "a hold under a key that nobody has",
        S.CAPTURED,
        copied("authorizations", authorization_id="auth_x", idempotency_key="att_x"),
        {B.UNKNOWN_KEY},
    ),
    ("an entry without an amount", S.CAPTURED, copied("authorizations", amount=None), {B.UNREADABLE_ENTRY}),
    ("a hold that is active still", S.VOIDED, first("authorizations", state="active"), {B.STATES_DIFFER}),
    ("no capture", S.CAPTURED, removed("captures"), {B.STATES_DIFFER}),
    ("no release of a hold that ran out", S.EXPIRED, removed("voids"), {B.STATES_DIFFER}),
    ("another capture", S.CAPTURED, first("captures", capture_id="cap_x"), {B.OTHER_REFERENCE}),
    ("somebody else's void", S.VOIDED, first("voids", idempotency_key="somebody's"), {B.OTHER_REFERENCE}),
]


@pytest.mark.parametrize(("state", "change", "expected"), [plant[1:] for plant in BANKS], ids=[plant[0] for plant in BANKS])
async def test_what_is_planted_in_the_banks_books_is_found(
    till: Till, state: PaymentState, change: Change, expected: set[Breach]
) -> None:
    await till.payment_in(state)
    document = await till.ledger()
    assert await till.breaches(document) == set()

    spoilt = copy.deepcopy(document)
    change(spoilt)

    assert await till.breaches(spoilt) == expected


async def test_an_acknowledged_payment_that_is_lost_or_has_gone_back_is_found(till: Till) -> None:
    payment = await till.payment_in(S.CAPTURED)
    nobody = UUID(int=7)

    found = await till.verify(acknowledged={payment.id: frozenset({"AUTHORIZED", "REFUNDED"}), nobody: frozenset()})

    assert {(each.breach, each.payment_id) for each in found.violations} == {(B.GONE_BACK, payment.id), (B.LOST_PAYMENT, nobody)}


def test_every_kind_of_violation_is_planted_here() -> None:
    planted = set().union(*(plant[3] for plant in (*OURS, *BANKS)))

    assert planted | {B.MISSING_REFERENCE, B.GONE_BACK, B.LOST_PAYMENT} == set(Breach)
