"""What an operator may say: every state with every flag and every open attempt, and what each word makes of the payment."""

from dataclasses import replace
from uuid import UUID

import pytest

from domain.attempt import Attempt
from domain.payment import (
    Authorized,
    Captured,
    DeclineCode,
    Declined,
    Disagreed,
    Payment,
    PaymentState,
    Refunded,
    ReviewReason,
    Verb,
    Voided,
    dismiss,
    review,
)
from domain.settlement import (
    PREFIXES,
    Acknowledge,
    AskAgain,
    ConfirmDone,
    LearnReference,
    NotSettled,
    RuleOut,
    Settled,
    Settlement,
    action_of,
    fitting,
    is_about_the_attempt,
    is_reference,
    settle,
)
from tests.domain.examples import NOW, SECOND, payment_in

S = PaymentState
R = ReviewReason
SOME_UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
EXAMPLES: tuple[Settlement, ...] = (
    *(Acknowledge(reason) for reason in R),
    *(LearnReference(verb, f"{prefix}_{SOME_UUID}") for verb, prefix in PREFIXES.items()),
    *(ConfirmDone(verb, f"{prefix}_{SOME_UUID}") for verb, prefix in PREFIXES.items()),
    *(RuleOut(verb) for verb in Verb),
    AskAgain(),
)

# Rows: the state; which of the bank's references is lost; what is under way. Columns: the one flag it has, `none` for none.
# Cells: a flag acknowledged, l reference learned, d confirmed as done, o ruled out, g asked again, - nothing fits.
COLUMNS = [
    None,
    R.POSSIBLE_ORPHAN_HOLD,
    R.CAPTURE_REFERENCE_UNKNOWN,
    R.VOID_REFERENCE_UNKNOWN,
    R.REFUND_REFERENCE_UNKNOWN,
    R.BANK_DISAGREES,
    R.BANK_KEY_EXPIRED,
    R.BANK_UNINTELLIGIBLE,
    R.RECONCILED,
]
TABLE = """
    state       lost     under way   none  orphan  capture  void  refund  disagrees  key  unintelligible  reconciled
    PENDING     -        -           -     -       -        a     a       a          a    a               a
    PENDING     -        AUTHORIZE   g     g       g        ag    ag      g          do   dog             ag
    AUTHORIZED  -        -           -     a       -        a     a       add        a    a               a
    AUTHORIZED  -        CAPTURE     g     ag      g        ag    ag      g          do   dog             ag
    AUTHORIZED  -        VOID        g     ag      g        ag    ag      g          do   dog             ag
    CAPTURED    -        -           -     a       a        a     a       ad         a    a               a
    CAPTURED    capture  -           l     al      l        al    al      ald        al   al              al
    CAPTURED    -        REFUND      g     ag      ag       ag    ag      g          do   dog             ag
    VOIDED      -        -           -     a       -        a     a       a          a    a               a
    VOIDED      void     -           l     al      l        al    al      al         al   al              al
    REFUNDED    -        -           -     a       a        a     a       a          a    a               a
    REFUNDED    refund   -           l     al      al       al    al      al         al   al              al
    DECLINED    -        -           -     a       -        a     a       a          a    a               a
    EXPIRED     -        -           -     a       -        al    a       ad         a    a               a
    EXPIRED     -        VOID        g     ag      g        alg   ag      g          do   dog             ag
"""


def attempt(verb: Verb, **changes) -> Attempt:
    """An open attempt."""
    given = {
        "id": UUID(int=8),
        "payment_id": UUID(int=7),
        "verb": verb,
        "idempotency_key": "key-1",
        "fingerprint": b"",
        "opened_at": NOW - SECOND,
        "lease_until": NOW,
        "lease_token": UUID(int=0),
        "tries": 12,
        "unanswered": 0,
        "sealed_card": None,
    }
    return Attempt(**{**given, **changes})


def rows():
    """The rows of the table: a payment, what is under way, and the cells."""
    for line in TABLE.strip().splitlines()[1:]:
        state, lost, verb, *cells = line.split()
        payment = payment_in(S(state))
        if lost != "-":
            payment = replace(payment, bank=replace(payment.bank, **{lost: None}))
        under_way = None if verb == "-" else attempt(Verb(verb))
        for reason, cell in zip(COLUMNS, cells, strict=True):
            flagged = payment if reason is None else review(payment, reason)
            yield pytest.param(flagged, under_way, cell.replace("-", ""), id=f"{state} {lost} {verb} {reason}")


def kind(settlement: Settlement) -> str:
    return {Acknowledge: "a", LearnReference: "l", ConfirmDone: "d", RuleOut: "o", AskAgain: "g"}[type(settlement)]


