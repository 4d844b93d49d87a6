"""For each place in the schema that could name something: a value that means something to the victim, and its like that nobody has.

A new place without a line here turns the walk red.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.ids import IdKind, encode_id
from domain.partner import Mode, tenant_of
from domain.stored_card import CardState
from persistence.payment_pages import Cursor
from persistence.reports import LinePlace
from tests.app.serving import Api
from tests.gateway.kept_cards import keeper
from tests.isolation import webhooks
from tests.isolation.estate import CREATE_KEY, LEAST, MOST, Estate
from tests.isolation.pairs import Pair, neighbour
from tests.isolation.pairs import id_pair as _id
from tests.isolation.webhooks import WEBHOOK_BASES, webhook_examples
from tests.resolvers.cards import add as add_card
from tests.resolvers.cards import do as do_card
from tests.resolvers.issuing import issued as issued_card
from tests.resolvers.users import change as change_user
from tests.resolvers.users import fresh_name
from tests.resolvers.users import make as make_user

NOT_A_NAME = {  # texts that name nothing which is kept
    "CardDetailsInput.number": "cards are passed to the bank",
    "CardDetailsInput.cvv": "cards are passed to the bank",
    "AddCardInput.number": "a number is one card for one user, and says nothing of others",
    "StoredCardInput.cvv": "it is passed to the bank",
    "CreateApiKeyInput.allowedNetworks": "networks are everybody's",
    "CreateUserInput.name": "people share names",
    "CreateUserInput.email": "nothing is looked for by it",
    "UpdateUserInput.name": "people share names",
    "UpdateUserInput.email": "nothing is looked for by it",
    **webhooks.NOT_A_NAME,
}


def examples(victim: Estate, asker: Estate) -> dict[str, list[Pair]]:
    """By coordinate."""
    payment = victim.payments["captured"]
    return {
        "Query.node(id:)": [Pair(each, neighbour(each)) for each in _ids(victim, asker)],
        "Query.payment(id:)": [Pair(each["id"], neighbour(each["id"])) for each in victim.payments.values()],
        "Query.orderPayment(orderId:)": [Pair(payment["orderId"], "nobody's order")],
        "Query.payments(after:)": [_cursor(victim.cursors["payments"])],
        "Query.payments(before:)": [_cursor(victim.cursors["the last of payments"])],
        "Query.reconciliation(after:)": [_cursor(victim.cursors["reconciliation"])],
        "ReconciliationRun.discrepancies(after:)": [_line(victim.cursors["discrepancies"])],
        "Query.events(after:)": [_event(victim.event_id)],
        "Subscription.transactionEvents(after:)": [_event(victim.event_id)],
        **_filters(victim),
        **_users(victim),
        **webhook_examples(victim.webhooks, victim.times),
        **_cards(victim),
        "AuthorizePaymentInput.idempotencyKey": [Pair(victim.idempotency_keys[0], "nobody's key 1")],
        "AuthorizePaymentInput.orderId": [Pair(payment["orderId"], "nobody's order 1")],
        "AuthorizePaymentInput.customerId": [Pair(payment["customerId"], "nobody's customer")],
        "StoredCardInput.cardId": [_id(victim.card_id)],
        "CapturePaymentInput.idempotencyKey": [Pair(victim.idempotency_keys[1], "nobody's key 2")],
        "CapturePaymentInput.paymentId": [_id(victim.payments["open"]["id"]), _id(victim.payments["captured"]["id"])],
        "VoidPaymentInput.idempotencyKey": [Pair(victim.idempotency_keys[2], "nobody's key 3")],
        "VoidPaymentInput.paymentId": [_id(victim.payments["voidable"]["id"])],
        "RefundPaymentInput.idempotencyKey": [Pair(victim.idempotency_keys[3], "nobody's key 4")],
        "RefundPaymentInput.paymentId": [_id(victim.payments["captured"]["id"])],
        "Query.apiKeys(after:)": [_id(victim.spare_key_id)],
        "CreateApiKeyInput.idempotencyKey": [Pair(victim.idempotency_keys[4], "nobody's key 5")],
        "CreateApiKeyInput.name": [Pair(payment["customerId"], "nobody's name")],
        "RotateApiKeyInput.idempotencyKey": [Pair(victim.idempotency_keys[5], "nobody's key 6")],
        "RotateApiKeyInput.apiKeyId": [_id(victim.spare_key_id)],
        "RevokeApiKeyInput.idempotencyKey": [Pair(victim.idempotency_keys[6], "nobody's key 7")],
        "RevokeApiKeyInput.apiKeyId": [_id(victim.spare_key_id)],
        "Query.auditLog(after:)": [Pair(victim.cursors["audit log"], victim.cursors["audit log"])],  # a number: everybody's alike
        "AuditFilter.subject": [
            Pair({"subject": each}, {"subject": neighbour(each)}) for each in (payment["id"], victim.spare_key_id)
        ],
    }


def _filters(victim: Estate) -> dict[str, list[Pair]]:
    """A filter that matches the victim's payments and none of the asker's, and one that matches nobody's."""
    payment, nobodys = victim.payments["refunded"], {"orderId": "nobody's order"}
    between = victim.times["first"] + timedelta(seconds=1)
    filters = {
        "orderId": payment["orderId"],
        "customerId": payment["customerId"],
        "cardId": victim.card_id,
        "userId": victim.owner_id,
        "states": ["REFUNDED"],
        "createdAfter": (victim.times["last"] - timedelta(seconds=61)).isoformat(),
        "createdBefore": between.isoformat(),
        "minAmount": MOST,
        "maxAmount": LEAST,
        "needsReview": True,
    }
    return {f"PaymentFilter.{name}": [Pair({name: value}, nobodys)] for name, value in filters.items()}


