"""What happens to webhooks over weeks: keys are rotated under them, and what is old is forgotten."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.keys import ring_of
from app.staff_entries import staff_entry
from domain.audit import AuditEntry
from domain.webhook import DELIVERIES_KEPT
from gateway.reaper import Reaper
from gateway.vault.key_service import LocalKeyService
from gateway.vault.rotation import DESTROY_AFTER, SAME_ROTATION, Rotation
from gateway.webhook_courier import Courier
from persistence.database import Database
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
