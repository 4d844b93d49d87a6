"""Two tenants with a row of everything, and how to tell the one's things from the other's."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from domain.ids import IdKind, encode_id
from domain.partner import Mode, mode_of
from domain.reconciliation import Trigger
from gateway.reconciliation import Finished, Reconciliation
from persistence.database import Database
from persistence.tables import metadata
from tests.app.serving import Api
from tests.gateway.kept_cards import GOOD_CARD, keeper
from tests.isolation.webhooks import furnish_webhooks
from tests.isolation.webhooks import make as make_endpoint
from tests.resolvers.cards import add as add_card
from tests.resolvers.cards import do as do_card
from tests.resolvers.cards import number as card_number
from tests.resolvers.users import change as change_user
from tests.resolvers.users import fresh_name
from tests.resolvers.users import make as make_user

MIN_MARK = 8  # characters: shorter texts are words that anybody may have
_CODE = re.compile(r"[A-Z_]+|[a-z]+(?:[A-Z][a-z]+)+|[a-z]+[.:_][a-z_]+")  # states, mutations, actions: nobody's own
LEAST, MOST = 149, 6_001  # amounts that nobody but the victim has, in cents
TENANT_TABLES = sorted(table.name for table in metadata.tables.values() if "tenant_id" in table.c)


@dataclass
class Estate:
    """What a tenant has. Public ids, by what they are good for; `marks` are all texts and ids in its rows."""

    api: Api
    key_id: str = ""
    spare_key_id: str = ""
    card_id: str = ""  # of a stored card, with which a payment was made
    owner_id: str = ""  # of that card's user
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    idempotency_keys: list[str] = field(default_factory=list)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    webhooks: dict[str, Any] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    run_id: str = ""
    entry_id: str = ""
    event_id: str = ""  # of the first event
    cursors: dict[str, str] = field(default_factory=dict)  # of the first edge of each connection
    times: dict[str, datetime] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)


FURNITURE = """
{
  viewer { apiKey { id } }
  events(first: 1) { nodes { id } }
  payments(first: 100) { edges { cursor } }
  users { edges { cursor } }
  cards { edges { cursor } }
  auditLog { edges { cursor node { id } } }
  reconciliation { edges { cursor node { id discrepancies { edges { cursor } } } } }
}
"""


CREATE_KEY = (
    "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { apiKey { id } } } }"
)


async def come_first(estate: Estate, here: Any) -> None:
    """A payment from before the other tenant's time, and whom it was told to."""
    estate.times["first"] = here.time
    await make_endpoint(estate.api)
    estate.payments["first"] = await _pay(estate)
    estate.users["first"] = await _make_user(estate)


async def furnish(estate: Estate, here: Any, control: httpx.AsyncClient, *, rich: bool) -> None:
    """Users, payments in all their states, two reconciliations with discrepancies, audit entries; `rich`: more than the other has."""
    api = estate.api
    estate.webhooks = await furnish_webhooks(api, rich=rich)
    for name in ("idle", "erasable", *(["deactivated"] if rich else [])):
        estate.users[name] = await _make_user(estate)
    if rich:
        await change_user(api, "deactivate", userId=estate.users["deactivated"]["id"])
    for number, name in enumerate(("older", "newer", *(["frozen", "closed"] if rich else []))):
        here.pass_by(1)
        key = api.fresh("key")
        estate.idempotency_keys.append(key)
        wish = {"userId": estate.users["idle"]["id"], "number": card_number(number), "idempotencyKey": key}
        estate.cards[name] = await add_card(api, **wish)
    if rich:
        await do_card(api, "freeze", cardId=estate.cards["frozen"]["id"])
        await do_card(api, "close", cardId=estate.cards["closed"]["id"], reason="STOLEN")
    for name in ("free", "open", "captured", "voidable"):
        estate.payments[name] = await _pay(estate)
    await _operate(estate, "capture", "captured")
    if rich:
        for name, amount in (("least", LEAST), ("most", MOST), ("refunded", 500), ("voided", 500)):
            estate.payments[name] = await _pay(estate, amount=amount)
        await _operate(estate, "capture", "refunded")
        await _operate(estate, "refund", "refunded")
        await _operate(estate, "void", "voided")
        estate.payments["declined"] = await _pay(estate, card={"cvv": "999"})
    await _pay_with_stored_card(estate)
    for _ in range(2):
        here.pass_by(60)
        for number in range(2):
            estate.payments[f"expired {number}"] = payment = await _pay(estate, amount=500)
            await control.post(f"/authorizations/{payment['bankReferences']['authorization']}/expire")
        here.pass_by(60)
        house = api.app.state.house
        parts = house.sandbox if mode_of(api.tenant) is Mode.TEST else house.parts
        ending = await Reconciliation(parts, repair_limit_minor=1 if rich else 100_000).reconcile(api.tenant, Trigger.SCHEDULE)
        assert isinstance(ending, Finished)
    estate.times["last"] = here.time
    have = await api.ask(FURNITURE)
    wish = {"idempotencyKey": api.fresh("key"), "name": api.fresh("program"), "scopes": ["KEYS_READ"]}
    estate.spare_key_id = (await api.ask(CREATE_KEY, input=wish))["createApiKey"]["apiKey"]["id"]
    estate.key_id = have["viewer"]["apiKey"]["id"]
    estate.event_id = have["events"]["nodes"][0]["id"]
    run = have["reconciliation"]["edges"][0]
    estate.run_id = run["node"]["id"]
    estate.entry_id = have["auditLog"]["edges"][0]["node"]["id"]
    estate.cursors = {
        "audit log": have["auditLog"]["edges"][0]["cursor"],
        "users": have["users"]["edges"][0]["cursor"],
        "the last of users": have["users"]["edges"][-1]["cursor"],
        "cards": have["cards"]["edges"][0]["cursor"],
        "the last of cards": have["cards"]["edges"][-1]["cursor"],
        "payments": have["payments"]["edges"][0]["cursor"],
        "the last of payments": have["payments"]["edges"][-1]["cursor"],
        "reconciliation": run["cursor"],
        "discrepancies": run["node"]["discrepancies"]["edges"][0]["cursor"],
    }


