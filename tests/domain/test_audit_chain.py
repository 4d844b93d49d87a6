"""The chain of an audit log, as plain values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID

import pytest

from domain.audit_chain import BEGINNING, NO_HEAD, Break, Head, Link, break_at_the_head, first_break, hash_of

TENANT = UUID(int=7)


def links(count: int) -> list[Link]:
    """A chain that holds."""
    made: list[Link] = []
    for number in range(1, count + 1):
        link = Link(
            sequence=number,
            previous_hash=made[-1].hash if made else BEGINNING,
            hash=b"",
            id=UUID(int=number),
            at=datetime(2026, 6, 1, 12, 0, number, 50, tzinfo=UTC),
            kind="API_KEY",
            actor="till 1",
            api_key_id=UUID(int=9),
            address="192.0.2.7",
            request_id="req_1",
            action="payment.requested",
            payment_id=UUID(int=100 + number),
            subject=None,
            attempt_id=UUID(int=200 + number),
            idempotency_key=f"key-{number}",
            note="",
            before=None,
            after=None,
        )
        made.append(replace(link, hash=hash_of(TENANT, link)))
    return made


def test_the_text_that_is_hashed_is_the_described_one():
    (link,) = links(1)

    written = (
        f"36:{TENANT},1:1,64:{'0' * 64},36:{link.id},27:2026-06-01T12:00:01.000050Z,7:API_KEY,6:till 1,36:{link.api_key_id},"
        f"9:192.0.2.7,5:req_1,17:payment.requested,36:{link.payment_id},-,36:{link.attempt_id},5:key-1,0:,-,-,"
    )

    assert link.hash == sha256(written.encode()).digest()


def test_a_chain_that_holds_goes_on_over_pages():
    chain = links(5)

    end, broken = first_break(TENANT, NO_HEAD, chain[:2])
    assert broken is None
    end, broken = first_break(TENANT, end, chain[2:])

    assert broken is None
    assert end == Head(5, chain[-1].hash)
    assert break_at_the_head(end, end) is None


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda chain: chain[:2] + chain[3:], 3),
        (lambda chain: [chain[0], chain[2], chain[1], *chain[3:]], 2),
        (lambda chain: [chain[0], replace(chain[2], sequence=2), replace(chain[1], sequence=3), *chain[3:]], 2),
        (lambda chain: [*chain[:3], replace(chain[3], note="never mind"), chain[4]], 4),
        (lambda chain: [*chain[:3], rehashed(replace(chain[3], note="never mind")), chain[4]], 5),
        (lambda chain: [*chain[:3], replace(chain[3], address=None, request_id="192.0.2.7req_1"), chain[4]], 4),
    ],
    ids=[
        "taken out",
        "in another order",
        "with numbers swapped",
        "changed",
        "changed and hashed anew",
        "text moved to a neighbour",
    ],
)
def test_a_chain_that_was_touched_breaks_where_it_was(change, number):
    _, broken = first_break(TENANT, NO_HEAD, change(links(5)))

    assert isinstance(broken, Break)
    assert broken.sequence == number


def rehashed(link: Link) -> Link:
    """By somebody who knows how."""
    return replace(link, hash=hash_of(TENANT, link))


def test_another_tenants_chain_is_not_this_ones():
    _, broken = first_break(UUID(int=8), NO_HEAD, links(2))

    assert broken is not None


def test_entries_missing_at_the_end_are_told_by_the_head():
    chain = links(5)
    end, _ = first_break(TENANT, NO_HEAD, chain[:3])

    broken = break_at_the_head(end, Head(5, chain[-1].hash))

    assert broken == Break(4, "the last entries are missing: there were 5")


@pytest.mark.parametrize("head", [NO_HEAD, Head(3, b"\1" * 32)])
def test_entries_beyond_the_head_and_another_last_one_are_told(head):
    chain = links(3)

    broken = break_at_the_head(Head(3, chain[-1].hash), head)

    assert broken is not None
    assert broken.sequence == 3


def test_the_same_moment_in_another_zone_is_the_same_text():
    (link,) = links(1)

    elsewhere = replace(link, at=link.at.astimezone(timezone(timedelta(hours=5))))

    assert hash_of(TENANT, elsewhere) == link.hash