def test_the_table_has_every_flag_every_state_and_every_attempt_that_can_be_open() -> None:
    """A new one has to be put into it."""
    situations = {tuple(line.split()[:3]) for line in TABLE.strip().splitlines()[1:]}

    assert set(COLUMNS) == {None, *R}
    assert {state for state, _, _ in situations} == {state.value for state in S}
    assert {verb for _, _, verb in situations} == {"-", *(verb.value for verb in Verb)}
    assert {type(each) for each in EXAMPLES} == set(Settlement.__args__)


@pytest.mark.parametrize(("payment", "under_way", "expected"), list(rows()))
def test_what_fits_is_in_the_table_and_nothing_else_fits(payment: Payment, under_way: Attempt | None, expected: str) -> None:
    answers = {each: settle(payment, under_way, each, NOW) for each in EXAMPLES}

    fits = [each for each, answer in answers.items() if isinstance(answer, Settled)]
    refusals = [answer.message for answer in answers.values() if isinstance(answer, NotSettled)]
    assert sorted(map(kind, fits)) == sorted(expected)
    assert len(fits) + len(refusals) == len(EXAMPLES)
    assert all(message.endswith(".") and "_…" not in message for message in refusals), "a refusal is a sentence"
    if under_way is not None:
        assert all(each.verb is under_way.verb for each in fits if isinstance(each, ConfirmDone | RuleOut))


@pytest.mark.parametrize(("payment", "under_way", "expected"), list(rows()))
def test_what_is_offered_is_what_fits(payment: Payment, under_way: Attempt | None, expected: str) -> None:
    offered = fitting(payment, under_way, NOW)

    assert sorted(map(kind, offered)) == sorted(expected)
    assert all(each.reference == f"{PREFIXES[each.verb]}_…" for each in offered if isinstance(each, LearnReference | ConfirmDone))


# --- What each word makes of a payment --------------------------------------------------------------------------------


def settled(payment: Payment, under_way: Attempt | None, settlement: Settlement) -> Settled:
    answer = settle(payment, under_way, settlement, NOW)
    assert isinstance(answer, Settled), answer
    return answer


def test_an_acknowledged_flag_is_taken_down_and_nothing_else_changes() -> None:
    payment = review(review(payment_in(S.AUTHORIZED), R.POSSIBLE_ORPHAN_HOLD), R.BANK_DISAGREES)

    answer = settled(payment, None, Acknowledge(R.POSSIBLE_ORPHAN_HOLD))

    assert answer == Settled(replace(payment, review_reasons=frozenset({R.BANK_DISAGREES})))


@pytest.mark.parametrize(
    ("state", "verb", "reason"),
    [
        (S.CAPTURED, Verb.CAPTURE, R.CAPTURE_REFERENCE_UNKNOWN),
        (S.VOIDED, Verb.VOID, R.VOID_REFERENCE_UNKNOWN),
        (S.REFUNDED, Verb.REFUND, R.REFUND_REFERENCE_UNKNOWN),
        (S.EXPIRED, Verb.VOID, R.VOID_REFERENCE_UNKNOWN),
    ],
)
def test_a_learned_reference_takes_its_place_and_its_flag_down(state: S, verb: Verb, reason: R) -> None:
    name = verb.value.lower()
    whole = payment_in(state)
    lost = review(review(replace(whole, bank=replace(whole.bank, **{name: None})), reason), R.POSSIBLE_ORPHAN_HOLD)

    answer = settled(lost, None, LearnReference(verb, "the-banks"))

    bank = replace(whole.bank, **{name: "the-banks"})
    assert answer == Settled(replace(whole, bank=bank, review_reasons=frozenset({R.POSSIBLE_ORPHAN_HOLD})))


@pytest.mark.parametrize(
    ("state", "verb", "outcome", "becomes"),
    [
        (S.PENDING, Verb.AUTHORIZE, Authorized("ref"), S.AUTHORIZED),
        (S.AUTHORIZED, Verb.CAPTURE, Captured("ref"), S.CAPTURED),
        (S.AUTHORIZED, Verb.VOID, Voided("ref"), S.VOIDED),
        (S.CAPTURED, Verb.REFUND, Refunded("ref"), S.REFUNDED),
        (S.EXPIRED, Verb.VOID, Voided("ref"), S.EXPIRED),
    ],
)
def test_what_the_bank_confirms_is_what_the_attempt_came_to(state: S, verb: Verb, outcome: object, becomes: S) -> None:
    payment = review(payment_in(state), R.BANK_UNINTELLIGIBLE)

    answer = settled(payment, attempt(verb), ConfirmDone(verb, "ref"))

    assert answer.outcome == outcome
    assert (answer.after.state, answer.after.review_reasons) == (becomes, frozenset())


