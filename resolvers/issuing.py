"""Issued cards: made by the bank, and their numbers shown once."""

from typing import cast

from domain.answer import InvalidInput
from domain.issuing import parse_issue_card, parse_reveal_card
from gateway.issuing import IssueAnswer, RevealAnswer
from resolvers.context import Info
from schema.card import card_of
from schema.errors import error_of
from schema.issued_card import (
    IssueCardInput,
    IssueCardPayload,
    IssueCardResult,
    RevealCardInput,
    RevealCardPayload,
    RevealCardResult,
)


async def issue_card(info: Info, input: IssueCardInput) -> IssueCardResult:  # noqa: A002
    """Have a card made for a user."""
    context = info.context
    request = parse_issue_card(input.idempotency_key, input.user_id)
    answer = (
        request if isinstance(request, InvalidInput) else await context.issuing.issue(context.tenant_id, request, context.origin)
    )
    if not isinstance(answer, IssueAnswer):
        return cast(IssueCardResult, error_of(answer))
    return IssueCardPayload(card=card_of(answer.card), replayed=answer.replayed)


async def reveal_card(info: Info, input: RevealCardInput) -> RevealCardResult:  # noqa: A002
    """Show an issued card's number, once."""
    context = info.context
    request = parse_reveal_card(input.idempotency_key, input.card_id)
    answer = (
        request if isinstance(request, InvalidInput) else await context.issuing.reveal(context.tenant_id, request, context.origin)
    )
    if not isinstance(answer, RevealAnswer):
        return cast(RevealCardResult, error_of(answer))
    number, cvv = (answer.details.number, answer.details.cvv) if answer.details else (None, None)
    return RevealCardPayload(card=card_of(answer.card), number=number, cvv=cvv, replayed=answer.replayed)
