"""Webhooks for the walk: what a tenant has of them, the places where they could be named, and what else such a place needs."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.app.serving import Api
from tests.isolation.pairs import Pair, id_pair, neighbour

NOT_A_NAME = {
    "CreateWebhookEndpointInput.url": "nothing is looked for by it",
    "CreateWebhookEndpointInput.description": "nothing is looked for by it",
    "CreateWebhookEndpointInput.document": "it is checked against the schema, which is everybody's",
    "UpdateWebhookEndpointInput.url": "nothing is looked for by it",
    "UpdateWebhookEndpointInput.description": "nothing is looked for by it",
    "UpdateWebhookEndpointInput.document": "it is checked against the schema, which is everybody's",
}
_VERBS = ("createWebhookEndpoint", "updateWebhookEndpoint", "deleteWebhookEndpoint", "rotateWebhookSecret", "sendTestEvent")
_ALL_VERBS = (*_VERBS, "replayWebhookDeliveries")
_CREATED = "__typename ... on CreateWebhookEndpointPayload { webhookEndpoint { id } }"
_ENDPOINTS = "{ webhookEndpoints(first: 100) { nodes { id description } } }"
_DEAD = "{ webhookDeliveries(first: 1, filter: { states: [DEAD] }) { nodes { id webhookEndpointId } } }"
QUIET = "a quiet one"  # an endpoint that gets nothing: what it shows is not what others have made happen


async def do(api: Api, name: str, selection: str = "__typename", **wish: Any) -> Any:
    """A mutation's answer."""
    document = f"mutation ($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ {selection} }} }}"
    return (await api.ask(document, input={"idempotencyKey": api.fresh("key"), **wish}))[name]


async def make(api: Api, **wish: Any) -> str:
    """A new endpoint's id."""
    url = f"https://{api.fresh('name')}.example/"
    answer = await do(api, "createWebhookEndpoint", _CREATED, **{"url": url, "description": api.fresh("shop"), **wish})
    return str(answer["webhookEndpoint"]["id"])


async def _make_quiet(api: Api) -> str:
    return await make(api, description=QUIET, types=["PAYMENT_EXPIRED"])


async def furnish_webhooks(api: Api, *, rich: bool) -> dict[str, Any]:
    """Endpoints and deliveries; `rich`: dead ones, too. And an idempotency key for each thing that can be done."""
    made: dict[str, Any] = {"endpoint": await make(api), "deletable": await make(api)}
    await _make_quiet(api)
    if rich:
        await do(api, "updateWebhookEndpoint", webhookEndpointId=made["endpoint"], enabled=False)
        await do(api, "updateWebhookEndpoint", webhookEndpointId=made["endpoint"], enabled=True)
        made["delivery"] = (await api.ask(_DEAD))["webhookDeliveries"]["nodes"][0]["id"]
    made["keys"] = [api.fresh("key") for _ in _ALL_VERBS]
    for key in made["keys"]:
        await do(api, "updateWebhookEndpoint", idempotencyKey=key, webhookEndpointId=made["endpoint"], description=key)
    return made


def webhook_examples(have: dict[str, Any], times: dict[str, Any]) -> dict[str, list[Pair]]:
    """By coordinate. What the victim `have`, and when it got it."""
    endpoint, delivery = have["endpoint"], have["delivery"]
    nobodys = {"webhookEndpointId": neighbour(endpoint)}
    filters = {
        "webhookEndpointId": endpoint,
        "states": ["DEAD"],
        "types": ["PAYMENT_REFUNDED"],
        "createdAfter": (times["last"] - timedelta(seconds=61)).isoformat(),
        "createdBefore": (times["first"] + timedelta(seconds=1)).isoformat(),
    }
    of_an_endpoint = {
        f"{name[0].upper()}{name[1:]}Input.webhookEndpointId": [
            id_pair(have["deletable"] if name == "deleteWebhookEndpoint" else endpoint)
        ]
        for name in _ALL_VERBS[1:]
    }
    keys = {
        f"{name[0].upper()}{name[1:]}Input.idempotencyKey": [Pair(key, f"nobody's key of webhooks {number}")]
        for number, (name, key) in enumerate(zip(_ALL_VERBS, have["keys"], strict=True))
    }
    return {
        "Query.webhookEndpoints(after:)": [id_pair(endpoint)],
        "Query.webhookDeliveries(after:)": [id_pair(delivery)],
        "WebhookEndpoint.deliveries(after:)": [id_pair(delivery)],
        "WebhookReplayInput.deliveryIds": [Pair([delivery], [neighbour(delivery)])],
        **{f"WebhookDeliveryFilter.{name}": [Pair({name: value}, nobodys)] for name, value in filters.items()},
        **of_an_endpoint,
        **keys,
    }


Base = Callable[[Api], Awaitable[dict[str, Any]]]


async def _create(api: Api) -> dict[str, Any]:
    return {"input": {"idempotencyKey": api.fresh("key"), "url": "https://hooks.example/"}}


def _with_quiet(**more: Any) -> Base:
    async def base(api: Api) -> dict[str, Any]:
        endpoints = (await api.ask(_ENDPOINTS))["webhookEndpoints"]["nodes"]
        quiet = next((each["id"] for each in endpoints if each["description"] == QUIET), None) or await _make_quiet(api)
        return {"input": {"idempotencyKey": api.fresh("key"), "webhookEndpointId": quiet, **more}}

    return base


async def _with_failed(api: Api) -> dict[str, Any]:
    """An endpoint with something to replay, if there is one."""
    dead = (await api.ask(_DEAD))["webhookDeliveries"]["nodes"]
    wish = await _with_quiet(which={})(api)
    return {"input": {**wish["input"], "webhookEndpointId": dead[0]["webhookEndpointId"]}} if dead else wish


async def _with_new(api: Api) -> dict[str, Any]:
    return {"input": {"idempotencyKey": api.fresh("key"), "webhookEndpointId": await make(api)}}


WEBHOOK_BASES: dict[str, Base] = {
    "createWebhookEndpoint": _create,
    "updateWebhookEndpoint": _with_quiet(types=["PAYMENT_EXPIRED"]),
    "deleteWebhookEndpoint": _with_new,
    "rotateWebhookSecret": _with_quiet(),
    "sendTestEvent": _with_quiet(),
    "replayWebhookDeliveries": _with_quiet(which={"failedSince": "2030-01-01T00:00:00Z"}),
    "WebhookReplayInput.deliveryIds": _with_failed,
}
