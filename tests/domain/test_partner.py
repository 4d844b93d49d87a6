"""A partner and its sandbox: two tenants whose ids tell which is which."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import time_ordered_uuid
from domain.partner import Mode, mode_of, tenant_of

partner_ids = st.builds(
    time_ordered_uuid,
    st.integers(1, 2**35).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(0, 2**74 - 1),
)


@given(partner_ids)
def test_a_partners_id_is_the_live_tenant(partner_id):
    assert mode_of(partner_id) is Mode.LIVE
    assert tenant_of(partner_id, Mode.LIVE) == partner_id


@given(partner_ids)
def test_the_sandbox_is_another_tenant_and_leads_back(partner_id):
    sandbox = tenant_of(partner_id, Mode.TEST)

    assert sandbox != partner_id
    assert sandbox.version == 8
    assert mode_of(sandbox) is Mode.TEST
    assert tenant_of(sandbox, Mode.TEST) == sandbox
    assert tenant_of(sandbox, Mode.LIVE) == partner_id


@given(partner_ids, partner_ids)
def test_two_partners_have_two_sandboxes(one, other):
    assert (one == other) == (tenant_of(one, Mode.TEST) == tenant_of(other, Mode.TEST))
