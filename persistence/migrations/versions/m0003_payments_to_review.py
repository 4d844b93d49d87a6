"""What operators and dashboards ask for: the payments that need review."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# `payments_that_may_differ` has all holds at rest as well, and an order of its own: among a million holds, those that need review
# would be looked for one by one. This one holds nothing else, so it costs a payment that is in order nothing at all.
INDEXES_BUILT_LATER = {
    "payments_to_review": "on payments (tenant_id, created_at desc, id desc) where review_reasons <> '{}'",
}


def upgrade() -> None:
    """Nothing but the index, which is built after this migration's transaction."""
