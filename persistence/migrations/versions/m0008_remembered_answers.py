"""What mutations that ask nothing of the bank have answered, by idempotency key, so that each is done once."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

_STATEMENTS = (
    """
    create table remembered_answers (
        tenant_id uuid not null references partners (id),
        idempotency_key text not null check (length(idempotency_key) between 1 and 255),
        kind text not null check (length(kind) between 1 and 100),
        fingerprint bytea not null,
        -- Null only within the transaction that does what it answers. Never holds a secret: those are shown once.
        answer jsonb,
        created_at timestamptz not null,
        primary key (tenant_id, idempotency_key)
    )
    """,
    "create index remembered_answers_by_age on remembered_answers (tenant_id, created_at)",
    "alter table remembered_answers enable row level security",
    "alter table remembered_answers force row level security",
    f"create policy tenant on remembered_answers using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
