"""The operations on issued cards, as a part of the root."""

from typing import Annotated

import strawberry

from domain.scope import Scope
from resolvers import issuing
from resolvers.asking import asks
from resolvers.context import Info
from schema.issued_card import IssueCardInput, IssueCardResult, RevealCardInput, RevealCardResult


@strawberry.type
class IssuingMutations:
    @asks(
        Scope.CARDS_WRITE,
        "Have the bank make a virtual card for a user. It is INACTIVE until `activateCard`, and its number is shown by `revealCard`. Where "
        "the bank issues no cards, the answer is `IssuingUnavailableError`.",
    )
    async def issue_card(
        self,
        info: Info,
        input: Annotated[IssueCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> IssueCardResult | None:
        return await issuing.issue_card(info, input)

    @asks(
        Scope.CARDS_REVEAL,
        "Show the number of an issued card, and its CVV: once, for its user. A repetition does not show them again, and the audit log "
        "says who has seen them.",
    )
    async def reveal_card(
        self,
        info: Info,
        input: Annotated[RevealCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> RevealCardResult | None:
        return await issuing.reveal_card(info, input)
