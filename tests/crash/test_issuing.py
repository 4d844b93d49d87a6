"""A process dies while a card is being issued: a repetition or the worker brings it to its end, and the bank makes one card."""

from typing import Any

import pytest

from domain.failpoint import Failpoint
from tests.crash.processes import until
from tests.crash.site import Partner, Site
from tests.crash.table import ISSUES

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { ... on UserPayload { user { id } } } }"
ISSUE = """mutation ($input: IssueCardInput!) { issueCard(input: $input) {
    __typename ... on IssueCardPayload { replayed card { id state history { after } } } ... on UserError { code }
} }"""
CARDS = "{ cards { nodes { id kind state } } }"
EVENTS = "{ events(first: 100) { nodes { type subjectId } } }"


async def wish_of(partner: Partner) -> dict[str, Any]:
    """A user of a new partner's, for whom a card is wanted."""
    made = await partner.post(
        partner.site.api, {"query": CREATE, "variables": {"input": {"idempotencyKey": "u", "externalId": "c"}}}
    )
    return {"query": ISSUE, "variables": {"input": {"idempotencyKey": "k", "userId": made["createUser"]["user"]["id"]}}}


@pytest.mark.parametrize("who", ["a repetition", "the worker"])
@pytest.mark.parametrize("failpoint", ISSUES)
async def test_a_card_is_issued_once_wherever_its_process_dies(site: Site, failpoint: Failpoint, who: str) -> None:
    partner = await site.partner()
    wish = await wish_of(partner)
    victim = site.start_api(failpoint.value)

    lost = await partner.post(victim, wish)
    await victim.fell_at(failpoint)
    left = (await partner.post(site.api, {"query": CARDS}))["cards"]["nodes"]
    if who == "the worker":
        assert site.worker.is_alive
        await site.owner_fetch(
            "update issued_cards set ask_again_at = now() where tenant_id = $1 and ask_again_at is not null", partner.id
        )

        async def is_there() -> Any:
            return (await partner.post(site.api, {"query": CARDS}))["cards"]["nodes"]

        await until(is_there, "the card")
    answers = [(await partner.post(site.api, wish))["issueCard"] for _ in range(2)]

    (card,) = (await partner.post(site.api, {"query": CARDS}))["cards"]["nodes"]
    assert (lost, left) == (None, [])
    assert (card["kind"], card["state"]) == ("ISSUED", "INACTIVE")
    assert [(each["replayed"], each["card"]["id"]) for each in answers] == [(True, card["id"])] * 2
    made = [each for each in (await site.ledger())["issued_cards"] if each["idempotency_key"] == card["id"]]
    assert len(made) == 1
    events = [each["subjectId"] for each in (await partner.post(site.api, {"query": EVENTS}))["events"]["nodes"]]
    assert events.count(card["id"]) == 1
