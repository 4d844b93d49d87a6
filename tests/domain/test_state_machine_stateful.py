"""Any sequence of requests and answers: a payment goes where the table lets it, remembers all of it, and never comes back."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.answer import refusal_of
from domain.card import CardBrand, CardSummary
from domain.money import Money
from domain.payment import (
    STATE_FOR,
    TRANSITIONS,
    Authorized,
    Captured,
    Decline,
    DeclineCode,
    Declined,
    Disagreed,
    Expired,
    Outcome,
    Payment,
    PaymentState,
    PendingOperation,
    Refunded,
    Verb,
    Voided,
    step,
)
from domain.receipt import from_document, to_document

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
DECLINE = Decline(DeclineCode.INSUFFICIENT_FUNDS, "insufficient funds")
REFERENCE = st.none() | st.just("ref_1")
OUTCOMES: dict[Verb, st.SearchStrategy[Outcome]] = {  # everything that an attempt can come to
    Verb.AUTHORIZE: st.builds(Authorized, st.just("auth_1"), st.booleans())
    | st.builds(Declined, st.just(DECLINE), st.booleans()),
    Verb.CAPTURE: st.builds(Captured, REFERENCE) | st.just(Expired()) | st.builds(Disagreed, st.just("amount_mismatch")),
    Verb.VOID: st.builds(Voided, REFERENCE) | st.builds(Disagreed, st.just("authorization_already_used")),
    Verb.REFUND: st.builds(Refunded, REFERENCE, st.booleans()) | st.builds(Disagreed, st.just("amount_mismatch")),
}


class PaymentMachine(RuleBasedStateMachine):
    """One payment, whoever asks for whatever, and a bank that may answer anything."""

    def __init__(self) -> None:
        super().__init__()
        card = CardSummary(CardBrand.VISA, "1111")
        self.payment = Payment(
            id=UUID(int=1),
            order_id="order",
            customer_id="customer",
            amount=Money(100),
            card=card,
            state=PaymentState.PENDING,
            reached={PaymentState.PENDING: START},
        )
        self.now = START
        self.pending: PendingOperation | None = PendingOperation(Verb.AUTHORIZE, START, 1)
        self.before = self.payment

    @rule(seconds=st.sampled_from([-5, -1, 1, 3600]))
    def time_passes_here_or_on_another_host(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(verb=st.sampled_from(Verb))
    def somebody_asks(self, verb: Verb) -> None:
        refusal = refusal_of(verb, self.payment, self.pending)

        no_capture_to_refund = verb is Verb.REFUND and self.payment.bank.capture is None
        allowed = self.payment.state is STATE_FOR[verb] and self.pending is None and not no_capture_to_refund
        assert (refusal is None) == allowed
        if refusal is None:
            self.pending = PendingOperation(verb, self.now, 1)
        else:
            assert refusal.state is self.payment.state
            assert refusal.message

    @precondition(lambda self: self.pending is not None)
    @rule(data=st.data())
    def the_bank_answers(self, data: st.DataObject) -> None:
        assert self.pending is not None
        self.before, outcome = self.payment, data.draw(OUTCOMES[self.pending.verb])

        self.payment, self.pending = step(self.payment, outcome, self.now), None

    @precondition(lambda self: self.pending is None and self.payment.state is PaymentState.EXPIRED)
    @rule(reference=REFERENCE)
    def the_expired_hold_is_released(self, reference: str | None) -> None:
        self.before = self.payment

        self.payment = step(self.payment, Voided(reference), self.now)

        assert self.payment.state is PaymentState.EXPIRED

    @invariant()
    def its_history_is_a_way_through_the_table(self) -> None:
        states = [state for state, _ in self.payment.history]
        assert states[0] is PaymentState.PENDING
        assert states[-1] is self.payment.state
        assert all(after in TRANSITIONS[before] for before, after in pairwise(states))

    @invariant()
    def time_never_runs_backwards_on_a_receipt(self) -> None:
        times = [at for _, at in self.payment.history]
        assert times == sorted(times)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert self.before.reached.items() <= self.payment.reached.items()
        assert self.before.review_reasons <= self.payment.review_reasons
        if not TRANSITIONS[self.before.state]:
            assert self.payment.state is self.before.state

    @invariant()
    def it_has_a_hold_exactly_when_it_was_authorized(self) -> None:
        assert (self.payment.bank.authorization is not None) == (PaymentState.AUTHORIZED in self.payment.reached)
        assert (self.payment.decline is not None) == (self.payment.state is PaymentState.DECLINED)

    @invariant()
    def its_document_keeps_all_of_it(self) -> None:
        assert from_document(to_document(self.payment)) == self.payment


TestAnySequence = PaymentMachine.TestCase
TestAnySequence.settings = settings(max_examples=200, stateful_step_count=30, deadline=None, derandomize=True)
