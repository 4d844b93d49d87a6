"""What tests ask about issued cards."""

from typing import Any

from tests.app.serving import Api
from tests.resolvers.cards import CARD, HISTORY
from tests.resolvers.users import make

ISSUE = f"""mutation ($input: IssueCardInput!) {{ issueCard(input: $input) {{
    __typename
    ... on IssueCardPayload {{ replayed card {{ {CARD} {HISTORY} }} }}
    ... on UserError {{ code message path }}
    ... on LimitReachedError {{ limit }}
}} }}"""
REVEAL = """mutation ($input: RevealCardInput!) { revealCard(input: $input) {
    __typename
    ... on RevealCardPayload { replayed number cvv card { id lastFour expiryMonth expiryYear } }
    ... on UserError { code message path }
    ... on CardAlreadyRevealedError { cardId revealedAt }
    ... on CardNotUsableError { cardId cardState }
} }"""


async def issue(api: Api, **wish: Any) -> Any:
    """issueCard's answer; for a new user unless `userId` says for whom."""
    if "userId" not in wish:
        wish["userId"] = (await make(api))["id"]
    return (await api.ask(ISSUE, input={"idempotencyKey": api.fresh("key"), **wish}))["issueCard"]


async def reveal(api: Api, card_id: str, **wish: Any) -> Any:
    """revealCard's answer."""
    return (await api.ask(REVEAL, input={"idempotencyKey": api.fresh("key"), "cardId": card_id, **wish}))["revealCard"]


async def issued(api: Api, **wish: Any) -> Any:
    """A card that was issued."""
    answer = await issue(api, **wish)
    assert answer["__typename"] == "IssueCardPayload", answer
    return answer["card"]
