"""The steps of cards' lives: numbered for each card, and shown from the last ones back."""

from sqlalchemy import text

from domain.stored_card import CardReason, CardState, CardTransition
from persistence.card_transitions import MAX_HISTORY, Step, append_transitions, get_histories
from tests.gateway.kept_cards import keeper

S = CardState


async def test_steps_are_counted_for_each_card_and_shown_oldest_first(parts, database, tenant, here):
    first, second = [await keeper(parts, tenant)(customer=name) for name in ("one", "two")]
    born = CardTransition(None, S.ACTIVE, None, "till", here.time)
    frozen = CardTransition(S.ACTIVE, S.FROZEN, CardReason.LOST, "till", here.time)

    async with database.tenant(tenant) as tx:
        await append_transitions(tx, tenant, [Step(first.id, born, None), Step(second.id, born, tenant)])
        await append_transitions(tx, tenant, [Step(second.id, frozen, tenant)])
        histories = await get_histories(tx, tenant, [second.id, first.id, second.id, tenant])
        numbers = (
            await tx.execute(text("select number from card_transitions where tenant_id = :t order by 1"), {"t": tenant})
        ).all()

    assert histories == [[born, frozen], [born], [born, frozen], []]
    assert [row.number for row in numbers] == [1, 1, 2]


async def test_of_a_long_life_the_last_steps_are_shown(parts, database, tenant):
    kept = await keeper(parts, tenant)()
    restless = text("""
        insert into card_transitions (tenant_id, card_id, number, before, after, reason, actor, at)
        select :tenant, :card, number, case when number % 2 = 0 then 'ACTIVE' else 'FROZEN' end,
               case when number % 2 = 0 then 'FROZEN' else 'ACTIVE' end, null, 'step ' || number, now()
        from generate_series(2, 250) as number
    """)

    async with database.tenant(tenant) as tx:
        await tx.execute(restless, {"tenant": tenant, "card": kept.id})
        (history,) = await get_histories(tx, tenant, [kept.id])

    assert [each.actor for each in history] == [f"step {number}" for number in range(251 - MAX_HISTORY, 251)]
