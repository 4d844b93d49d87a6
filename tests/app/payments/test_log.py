"""`partner-api payments log`, and all four commands as programs of their own."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.payment import ReviewReason
from tests.app.payments.office import BY, NOBODY, NOTHING, pay

R = ReviewReason
ROOT = Path(__file__).resolve().parents[3]


async def test_the_log_has_the_newest_first_of_one_payment_of_one_partner_or_of_all(office, other_office, payments, lines):
    first, second = await office.flagged(R.RECONCILED, R.BANK_DISAGREES), await other_office.flagged(R.RECONCILED)
    for each, where, reason in (
        (first, office, "RECONCILED"),
        (second, other_office, "RECONCILED"),
        (first, office, "BANK_DISAGREES"),
    ):
        await payments("settle", pay(each), "--partner", where.partner, *BY, "--acknowledge", reason)

    async def found(*arguments):
        return [(each["payment"], each["after"]["reviewReasons"]) for each in await lines("log", *arguments)]

    of_first = [(pay(first), []), (pay(first), ["BANK_DISAGREES"])]
    assert await found("--payment", pay(first)) == of_first
    assert await found("--partner", office.partner) == of_first
    assert await found("--limit", "3") == [of_first[0], (pay(second), []), of_first[1]]
    assert await found("--limit", "1") == of_first[:1]
    assert await found("--payment", NOTHING) == []
    table = await payments("log", "--partner", office.partner)
    for shown in (pay(first), "no longer BANK_DISAGREES", "ticket 17", "ada (login "):
        assert shown in table


async def test_an_empty_log_says_so_and_a_wrong_id_too(office, payments, refused):
    assert await payments("log", "--partner", office.partner) == "Nothing was done by hand.\n"
    for arguments in (("--partner", NOBODY), ("--partner", "x"), ("--payment", "x"), ("--payment", NOBODY)):
        assert "ptn_… and pay_…" in await refused("log", *arguments)
    assert "`partner-api partners list`" in await refused("list", "--partner", NOBODY)


async def test_each_command_runs_as_a_program_of_its_own(office, environment, here):
    payment = await office.flagged(R.POSSIBLE_ORPHAN_HOLD)
    settle = ("settle", pay(payment), "--partner", office.partner, *BY, "--acknowledge", "POSSIBLE_ORPHAN_HOLD", "--json")

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "app", "payments", *arguments],
            cwd=ROOT,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    listed = await asyncio.to_thread(call, "list", "--partner", office.partner, "--json")
    inspected = await asyncio.to_thread(call, "inspect", pay(payment))
    settled = await asyncio.to_thread(call, *settle)
    again = await asyncio.to_thread(call, *settle)
    logged = await asyncio.to_thread(call, "log", "--payment", pay(payment), "--json")

    assert (listed[0], json.loads(listed[1])["payment"]) == (0, pay(payment))
    assert (inspected[0], f"--acknowledge {R.POSSIBLE_ORPHAN_HOLD.value}" in inspected[1]) == (0, True)
    assert (settled[0], json.loads(settled[1])["after"]["reviewReasons"]) == (0, [])
    assert (again[0], again[1]) == (1, "")
    assert again[2].startswith("Error: It is not flagged POSSIBLE_ORPHAN_HOLD; it has no flag at all.")
    assert (logged[0], json.loads(logged[1])["action"]) == (0, "payment.flag_acknowledged")


@pytest.mark.parametrize(
    "command", [("list",), ("inspect", NOTHING), ("log",), ("settle", NOTHING, "--partner", NOBODY, *BY, "--ask-again")]
)
async def test_a_database_of_another_version_is_a_sentence(refused, owner, command):
    async with owner.without_tenant() as tx:
        now = (await tx.execute(text("select version_num from alembic_version"))).scalar_one()
        await tx.execute(text("update alembic_version set version_num = 'older'"))

    sentence = await refused(*command)

    async with owner.without_tenant() as tx:
        await tx.execute(text("update alembic_version set version_num = :now"), {"now": now})
    assert "Run `partner-api migrate`" in sentence
