"""Reconciliation runs and what they found, the audit log, and what expiry and reconciliation look for."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    """
    create table reconciliation_runs (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        trigger text not null check (trigger in ('SCHEDULE', 'OPERATOR')),
        started_at timestamptz not null,
        since timestamptz not null,
        phase text not null check (phase in ('AT_REST', 'RECENT', 'DONE')),
        cursor_at timestamptz,
        cursor_id uuid,
        lease_until timestamptz not null,
        lease_token uuid not null,
        finished_at timestamptz,
        checked bigint not null default 0 check (checked >= 0),
        agreed bigint not null default 0 check (agreed >= 0),
        repaired bigint not null default 0 check (repaired >= 0),
        flagged bigint not null default 0 check (flagged >= 0),
        unanswered bigint not null default 0 check (unanswered >= 0),
        primary key (tenant_id, id),
        constraint reconciliation_runs_finish_when_done check ((phase = 'DONE') = (finished_at is not null))
    )
    """,
    # Two runs at once would ask the bank everything twice; whoever comes second goes on with the first one's.
    "create unique index reconciliation_runs_one_at_a_time on reconciliation_runs (tenant_id) where finished_at is null",
    "create index reconciliation_runs_by_time on reconciliation_runs (tenant_id, started_at desc, id desc)",
    """
    create table discrepancies (
        tenant_id uuid not null,
        run_id uuid not null,
        payment_id uuid not null,
        kind text not null,
        done text not null check (done in ('REPAIRED', 'FLAGGED')),
        ours text not null,
        the_banks text not null,
        found_at timestamptz not null,
        -- A page that is compared twice, because its first reader died, finds the same things once.
        primary key (tenant_id, run_id, payment_id, kind),
        foreign key (tenant_id, run_id) references reconciliation_runs (tenant_id, id) on delete cascade,
        foreign key (tenant_id, payment_id) references payments (tenant_id, id)
    )
    """,
    """
    create table audit_log (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        at timestamptz not null,
        actor text not null check (length(actor) between 1 and 255),
        action text not null check (length(action) between 1 and 255),
        payment_id uuid,
        note text not null check (length(note) <= 1000),
        before jsonb,
        after jsonb,
        primary key (tenant_id, id),
        foreign key (tenant_id, payment_id) references payments (tenant_id, id)
    )
    """,
    "create index audit_log_of_payment on audit_log (tenant_id, payment_id, at) where payment_id is not null",
)

# On tables that payments are being written to: built one by one without a lock, after this migration's transaction.
INDEXES_BUILT_LATER = {
    # Across tenants, for the worker: who has a hold that is about to run out?
    "payments_held": "on payments (created_at, tenant_id) where state = 'AUTHORIZED'",
    # Of one tenant, in pages: what may differ from the bank's books although nothing is under way.
    "payments_that_may_differ": "on payments (tenant_id, id) where state = 'AUTHORIZED' or review_reasons <> '{}'",
    # Of one tenant, in the order of their closing: what the bank still has the key of, and what is old enough to be forgotten.
    "attempts_by_closing": "on attempts (tenant_id, closed_at, id) where closed_at is not null",
}

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)
    for table in ("reconciliation_runs", "discrepancies", "audit_log"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy tenant on {table} using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})")