def _users(victim: Estate) -> dict[str, list[Pair]]:
    """Of users: whoever asks for another one's, in whatever way, is told that there is nobody."""
    people, between = victim.users, victim.times["first"] + timedelta(seconds=1)
    nobodys = {"externalId": "nobody's customer"}
    filters = {
        "externalId": people["idle"]["externalId"],
        "states": ["DEACTIVATED"],
        "createdAfter": (victim.times["last"] - timedelta(seconds=241)).isoformat(),
        "createdBefore": between.isoformat(),
    }
    changes = {
        f"{verb}UserInput": [_id(people[whom]["id"])]
        for verb, whom in (("Update", "idle"), ("Deactivate", "idle"), ("Reactivate", "deactivated"), ("Erase", "erasable"))
    }
    keys = {
        f"{verb}UserInput.idempotencyKey": [Pair(victim.idempotency_keys[number], f"nobody's key {number + 1}")]
        for number, verb in enumerate(("Create", "Update", "Deactivate", "Reactivate", "Erase"), start=7)
    }
    return {
        "Query.user(id:)": [Pair(each["id"], neighbour(each["id"])) for each in people.values()],
        "Query.user(externalId:)": [Pair(people["idle"]["externalId"], "nobody's customer")],
        "Query.users(after:)": [_cursor(victim.cursors["users"])],
        "Query.users(before:)": [_cursor(victim.cursors["the last of users"])],
        **{f"UserFilter.{name}": [Pair({name: value}, nobodys)] for name, value in filters.items()},
        "CreateUserInput.externalId": [Pair(people["idle"]["externalId"], "nobody's customer 1")],
        **{f"{name}.userId": pairs for name, pairs in changes.items()},
        **keys,
    }


def _cards(victim: Estate) -> dict[str, list[Pair]]:
    """Of stored cards, each in the state that the verb asks for, as far as the victim has one."""
    cards, user = victim.cards, victim.users["idle"]["id"]
    verbs = {"Activate": "older", "Freeze": "older", "Unfreeze": "frozen", "Close": "newer"}
    keys = {
        f"{verb}CardInput.idempotencyKey": [Pair(victim.idempotency_keys[number], f"nobody's key {number + 1}")]
        for number, verb in enumerate(("Add", *verbs, "Issue", "Reveal"), start=12)
    }
    return {
        "Query.card(id:)": [Pair(each["id"], neighbour(each["id"])) for each in cards.values()],
        "Query.cards(after:)": [_cursor(victim.cursors["cards"])],
        "Query.cards(before:)": [_cursor(victim.cursors["the last of cards"])],
        "CardFilter.userId": [Pair({"userId": user}, {"userId": neighbour(user)})],
        "CardFilter.states": [Pair({"states": ["FROZEN"]}, {"states": []})],
        "User.cards(after:)": [_cursor(victim.cursors["cards"])],
        "User.payments(after:)": [_cursor(victim.cursors["payments"])],
        "Card.payments(after:)": [_cursor(victim.cursors["payments"])],
        "SetCardLimitsInput.idempotencyKey": [Pair(victim.idempotency_keys[-1], "nobody's last key")],
        "SetCardLimitsInput.cardId": [_id(victim.card_id)],
        "AddCardInput.userId": [_id(user)],
        "IssueCardInput.userId": [_id(user)],
        "RevealCardInput.cardId": [_id(cards["older"]["id"])],
        **{f"{verb}CardInput.cardId": [_id(cards[which]["id"])] for verb, which in verbs.items()},
        **keys,
    }


def _ids(victim: Estate, asker: Estate) -> list[str]:
    partner, own = (encode_id(IdKind.PARTNER, tenant_of(each.api.tenant, Mode.LIVE)) for each in (victim, asker))
    others = [partner] if partner != own else []  # a sandbox is its partner's, and says so
    ids = (
        victim.key_id,
        victim.run_id,
        victim.entry_id,
        victim.event_id,
        victim.webhooks["endpoint"],
        victim.webhooks["delivery"],
    )
    things = (*victim.payments.values(), *victim.users.values(), *victim.cards.values())
    return [*others, *ids, *(each["id"] for each in things)]


