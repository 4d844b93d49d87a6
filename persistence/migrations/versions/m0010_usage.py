"""What partners have used, by key and day."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

_STATEMENTS = (
    """
    create table usage_by_day (
        tenant_id uuid not null references partners (id),
        day date not null,
        key_id uuid not null,
        requests bigint not null,
        cost bigint not null,
        errors bigint not null,
        payments bigint not null,
        events bigint not null,
        primary key (tenant_id, day, key_id)
    )
    """,
    # Which counters are in the table above already, so that none is added twice.
    """
    create table usage_drains (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        drained_at timestamptz not null,
        primary key (tenant_id, id)
    )
    """,
    *(
        statement
        for table in ("usage_by_day", "usage_drains")
        for statement in (
            f"alter table {table} enable row level security",
            f"alter table {table} force row level security",
            f"create policy tenant on {table} using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})",
        )
    ),
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
