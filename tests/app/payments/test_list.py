"""`partner-api payments list`: what needs review, of whom, and in which order."""

import asyncio
from datetime import UTC, datetime

from domain.payment import ReviewReason, Verb
from tests.app.payments.office import pay

R = ReviewReason


async def test_what_needs_review_is_listed_with_the_oldest_first_over_all_partners(office, other_office, lines):
    first = await office.authorized(accident="lost key")
    second = await other_office.captured(accident="lost key")
    await office.authorized()
    third = await office.stuck(Verb.VOID)

    listed = await lines("list", "--limit", "1000")

    mine = [each for each in listed if each["partner"] in (office.partner, other_office.partner)]
    assert [each["payment"] for each in mine] == [pay(first), pay(second), pay(third)]
    assert [each["reference"] for each in mine] == [each.reference for each in (first, second, third)]
    assert [each["partner"] for each in mine] == [office.partner, other_office.partner, office.partner]
    assert [each["reviewReasons"] for each in mine] == [
        ["POSSIBLE_ORPHAN_HOLD"],
        ["CAPTURE_REFERENCE_UNKNOWN"],
        ["BANK_UNINTELLIGIBLE"],
    ]
    assert [each["pendingOperation"] and each["pendingOperation"]["verb"] for each in mine] == [None, None, "VOID"]
    assert [each["history"][0]["at"] for each in listed] == sorted(each["history"][0]["at"] for each in listed)


async def test_the_list_can_be_narrowed(office, other_office, lines, here):
    old = await office.flagged(R.BANK_DISAGREES, R.POSSIBLE_ORPHAN_HOLD)
    here.pass_by(10 * 3600)
    late = await office.flagged(R.POSSIBLE_ORPHAN_HOLD)
    await other_office.flagged(R.BANK_DISAGREES)

    async def found(*arguments):
        return [each["payment"] for each in await lines("list", "--partner", office.partner, *arguments)]

    age = datetime.now(UTC) - late.created_at
    assert await found() == [pay(old), pay(late)]
    assert await found("--reason", "BANK_DISAGREES") == [pay(old)]
    assert await found("--reason", "BANK_KEY_EXPIRED") == []
    assert await found("--older-than", str(int(age.total_seconds() / 3600) + 5)) == [pay(old)]
    assert await found("--limit", "1") == [pay(old)]


async def test_a_list_that_is_cut_says_so_beside_it(run, office):
    for _ in range(3):
        await office.flagged(R.RECONCILED)

    code, out, err = await asyncio.to_thread(run, "payments", "list", "--partner", office.partner, "--limit", "2", "--json")
    _, _, whole = await asyncio.to_thread(run, "payments", "list", "--partner", office.partner, "--limit", "3", "--json")

    assert (code, len(out.splitlines())) == (0, 2)
    assert err == "These are the oldest 2; there are more.\n"
    assert whole == ""


async def test_people_get_a_table_with_whole_ids(office, payments):
    payment = await office.flagged(R.BANK_DISAGREES, R.CAPTURE_REFERENCE_UNKNOWN)

    table = await payments("list", "--partner", office.partner)

    for shown in (pay(payment), payment.reference, office.partner, payment.order_id, "$19.99", "BANK_DISAGREES", "AUTHORIZED"):
        assert shown in table
    assert "…" not in table


async def test_a_partner_without_trouble_is_told_so(office, payments):
    await office.authorized()

    assert await payments("list", "--partner", office.partner) == "No payment needs review.\n"
    assert await payments("list", "--partner", office.partner, "--json") == ""