def _event(public_id: str) -> Pair:
    return Pair(public_id, neighbour(public_id), refused=True)


def _cursor(text: str) -> Pair:
    cursor = Cursor.decode(text)
    assert cursor is not None
    return Pair(text, replace(cursor, id=type(cursor.id)(int=cursor.id.int ^ 1)).encode())


def _line(text: str) -> Pair:
    place = LinePlace.decode(text)
    assert place is not None
    return Pair(text, LinePlace(type(place.payment_id)(int=place.payment_id.int ^ 1), place.kind).encode())


Base = Callable[[Api], Awaitable[dict[str, Any]]]


async def _nothing(_: Api) -> dict[str, Any]:
    return {}


async def _authorize(api: Api) -> dict[str, Any]:
    return {"input": api.wish(customerId=fresh_name(api, "customer"))}  # one with payments would show all of them


async def _with_stored_card(api: Api) -> dict[str, Any]:
    return {"input": api.wish(source={"storedCard": {"cvv": "123"}})}


def _operate(after: str | None = None) -> Base:
    async def make(api: Api) -> dict[str, Any]:
        payment = await api.payment()
        if after:
            await api.operate(after, payment["id"])
        return {"input": {"idempotencyKey": api.fresh("key"), "paymentId": payment["id"]}}

    return make


async def _create_key(api: Api) -> dict[str, Any]:
    return {"input": {"idempotencyKey": api.fresh("key"), "name": "a program of mine", "scopes": ["KEYS_READ"]}}


async def _with_key(api: Api) -> dict[str, Any]:
    made = await api.ask(CREATE_KEY, **await _create_key(api))
    return {"input": {"idempotencyKey": api.fresh("key"), "apiKeyId": made["createApiKey"]["apiKey"]["id"]}}


async def _create_user(api: Api) -> dict[str, Any]:
    return {"input": {"idempotencyKey": api.fresh("key"), "externalId": fresh_name(api, "customer")}}


def _with_user(*, away: bool = False, **changes: str) -> Base:
    async def make(api: Api) -> dict[str, Any]:
        user = await make_user(api)
        if away:
            await change_user(api, "deactivate", userId=user["id"])
        return {"input": {"idempotencyKey": api.fresh("key"), "userId": user["id"], **changes}}

    return make


async def _add_card(api: Api) -> dict[str, Any]:
    user = await make_user(api)
    card = {"number": "4111111111111111", "expiryMonth": 12, "expiryYear": 2030}
    return {"input": {"idempotencyKey": api.fresh("key"), "userId": user["id"], **card}}


async def _with_inactive_card(api: Api) -> dict[str, Any]:
    kept = await keeper(api.app.state.house.parts, api.tenant)(customer=fresh_name(api, "customer"), state=CardState.INACTIVE)
    return {"input": {"idempotencyKey": api.fresh("key"), "cardId": encode_id(IdKind.CARD, kept.id)}}


async def _with_issued_card(api: Api) -> dict[str, Any]:
    return {"input": {"idempotencyKey": api.fresh("key"), "cardId": (await issued_card(api))["id"]}}


def _with_card(*, frozen: bool = False, **more: str) -> Base:
    async def make(api: Api) -> dict[str, Any]:
        card = await add_card(api)
        if frozen:
            await do_card(api, "freeze", cardId=card["id"])
        return {"input": {"idempotencyKey": api.fresh("key"), "cardId": card["id"], **more}}

    return make


BASES: dict[str, Base] = {  # what else a place needs, or a field, all of it the asker's own
    "StoredCardInput.cardId": _with_stored_card,
    "authorizePayment": _authorize,
    "capturePayment": _operate(),
    "voidPayment": _operate(),
    "refundPayment": _operate(after="capture"),
    "createApiKey": _create_key,
    "rotateApiKey": _with_key,
    "revokeApiKey": _with_key,
    "addCard": _add_card,
    "activateCard": _with_inactive_card,
    "freezeCard": _with_card(),
    "issueCard": _with_user(),
    "revealCard": _with_issued_card,
    "unfreezeCard": _with_card(frozen=True),
    "closeCard": _with_card(reason="CUSTOMER_REQUEST"),
    "setCardLimits": _with_card(perDay={"minorUnits": 100, "currency": "USD"}),
    "createUser": _create_user,
    "updateUser": _with_user(name="a name of mine"),
    "deactivateUser": _with_user(),
    "reactivateUser": _with_user(away=True),
    "eraseUser": _with_user(),
    **WEBHOOK_BASES,
}


async def base_of(field: str, api: Api, coordinate: str = "") -> dict[str, Any]:
    """The arguments of a field, or those around one of its places."""
    return await BASES.get(coordinate, BASES.get(field, _nothing))(api)
