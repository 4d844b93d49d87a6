"""Tiers: what they promise holds together."""

import pytest

from domain.tier import TIERS, TierName


def test_every_tier_is_stated():
    assert set(TIERS) == set(TierName)


@pytest.mark.parametrize("name", TierName)
def test_a_key_alone_leaves_room_for_its_partners_others(name):
    tier = TIERS[name]

    assert tier.key.capacity < tier.partner.capacity
    assert tier.key.points < tier.partner.points


def test_a_higher_tier_has_more_of_everything():
    for lower, higher in zip(TierName, list(TierName)[1:], strict=False):
        one, other = TIERS[lower], TIERS[higher]
        assert one.partner.capacity < other.partner.capacity
        assert one.partner.points < other.partner.points
        assert one.at_once < other.at_once
        assert one.monthly_cost < other.monthly_cost
