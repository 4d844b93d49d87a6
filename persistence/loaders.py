"""Data loaders: what the rows of one answer ask for one by one is fetched in one statement."""

from collections.abc import Sequence
from uuid import UUID

from strawberry.dataloader import DataLoader

from domain.payment import PendingOperation
from persistence.attempts import open_attempts_of
from persistence.database import Database

MAX_BATCH = 1000  # keys of one statement: ten full pages


def pending_operation_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, PendingOperation | None]:
    """The operation under way of each payment, for one request of one tenant."""

    async def load(payment_ids: list[UUID]) -> Sequence[PendingOperation | None]:
        async with database.tenant(tenant_id) as tx:
            attempts = await open_attempts_of(tx, tenant_id, payment_ids)
        return [attempts[each].pending if each in attempts else None for each in payment_ids]

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH)
