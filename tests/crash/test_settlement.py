"""An operator's command dies before its commit: what it said is not half written, and can be said again."""

import pytest

from domain.failpoint import Failpoint
from domain.ids import IdKind, encode_id
from domain.payment import Verb
from tests.crash.site import Site
from tests.crash.table import SETTLEMENTS


@pytest.mark.parametrize("failpoint", SETTLEMENTS)
async def test_an_operators_word_is_written_in_one_piece(site: Site, failpoint: Failpoint) -> None:
    """The change, its attempt, its event and its entry in the audit log."""
    wish = await (await site.partner()).wish(Verb.CAPTURE)
    payment = await wish.partner.receipt(wish.input["paymentId"])
    capture = await site.captured_by_somebody_else(payment["bankReferences"]["authorization"], payment["amount"]["minorUnits"])
    refused = await wish.repeat(site.api)
    partner = encode_id(IdKind.PARTNER, wish.partner.id)
    word = ("--captured", capture, "--by", "Ada", "--note", "The bank says so on the phone.")
    command = ("payments", "settle", payment["id"], "--partner", partner, *word)
    before = await site.books([wish])

    victim = site.start_command(*command, failpoint=failpoint.value, owner_database_url=site.urls.owner)
    await victim.fell_at(failpoint)
    left = await site.books([wish])
    again = site.start_command(*command, owner_database_url=site.urls.owner)
    code = await again.ended()
    receipt = await wish.partner.receipt(payment["id"])

    assert refused["__typename"] == "InvalidTransitionError"
    assert left == before
    assert code == 0, again.said()
    assert receipt["state"] == "CAPTURED"
    assert receipt["bankReferences"]["capture"] == capture
    assert [len(after) - len(earlier) for after, earlier in zip(await site.books([wish]), before, strict=True)] == [0, 1, 1, 1]
    await site.verify([wish])
