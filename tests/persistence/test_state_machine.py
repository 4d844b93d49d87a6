"""The database's CHECKs are the state machines of `domain.payment` and `domain.stored_card`, no more and no less."""

from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

from sqlalchemy import exc, text

from domain.payment import TRANSITIONS, DeclineCode, PaymentState
from domain.stored_card import CARD_TRANSITIONS, CardState
from persistence.payments import REACHED_COLUMNS

AT = datetime(2026, 6, 1, tzinfo=UTC)
LATER = [state for state in PaymentState if state is not PaymentState.PENDING]


def lives() -> set[tuple[PaymentState, frozenset[PaymentState]]]:
    """Each state with the states that a payment has been in when it gets there, by walking the table from PENDING."""
    found = set()
    ahead = [(PaymentState.PENDING, frozenset({PaymentState.PENDING}))]
    while ahead:
        state, reached = ahead.pop()
        found.add((state, reached))
        ahead += [(following, reached | {following}) for following in TRANSITIONS[state]]
    return found


async def test_the_database_accepts_exactly_the_lives_that_the_table_of_transitions_allows(database, tenant):
    accepted = set()
    columns = [REACHED_COLUMNS[state] for state in LATER]
    insert = text(
        f"insert into payments (tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, state, "
        f"created_at, bank_authorization, decline_code, {', '.join(columns)}) values (:tenant, :id, :order, 'c', 1, 'USD', 'VISA', "
        f"'1111', :state, :at, :hold, :decline, {', '.join(':' + column for column in columns)})"
    )
    async with database.tenant(tenant) as tx:
        for state, flags in product(PaymentState, product((False, True), repeat=len(LATER))):
            reached = {each for each, flag in zip(LATER, flags, strict=True) if flag}
            parameters = {
                "tenant": tenant,
                "id": uuid4(),
                "order": str(uuid4()),
                "state": state.value,
                "at": AT,
                "hold": "auth" if PaymentState.AUTHORIZED in reached else None,
                "decline": DeclineCode.REFUSED.value if state is PaymentState.DECLINED else None,
                **{REACHED_COLUMNS[each]: AT if each in reached else None for each in LATER},
            }
            await tx.execute(text("savepoint try"))
            try:
                await tx.execute(insert, parameters)
            except exc.IntegrityError:
                await tx.execute(text("rollback to savepoint try"))
            else:
                accepted.add((state, frozenset({PaymentState.PENDING, *reached})))

    assert accepted == lives()


async def test_the_database_accepts_exactly_the_steps_that_the_table_of_cards_allows(database, tenant):
    accepted = set()
    user = text(
        "insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at) "
        "values (:tenant, :tenant, 'customer', '{}', 'ACTIVE', :at, :at)"
    )
    card = text(
        "insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state, reason, "
        "created_at, state_since) values (:tenant, :id, :tenant, 'ADDED', 'VISA', '1111', 12, 2030, sha256(''), 'CLOSED', 'LOST', "
        ":at, :at)"
    )
    step = text(
        "insert into card_transitions (tenant_id, card_id, number, before, after, actor, at) "
        "values (:tenant, :id, :number, :before, :after, 'test', :at)"
    )
    async with database.tenant(tenant) as tx:
        given = {"tenant": tenant, "id": uuid4(), "at": AT}
        await tx.execute(user, given)
        await tx.execute(card, given)
        for number, before, after in product((1, 2), (None, *CardState), CardState):
            await tx.execute(text("savepoint try"))
            try:
                await tx.execute(step, given | {"number": number, "before": before, "after": after})
            except exc.IntegrityError:
                pass
            else:
                accepted.add((number, before, after))
            await tx.execute(text("rollback to savepoint try"))

    births = {(1, None, CardState.INACTIVE), (1, None, CardState.ACTIVE)}
    steps = {(before, after) for before, ways in CARD_TRANSITIONS.items() for after in ways}
    assert accepted == births | {(number, *each) for number in (1, 2) for each in steps}