async def _pay(estate: Estate, **changes: Any) -> dict[str, Any]:
    wish = {"idempotencyKey": estate.api.fresh("key"), "customerId": estate.api.fresh("customer")} | changes
    estate.idempotency_keys.append(wish["idempotencyKey"])
    payment: dict[str, Any] = await estate.api.payment(**wish)
    return payment


async def _make_user(estate: Estate) -> dict[str, Any]:
    name, key = fresh_name(estate.api, "person"), estate.api.fresh("key")
    estate.idempotency_keys.append(key)
    personal = {"name": name, "email": f"{name}@example.com", "metadata": {"note": f"of {name}"}}
    user: dict[str, Any] = await make_user(estate.api, idempotencyKey=key, **personal)
    return user


async def _pay_with_stored_card(estate: Estate) -> None:
    house = estate.api.app.state.house
    parts = house.sandbox if mode_of(estate.api.tenant) is Mode.TEST else house.parts
    kept = await keeper(parts, estate.api.tenant, GOOD_CARD)(customer=estate.api.fresh("customer"))
    estate.card_id, estate.owner_id = encode_id(IdKind.CARD, kept.id), encode_id(IdKind.USER, kept.user_id)
    source = {"storedCard": {"cardId": estate.card_id, "cvv": GOOD_CARD.cvv}}
    estate.payments["stored"] = await _pay(estate, customerId=kept.customer, source=source)


async def _operate(estate: Estate, verb: str, name: str) -> None:
    answer = await estate.api.operate(verb, estate.payments[name]["id"])
    assert answer["__typename"] == "PaymentPayload", answer


async def marks_of(owner: Database, tenant_id: UUID) -> set[str]:
    """Every text and id in a tenant's rows, as an answer could show it."""
    found = {str(tenant_id), *_public(tenant_id)}
    async with owner.tenant(tenant_id) as tx:
        for table in TENANT_TABLES:
            for row in await tx.execute(text(f"select * from {table} where tenant_id = :tenant"), {"tenant": tenant_id}):
                for value in row:
                    found |= _texts(value)
    return {each for each in found if len(each) >= MIN_MARK and not _CODE.fullmatch(each)}


def _texts(value: Any) -> set[str]:
    match value:
        case str():
            return {value}
        case UUID():
            return {str(value), value.hex, *_public(value)}
        case dict():
            return set().union(*map(_texts, value.values()))
        case list():
            return set().union(*map(_texts, value))
        case _:
            return set()


def _public(value: UUID) -> set[str]:
    return {encode_id(kind, value) for kind in IdKind}


_FRESH = [
    (re.compile(r"\b[a-z]{3,4}_[0-9a-hjkmnp-tv-z]{26}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b(auth|cap|void|ref)_[0-9a-zA-Z-]{6,}"), "<reference>"),
    (re.compile(r'"reference": "[^"]+"'), '"reference": "<reference>"'),
    (re.compile(r'(?<=ursor": ")[\w=-]+'), "<cursor>"),
    (re.compile(r"\bgp_(live|test)_\w+"), "<key>"),
    (re.compile(r"\bwhsec_[\w+/=]+"), "<secret>"),
    (re.compile(r'sequence": \d+'), 'sequence": "<number>"'),
    (re.compile(r'(?<="kind": "ISSUED", "brand": "VISA", "lastFour": ")\d{4}'), "<digits>"),  # the bank makes others each time
    (re.compile(r'"number": "450000\d{10}", "cvv": "\d{3}"'), "<number>"),
    (re.compile(r"\berr_[0-9a-f]{16}\b"), "<error>"),
    (re.compile(r"\b(key|order|customer|person)-[0-9a-p]{12}-[0-9g-p]+"), "<name>"),
]


def without_fresh_names(answer: str) -> str:
    """An answer with placeholders for whatever is made anew each time."""
    for pattern, placeholder in _FRESH:
        answer = pattern.sub(placeholder, answer)
    return answer
