"""`partner-api payments inspect`: all that is on record, and commands that fit."""

import re

import pytest
from sqlalchemy import text

from domain.payment import ReviewReason, Verb
from tests.app.payments.office import BY, NOBODY, NOTHING, REFERENCE, pay
from tests.conftest import GOOD_CARD

R = ReviewReason


async def test_a_dossier_has_all_that_is_on_record(office, lines, payments):
    payment = await office.captured(accident="lost key")
    await payments(*("settle", pay(payment), "--partner", office.partner, *BY, "--capture-reference", REFERENCE.format("cap")))
    await office.operate(Verb.REFUND, payment, "a refund")

    (dossier,) = await lines("inspect", pay(payment))

    assert (dossier["payment"], dossier["partner"], dossier["state"]) == (pay(payment), office.partner, "CAPTURED")
    assert [each["state"] for each in dossier["history"]] == ["PENDING", "AUTHORIZED", "CAPTURED"]
    assert dossier["bankReferences"]["capture"] == REFERENCE.format("cap")
    assert [each["verb"] for each in dossier["attempts"]] == ["AUTHORIZE", "CAPTURE", "REFUND"]
    assert all(each["bankKey"].startswith("att_") for each in dossier["attempts"])
    authorize, capture, refund = dossier["attempts"]
    assert (authorize["tries"], authorize["unanswered"], authorize["state"], authorize["lease"]) == (1, 0, "AUTHORIZED", None)
    assert (capture["tries"], capture["unanswered"], capture["state"]) == (2, 1, "CAPTURED")
    assert (refund["idempotencyKey"], refund["closedAt"], refund["lease"]["held"]) == ("a refund", None, False)
    assert [each["type"] for each in dossier["events"]] == ["payment.created", "payment.authorized", "payment.captured"]
    (entry,) = dossier["log"]
    assert (entry["action"], entry["note"]) == ("payment.reference_learned", "ticket 17")
    assert entry["actor"].startswith("ada (login ")
    assert (entry["before"]["bankReferences"]["capture"], entry["after"]["bankReferences"]["capture"]) == (
        None,
        REFERENCE.format("cap"),
    )


async def test_a_dossier_has_what_reconciliation_found(office, lines, payments, owner):
    payment = await office.flagged(R.BANK_DISAGREES)
    async with owner.tenant(office.tenant) as tx:
        for statement in REPORT:
            await tx.execute(text(statement), {"tenant": office.tenant, "payment": payment.id})

    (dossier,) = await lines("inspect", pay(payment))
    shown = await payments("inspect", pay(payment))

    (found,) = dossier["discrepancies"]
    assert (found["kind"], found["done"], found["ours"]) == ("HOLD_USED_ELSEWHERE", "FLAGGED", "AUTHORIZED, hold auth_1")
    assert found["theBanks"] == "\x1b[31mcaptured"
    assert "HOLD_USED_ELSEWHERE" in shown
    assert "\x1b" not in shown, "what others wrote does not move the cursor"


async def test_a_dossier_tells_who_asked(office, lines, payments, control, recovery):
    payment = await office.authorized()
    await control.post(f"/authorizations/{payment.bank.authorization}/expire")
    await office.operate(Verb.CAPTURE, payment, "too late")
    await recovery.run_once()

    (dossier,) = await lines("inspect", pay(payment))
    shown = await payments("inspect", pay(payment))

    attempts = {each["verb"]: each for each in dossier["attempts"]}  # of one moment here, where a bank takes no time
    assert {verb: each["ours"] for verb, each in attempts.items()} == {"AUTHORIZE": False, "CAPTURE": False, "VOID": True}
    assert (attempts["CAPTURE"]["idempotencyKey"], attempts["VOID"]["idempotencyKey"]) == ("too late", None)
    assert "The hold ran out" in attempts["CAPTURE"]["refusal"]
    assert "│ us " in shown
    assert "It needs no review" in shown


REPORT = (
    """insert into reconciliation_runs (tenant_id, id, trigger, started_at, since, phase, lease_until, lease_token)
       values (:tenant, :tenant, 'SCHEDULE', now(), now(), 'AT_REST', now(), :tenant)""",
    """insert into discrepancies (tenant_id, run_id, payment_id, kind, done, ours, the_banks, found_at)
       values (:tenant, :tenant, :payment, 'HOLD_USED_ELSEWHERE', 'FLAGGED', 'AUTHORIZED, hold auth_1', E'\\x1b[31mcaptured', now())""",
)


@pytest.mark.parametrize("reason", R)
async def test_each_flag_is_explained_and_what_is_offered_fits(office, payments, rows, reason):
    payment = await office.flagged(reason)
    before = await rows()

    shown = await payments("inspect", pay(payment), "--partner", office.partner)
    offered = re.findall(r"^  partner-api payments (settle .*)$", shown, re.MULTILINE)
    for command in offered:
        filled = (
            re.sub(r"(\w+)_…", lambda prefix: REFERENCE.format(prefix[1]), command).replace("NAME", "ada").replace("TEXT", "why")
        )
        assert (await payments(*filled.split(), "--dry-run")).startswith("This would change:")

    assert "Find out at the bank: " in shown.partition(f"\n{reason.value}\n")[2]
    assert bool(offered) is (reason is not R.CAPTURE_REFERENCE_UNKNOWN), "which an AUTHORIZED payment can't have"
    assert await rows() == before


@pytest.mark.parametrize("verb", Verb)
async def test_what_is_offered_for_an_open_attempt_fits(office, payments, verb):
    payment = await (office.forgotten() if verb is Verb.AUTHORIZE else office.stuck(verb))

    shown = await payments("inspect", pay(payment))
    offered = re.findall(r"^  partner-api payments (settle .*)$", shown, re.MULTILINE)
    for command in offered:
        filled = (
            re.sub(r"(\w+)_…", lambda prefix: REFERENCE.format(prefix[1]), command).replace("NAME", "ada").replace("TEXT", "why")
        )
        assert (await payments(*filled.split(), "--dry-run")).startswith("This would change:")

    assert len(offered) == (2 if verb is Verb.AUTHORIZE else 3)
    assert "rests until" in shown or "due now" in shown


async def test_nothing_of_a_card_but_its_brand_and_last_four_is_shown(office, payments):
    payment = await office.forgotten()

    shown = [await payments("inspect", pay(payment)), await payments("inspect", pay(payment), "--json")]
    shown += [await payments("list", "--partner", office.partner, *more) for more in ((), ("--json",))]
    await payments("settle", pay(payment), "--partner", office.partner, *BY, "--not-authorized")
    shown += [await payments("log", "--partner", office.partner, *more) for more in ((), ("--json",))]

    assert "VISA …1111" in shown[0]
    for each in shown:
        assert GOOD_CARD.number not in each
        assert "sealed" not in each
        assert "cvv" not in each.lower()


async def test_a_payment_that_nobody_has_is_not_found(office, other_office, refused):
    payment = await office.flagged(R.BANK_DISAGREES)

    for arguments in (
        (NOTHING,),
        ("pay_x",),
        ("",),
        (payment.reference,),
        (pay(payment), "--partner", other_office.partner),
        (pay(payment), "--partner", NOBODY),
        (pay(payment), "--partner", "x"),
    ):
        assert "`partner-api payments list`" in await refused("inspect", *arguments)
