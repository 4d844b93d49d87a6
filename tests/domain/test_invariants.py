"""Every way to break an invariant is planted once, and found; what may look strange and is right is not."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.bank_books import HELD as HELD_THERE
from domain.bank_books import RETURNED as RETURNED_THERE
from domain.bank_books import TAKEN as TAKEN_THERE
from domain.bank_books import Picture
from domain.event import EventType
from domain.ids import IdKind, encode_id
from domain.invariants import RULES, judge, unreadable_entries
from domain.ledger import Capture, Hold, Ledger, LedgerIndex, Refund, Void
from domain.own_books import missing_acknowledged, numbers_are_gapless
from domain.payment import BankReferences, PaymentState, ReviewReason, Verb
from domain.records import MAX_GAPS, EventNumbers
from domain.violation import Breach, Circumstances, Invariant
from tests.domain.examples import NOW, SECOND
from tests.domain.lives import LOST, TENANT, Life, World, nobodys_key, told_together

S = PaymentState
B = Breach

HELD = Life(state=S.AUTHORIZED).told()
TAKEN = Life(state=S.CAPTURED).told()
FREED = Life(state=S.VOIDED).told()
RETURNED = Life(state=S.REFUNDED).told()
DECLINED = Life(state=S.DECLINED).told()
RUN_OUT = Life(state=S.EXPIRED).told()
WAITING = Life(state=S.PENDING, under_way=Verb.AUTHORIZE).told()
CAPTURING = Life(state=S.AUTHORIZED, under_way=Verb.CAPTURE).told()
REFUSED = Life(state=S.CAPTURED, refused=Verb.REFUND).told()
TWO = told_together([Life(state=S.AUTHORIZED), Life(state=S.AUTHORIZED)])

UNDER_WAY = [
    (S.PENDING, Verb.AUTHORIZE),
    (S.AUTHORIZED, Verb.CAPTURE),
    (S.AUTHORIZED, Verb.VOID),
    (S.CAPTURED, Verb.REFUND),
    (S.EXPIRED, Verb.VOID),
]


@pytest.mark.parametrize("state", PaymentState)
def test_a_life_that_went_well_is_right(state: PaymentState) -> None:
    under_way = Verb.AUTHORIZE if state is S.PENDING else None

    assert Life(state=state, under_way=under_way).told().breaches() == set()


@pytest.mark.parametrize("is_done", [False, True], ids=["not done yet", "done already"])
@pytest.mark.parametrize(("state", "verb"), UNDER_WAY)
def test_whether_the_bank_has_done_what_is_under_way_is_open(state: PaymentState, verb: Verb, is_done: bool) -> None:
    assert Life(state=state, under_way=verb, is_done=is_done).told().breaches() == set()


@pytest.mark.parametrize(
    ("state", "verb"),
    [(S.CAPTURED, Verb.CAPTURE), (S.VOIDED, Verb.VOID), (S.REFUNDED, Verb.REFUND), (S.EXPIRED, Verb.VOID)],
)
def test_a_lost_reference_is_right_when_it_is_flagged_and_only_then(state: PaymentState, verb: Verb) -> None:
    world = Life(state=state, lost=frozenset({verb})).told()

    assert world.breaches() == set()
    assert world.with_payment(review_reasons=frozenset()).breaches() == {B.MISSING_REFERENCE}
    assert world.settled(LOST[verb]).breaches() == set()


@pytest.mark.parametrize("state", [S.AUTHORIZED, S.CAPTURED, S.DECLINED, S.VOIDED])
def test_a_second_hold_is_right_when_it_is_flagged_and_only_then(state: PaymentState) -> None:
    world = Life(state=state, orphans=2).told()

    assert world.breaches() == set()
    assert world.with_payment(review_reasons=frozenset()).breaches() == {B.SECOND_HOLD}
    assert world.settled(ReviewReason.POSSIBLE_ORPHAN_HOLD).breaches() == set()


def test_a_second_hold_that_was_voided_holds_nothing() -> None:
    hold = HELD.the(Hold)

    world = HELD.with_effect(hold, hold, replace(hold, id="auth_other", state="voided"))

    assert world.breaches() == set()


def test_an_open_authorization_explains_one_hold_for_each_try_that_may_have_left_one() -> None:
    explained = Life(state=S.PENDING, under_way=Verb.AUTHORIZE, is_done=True, orphans=2).told()

    assert explained.breaches() == set()
    assert explained.with_attempt(unanswered=1).breaches() == {B.SECOND_HOLD}


def test_what_the_bank_did_is_not_compared_once_it_disagrees_and_an_operator_knows() -> None:
    hold = HELD.the(Hold)
    elsewhere = HELD.with_effect(hold, replace(hold, state="voided"), Void("void_x", hold.id, "somebody's"))

    assert elsewhere.breaches() == {B.STATES_DIFFER}
    assert elsewhere.with_payment(review_reasons=frozenset({"BANK_DISAGREES"})).breaches() == set()


@pytest.mark.parametrize("reason", ["BANK_KEY_EXPIRED", "BANK_UNINTELLIGIBLE"])
def test_an_attempt_that_rests_for_an_operator_may_be_old(reason: str) -> None:
    old = WAITING.with_attempt(opened_at=NOW - timedelta(days=2))

    assert old.breaches() == {B.OPEN_TOO_LONG}
    assert old.with_payment(review_reasons=frozenset({reason})).breaches() == set()


def test_the_bound_of_open_attempts_is_a_choice() -> None:
    world = WAITING.with_attempt(opened_at=NOW - 100 * SECOND)

    assert world.breaches() == set()
    assert world.breaches(open_bound_s=100) == set()
    assert world.breaches(open_bound_s=99.9) == {B.OPEN_TOO_LONG}


def test_without_a_ledger_only_our_own_books_are_judged() -> None:
    checked = judge(HELD.histories[0], Circumstances(now=NOW))

    assert checked[Invariant.I1].count == checked[Invariant.I5].count == 0
    assert checked[Invariant.I3].count == 2


I = Invariant  # noqa: E741 - short, because the table below is read as a table
COUNTS: list[tuple[World, dict[Invariant, int]]] = [
    (TAKEN, {I.I1: 1, I.I2: 0, I.I3: 3, I.I4: 0, I.I5: 1, I.I6: 3, I.I9: 2}),
    (DECLINED, {I.I1: 1, I.I2: 0, I.I3: 2, I.I4: 0, I.I5: 1, I.I6: 2, I.I9: 1}),
    (WAITING, {I.I1: 1, I.I2: 0, I.I3: 1, I.I4: 1, I.I5: 0, I.I6: 1, I.I9: 0}),
    (CAPTURING, {I.I1: 1, I.I2: 0, I.I3: 2, I.I4: 1, I.I5: 1, I.I6: 2, I.I9: 1}),
    (REFUSED, {I.I1: 1, I.I2: 0, I.I3: 3, I.I4: 0, I.I5: 0, I.I6: 3, I.I9: 3}),
]


@pytest.mark.parametrize(("world", "counts"), COUNTS, ids=["captured", "declined", "waiting", "capturing", "refused"])
def test_what_was_looked_at_is_counted(world: World, counts: dict[Invariant, int]) -> None:
    judgement = judge(world.histories[0], Circumstances(now=NOW, ledger=world.ledger))

    assert {invariant: checked.count for invariant, checked in judgement.items()} == counts


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (HELD_THERE, "hold active, nothing done with it"),
        (TAKEN_THERE, "hold captured, 1 capture"),
        (RETURNED_THERE, "hold captured, 1 capture, 1 refund"),
        (Picture("voided", voids=2), "hold voided, 2 voids"),
        (Picture("captured", 1, is_refunded=True), "hold captured, 1 capture, the capture says refunded"),
        (Picture("captured", 1, refunds=1), "hold captured, 1 capture, 1 refund, the capture says not refunded"),
    ],
)
def test_what_the_bank_shows_is_told_in_words(picture: Picture, told: str) -> None:
    assert str(picture) == told


def effect(world: World, kind: type, **changes: object) -> World:
    old = world.the(kind)
    return world.with_effect(old, replace(old, **changes))


def twice(world: World, kind: type, **changes: object) -> World:
    old = world.the(kind)
    return world.with_effect(old, old, replace(old, **changes))


def without(world: World, kind: type) -> World:
    return world.with_effect(world.the(kind))


def attempts(world: World, *which: int) -> World:
    history = world.histories[0]
    return world.with_history(0, replace(history, attempts=tuple(history.attempts[each] for each in which)))


def events(world: World, *which: int) -> World:
    history = world.histories[0]
    chosen = [history.events[each] for each in which]
    renumbered = tuple(replace(each, sequence=number) for number, each in enumerate(chosen, start=1))
    return replace(world.with_history(0, replace(history, events=renumbered)), counter=len(which))


def resolution(world: World, attempt: int, **changes: object) -> World:
    old = world.histories[0].attempts[attempt].resolution
    assert old is not None
    return world.with_attempt(0, attempt, resolution=replace(old, **changes))


def told(world: World, event: int, **changes: object) -> World:
    return world.with_event(0, event, payment=replace(world.histories[0].events[event].payment, **changes))


def bank(world: World, **changes: str | None) -> World:
    return world.with_payment(bank=replace(world.histories[0].payment.bank, **changes))


def reached(world: World, **times: object) -> World:
    kept = {**world.histories[0].payment.reached, **times}
    return world.with_payment(reached={state: at for state, at in kept.items() if at is not None})


def both_open(world: World) -> World:
    """With a void open beside the capture."""
    (history,) = world.histories
    void = replace(history.attempts[1], id=UUID(int=99), verb=Verb.VOID)
    return world.with_history(0, replace(history, attempts=(*history.attempts, void)))


TERMS = HELD.histories[0].payment.terms
CAPTURED_ALREADY = Life(state=S.AUTHORIZED, under_way=Verb.CAPTURE, is_done=True).told()
PLANTS: list[tuple[str, World, set[Breach]]] = [
    # I1: once held, once taken, once returned
    ("the hold is gone", without(HELD, Hold), {B.MISSING_HOLD}),
    ("the hold has another id", effect(HELD, Hold, id="auth_x"), {B.MISSING_HOLD}),
    ("the hold is somebody else's", effect(HELD, Hold, key="somebody's"), {B.FOREIGN_HOLD}),
    (
        "two payments know one hold",
        TWO.with_payment(1, bank=BankReferences("auth_1")),
        {B.FOREIGN_HOLD, B.OTHER_OUTCOME},
    ),
    ("the hold is larger", effect(HELD, Hold, amount_minor=2000), {B.OTHER_HOLD}),
    ("the hold is in another currency", effect(HELD, Hold, currency="EUR"), {B.OTHER_HOLD}),
    ("the hold is on another card", effect(HELD, Hold, last_four="4242"), {B.OTHER_HOLD}),
    ("a second hold", twice(HELD, Hold, id="auth_x"), {B.SECOND_HOLD}),
    ("a second hold with the same id", twice(HELD, Hold), {B.SECOND_HOLD}),
    (
        "a hold of a declined payment",
        replace(DECLINED, effects=(Hold("auth_x", 1999, "USD", "1111", "active", DECLINED.histories[0].attempts[0].bank_key),)),
        {B.SECOND_HOLD},
    ),
    (
        "the second hold was captured, flag or no flag",
        replace(
            told_together([Life(state=S.AUTHORIZED, orphans=1)]),
            effects=(
                *told_together([Life(state=S.AUTHORIZED, orphans=1)]).effects,
                Capture("cap_x", "auth_1_orphan_0", 1999, "USD", False, "somebody's"),
            ),
        ),
        {B.SECOND_HOLD_USED},
    ),
    (
        "a hold of a declined payment was captured, flag or no flag",
        replace(
            (held := Life(state=S.DECLINED, orphans=1).told()),
            effects=(*held.effects, Capture("cap_x", "auth_1_orphan_0", 1999, "USD", False, "somebody's")),
        ),
        {B.SECOND_HOLD_USED},
    ),
    ("captured twice", twice(TAKEN, Capture, id="cap_x"), {B.CAPTURED_TWICE}),
    ("refunded twice", twice(RETURNED, Refund, id="ref_x"), {B.REFUNDED_TWICE}),
    ("more was captured than held", effect(TAKEN, Capture, amount_minor=2000), {B.OTHER_AMOUNT}),
    ("less was refunded than captured", effect(RETURNED, Refund, amount_minor=1998), {B.OTHER_AMOUNT}),
    ("refunded in another currency", effect(RETURNED, Refund, currency="EUR"), {B.OTHER_AMOUNT}),
    (
        "under the key of a void the bank captured",
        replace(TAKEN, effects=(*TAKEN.effects, Void("void_x", "auth_1", TAKEN.histories[0].attempts[1].bank_key))),
        {B.MISPLACED_EFFECT, B.STATES_DIFFER},
    ),
    (
        "under our key the bank voided another's hold",
        replace(HELD, effects=(*HELD.effects, Void("void_x", "auth_x", HELD.histories[0].attempts[0].bank_key))),
        {B.MISPLACED_EFFECT},
    ),
    (
        "under our key the bank refunded what it never captured",
        replace(RETURNED, effects=(*RETURNED.effects, replace(RETURNED.the(Refund), id="ref_x", capture_id="cap_x"))),
        {B.MISPLACED_EFFECT},
    ),
    (
        "a key that no attempt has",
        replace(HELD, effects=(*HELD.effects, Hold("auth_x", 1, "USD", "1111", "active", nobodys_key()))),
        {B.UNKNOWN_KEY},
    ),
    (
        "a key that is no id",
        replace(HELD, effects=(*HELD.effects, Hold("auth_x", 1, "USD", "1111", "active", "att_x"))),
        {B.UNKNOWN_KEY},
    ),
    # I3: the state machine
    ("the first event is no creation", HELD.with_event(0, 0, previous_state=S.AUTHORIZED), {B.FORBIDDEN_STEP}),
    ("an event of no such step", TAKEN.with_event(0, 2, previous_state=S.PENDING), {B.FORBIDDEN_STEP}),
    ("an event of no such state", told(HELD, 1, state="PAID"), {B.FORBIDDEN_STEP, B.EVENT_MISSING, B.EVENT_OF_NOTHING}),
    ("an event without a state", told(HELD, 1, state=None), {B.FORBIDDEN_STEP, B.EVENT_MISSING, B.EVENT_OF_NOTHING}),
    ("an event of another type", HELD.with_event(0, 1, type=EventType.PAYMENT_CAPTURED), {B.MISLABELLED_EVENT}),
    ("an event of no known type", HELD.with_event(0, 1, type="payment.paid"), {B.MISLABELLED_EVENT}),
    ("events in another order", events(TAKEN, 0, 2, 1), {B.BROKEN_CHAIN, B.TIME_RUNS_BACKWARDS}),
    ("the row stands elsewhere", TAKEN.with_payment(state=S.AUTHORIZED), {B.BROKEN_CHAIN, B.STATES_DIFFER}),
    ("the row is in no known state", HELD.with_payment(state="PAID"), {B.BROKEN_CHAIN}),
    ("an event tells an earlier time", HELD.with_event(0, 1, occurred_at=NOW - timedelta(days=1)), {B.OTHER_TIME}),
    ("an event tells another time", HELD.with_event(0, 1, occurred_at=NOW), {B.OTHER_TIME}),
    ("the row tells another time", reached(HELD, AUTHORIZED=NOW), {B.OTHER_TIME}),
    (
        "both tell that it was authorized before it was made",
        reached(HELD, AUTHORIZED=NOW - timedelta(days=1)).with_event(0, 1, occurred_at=NOW - timedelta(days=1)),
        {B.TIME_RUNS_BACKWARDS},
    ),
    # I4: nothing stays open
    ("open for too long", WAITING.with_attempt(opened_at=NOW - 121 * SECOND), {B.OPEN_TOO_LONG}),
    ("nothing is open for it", attempts(WAITING), {B.NOBODY_WORKS_ON_IT}),
    ("a refund of what is authorized", CAPTURING.with_attempt(0, 1, verb=Verb.REFUND), {B.UNFINISHABLE}),
    (
        "a void of what is captured",
        Life(state=S.CAPTURED, under_way=Verb.REFUND).told().with_attempt(0, 2, verb=Verb.VOID),
        {B.UNFINISHABLE},
    ),
    (
        "a capture of what has expired",
        Life(state=S.EXPIRED, under_way=Verb.VOID).told().with_attempt(0, 2, verb=Verb.CAPTURE),
        {B.UNFINISHABLE},
    ),
    ("an attempt of no known kind", CAPTURING.with_attempt(0, 1, verb="PAY"), {B.UNFINISHABLE}),
    ("an authorization without its card", WAITING.with_attempt(keeps_card=False), {B.UNFINISHABLE}),
    ("a capture and a void at once", both_open(CAPTURING), {B.SEVERAL_OPEN}),
    ("a capture and a void at once, and one of them done", both_open(CAPTURED_ALREADY), {B.SEVERAL_OPEN}),
    # I5: the bank did what the state says
    ("the bank has it active", effect(without(TAKEN, Capture), Hold, state="active"), {B.STATES_DIFFER}),
    ("the bank has it in no known state", effect(HELD, Hold, state="paid"), {B.STATES_DIFFER}),
    ("the bank voided what is being captured", effect(CAPTURING, Hold, state="voided"), {B.STATES_DIFFER}),
    ("the bank never captured it", without(TAKEN, Capture), {B.STATES_DIFFER}),
    ("the bank never voided it", without(FREED, Void), {B.STATES_DIFFER}),
    ("the bank voided it twice", twice(FREED, Void, id="void_x"), {B.STATES_DIFFER}),
    ("the bank never refunded it", without(RETURNED, Refund), {B.STATES_DIFFER}),
    ("the bank calls it refunded without a refund", effect(TAKEN, Capture, is_refunded=True), {B.STATES_DIFFER}),
    ("the bank never released it", effect(without(RUN_OUT, Void), Hold, state="active"), {B.STATES_DIFFER}),
    ("captured under another reference", effect(TAKEN, Capture, id="cap_x"), {B.OTHER_REFERENCE}),
    ("captured under another key", effect(TAKEN, Capture, key="somebody's"), {B.OTHER_REFERENCE}),
    ("voided under another reference", effect(FREED, Void, id="void_x"), {B.OTHER_REFERENCE}),
    ("refunded under another reference", effect(RETURNED, Refund, id="ref_x"), {B.OTHER_REFERENCE}),
    # I6: told once, and all tell the same
    ("an event is missing", events(TAKEN, 0, 2), {B.EVENT_MISSING}),
    ("all events are missing", events(HELD), {B.EVENT_MISSING}),
    ("an event is there twice", events(TAKEN, 0, 1, 1, 2), {B.EVENT_TWICE}),
    (
        "the row has gone back",
        reached(TAKEN.with_payment(state=S.AUTHORIZED), CAPTURED=None),
        {B.EVENT_OF_NOTHING, B.LOST_OUTCOME, B.STATES_DIFFER, B.SURPLUS_REFERENCE},
    ),
    ("no attempt explains the state", attempts(DECLINED), {B.UNEXPLAINED_STATE}),
    (
        "two attempts explain the state",
        TAKEN.with_history(
            0,
            replace(
                TAKEN.histories[0],
                attempts=(*TAKEN.histories[0].attempts, replace(TAKEN.histories[0].attempts[1], id=UUID(int=99))),
            ),
        ),
        {B.EXPLAINED_TWICE},
    ),
    ("an attempt came to more than the row", resolution(REFUSED, 2, state=S.REFUNDED), {B.LOST_OUTCOME}),
    ("an attempt closed without an outcome", REFUSED.with_attempt(0, 2, resolution=None), {B.LOST_OUTCOME}),
    ("a refund came to PENDING", resolution(REFUSED, 2, state=S.PENDING), {B.IMPOSSIBLE_OUTCOME}),
    ("an attempt of no known kind came to something", REFUSED.with_attempt(0, 2, verb="PAY"), {B.IMPOSSIBLE_OUTCOME}),
    ("a refusal without a flag", REFUSED.with_payment(review_reasons=frozenset()), {B.UNFLAGGED_REFUSAL}),
    ("an event tells another order", told(HELD, 0, terms=replace(TERMS, order_id="order-x")), {B.OTHER_TERMS}),
    ("a stored answer tells another amount", resolution(HELD, 0, terms=replace(TERMS, amount_minor=1)), {B.OTHER_TERMS}),
    ("a stored answer tells another hold", resolution(HELD, 0, bank=BankReferences("auth_x")), {B.OTHER_OUTCOME}),
    ("another reference of the hold", bank(TAKEN, authorization="auth_x"), {B.MISSING_HOLD, B.OTHER_OUTCOME}),
    ("no reference of the hold", bank(HELD, authorization=None), {B.MISSING_REFERENCE, B.OTHER_OUTCOME}),
    (
        "no reference of the capture, and no flag",
        Life(state=S.CAPTURED, lost=frozenset({Verb.CAPTURE})).told().with_payment(review_reasons=frozenset()),
        {B.MISSING_REFERENCE},
    ),
    ("a reference of what was not done", bank(HELD, void="void_x"), {B.SURPLUS_REFERENCE}),
    ("a reference of what is under way", bank(CAPTURING, capture="cap_x"), {B.SURPLUS_REFERENCE}),
    # I7: gapless numbers
    ("a number is missing", replace(HELD.with_event(0, 1, sequence=3), counter=3), {B.GAP}),
    ("the counter is behind", replace(HELD, counter=1), {B.WRONG_COUNTER}),
    ("the counter is ahead", replace(HELD, counter=3), {B.WRONG_COUNTER}),
    # I9: cards
    ("a closed attempt with its card", HELD.with_attempt(keeps_card=True), {B.KEPT_CARD}),
]
ELSEWHERE = {B.LOST_PAYMENT, B.GONE_BACK, B.UNREADABLE_ENTRY}  # what a payment's rules can't find: the tests below


@pytest.mark.parametrize(("world", "expected"), [plant[1:] for plant in PLANTS], ids=[plant[0] for plant in PLANTS])
def test_what_is_planted_is_found_and_nothing_else(world: World, expected: set[Breach]) -> None:
    assert world.breaches() == expected


def test_every_breach_is_planted_somewhere() -> None:
    assert set().union(*(expected for _, _, expected in PLANTS)) | ELSEWHERE == set(Breach)


def test_every_invariant_has_a_rule_and_a_breach() -> None:
    assert {*RULES, Invariant.I7} == set(Invariant)
    assert {breach.invariant for breach in Breach} == set(Invariant)


def test_an_acknowledged_state_is_still_reached() -> None:
    (history,) = TAKEN.histories
    both = {history.payment.id: frozenset({"AUTHORIZED", "CAPTURED"})}
    more = {history.payment.id: frozenset({"CAPTURED", "REFUNDED"})}

    assert judge(history, Circumstances(now=NOW, acknowledged=both))[Invariant.I2].violations == ()
    (violation,) = judge(history, Circumstances(now=NOW, acknowledged=more))[Invariant.I2].violations
    assert (violation.breach, violation.ours) == (B.GONE_BACK, "CAPTURED, acknowledged as REFUNDED")


def test_an_acknowledged_payment_that_is_not_there_is_found() -> None:
    known, unknown = UUID(int=1), UUID(int=2)

    checked = missing_acknowledged({known, unknown}, {known})

    assert [(each.breach, each.payment_id) for each in checked.violations] == [(B.LOST_PAYMENT, unknown)]


def test_what_cant_be_understood_is_found() -> None:
    (violation,) = unreadable_entries(Ledger(unreadable=("captures[3]: its amount is not a whole number",))).violations

    assert violation.breach is B.UNREADABLE_ENTRY
    assert violation.bank == "captures[3]: its amount is not a whole number"


def test_gaps_are_found_over_pages() -> None:
    numbers = EventNumbers().then([1, 2]).then([3, 5]).then([9]).then([])

    checked = numbers_are_gapless(TENANT, numbers, 9)

    assert checked.count == 5
    assert [each.ours for each in checked.violations] == ["#4", "#6 to #8"]


def test_no_more_gaps_are_named_than_anybody_reads() -> None:
    numbers = EventNumbers().then(range(2, 1000, 2))

    assert len(numbers.gaps) == MAX_GAPS
    assert (numbers.count, numbers.highest) == (499, 998)


def test_a_partner_without_events_needs_no_counter() -> None:
    assert numbers_are_gapless(TENANT, EventNumbers(), None).violations == ()


def test_a_violation_tells_what_to_look_for() -> None:
    checked = judge(effect(TAKEN, Capture, id="cap_x").histories[0], Circumstances(now=NOW, ledger=LedgerIndex(Ledger())))

    (violation,) = checked[Invariant.I1].violations
    assert violation.payment == encode_id(IdKind.PAYMENT, TAKEN.histories[0].payment.id)
    assert violation.partner == "ptn_00000000000000000000000001"
    assert (violation.ours, violation.bank) == ("auth_1", "no such hold")


@pytest.mark.parametrize("spoilt", ["", "x", "captured", "\x1b[2J"])
def test_rules_judge_whatever_stands_in_a_text(spoilt: str) -> None:
    world = RETURNED.with_payment(state=spoilt).with_attempt(verb=spoilt).with_event(type=spoilt)

    assert world.breaches() >= {B.BROKEN_CHAIN, B.UNEXPLAINED_STATE, B.MISLABELLED_EVENT}
