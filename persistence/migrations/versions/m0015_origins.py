"""A partner's own list of origins whose browsers may use its keys."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null: as the installation is set. There are as many rows as partners, so the check is no wait for anybody.
    op.execute("alter table partners add column allowed_origins text[] check (cardinality(allowed_origins) between 1 and 100)")
