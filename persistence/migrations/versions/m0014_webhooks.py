"""Webhooks: endpoints of partners, and what is to be delivered to them."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

_STATEMENTS = (
    """
    create table webhook_endpoints (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        url text not null check (length(url) <= 2000),
        description text not null check (length(description) <= 255),
        types text[] check (cardinality(types) > 0),
        shape text check (length(shape) between 1 and 10000),
        scopes text[] not null,
        saved_by uuid not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        overlap_until timestamptz,
        disabled_at timestamptz,
        disabled_why text check (disabled_why in ('BY_PARTNER', 'GONE', 'FAILING')),
        deleted_at timestamptz,
        slots jsonb not null default '[]',
        trips integer not null default 0 check (trips >= 0),
        open_until timestamptz,
        is_probing boolean not null default false,
        primary key (tenant_id, id),
        constraint webhook_endpoints_say_why check ((disabled_at is null) = (disabled_why is null)),
        constraint webhook_endpoints_deleted_keep_nothing check (deleted_at is null or (url = '' and shape is null))
    ) with (fillfactor = 50)
    """,
    # Sealed: whoever reads these reads nothing to sign with.
    """
    create table webhook_secrets (
        tenant_id uuid not null,
        id uuid not null,
        endpoint_id uuid not null,
        sealed bytea not null,
        key_version integer not null check (key_version > 0),
        created_at timestamptz not null,
        good_until timestamptz,
        primary key (tenant_id, id),
        foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id)
    )
    """,
    "create unique index webhook_secrets_one_now on webhook_secrets (tenant_id, endpoint_id) where good_until is null",
    "create index webhook_secrets_of_endpoint on webhook_secrets (tenant_id, endpoint_id)",
    # An id begins with the time of its event, so it is the order of time, too.
    """
    create table webhook_deliveries (
        tenant_id uuid not null,
        id uuid not null,
        endpoint_id uuid not null,
        event_id uuid,
        type text,
        state text not null check (state in ('PENDING', 'DELIVERED', 'DEAD')),
        due_at timestamptz not null,
        leased_until timestamptz,
        lease_token uuid,
        attempts integer not null default 0 check (attempts >= 0),
        tries integer not null default 0 check (tries between 0 and attempts),
        ended_at timestamptz,
        dead_why text check (dead_why in ('EXHAUSTED', 'GONE', 'ENDPOINT_DISABLED', 'UNSENDABLE')),
        log jsonb not null default '[]',
        primary key (tenant_id, id),
        foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id),
        constraint webhook_deliveries_of_something check ((event_id is null) = (type is null)),
        constraint webhook_deliveries_end check ((state = 'PENDING') = (ended_at is null)),
        constraint webhook_deliveries_dead_say_why check ((state = 'DEAD') = (dead_why is not null)),
        constraint webhook_deliveries_leased check (num_nonnulls(leased_until, lease_token) in (0, 2))
    ) with (fillfactor = 70)
    """,
    "create index webhook_deliveries_of_endpoint on webhook_deliveries (tenant_id, endpoint_id, id)",
    # Across tenants, for the worker: what is due? Neither a lease nor the attempts are in it, so that a lease is a cheap update.
    "create index webhook_deliveries_due on webhook_deliveries (tenant_id, endpoint_id, due_at) where state = 'PENDING'",
    *(
        statement
        for table in ("webhook_endpoints", "webhook_secrets", "webhook_deliveries")
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
