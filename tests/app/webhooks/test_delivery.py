"""Deliveries to a real receiver: signed so that the official library verifies them, tried again by schedule, dead in the end, replayed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.ids import IdKind, decode_id_of
from domain.webhook_health import MIN_REQUESTS, OPEN_FOR_S
from domain.webhook_payload import DEFAULT_SHAPE
from domain.webhook_schedule import JITTER, MAX_ATTEMPTS, PAUSES_S
from gateway import webhook_courier
from gateway.webhook_courier import FIRST_AT_ONCE, LEASE_S, Courier
from persistence.database import Database
from tests.app.serving import Api
from tests.app.webhooks.conftest import Receiver, courier_for, deliveries_of, do, endpoint_now, verify

EVENTS = "{ events(first: 100) { nodes { id type } } }"


async def endpoint(api: Api, receiver: Receiver, path: str = "/hook", **wish: Any) -> Any:
    """An endpoint of payments' events, and its secret."""
    wish = {"url": receiver.url(path), "types": ["PAYMENT_CREATED", "PAYMENT_AUTHORIZED", "PAYMENT_DECLINED"], **wish}
    made = await do(api, "createWebhookEndpoint", **wish)
    assert made["__typename"] == "CreateWebhookEndpointPayload", made
    return made["webhookEndpoint"] | {"secret": made["secret"]}


async def one_failed(api: Api, receiver: Receiver, status: int = 500, headers: dict[str, str] | None = None) -> Any:
    """An endpoint that answers like that, and one delivery to it."""
    receiver.answers["/hook"] = (status, headers or {}, b"no\nthanks \x00")
    made = await endpoint(api, receiver, types=["PAYMENT_CREATED"])
    await api.payment()
    return made


async def test_each_event_arrives_signed_and_the_official_library_verifies_it(
    api: Api, receiver: Receiver, courier: Courier
) -> None:
    made = await endpoint(api, receiver)
    payment = await api.payment()

    await courier.run_once()

    events = (await api.ask(EVENTS))["events"]["nodes"]
    wanted = {each["id"] for each in events if each["type"].startswith("PAYMENT")}
    assert {each.id for each in receiver.received} == wanted
    assert len(receiver.received) == len(wanted) == 2
    contents = [verify(made["secret"], each) for each in receiver.received]
    assert {each["type"] for each in contents} == {"payment.created", "payment.authorized"}
    assert {each["data"]["payment"]["id"] for each in contents} == {payment["id"]}
    assert {each.headers["content-type"] for each in receiver.received} == {"application/json"}


async def test_the_default_payload_is_what_the_stream_shows(api: Api, receiver: Receiver, courier: Courier) -> None:
    """Every kind of event that there is here: declined and captured payments, and what is no payment."""
    await endpoint(api, receiver, types=None)
    shaped = await endpoint(api, receiver, "/shaped", types=None, document=DEFAULT_SHAPE)
    await api.payment(card={"cvv": "999"})
    payment = await api.payment()
    await api.operate("capture", payment["id"])
    await do(api, "updateWebhookEndpoint", webhookEndpointId=shaped["id"], description="x")

    await courier.run_once()

    by_hand = {each.id: each.content for each in receiver.at("/hook")}
    by_graphql = {each.id: each.content for each in receiver.at("/shaped")}
    assert len(by_graphql) == 7
    assert {key: by_hand[key] for key in by_graphql} == by_graphql


async def test_during_a_rotation_both_secrets_verify_and_after_it_only_the_new_one(
    api: Api, here: Any, receiver: Receiver, courier: Courier
) -> None:
    made = await endpoint(api, receiver, types=["PAYMENT_CREATED"])
    rotated = await do(api, "rotateWebhookSecret", webhookEndpointId=made["id"])

    await api.payment()
    await courier.run_once()
    here.pass_by(86_401)
    await api.payment()
    await courier.run_once()

    during, after = receiver.received
    assert verify(made["secret"], during) == verify(rotated["secret"], during)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert verify(rotated["secret"], after)
    with pytest.raises(Exception, match="No matching signature"):
        verify(made["secret"], after)


