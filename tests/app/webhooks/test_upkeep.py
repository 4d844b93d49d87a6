"""What happens to webhooks over weeks: keys are rotated under them, and what is old is forgotten."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.keys import ring_of
from app.staff_entries import staff_entry
from domain.audit import AuditEntry
from domain.ids import IdKind, decode_id_of
from domain.webhook import DELIVERIES_KEPT, Attempt, Failure, Reply, verdict_of
from domain.webhook_health import MIN_REQUESTS
from gateway.reaper import Reaper
from gateway.vault.key_service import LocalKeyService
from gateway.vault.rotation import DESTROY_AFTER, SAME_ROTATION, Rotation
from gateway.webhook_courier import Courier
from gateway.webhook_records import record
from persistence.database import Database
from persistence.webhook_endpoints import find_endpoint
from persistence.webhook_queue import Leased, Recorded, lease_deliveries
from tests.app.serving import Api
from tests.app.webhooks.conftest import Receiver, courier_for, deliveries_of, do, verify
from tests.conftest import MASTER_KEY

CREATED = ["PAYMENT_CREATED"]


async def test_secrets_survive_the_rotation_of_their_partners_data_key(
    api: Api, here: Any, receiver: Receiver, owner: Database, watch: Database, post: Any, courier: Courier
) -> None:
    made = await do(api, "createWebhookEndpoint", url=receiver.url(), types=CREATED)
    here.time += SAME_ROTATION

    def entry(tenant_id: UUID, action: str, note: str) -> AuditEntry:
        return staff_entry(here.world, action, str(tenant_id), note)

    rotation = Rotation(owner, LocalKeyService(ring_of(MASTER_KEY)), here.world, entry)

    rotated = await rotation.rotate_data_key(api.tenant)
    here.time += DESTROY_AFTER
    finished = await rotation.rotate_data_key(api.tenant, is_new_wanted=False)
    await api.payment()
    await courier_for(api, watch, post).run_once()

    assert (rotated.resealed, rotated.left, rotated.unreadable, finished.destroyed) == (1, 0, 0, (1,))
    (message,) = receiver.received
    assert verify(made["secret"], message)["type"] == "payment.created"


async def test_deliveries_and_what_is_left_of_deleted_endpoints_are_forgotten(
    api: Api, here: Any, receiver: Receiver, owner: Database, watch: Database, courier: Courier
) -> None:
    receiver.answers["/bad"] = (500, {}, b"")
    gone = (await do(api, "createWebhookEndpoint", url=receiver.url("/gone"), types=CREATED))["webhookEndpoint"]
    kept = (await do(api, "createWebhookEndpoint", url=receiver.url("/kept"), types=CREATED))["webhookEndpoint"]
    bad = (await do(api, "createWebhookEndpoint", url=receiver.url("/bad"), types=CREATED))["webhookEndpoint"]
    await do(api, "rotateWebhookSecret", webhookEndpointId=kept["id"])
    await api.payment()
    await courier.run_once()
    await do(api, "deleteWebhookEndpoint", webhookEndpointId=gone["id"])
    reaper = Reaper(api.app.state.house.parts, watch)

    async def counts() -> list[int]:
        async with owner.tenant(api.tenant) as tx:
            return [
                (await tx.execute(text(f"select count(*) from {table} where tenant_id = :t"), {"t": api.tenant})).scalar_one()
                for table in ("webhook_endpoints", "webhook_secrets", "webhook_deliveries")
            ]

    here.time += DELIVERIES_KEPT
    await reaper.run_once()
    in_time = await counts()
    here.pass_by(1)
    await reaper.run_once()
    later = await counts()

    assert in_time == [3, 2, 3]
    assert later == [2, 2, 1]
    assert [(each["webhookEndpointId"], each["state"]) for each in await deliveries_of(api)] == [(bad["id"], "PENDING")]


async def test_no_failure_is_lost_when_many_are_written_down_at_once(
    api: Api, here: Any, receiver: Receiver, courier: Courier
) -> None:
    """By as many transactions, as of as many workers."""
    made = (await do(api, "createWebhookEndpoint", url=receiver.url(), types=CREATED))["webhookEndpoint"]
    for _ in range(MIN_REQUESTS - 1):
        await api.payment()
    house, now = api.app.state.house, here.time
    endpoint_id = decode_id_of(IdKind.WEBHOOK_ENDPOINT, made["id"])
    assert endpoint_id
    async with house.parts.database.tenant(api.tenant) as tx:
        token, room = here.world.new_uuid(), {endpoint_id: MIN_REQUESTS}
        leased = await lease_deliveries(tx, api.tenant, room, now=now, until=now + timedelta(seconds=60), token=token)
    failed = Attempt(1, now, Reply(500, Failure.STATUS, 1))
    done = [Recorded(each, failed, verdict_of(failed.reply, 1, now, 0.0)) for each in leased]

    await asyncio.gather(*(record(house.parts.database, house.parts.world, api.tenant, [each]) for each in done))

    async with house.parts.database.tenant(api.tenant) as tx:
        endpoint = await find_endpoint(tx, api.tenant, endpoint_id)
    assert endpoint
    assert [(slot.requests, slot.failures) for slot in endpoint.health.slots] == [(MIN_REQUESTS - 1, MIN_REQUESTS - 1)]


async def test_what_one_worker_is_leasing_another_neither_leases_nor_waits_for(api: Api, here: Any, receiver: Receiver) -> None:
    made = (await do(api, "createWebhookEndpoint", url=receiver.url(), types=CREATED))["webhookEndpoint"]
    for _ in range(3):
        await api.payment()
    database, endpoint_id = api.app.state.house.parts.database, decode_id_of(IdKind.WEBHOOK_ENDPOINT, made["id"])

    async def lease(tx: Any, room: int) -> list[Leased]:
        until, token = here.time + timedelta(seconds=60), here.world.new_uuid()
        return await lease_deliveries(tx, api.tenant, {endpoint_id: room}, now=here.time, until=until, token=token)

    async with database.tenant(api.tenant) as one, database.tenant(api.tenant) as other:
        first = await lease(one, 2)
        second = await lease(other, 3)
    async with database.tenant(api.tenant) as tx:
        later = await lease(tx, 3)

    assert [len(first), len(second), len(later)] == [2, 1, 0]
    assert {each.delivery.id for each in first}.isdisjoint(each.delivery.id for each in second)
