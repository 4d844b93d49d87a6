"""What staff does with partners and keys is in the audit log, in the transaction that does it."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from app import staff
from app.auditing import check_chain
from app.settings import KeySettings
from app.staff_entries import machine_login
from domain.audit import ActorKind, Logged
from domain.ids import IdKind, decode_id_of
from domain.partner import Mode, tenant_of
from domain.scope import Scope
from domain.tier import TierName
from persistence.audit_chains import page_of_log
from persistence.database import Database
from tests.app.serving import SECRETS


@pytest.fixture
def settings(database_urls: Any) -> KeySettings:
    """Settings of the commands for staff."""
    return KeySettings(owner_database_url=SecretStr(database_urls.owner), pepper=SecretStr(SECRETS["pepper"]))


@pytest.fixture
async def partner(settings: KeySettings) -> str:
    """A partner made by the command."""
    return await staff.create_partner(settings, "FicMart", TierName.TRIAL)


async def log_of(owner: Database, partner: str, mode: Mode = Mode.LIVE) -> list[Logged]:
    """A tenant's log, the oldest first; its chain holds."""
    partner_id = decode_id_of(IdKind.PARTNER, partner)
    assert isinstance(partner_id, UUID)
    tenant_id = tenant_of(partner_id, mode)
    assert (await check_chain(owner, tenant_id)).broken is None
    async with owner.tenant(tenant_id) as tx:
        return (await page_of_log(tx, tenant_id, before=None, limit=100))[::-1]


async def test_what_becomes_of_a_partner_is_logged_with_the_login_of_the_machine(
    settings: KeySettings, owner: Database, partner: str
) -> None:
    await staff.set_tier(settings, partner, TierName.ENTERPRISE)
    await staff.set_cards_per_user(settings, partner, 10)
    await staff.suspend_partner(settings, partner)
    await staff.resume_partner(settings, partner)

    entries = [each.entry for each in await log_of(owner, partner)]
    in_the_sandbox = [each.entry.action for each in await log_of(owner, partner, Mode.TEST)]
    assert [(each.action, each.note) for each in entries] == [
        ("partner.created", "tier TRIAL"),
        ("partner.tier_set", "tier ENTERPRISE"),
        ("partner.cards_per_user_set", "10 cards"),
        ("partner.suspended", ""),
        ("partner.resumed", ""),
    ]
    assert {each.subject for each in entries} == {partner}
    assert {(each.kind, each.actor) for each in entries} == {(ActorKind.OPERATOR, f"staff (login {machine_login()})")}
    assert in_the_sandbox == ["partner.cards_per_user_set", "partner.suspended", "partner.resumed"]


async def test_what_becomes_of_a_key_is_logged_in_the_log_of_its_tenant(
    settings: KeySettings, owner: Database, partner: str
) -> None:
    grant = staff.Grant(Mode.TEST, frozenset({Scope.EVENTS_READ}), timedelta(days=1), (ip_network("192.0.2.0/24"),))
    made = await staff.create_key(settings, partner, "till", grant)
    assert made
    await staff.revoke_key(settings, partner, made["id"])

    entries = [each.entry for each in await log_of(owner, partner, Mode.TEST)]

    assert [each.action for each in entries] == ["key.created", "key.revoked"]
    assert {each.subject for each in entries} == {made["id"]}
    assert entries[0].note.startswith("1 scopes: events:read; until ")
    assert entries[0].note.endswith("; from 192.0.2.0/24")
    assert made["key"] not in f"{entries}"
    assert [each.entry.action for each in await log_of(owner, partner)] == ["partner.created"]


async def test_what_did_not_happen_is_not_logged(settings: KeySettings, owner: Database, partner: str) -> None:
    other = await staff.create_partner(settings, "Somebody else")
    made = await staff.create_key(settings, other, "till")
    assert made

    assert not await staff.revoke_key(settings, partner, made["id"])
    assert not await staff.suspend_partner(settings, "ptn_0")

    assert [each.entry.action for each in await log_of(owner, partner)] == ["partner.created"]
