"""A payment: the receipt."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain.card import CardBrand
from domain.card import CardSummary as DomainCardSummary
from domain.ids import IdKind, encode_id
from domain.payment import BankReferences as DomainBankReferences
from domain.payment import DeclineCode, PaymentState, ReviewReason, Verb
from domain.payment import Payment as DomainPayment
from domain.payment import PendingOperation as DomainPendingOperation
from schema.below import Info
from schema.money import Money, money_of
from schema.node import Node

if TYPE_CHECKING:
    from schema.card import Card
    from schema.user import User


@strawberry.type(description="What is kept of a card: enough for its owner to recognise it.")
class CardSummary:
    brand: CardBrand = strawberry.field(description="The network.")
    last_four: str = strawberry.field(description="The last four digits.")


@strawberry.type(description="A state that a payment has been in.")
class PaymentTransition:
    state: PaymentState = strawberry.field(description="The state.")
    at: datetime = strawberry.field(description="Since when.")


@strawberry.type(description="The bank's own references. One is null until the bank did it, or if its answer was lost.")
class BankReferences:
    authorization: str | None = strawberry.field(description="Of the hold.")
    capture: str | None = strawberry.field(description="Of the capture.")
    void: str | None = strawberry.field(description="Of the void; an expired hold is voided too, to free its money.")
    refund: str | None = strawberry.field(description="Of the refund.")


@strawberry.type(description="The bank's no to an authorization: an outcome, not an error.")
class Decline:
    code: DeclineCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(description="The bank's words.")


@strawberry.type(description="What the bank has been asked and has not answered beyond doubt yet.")
class PendingOperation:
    verb: Verb = strawberry.field(description="The operation.")
    since: datetime = strawberry.field(description="When it was accepted.")
    attempts: int = strawberry.field(description="How often the bank has been asked, this time included.")


@strawberry.type(description="A payment for an order: the receipt, with everything that happened to it.")
class Payment(Node):
    payment: strawberry.Private[DomainPayment]
    pending: strawberry.Private[DomainPendingOperation | None]

    reference: str = strawberry.field(description="Short, to be read out on the phone: `7K2QM-X41RD`.")
    order_id: str = strawberry.field(description="Your order.")
    customer_id: str = strawberry.field(description="Your customer.")
    amount: Money = strawberry.field(description="The whole amount: captures and refunds are never partial.")
    state: PaymentState = strawberry.field(description="Where it stands.")
    card: CardSummary = strawberry.field(description="The card it was paid with.")
    created_at: datetime = strawberry.field(description="When it was accepted.")
    needs_review: bool = strawberry.field(description="Whether our operators have to look at it. Its state is true all the same.")

    @strawberry.field(
        description="The stored card that it was made with, as it is now; null when the card was given in full. Needs the scope "
        "`cards:read`; null, with an error, for a key without it."
    )
    async def stored_card(self, info: Info) -> Annotated["Card", strawberry.lazy("schema.card")] | None:
        return await info.context.below.card_of_payment(self.payment)

    @strawberry.field(
        description="The user whose `externalId` is the `customerId`, as they are now; null when there is none. Needs the scope "
        "`users:read`; null, with an error, for a key without it."
    )
    async def user(self, info: Info) -> Annotated["User", strawberry.lazy("schema.user")] | None:
        return await info.context.below.user_of_payment(self.payment)

    @strawberry.field(description="Each state it has been in, oldest first.")
    def history(self) -> list[PaymentTransition]:
        return [PaymentTransition(state=state, at=at) for state, at in self.payment.history]

    @strawberry.field(description="The bank's own references of what it did.")
    def bank_references(self) -> BankReferences:
        bank: DomainBankReferences = self.payment.bank
        return BankReferences(authorization=bank.authorization, capture=bank.capture, void=bank.void, refund=bank.refund)

    @strawberry.field(description="Why the bank refused it. Null unless it is DECLINED.")
    def decline(self) -> Decline | None:
        decline = self.payment.decline
        return Decline(code=decline.code, message=decline.message) if decline else None

    @strawberry.field(description="Why it needs review. Empty unless `needsReview`.")
    def review_reasons(self) -> list[ReviewReason]:
        return sorted(self.payment.review_reasons)

    @strawberry.field(description="What the bank has been asked and has not answered beyond doubt yet. Null when nothing is.")
    def pending_operation(self) -> PendingOperation | None:
        pending = self.pending
        return PendingOperation(verb=pending.verb, since=pending.since, attempts=pending.attempts) if pending else None


def card_of(card: DomainCardSummary) -> CardSummary:
    """A domain card summary as the schema shows it."""
    return CardSummary(brand=card.brand, last_four=card.last_four)


def payment_of(payment: DomainPayment, pending: DomainPendingOperation | None) -> Payment:
    """A domain payment as the schema shows it, with what was under way when it stood like this."""
    return Payment(
        payment=payment,
        pending=pending,
        id=strawberry.ID(encode_id(IdKind.PAYMENT, payment.id)),
        reference=payment.reference,
        order_id=payment.order_id,
        customer_id=payment.customer_id,
        amount=money_of(payment.amount),
        state=payment.state,
        card=card_of(payment.card),
        created_at=payment.created_at,
        needs_review=bool(payment.review_reasons),
    )
