"""Users and cards for tests of payments, put into the tables as they are, whatever the API would say to them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.card import CardDetails, brand_of
from domain.stored_card import CardReason, CardState
from domain.user import UserState
from gateway.parts import Parts
from persistence.card_numbers import insert_card_number

GOOD_CARD = CardDetails("4111111111111111", "123", 12, 2030)
Keep = Callable[..., Awaitable["Kept"]]

_USER = text("""
    insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at)
    values (:tenant, :id, :customer, '{}', :state, :now, :now) on conflict do nothing
""")
_CARD = text("""
    insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state, reason,
                       created_at, state_since, limit_per_transaction, limit_per_day, limit_per_month)
    select :tenant, :id, users.id, 'ADDED', :brand, :last_four, :month, :year, :fingerprint, :state, :reason, :now, :now,
           :per_transaction, :per_day, :per_month
    from users where tenant_id = :tenant and external_id = :customer returning user_id
""")


@dataclass(frozen=True)
class Kept:
    """A card that was put there."""

    id: UUID
    user_id: UUID
    customer: str


def keeper(parts: Parts, tenant: UUID, details: CardDetails = GOOD_CARD) -> Keep:
    """Puts cards there; what is not said is usual."""

    async def keep(
        *,
        customer: str = "customer-1",
        state: CardState = CardState.ACTIVE,
        reason: CardReason | None = None,
        owner: UserState = UserState.ACTIVE,
        card: CardDetails = details,
        in_tenant: UUID = tenant,
        with_number: bool = True,
        **limits: Any,
    ) -> Kept:
        card_id, now = parts.world.new_uuid(), parts.world.now()
        sealed = await parts.vault.seal_number(in_tenant, card_id, card.number)
        person = {"tenant": in_tenant, "id": parts.world.new_uuid(), "customer": customer, "state": owner, "now": now}
        plastic = {
            "tenant": in_tenant,
            "id": card_id,
            "customer": customer,
            "brand": brand_of(card.number),
            "last_four": card.number[-4:],
            "month": card.expiry_month,
            "year": card.expiry_year,
            "fingerprint": parts.vault.fingerprint(in_tenant, card.number),
            "state": state,
            "reason": reason,
            "now": now,
            "per_transaction": None,
            "per_day": None,
            "per_month": None,
        }
        async with parts.database.tenant(in_tenant) as tx:
            await tx.execute(_USER, person)
            user_id = (await tx.execute(_CARD, plastic | limits)).scalar_one()
            if with_number:
                await insert_card_number(tx, in_tenant, card_id, sealed.sealed, key_version=sealed.key_version)
        return Kept(card_id, user_id, customer)

    return keep
