"""Every interleaving of the small case, on the real code: one payment, two runners, one death, each answer of the bank.

The numbers are lower bounds. A change that makes one smaller has to say why: a walk that got trivially small proves nothing.
"""

from collections.abc import Callable

import pytest

from domain.payment import Verb
from tests.databases import DatabaseUrls
from tests.simulation.scene import scene, virtual_runner
from tests.simulation.small_case import Case
from tests.simulation.walking import Walked, walk

ORPHAN, NO_CAPTURE = "POSSIBLE_ORPHAN_HOLD", "CAPTURE_REFERENCE_UNKNOWN"
NO_VOID, NO_REFUND = "VOID_REFERENCE_UNKNOWN", "REFUND_REFERENCE_UNKNOWN"


Walk = Callable[..., Walked]


@pytest.fixture
def walked(database_urls: DatabaseUrls, record_property: Callable[[str, object], None]) -> Walk:
    """Walks a case, and has the number of schedules printed at the end of the run."""

    def walk_it(case: Case, **bounds: int | bool) -> Walked:
        async def there() -> Walked:
            async with scene(database_urls) as here:
                return await walk(here, case, **bounds)

        with virtual_runner() as runner:
            result = runner.run(there())
        record_property("figure", str(result))
        return result

    return walk_it


@pytest.mark.timeout(450)  # a minute on a quiet machine
@pytest.mark.parametrize(
    ("case", "schedules", "ends"),
    [
        (Case(Verb.AUTHORIZE), 1300, {"AUTHORIZED", f"AUTHORIZED {ORPHAN}", f"DECLINED {ORPHAN}"}),
        (Case(Verb.CAPTURE), 900, {"CAPTURED", f"CAPTURED {NO_CAPTURE}"}),
        (Case(Verb.VOID), 900, {"VOIDED", f"VOIDED {NO_VOID}"}),
        (Case(Verb.REFUND), 900, {"REFUNDED", f"REFUNDED {NO_REFUND}"}),
    ],
    ids=lambda value: str(value) if isinstance(value, Case) else "",
)
def test_every_schedule_of_two_runners_with_one_death_and_one_bad_answer_keeps_the_invariants(
    walked: Walk, case: Case, schedules: int, ends: set[str]
) -> None:
    result = walked(case, deaths=1, troubles=1)

    assert not result.wrong, result.wrong
    assert result.branches >= schedules
    assert set(result.ends) == ends, "all ends that there can be are reached, and no other"


@pytest.mark.parametrize("deaths", [0, 1])
@pytest.mark.parametrize(
    ("case", "schedules", "ends"),
    [
        (Case(Verb.AUTHORIZE, funds=1), 60, {"AUTHORIZED", f"AUTHORIZED {ORPHAN}", f"DECLINED {ORPHAN}"}),
        (Case(Verb.AUTHORIZE, funds=0), 20, {"DECLINED", f"DECLINED {ORPHAN}"}),
        (Case(Verb.CAPTURE, late=True), 30, {"EXPIRED", f"EXPIRED {NO_VOID}"}),
        (Case(Verb.CAPTURE, two_workers=True), 45, {"CAPTURED", f"CAPTURED {NO_CAPTURE}"}),
    ],
    ids=lambda value: str(value) if isinstance(value, Case) else "",
)
def test_a_poor_card_a_late_capture_and_two_workers_keep_them_with_one_death_or_one_bad_answer(
    walked: Walk, case: Case, schedules: int, ends: set[str], deaths: int
) -> None:
    result = walked(case, deaths=deaths, troubles=1 - deaths)

    assert not result.wrong, result.wrong
    assert result.branches >= schedules
    assert set(result.ends) == ends


def test_leaving_out_orders_that_make_no_difference_loses_no_end(walked: Walk) -> None:
    """The reduction is argued for in walk.py; here is a case that is small enough to be walked without it."""
    case = Case(Verb.AUTHORIZE, funds=1)

    reduced = walked(case, deaths=1, troubles=0)
    whole = walked(case, deaths=1, troubles=0, reduced=False)

    assert not whole.wrong, whole.wrong
    assert set(whole.ends) == set(reduced.ends)
    assert whole.branches > 2 * reduced.branches
    assert not whole.known