async def test_the_log_has_each_attempt_and_after_the_tenth_it_is_dead(
    api: Api, here: Any, receiver: Receiver, courier: Courier
) -> None:
    await one_failed(api, receiver)

    for number in range(MAX_ATTEMPTS):
        here.pass_by(PAUSES_S[number] * (1 + JITTER))
        assert await courier.run_once() == 1
    here.pass_by(10 * 86_400)
    afterwards = await courier.run_once()

    (delivery,) = await deliveries_of(api)
    assert afterwards == 0
    assert (delivery["state"], delivery["deadReason"], delivery["attemptCount"]) == ("DEAD", "EXHAUSTED", MAX_ATTEMPTS)
    assert [each["number"] for each in delivery["attempts"]] == list(range(1, MAX_ATTEMPTS + 1))
    assert {(each["status"], each["failure"], each["answerStart"]) for each in delivery["attempts"]} == {
        (500, "STATUS", "no thanks")
    }
    assert {each.id for each in receiver.received} == {delivery["messageId"]}
    assert len({each.headers["webhook-timestamp"] for each in receiver.received}) == MAX_ATTEMPTS


async def test_it_is_not_tried_before_its_pause_is_over(api: Api, here: Any, receiver: Receiver, courier: Courier) -> None:
    await one_failed(api, receiver)
    await courier.run_once()

    here.pass_by(PAUSES_S[1] - 0.1)
    early = await courier.run_once()
    here.pass_by(PAUSES_S[1] * JITTER + 0.1)
    due = await courier.run_once()

    assert (early, due) == (0, 1)