@pytest.mark.parametrize(
    ("state", "verb", "becomes"),
    [
        (S.AUTHORIZED, Verb.CAPTURE, S.CAPTURED),
        (S.AUTHORIZED, Verb.VOID, S.VOIDED),
        (S.CAPTURED, Verb.REFUND, S.REFUNDED),
        (S.EXPIRED, Verb.VOID, S.EXPIRED),
    ],
)
def test_what_somebody_else_asked_the_bank_for_is_recorded_and_ends_the_dispute(state: S, verb: Verb, becomes: S) -> None:
    payment = payment_in(state, review_reasons=frozenset({R.BANK_DISAGREES, R.POSSIBLE_ORPHAN_HOLD}))

    answer = settled(payment, None, ConfirmDone(verb, "ref"))

    assert (answer.after.state, answer.after.review_reasons) == (becomes, {R.POSSIBLE_ORPHAN_HOLD})
    assert getattr(answer.after.bank, verb.value.lower()) == "ref"


def test_the_void_of_an_expired_hold_that_is_known_is_not_told_again() -> None:
    payment = payment_in(S.EXPIRED, review_reasons=frozenset({R.BANK_DISAGREES}))
    payment = replace(payment, bank=replace(payment.bank, void="void_1"))

    assert isinstance(settle(payment, None, ConfirmDone(Verb.VOID, "ref"), NOW), NotSettled)


@pytest.mark.parametrize(("unanswered", "doubt"), [(0, False), (1, False), (2, True)])
def test_a_confirmed_hold_accounts_for_one_try_without_an_answer(unanswered: int, doubt: bool) -> None:
    payment = review(payment_in(S.PENDING), R.BANK_KEY_EXPIRED)

    answer = settled(payment, attempt(Verb.AUTHORIZE, unanswered=unanswered), ConfirmDone(Verb.AUTHORIZE, "ref"))

    assert answer.outcome == Authorized("ref", possible_orphan=doubt)
    assert answer.after.review_reasons == ({R.POSSIBLE_ORPHAN_HOLD} if doubt else frozenset())


def test_a_hold_that_is_ruled_out_declines_the_payment_and_says_who_found_out() -> None:
    payment = review(payment_in(S.PENDING), R.BANK_KEY_EXPIRED)

    answer = settled(payment, attempt(Verb.AUTHORIZE, unanswered=3), RuleOut(Verb.AUTHORIZE))

    assert isinstance(answer.outcome, Declined)
    assert answer.after.state is S.DECLINED
    assert answer.after.decline is not None
    assert answer.after.decline.code is DeclineCode.REFUSED
    assert "operators" in answer.after.decline.message
    assert answer.after.review_reasons == frozenset(), "that the bank holds nothing rules a second hold out, too"


@pytest.mark.parametrize(
    ("state", "verb"),
    [(S.AUTHORIZED, Verb.CAPTURE), (S.AUTHORIZED, Verb.VOID), (S.CAPTURED, Verb.REFUND), (S.EXPIRED, Verb.VOID)],
)
def test_an_operation_that_is_ruled_out_changes_nothing_and_stays_flagged(state: S, verb: Verb) -> None:
    payment = payment_in(state)

    answer = settled(review(payment, R.BANK_UNINTELLIGIBLE), attempt(verb), RuleOut(verb))

    assert isinstance(answer.outcome, Disagreed)
    assert answer.after == review(payment, R.BANK_DISAGREES)


def test_asking_again_changes_nothing_of_the_payment() -> None:
    payment = review(payment_in(S.AUTHORIZED), R.BANK_UNINTELLIGIBLE)

    assert settled(payment, attempt(Verb.VOID), AskAgain()) == Settled(payment)


def test_dismissing_takes_down_what_is_there() -> None:
    payment = payment_in(S.AUTHORIZED)

    assert dismiss(review(payment, R.BANK_DISAGREES), R.BANK_DISAGREES, R.BANK_KEY_EXPIRED) == payment


# --- Words --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", Verb)
def test_a_reference_is_taken_as_the_bank_writes_it(verb: Verb) -> None:
    prefix = PREFIXES[verb]
    others = [other for other in PREFIXES.values() if other != prefix]

    assert is_reference(verb, f"{prefix}_{SOME_UUID}")
    for text in (
        *(f"{other}_{SOME_UUID}" for other in others),
        SOME_UUID,
        f"{prefix}_{SOME_UUID.upper()}",
        f"{prefix}_{SOME_UUID.replace('-', '')}",
        f"{prefix}_{{{SOME_UUID}}}",
        f"{prefix}_{SOME_UUID}0",
        f"{prefix}_{SOME_UUID}\n",
        f" {prefix}_{SOME_UUID}",
        f"{prefix}_",
        f"{prefix}_…",
        "",
    ):
        assert not is_reference(verb, text), text


def test_every_word_has_a_name_of_its_own_in_the_audit_log() -> None:
    by_kind = {type(each): {action_of(other) for other in EXAMPLES if type(other) is type(each)} for each in EXAMPLES}

    assert all(len(actions) == 1 for actions in by_kind.values())
    assert len(set().union(*by_kind.values())) == len(by_kind)


def test_what_is_said_of_an_attempt_needs_the_attempt() -> None:
    about = {type(each) for each in EXAMPLES if is_about_the_attempt(each)}

    assert about == {ConfirmDone, RuleOut, AskAgain}
