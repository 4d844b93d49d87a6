"""A data key that a webhook's secret is sealed under can't be destroyed, as one that a card's number needs."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

CONSTRAINTS_VALIDATED_LATER = {"webhook_secrets_key": "webhook_secrets"}

_STATEMENTS = (
    """
    alter table webhook_secrets add constraint webhook_secrets_key
        foreign key (tenant_id, key_version) references data_keys (tenant_id, version) not valid
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