async def test_retry_after_is_honoured(api: Api, here: Any, receiver: Receiver, courier: Courier) -> None:
    await one_failed(api, receiver, 429, {"retry-after": "120"})
    await courier.run_once()

    here.pass_by(119)
    early = await courier.run_once()
    here.pass_by(1)
    due = await courier.run_once()

    assert (early, due) == (0, 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(api: Api, receiver: Receiver, courier: Courier, status: int) -> None:
    await one_failed(api, receiver, status, {"location": receiver.url("/elsewhere")})

    await courier.run_once()

    (delivery,) = await deliveries_of(api)
    assert delivery["attempts"][0]["status"] == status
    assert delivery["state"] == "PENDING"
    assert receiver.at("/elsewhere") == []


async def test_410_disables_the_endpoint_and_says_so(api: Api, here: Any, receiver: Receiver, courier: Courier) -> None:
    made = await one_failed(api, receiver, 410)
    await courier.run_once()
    here.pass_by(1)
    await api.payment()
    afterwards = await courier.run_once()

    now = await endpoint_now(api, made["id"])
    states = [(each["state"], each["deadReason"]) for each in await deliveries_of(api)]
    types = [each["type"] for each in (await api.ask(EVENTS))["events"]["nodes"]]
    assert afterwards == 0
    assert (now["disabledReason"], now["disabledAt"] is not None) == ("GONE", True)
    assert states == [("DEAD", "GONE"), ("DEAD", "ENDPOINT_DISABLED")]
    assert types.count("WEBHOOK_ENDPOINT_DISABLED") == 1


async def test_an_open_breaker_delays_and_spends_no_attempts(api: Api, here: Any, receiver: Receiver, courier: Courier) -> None:
    receiver.answers["/hook"] = (500, {}, b"")
    made = await endpoint(api, receiver, types=["PAYMENT_CREATED"])
    for _ in range(MIN_REQUESTS):
        await api.payment()
    await courier.run_once()
    tripped = await endpoint_now(api, made["id"])
    here.pass_by(1)
    late = await api.payment()
    here.pass_by(OPEN_FOR_S[0] - 2)
    meanwhile = await courier.run_once()
    waiting = (await deliveries_of(api))[-1]
    receiver.answers.clear()
    here.pass_by(1)
    await courier.run_once()

    closed = await endpoint_now(api, made["id"])
    events = (await api.ask(EVENTS))["events"]["nodes"]
    assert (tripped["health"]["circuit"], tripped["health"]["trips"]) == ("OPEN", 1)
    assert [each["type"] for each in events].count("WEBHOOK_ENDPOINT_FAILING") == 1
    assert meanwhile == 0
    assert (waiting["state"], waiting["attemptCount"]) == ("PENDING", 0)
    assert (closed["health"]["circuit"], closed["health"]["trips"]) == ("CLOSED", 0)
    assert late["id"] in {each.content["data"]["payment"]["id"] for each in receiver.received}
    assert {each["state"] for each in await deliveries_of(api)} == {"DELIVERED"}


async def test_ten_trips_in_a_row_disable_it_and_all_that_failed_is_replayed(
    api: Api, here: Any, receiver: Receiver, courier: Courier
) -> None:
    receiver.answers["/hook"] = (503, {}, b"")
    made, began = await endpoint(api, receiver, types=["PAYMENT_CREATED"]), here.time
    for _ in range(MIN_REQUESTS):
        await api.payment()
    await courier.run_once()
    for pause_s in OPEN_FOR_S:
        assert (await endpoint_now(api, made["id"]))["disabledAt"] is None
        here.pass_by(pause_s)
        assert await courier.run_once() == 1, "one probe, and no more"
    disabled = await endpoint_now(api, made["id"])
    await api.payment()
    await courier.run_once()
    buried = await deliveries_of(api, states=["DEAD"])
    receiver.answers.clear()
    receiver.received.clear()

    refused = await do(api, "replayWebhookDeliveries", webhookEndpointId=made["id"], which={"failedSince": began.isoformat()})
    await do(api, "updateWebhookEndpoint", webhookEndpointId=made["id"], enabled=True)
    replayed = await do(api, "replayWebhookDeliveries", webhookEndpointId=made["id"], which={"failedSince": began.isoformat()})
    await courier.run_once()

    assert (disabled["disabledReason"], disabled["health"]["trips"]) == ("FAILING", 10)
    assert len(buried) == MIN_REQUESTS + 1
    assert refused["code"] == "WEBHOOK_ENDPOINT_DISABLED"
    assert (replayed["count"], replayed["through"]) == (MIN_REQUESTS + 1, None)
    assert sorted(each.id for each in receiver.received) == sorted(each["messageId"] for each in buried)
    assert {each["state"] for each in await deliveries_of(api)} == {"DELIVERED"}


async def test_one_or_a_span_is_replayed_under_the_same_id(api: Api, here: Any, receiver: Receiver, courier: Courier) -> None:
    made = await endpoint(api, receiver, types=["PAYMENT_CREATED"])
    times = []
    for _ in range(3):
        times.append(here.time.isoformat())
        await api.payment()
        here.pass_by(60)
    await courier.run_once()
    before = [each.id for each in receiver.received]
    first, second, _ = await deliveries_of(api)

    one = await do(
        api, "replayWebhookDeliveries", webhookEndpointId=made["id"], which={"deliveryIds": [first["id"], made["id"], "whd_x"]}
    )
    await courier.run_once()
    span = await do(
        api, "replayWebhookDeliveries", webhookEndpointId=made["id"], which={"between": {"since": times[1], "until": times[2]}}
    )
    await courier.run_once()

    assert (one["count"], span["count"]) == (1, 1)
    assert [each.id for each in receiver.received] == [*before, first["messageId"], second["messageId"]]
    again = (await deliveries_of(api))[0]
    assert [each["number"] for each in again["attempts"]] == [1, 2]


async def test_a_test_event_arrives_and_tells_of_nothing(api: Api, receiver: Receiver, courier: Courier) -> None:
    made = await endpoint(api, receiver, types=["PAYMENT_CREATED"], document="subscription { transactionEvents { id } }")
    asked = {"idempotencyKey": api.fresh("key"), "webhookEndpointId": made["id"]}

    sent = await do(api, "sendTestEvent", **asked)
    await courier.run_once()
    again = await do(api, "sendTestEvent", **asked)

    (message,) = receiver.received
    content = verify(made["secret"], message)
    assert content["type"] == "webhook.test"
    assert content["data"]["webhookEndpointId"] == made["id"]
    assert message.id == sent["delivery"]["messageId"] == sent["delivery"]["id"]
    assert (again["replayed"], again["delivery"]["state"]) == (True, "DELIVERED")


async def test_a_deleted_endpoint_gets_nothing_more_and_hurts_nobody(
    api: Api, receiver: Receiver, watch: Database, courier: Courier
) -> None:
    """One delivery is on its way, others wait."""
    gone = await endpoint(api, receiver, "/hang", types=["PAYMENT_CREATED"])
    await endpoint(api, receiver, "/stays", types=["PAYMENT_CREATED"])
    await api.payment()
    await courier.start_due()
    await receiver.hung.wait()

    deleted = await do(api, "deleteWebhookEndpoint", webhookEndpointId=gone["id"])
    await api.payment()
    receiver.free.set()
    await courier.settle()
    await courier.run_once()

    assert deleted["webhookEndpointId"] == gone["id"]
    assert len(receiver.at("/hang")) == 1
    assert len(receiver.at("/stays")) == 2
    assert await endpoint_now(api, gone["id"]) is None
    assert {each["webhookEndpointId"] for each in await deliveries_of(api)} != {gone["id"]}


async def test_an_endpoint_that_hangs_does_not_keep_another_waiting(api: Api, receiver: Receiver, courier: Courier) -> None:
    """It holds as many places as it has, and no more, while everything else is delivered."""
    await endpoint(api, receiver, "/hang", types=["PAYMENT_CREATED"])
    await endpoint(api, receiver, "/quick", types=["PAYMENT_CREATED"])
    for _ in range(FIRST_AT_ONCE + 5):
        await api.payment()

    while len(receiver.at("/quick")) < FIRST_AT_ONCE + 5:
        await courier.start_due()
        await _until(lambda: courier.under_way == FIRST_AT_ONCE)  # those that hang, and nothing else
    quick, hung = len(receiver.at("/quick")), len(receiver.at("/hang"))
    receiver.free.set()
    await courier.settle()

    assert quick == FIRST_AT_ONCE + 5
    assert hung == FIRST_AT_ONCE


async def _until(done: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within half a minute")


async def test_two_workers_share_the_deliveries(
    api: Api, receiver: Receiver, watch: Database, post: Any, courier: Courier
) -> None:
    await endpoint(api, receiver, types=["PAYMENT_CREATED"])
    await endpoint(api, receiver, "/other", types=["PAYMENT_CREATED"])
    other = courier_for(api, watch, post)
    for _ in range(20):
        await api.payment()

    await asyncio.gather(courier.run_once(), other.run_once())
    await courier.run_once()

    for path in ("/hook", "/other"):
        ids = [each.id for each in receiver.at(path)]
        assert len(ids) == len(set(ids)) == 20


async def test_a_lease_that_ran_out_is_taken_over_and_its_first_holder_writes_nothing(
    api: Api, here: Any, receiver: Receiver, watch: Database, post: Any, courier: Courier
) -> None:
    await endpoint(api, receiver, "/hang", types=["PAYMENT_CREATED"])
    await api.payment()
    await courier.start_due()
    await receiver.hung.wait()
    here.pass_by(LEASE_S + 1)

    other = courier_for(api, watch, post)
    taken = await other.start_due()
    await _until(lambda: len(receiver.received) == 2)
    receiver.free.set()
    await other.settle()
    await courier.settle()

    (delivery,) = await deliveries_of(api)
    assert taken == 1
    assert len({each.id for each in receiver.received}) == 1
    assert delivery["state"] == "DELIVERED"
    assert delivery["attemptCount"] == 1


async def test_an_endpoint_gets_only_what_it_has_asked_for(api: Api, receiver: Receiver, courier: Courier) -> None:
    await endpoint(api, receiver, types=["PAYMENT_CAPTURED"])
    payment = await api.payment()
    await api.operate("capture", payment["id"])

    await courier.run_once()

    assert [each.content["type"] for each in receiver.received] == ["payment.captured"]


async def test_an_event_and_its_deliveries_are_written_together(api: Api, receiver: Receiver, owner: Database) -> None:
    made = await endpoint(api, receiver, types=None)
    await api.payment()

    async with owner.tenant(api.tenant) as tx:
        query = """
            select events.id = deliveries.event_id and events.type = deliveries.type and events.occurred_at = due_at as fits
            from events left join webhook_deliveries as deliveries
                on deliveries.tenant_id = events.tenant_id and deliveries.event_id = events.id
            where events.tenant_id = :tenant
        """
        fits = (await tx.execute(text(query), {"tenant": api.tenant})).scalars().all()
    found = {(each["type"], each["webhookEndpointId"]) for each in await deliveries_of(api)}

    assert fits == [True, True, True]
    assert found == {(kind, made["id"]) for kind in ("WEBHOOK_ENDPOINT_CREATED", "PAYMENT_CREATED", "PAYMENT_AUTHORIZED")}


async def test_another_partners_endpoint_gets_nothing(
    api: Api, receiver: Receiver, courier: Courier, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    await endpoint(other, receiver, "/others", types=None)
    await api.payment()

    await courier.run_once()

    assert [each.content["type"] for each in receiver.at("/others")] == ["webhook_endpoint.created"]


async def test_a_commit_wakes_the_worker_which_finishes_what_is_under_way_when_it_is_stopped(
    api: Api, receiver: Receiver, courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not look by itself within the life of this test."""
    monkeypatch.setattr(webhook_courier, "LOOK_S", 3_600.0)
    await endpoint(api, receiver, "/hang", types=["PAYMENT_CREATED"])
    database, stopped = api.app.state.house.parts.database, asyncio.Event()
    monkeypatch.setattr(database, "on_events", courier.wake)
    running = asyncio.create_task(courier.run(stopped))
    await asyncio.sleep(0)

    await api.payment()
    await receiver.hung.wait()
    stopped.set()
    await asyncio.sleep(0)
    receiver.free.set()
    await running

    (delivery,) = await deliveries_of(api)
    assert delivery["state"] == "DELIVERED"


async def test_an_endpoint_whose_secret_does_not_open_keeps_no_other_waiting(
    api: Api, receiver: Receiver, courier: Courier, owner: Database, caplog: pytest.LogCaptureFixture
) -> None:
    spoilt = await endpoint(api, receiver, "/spoilt", types=["PAYMENT_CREATED"])
    await endpoint(api, receiver, "/fine", types=["PAYMENT_CREATED"])
    spoil = "update webhook_secrets set sealed = sealed || 'x' where tenant_id = :tenant and endpoint_id = :endpoint"
    async with owner.tenant(api.tenant) as tx:
        endpoint_id = decode_id_of(IdKind.WEBHOOK_ENDPOINT, spoilt["id"])
        await tx.execute(text(spoil), {"tenant": api.tenant, "endpoint": endpoint_id})
    await api.payment()

    await courier.run_once()

    assert (len(receiver.at("/fine")), len(receiver.at("/spoilt"))) == (1, 0)
    assert f"{spoilt['id']} waits" in caplog.text


async def test_what_is_too_large_to_be_a_message_is_dead_and_no_fault_of_the_endpoint(
    api: Api, receiver: Receiver, courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_courier, "MAX_BODY_BYTES", 100)
    made = await endpoint(api, receiver, types=["PAYMENT_CREATED"])
    for _ in range(MIN_REQUESTS):
        await api.payment()

    await courier.run_once()

    states = {(each["state"], each["deadReason"], each["attempts"][0]["failure"]) for each in await deliveries_of(api)}
    assert states == {("DEAD", "UNSENDABLE", "NOT_SENT")}
    assert receiver.received == []
    assert (await endpoint_now(api, made["id"]))["health"]["circuit"] == "CLOSED"
