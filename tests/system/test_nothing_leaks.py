"""I9: what is stolen is worthless. After a full run no card number, CVV or secret stands in the files of Postgres, in Redis or in a log."""

import base64
import re
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from app import staff
from domain.card import is_card_number
from domain.scope import ALL_SCOPES
from tests.app.serving import CARD, mutation
from tests.chaos.system import staff_settings
from tests.system.spellings import found_in, found_in_files, spellings

STORED = "4111111111111111"  # the bank knows it, so payments with it are authorized
UNKNOWN = "6011000990139424"
CVV = "7391"  # the bank knows none such; four digits are looked for where texts are, for in bytes they are everywhere
ALONE = rb"(?<![0-9a-f.:-])%b(?![0-9a-f.:-])"  # and not within an id, a hash or a time
ADD = "mutation ($input: AddCardInput!) { addCard(input: $input) { ... on AddCardPayload { card { id } } } }"
CREATE_USER = "mutation ($input: CreateUserInput!) { createUser(input: $input) { ... on UserPayload { user { id } } } }"
CREATE_KEY = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { secret } } }"
ISSUE = "mutation ($input: IssueCardInput!) { issueCard(input: $input) { ... on IssueCardPayload { card { id } } } }"
REVEAL = "mutation ($input: RevealCardInput!) { revealCard(input: $input) { ... on RevealCardPayload { number cvv } } }"
CREATE_ENDPOINT = """mutation ($input: CreateWebhookEndpointInput!) {
    createWebhookEndpoint(input: $input) { ... on CreateWebhookEndpointPayload { secret } }
}"""


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """One API process and its worker."""
    return started()


@pytest.mark.parametrize("before", range(7))
def test_a_secret_is_found_however_it_is_spelled(before: int) -> None:
    """The search itself can fail."""
    beside = b"x" * before
    text = UNKNOWN.encode()

    for content in (text, text.hex().encode(), UNKNOWN.encode("utf-16-le"), base64.b64encode(beside + text + b"y" * 9)):
        assert found_in(beside + content + beside, {"number": UNKNOWN})
    assert not found_in(beside + b"6011000990139425", {"number": UNKNOWN})
    assert min(map(len, spellings(UNKNOWN).values())) >= 15


async def key_that_reveals(shop: Any, system: Any) -> str:
    """An API key with all scopes, from the staff."""
    partner = (await shop.ask("{ viewer { partner { id } } }"))["viewer"]["partner"]["id"]
    settings = staff_settings(system.data.parent, system.ready)
    made = await staff.create_key(settings, partner, "reveals", staff.Grant(scopes=ALL_SCOPES))
    assert made is not None
    return str(made["key"])


async def lives(shop: Any, system: Any) -> dict[str, str]:
    """Everything that is given a secret, and makes one. Returns those made."""
    person = {"externalId": "customer-1", "name": "Ada Byron", "email": "ada@example.com"}
    user = (await shop.ask(CREATE_USER, input={"idempotencyKey": "user", **person}))["createUser"]["user"]["id"]
    wish = {"userId": user, "expiryMonth": 12, "expiryYear": 2030}
    stored, unknown = [
        (await shop.ask(ADD, input={**wish, "idempotencyKey": name, "number": number}))["addCard"]["card"]["id"]
        for name, number in (("stored", STORED), ("unknown", UNKNOWN))
    ]
    await shop.ask(ADD, input={**wish, "idempotencyKey": "mistyped", "number": UNKNOWN[:-1] + "5"})
    for card, cvv in ((stored, "123"), (stored, CVV), (unknown, CVV)):
        source = {"storedCard": {"cardId": card, "cvv": cvv}}
        answer = await shop.ask(mutation("authorizePayment"), input={**shop.wish(), "source": source})
        assert answer["authorizePayment"]["__typename"] == "PaymentPayload", answer
    await shop.authorize({**shop.wish(), "source": {"card": {**CARD, "number": UNKNOWN, "cvv": CVV}}})
    revealing = await key_that_reveals(shop, system)
    shop.http.headers["Authorization"] = f"Bearer {revealing}"
    issued = (await shop.ask(ISSUE, input={"idempotencyKey": "issue", "userId": user}))["issueCard"]["card"]["id"]
    shown = (await shop.ask(REVEAL, input={"idempotencyKey": "reveal", "cardId": issued}))["revealCard"]
    key = {"idempotencyKey": "api key", "name": "another", "scopes": ["PAYMENTS_READ"]}
    endpoint = {"idempotencyKey": "endpoint", "url": "https://hooks.example.com/payments"}
    made = {
        "the revealing key": revealing,
        "the issued number": shown["number"],
        "the new API key": (await shop.ask(CREATE_KEY, input=key))["createApiKey"]["secret"],
        "the webhook secret": (await shop.ask(CREATE_ENDPOINT, input=endpoint))["createWebhookEndpoint"]["secret"],
    }
    # An authorization whose card is sealed in its attempt at the moment of the theft: the bank is away.
    await shop.weather(failure_rate=1.0)
    pending = await shop.authorize({**shop.wish(), "source": {"card": {**CARD, "number": UNKNOWN, "cvv": CVV}}})
    assert pending["payment"]["state"] == "PENDING"
    return made


async def tables(url: str) -> bytes:
    """All tables of ours as text."""
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        )
        rows = [each[0] for name in names for each in await connection.fetch(f"select t::text from {name[0]} as t")]
    finally:
        await connection.close()
    assert len(rows) > 30
    return "\n".join(rows).encode()


async def everything_in(url: str) -> bytes:
    """All that Redis holds."""
    client = redis.asyncio.Redis.from_url(url)
    try:
        found = [name async for name in client.scan_iter()]
        return b"\n".join([*found, *[await client.dump(name) or b"" for name in found]])
    finally:
        await client.aclose()


async def test_no_card_number_cvv_key_or_secret_is_left_in_what_can_be_stolen(shop: Any, system: Any) -> None:
    secrets = {"the stored number": STORED, "the other number": UNKNOWN, "the API key": system.ready["api_key"]}
    secrets |= {name: (system.data / "secrets" / name).read_text().strip() for name in ("master-key", "pepper")}

    secrets |= await lives(shop, system)

    assert all(is_card_number(secrets[name]) for name in ("the stored number", "the other number", "the issued number"))
    stolen = {
        "tables": await tables(system.ready["database_url"]),
        "Redis": await everything_in(system.ready["redis_url"]),
        "logs": b"".join(each.read_bytes() for each in (system.data / "logs").iterdir() if "bank" not in each.name),
        "stderr": system.errors_file.read_bytes(),
    }
    assert found_in(stolen["tables"], {"the e-mail": "ada@example.com"}), "what is there in clear is found"
    assert [(name, found) for name, content in stolen.items() if (found := found_in(content, secrets))] == []
    assert found_in_files(system.data / "postgres", secrets) == set()
    assert [name for name in ("tables", "logs") if re.search(ALONE % CVV.encode(), stolen[name])] == []
