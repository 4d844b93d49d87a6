"""From where the next reconciliation has to begin, when the bank left something unanswered in this one."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table reconciliation_runs add column unanswered_since timestamptz")
