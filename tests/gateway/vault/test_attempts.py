"""The card of an unfinished authorization: under the partner's data key, erased when it ends, and from before there were data keys."""

import os
from dataclasses import replace

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from domain.payment import PaymentState
from gateway.attempts import LEASE_S, begin_authorizations
from gateway.driving import call_of
from gateway.recovery import Recovery
from gateway.sealing import OldCardSeal, open_card
from gateway.vault.data_key import DoesNotOpen
from gateway.vault.vault import Vault
from persistence.attempts import attempts_by_keys
from tests.conftest import GOOD_CARD, MASTER_KEY, PEPPER
from tests.gateway.vault.conftest import RemoteKeyService

OLD_KEY = b"o" * 32


def sealed_by_the_version_before(card, tenant, attempt_id):
    """What gateway/sealing.py wrote until there were data keys, spelt out."""
    nonce = os.urandom(12)
    content = orjson.dumps([card.number, card.cvv, card.expiry_month, card.expiry_year])
    return b"\x01" + nonce + AESGCM(OLD_KEY).encrypt(nonce, content, b"\x01" + tenant.bytes + attempt_id.bytes)


@pytest.fixture
def upgraded(parts, another_vault, here):
    """A process of this version, which was given the master key of the version before, and during a rotation the next one."""
    vault = another_vault()
    return replace(
        parts,
        vault=Vault(
            parts.database,
            vault._key_service,
            here.world.now,
            fingerprint_key=PEPPER,
            old_seals=[OldCardSeal(b"n" * 32), OldCardSeal(OLD_KEY)],
        ),
    )


async def test_an_open_attempts_card_is_sealed_under_the_partners_data_key(parts, tenant, wish, database):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])

    key = await parts.vault.current_key(tenant)

    assert begun.attempt.sealed_card.startswith(key.header)
    assert open_card(key, begun.attempt.id, begun.attempt.sealed_card) == GOOD_CARD


async def test_an_attempt_of_the_version_before_is_opened_and_asked_for(upgraded, tenant, wish, owner, watch, here, database):
    request = wish()
    (begun,) = await begin_authorizations(upgraded, tenant, [request])
    old = sealed_by_the_version_before(GOOD_CARD, tenant, begun.attempt.id)
    async with owner.tenant(tenant) as tx:
        await tx.execute(text("update attempts set sealed_card = :old where id = :id"), {"old": old, "id": begun.attempt.id})
    here.pass_by(LEASE_S + 1)

    await Recovery(upgraded, watch).run_once()

    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, [request.idempotency_key]))[request.idempotency_key]
    assert attempt.resolution.payment.state is PaymentState.AUTHORIZED
    assert attempt.sealed_card is None


@pytest.mark.parametrize("elsewhere", ["another partner", "another attempt", "another key"])
async def test_an_old_seal_opens_in_its_own_place_only(upgraded, parts, tenant, other_tenant, here, elsewhere):
    attempt_id = here.world.new_uuid()
    sealed = sealed_by_the_version_before(GOOD_CARD, tenant, attempt_id)
    vault = parts.vault if elsewhere == "another key" else upgraded.vault
    whose = other_tenant if elsewhere == "another partner" else tenant
    row = here.world.new_uuid() if elsewhere == "another attempt" else attempt_id

    assert await upgraded.vault.open_card(sealed, tenant, attempt_id) == GOOD_CARD
    with pytest.raises(DoesNotOpen):
        await vault.open_card(sealed, whose, row)


async def test_a_card_moved_to_another_attempt_or_partner_does_not_open(parts, tenant, other_tenant, wish):
    (one,) = await begin_authorizations(parts, tenant, [wish()])
    (other,) = await begin_authorizations(parts, tenant, [wish()])

    for whose, moved in ((tenant, replace(other.attempt, sealed_card=one.attempt.sealed_card)), (other_tenant, one.attempt)):
        with pytest.raises(DoesNotOpen):
            await call_of(parts, whose, moved, one.payment)


async def test_while_the_keys_are_away_an_attempt_rests_without_a_doubt_and_goes_on_when_they_are_back(
    parts, another_vault, tenant, wish, watch, here, database, line
):
    """A process that has just been started: it has no key at hand."""
    request = wish()
    await begin_authorizations(parts, tenant, [request])
    key_service = RemoteKeyService(MASTER_KEY)
    recovery = Recovery(replace(parts, vault=another_vault(key_service)), watch)
    key_service.is_away = True
    here.pass_by(LEASE_S + 1)
    await recovery.run_once()
    asked_while_away = list(line.requests)

    async def attempt():
        async with database.tenant(tenant) as tx:
            return (await attempts_by_keys(tx, tenant, [request.idempotency_key]))[request.idempotency_key]

    resting = await attempt()
    key_service.is_away = False
    here.pass_by(31)
    await recovery.run_once()

    assert asked_while_away == []
    assert (resting.resolution, resting.sealed_card is not None) == (None, True)
    ended = await attempt()
    assert ended.resolution.payment.state is PaymentState.AUTHORIZED
    assert resting.unanswered == 1, "of the one whose lease ran out, and none of the rest"
    assert ended.unanswered == resting.unanswered
