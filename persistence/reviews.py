"""The payments that need review, as operators look for them: over the index `payments_to_review`, which holds no others."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from domain.payment import ReviewReason, Standing, Verb
from persistence.database import Transaction
from persistence.payments import STANDING_COLUMNS, standing_of

MAX_REVIEWS = 1001  # a thousand for people to look at, and one that tells that there are more

# `<> '{}'` as in the index, or it is not used.
_OLDEST = text(f"""
    select {STANDING_COLUMNS} from payments left join attempts
        on attempts.tenant_id = payments.tenant_id and attempts.payment_id = payments.id and attempts.closed_at is null
    where payments.tenant_id = :tenant_id and payments.review_reasons <> '{{}}'
        and (cast(:reason as text) is null or :reason = any(payments.review_reasons))
        and (cast(:before as timestamptz) is null or payments.created_at < :before)
    order by payments.created_at, payments.id limit :limit
""")
_REFERENCE_COLUMNS: Mapping[Verb, str] = {
    Verb.AUTHORIZE: "bank_authorization",
    Verb.CAPTURE: "bank_capture",
    Verb.VOID: "bank_void",
    Verb.REFUND: "bank_refund",
}
# A scan of the partner's payments, some 0.1 s for a million: no index, for only people ask, and every payment would pay for it.
_WITH_REFERENCE = {
    verb: text(f"select id from payments where tenant_id = :tenant_id and {column} = :reference limit 1")
    for verb, column in _REFERENCE_COLUMNS.items()
}


async def oldest_reviews(
    tx: Transaction, tenant_id: UUID, *, reason: ReviewReason | None = None, before: datetime | None = None, limit: int
) -> list[Standing]:
    """How the payments that need review stand, the oldest first: flagged with `reason`, accepted before `before`."""
    assert 0 < limit <= MAX_REVIEWS
    parameters = {"tenant_id": tenant_id, "reason": reason, "before": before, "limit": limit}
    return [standing_of(row) for row in await tx.execute(_OLDEST, parameters)]


async def payment_with_reference(tx: Transaction, tenant_id: UUID, verb: Verb, reference: str) -> UUID | None:
    """Whose the bank's reference of an operation is among the partner's payments."""
    return (await tx.execute(_WITH_REFERENCE[verb], {"tenant_id": tenant_id, "reference": reference})).scalar_one_or_none()
