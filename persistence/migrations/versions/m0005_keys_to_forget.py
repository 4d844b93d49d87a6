"""What the reaper looks for: idempotency keys that are old enough to be forgotten."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# An attempt stays when its key goes. `attempts_by_closing` has both, and among millions of the first the second would be looked for.
INDEXES_BUILT_LATER = {
    "attempts_with_keys": "on attempts (tenant_id, closed_at) where closed_at is not null and idempotency_key is not null",
}


def upgrade() -> None:
    """Nothing but the index, which is built after this migration's transaction."""
