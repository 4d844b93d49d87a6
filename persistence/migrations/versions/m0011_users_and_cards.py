"""End users and their cards, payments made with those, and events of anything."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEXES_BUILT_LATER = {
    "payments_of_card": "on payments (tenant_id, card_id, created_at desc, id desc) where card_id is not null",
}
CONSTRAINTS_VALIDATED_LATER = {"payments_card": "payments", "events_are_about_one_thing": "events"}

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

_STATEMENTS = (
    "alter table partners add column cards_per_user integer not null default 5 check (cards_per_user between 1 and 1000)",
    """
    create table users (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        external_id text not null check (length(external_id) between 1 and 255),
        name text check (length(name) between 1 and 255),
        email text check (length(email) between 3 and 254),
        metadata jsonb not null,
        state text not null check (state in ('ACTIVE', 'DEACTIVATED', 'ERASED')),
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        constraint users_external_id unique (tenant_id, external_id),
        constraint users_erased_are_nobody check (state <> 'ERASED' or (num_nonnulls(name, email) = 0 and metadata = '{}'))
    )
    """,
    "create index users_by_time on users (tenant_id, created_at desc, id desc)",
    # The number is not here: whoever reads cards, by mistake or on purpose, reads nothing worth stealing.
    """
    create table cards (
        tenant_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        kind text not null check (kind in ('ADDED', 'ISSUED')),
        brand text not null,
        last_four text not null check (last_four ~ '^[0-9]{4}$'),
        expiry_month integer not null check (expiry_month between 1 and 12),
        expiry_year integer not null check (expiry_year between 2000 and 2999),
        fingerprint bytea not null check (length(fingerprint) = 32),
        state text not null check (state in ('INACTIVE', 'ACTIVE', 'FROZEN', 'CLOSED')),
        reason text check (reason in ('LOST', 'STOLEN', 'FRAUD', 'CUSTOMER_REQUEST', 'EXPIRED')),
        created_at timestamptz not null,
        state_since timestamptz not null,
        limit_per_transaction bigint check (limit_per_transaction >= 0),
        limit_per_day bigint check (limit_per_day >= 0),
        limit_per_month bigint check (limit_per_month >= 0),
        primary key (tenant_id, id),
        foreign key (tenant_id, user_id) references users (tenant_id, id),
        constraint cards_say_why check (case state
            when 'CLOSED' then reason is not null
            when 'FROZEN' then reason is not null and reason <> 'EXPIRED'
            else reason is null
        end)
    )
    """,
    # The same card twice for one user is one card; after it was closed it can be added again.
    "create unique index cards_one_open_per_number on cards (tenant_id, user_id, fingerprint) where state <> 'CLOSED'",
    "create index cards_by_time on cards (tenant_id, created_at desc, id desc)",
    "create index cards_of_user on cards (tenant_id, user_id, created_at desc, id desc)",
    # Across tenants, for the worker: whose cards have expired? Open ones only.
    "create index cards_expiring on cards (expiry_year, expiry_month, tenant_id) where state <> 'CLOSED'",
    """
    create table card_transitions (
        tenant_id uuid not null,
        card_id uuid not null,
        number integer not null check (number > 0),
        before text,
        after text not null,
        reason text,
        actor text not null check (length(actor) between 1 and 255),
        api_key_id uuid,
        at timestamptz not null,
        primary key (tenant_id, card_id, number),
        foreign key (tenant_id, card_id) references cards (tenant_id, id),
        constraint card_transitions_follow_the_state_machine check (case
            when before is null then number = 1 and after in ('INACTIVE', 'ACTIVE')
            when before = 'INACTIVE' then after in ('ACTIVE', 'CLOSED')
            when before = 'ACTIVE' then after in ('FROZEN', 'CLOSED')
            when before = 'FROZEN' then after in ('ACTIVE', 'CLOSED')
            else false
        end)
    )
    """,
    *(
        statement
        for table in ("users", "cards", "card_transitions")
        for statement in (
            f"alter table {table} enable row level security",
            f"alter table {table} force row level security",
            f"create policy tenant on {table} using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})",
        )
    ),
    # Not valid at first: to look at all rows in this transaction would keep payments waiting.
    "alter table payments add column card_id uuid",
    """
    alter table payments add constraint payments_card foreign key (tenant_id, card_id) references cards (tenant_id, id) not valid
    """,
    """
    alter table events
        alter column payment_id drop not null,
        alter column payment drop not null,
        add column subject_kind text,
        add column subject_id uuid,
        add column subject jsonb,
        add constraint events_are_about_one_thing check (
            num_nonnulls(payment_id, payment) = 2 and num_nonnulls(subject_kind, subject_id, subject) = 0
            or num_nonnulls(payment_id, payment) = 0 and num_nonnulls(subject_kind, subject_id, subject) = 3
        ) not valid
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
