"""The database's CHECK is the state machine of `domain.payment`, no more and no less."""

from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

from sqlalchemy import exc, text

from domain.payment import TRANSITIONS, DeclineCode, PaymentState
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
