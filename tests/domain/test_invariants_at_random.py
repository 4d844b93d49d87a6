"""Whatever valid lives there are, nothing is found; and whatever single thing is wrong in them is."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payment import PaymentState, Verb
from tests.domain.examples import ROAD
from tests.domain.lives import Life, World, told_together
from tests.domain.spoiling import spoilt_worlds

S = PaymentState
MAY_BE_UNDER_WAY = {
    S.PENDING: [Verb.AUTHORIZE],
    S.AUTHORIZED: [None, Verb.CAPTURE, Verb.VOID],
    S.CAPTURED: [None, Verb.REFUND],
    S.EXPIRED: [None, Verb.VOID],
}
MAY_BE_LOST = {S.CAPTURED: Verb.CAPTURE, S.VOIDED: Verb.VOID, S.EXPIRED: Verb.VOID, S.REFUNDED: Verb.REFUND}


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Any life that a gateway without bugs leads with a bank that keeps its contract."""
    state = draw(st.sampled_from(PaymentState))
    under_way = draw(st.sampled_from(MAY_BE_UNDER_WAY.get(state, [None])))
    lost = MAY_BE_LOST.get(state) if under_way is None and draw(st.booleans()) else None
    refusable = [Verb.CAPTURE, Verb.VOID] if S.AUTHORIZED in ROAD[state] else []
    refusable += [Verb.REFUND] if S.CAPTURED in ROAD[state] else []
    return Life(
        state=state,
        under_way=under_way,
        is_done=under_way is not None and draw(st.booleans()),
        lost=frozenset({lost}) if lost else frozenset(),
        orphans=draw(st.integers(0, 2)),
        refused=draw(st.none() | st.sampled_from(refusable)) if refusable else None,
        amount_minor=draw(st.integers(1, 2**63 - 1)),
    )


worlds = st.lists(lives(), min_size=1, max_size=3).map(told_together)


@given(worlds)
def test_nothing_is_found_in_valid_lives(world: World) -> None:
    assert world.breaches() == set()


@given(worlds, st.data())
def test_a_single_thing_that_is_wrong_is_found(world: World, data: st.DataObject) -> None:
    what, spoilt = data.draw(st.sampled_from(list(spoilt_worlds(world))))

    assert spoilt.breaches() != set(), what


EACH = [
    *(Life(state=state, under_way=MAY_BE_UNDER_WAY.get(state, [None])[0]) for state in PaymentState),
    *(Life(state=state, lost=frozenset({verb})) for state, verb in MAY_BE_LOST.items()),
    *(Life(state=state, under_way=verb, is_done=True) for state, verbs in MAY_BE_UNDER_WAY.items() for verb in verbs if verb),
    Life(state=S.CAPTURED, orphans=1),
    Life(state=S.AUTHORIZED, refused=Verb.CAPTURE),
]


@pytest.mark.parametrize("life", EACH, ids=str)
def test_each_single_thing_that_is_wrong_in_a_life_is_found(life: Life) -> None:
    missed = Counter(what for what, spoilt in spoilt_worlds(life.told()) if not spoilt.breaches())

    assert missed == Counter()
