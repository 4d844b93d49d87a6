"""Everything that is on record of one payment, for operators and the checker of invariants; and for Postgres itself."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A payment begun in vain is deleted, and before that Postgres looks for what refers to it: among a million payments that took 0.6 s.
INDEXES_BUILT_LATER = {
    "attempts_of_payment": "on attempts (tenant_id, payment_id)",
    "events_of_payment": "on events (tenant_id, payment_id)",
    "discrepancies_of_payment": "on discrepancies (tenant_id, payment_id)",
}


def upgrade() -> None:
    """Nothing but the indexes, which are built after this migration's transaction."""
