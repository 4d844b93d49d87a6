"""What tests ask about stored cards."""

from typing import Any

from domain.card import is_card_number
from tests.app.serving import Api
from tests.resolvers.users import make as make_user

CARD = """id userId kind brand lastFour expiryMonth expiryYear state reason createdAt stateSince
    limits { perTransaction { minorUnits } perDay { minorUnits } perMonth { minorUnits } }"""
HISTORY = "history { before after reason actor at }"
MORE = """fragment More on UserError {
    ... on InvalidInputError { problems { path message } }
    ... on UserNotUsableError { userId userState }
    ... on CardNotUsableError { cardId cardState }
    ... on LimitReachedError { limit }
}"""


def mutation(verb: str) -> str:
    """A mutation's document."""
    payload = "AddCardPayload { alreadyThere" if verb == "add" else "CardPayload {"
    return f"""mutation ($input: {verb.capitalize()}CardInput!) {{ {verb}Card(input: $input) {{
        __typename
        ... on {payload} replayed card {{ {CARD} {HISTORY} }} }}
        ... on UserError {{ code message path ...More }}
    }} }} {MORE}"""


def number(index: int) -> str:
    """The index-th of many card numbers that differ."""
    body = f"411111{index:09}"
    return next(body + digit for digit in "0123456789" if is_card_number(body + digit))


async def do(api: Api, verb: str, **wish: Any) -> Any:
    """The answer of `add`, `activate`, `freeze`, `unfreeze` or `close`; what is not said is fresh or usual."""
    usual = {"number": "4111111111111111", "expiryMonth": 12, "expiryYear": 2030} if verb == "add" else {}
    given = {"idempotencyKey": api.fresh("key"), **usual, **wish}
    return (await api.ask(mutation(verb), input=given))[f"{verb}Card"]


async def add(api: Api, **wish: Any) -> Any:
    """A card that was added; for a new user unless `userId` says for whom."""
    if "userId" not in wish:
        wish["userId"] = (await make_user(api))["id"]
    answer = await do(api, "add", **wish)
    assert answer["__typename"] == "AddCardPayload", answer
    return answer["card"]


async def card_by(api: Api, card_id: str) -> Any:
    """A card as it is now."""
    return (await api.ask(f"query ($id: ID!) {{ card(id: $id) {{ {CARD} {HISTORY} }} }}", id=card_id))["card"]
