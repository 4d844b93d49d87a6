"""`partner-api audit`: reads the log, and tells where somebody has touched it."""

import asyncio
import json

import pytest
from sqlalchemy import text

from domain.ids import IdKind, encode_id
from gateway.attempts import begin_authorizations


@pytest.fixture
async def begun(parts, tenant, wish, here):
    """Payments of one partner, begun one after the other."""
    made = []
    for _ in range(3):
        here.pass_by(1)
        made += await begin_authorizations(parts, tenant, [wish()])
    return made


@pytest.fixture
def partner(tenant):
    """The partner's id as staff writes it."""
    return encode_id(IdKind.PARTNER, tenant)


async def touch(owner, tenant, statement):
    async with owner.tenant(tenant) as tx:
        await tx.execute(text(statement), {"t": tenant})


def test_a_log_that_nobody_touched_holds(run, begun, partner):
    code, out, _ = run("audit", "verify", "--partner", partner)

    assert (code, out) == (0, "3 entries in 1 logs hold; 0 logs are broken.\n")


async def test_a_log_that_was_touched_is_told_with_the_place(run, begun, partner, owner, tenant):
    await touch(owner, tenant, "update audit_log set action = 'payment.voided' where tenant_id = :t and sequence = 2")

    code, out, _ = await asyncio.to_thread(run, "audit", "verify", "--partner", partner)
    json_code, line, _ = await asyncio.to_thread(run, "audit", "verify", "--partner", partner, "--json")

    assert code == json_code == 1
    assert f"{partner}: entry 2: its hash is not that of what it says" in out
    found = json.loads(line)
    assert (found["partner"], found["broken"]["sequence"]) == (partner, 2)


async def test_one_broken_log_does_not_hide_among_the_others(run, begun, other_tenant, owner, tenant):
    await touch(owner, tenant, "delete from audit_log where tenant_id = :t and sequence = 3")

    code, out, _ = await asyncio.to_thread(run, "audit", "verify", "--json")

    lines = [json.loads(each) for each in out.splitlines()]
    assert code == 1
    assert next(each for each in lines if each["partner"] == encode_id(IdKind.PARTNER, tenant))["broken"]["sequence"] == 3
    assert next(each for each in lines if each["partner"] == encode_id(IdKind.PARTNER, other_tenant))["broken"] is None


def test_the_log_is_listed_newest_first(run, begun, partner):
    code, out, _ = run("audit", "list", "--partner", partner, "--json")

    lines = [json.loads(each) for each in out.splitlines()]
    assert code == 0
    assert [each["sequence"] for each in lines] == [3, 2, 1]
    assert [each["subject"] for each in lines] == [encode_id(IdKind.PAYMENT, each.payment.id) for each in begun[::-1]]
    assert {each["action"] for each in lines} == {"payment.requested"}


def test_the_log_of_one_subject_is_listed(run, begun, partner):
    payment = encode_id(IdKind.PAYMENT, begun[1].payment.id)

    _, out, _ = run("audit", "list", "--subject", payment, "--json")
    _, nothing, _ = run("audit", "list", "--subject", "key_0", "--partner", partner)

    assert [json.loads(each)["sequence"] for each in out.splitlines()] == [2]
    assert nothing == "Nothing is on record.\n"


def test_the_table_shows_who_did_what(run, begun, partner):
    _, out, _ = run("audit", "list", "--partner", partner)

    assert "payment.requested" in out


@pytest.mark.parametrize("command", ["list", "verify"])
def test_a_partner_that_there_is_not_is_a_sentence(run, command):
    code, _, err = run("audit", command, "--partner", "ptn_0")

    assert code == 1
    assert "There is no partner with this id" in err
