"""Partners, their keys, payments, attempts and the log of events. What landed is never edited: add a migration instead."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    create table partners (
        id uuid primary key,
        name text not null check (length(name) between 1 and 255),
        created_at timestamptz not null
    )
    """,
    """
    create table api_keys (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        name text not null check (length(name) between 1 and 255),
        key_hash bytea not null check (length(key_hash) = 32),
        shown text not null,
        created_at timestamptz not null,
        revoked_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, key_hash)
    )
    """,
    # The one look-up that does not know its tenant yet: whose key is this?
    "create index api_keys_by_hash on api_keys (key_hash)",
    """
    create table payments (
        tenant_id uuid not null references partners (id),
        id uuid not null,
        order_id text not null,
        customer_id text not null,
        amount_minor bigint not null check (amount_minor > 0),
        currency text not null check (currency = 'USD'),
        card_brand text not null,
        card_last_four text not null check (card_last_four ~ '^[0-9]{4}$'),
        state text not null,
        created_at timestamptz not null,
        authorized_at timestamptz,
        captured_at timestamptz,
        voided_at timestamptz,
        refunded_at timestamptz,
        declined_at timestamptz,
        expired_at timestamptz,
        bank_authorization text,
        bank_capture text,
        bank_void text,
        bank_refund text,
        decline_code text,
        decline_message text,
        review_reasons text[] not null default '{}',
        primary key (tenant_id, id),
        -- The state machine: each state, and the states it can only have come through.
        constraint payments_follow_the_state_machine check (
            case state
                when 'PENDING' then
                    num_nonnulls(authorized_at, captured_at, voided_at, refunded_at, declined_at, expired_at) = 0
                when 'AUTHORIZED' then authorized_at is not null
                    and num_nonnulls(captured_at, voided_at, refunded_at, declined_at, expired_at) = 0
                when 'CAPTURED' then num_nulls(authorized_at, captured_at) = 0
                    and num_nonnulls(voided_at, refunded_at, declined_at, expired_at) = 0
                when 'REFUNDED' then num_nulls(authorized_at, captured_at, refunded_at) = 0
                    and num_nonnulls(voided_at, declined_at, expired_at) = 0
                when 'VOIDED' then num_nulls(authorized_at, voided_at) = 0
                    and num_nonnulls(captured_at, refunded_at, declined_at, expired_at) = 0
                when 'EXPIRED' then num_nulls(authorized_at, expired_at) = 0
                    and num_nonnulls(captured_at, voided_at, refunded_at, declined_at) = 0
                when 'DECLINED' then declined_at is not null
                    and num_nonnulls(authorized_at, captured_at, voided_at, refunded_at, expired_at) = 0
                else false
            end
        ),
        constraint payments_declined_say_why check ((state = 'DECLINED') = (decline_code is not null)),
        constraint payments_authorized_have_a_hold check ((authorized_at is null) = (bank_authorization is null))
    )
    """,
    # An order has at most one live payment; after a decline, a void or an expiry it can be tried again.
    """
    create unique index payments_one_live_per_order on payments (tenant_id, order_id)
        where state in ('PENDING', 'AUTHORIZED', 'CAPTURED')
    """,
    "create index payments_by_time on payments (tenant_id, created_at desc, id desc)",
    "create index payments_by_order on payments (tenant_id, order_id, created_at desc, id desc)",
    "create index payments_by_customer on payments (tenant_id, customer_id, created_at desc, id desc)",
    "create index payments_by_state on payments (tenant_id, state, created_at desc, id desc)",
    """
    create table attempts (
        tenant_id uuid not null,
        id uuid not null,
        payment_id uuid not null,
        verb text not null check (verb in ('AUTHORIZE', 'CAPTURE', 'VOID', 'REFUND')),
        idempotency_key text check (length(idempotency_key) between 1 and 255),
        fingerprint bytea not null,
        opened_at timestamptz not null,
        lease_until timestamptz not null,
        lease_token uuid not null,
        tries integer not null check (tries >= 0),
        unanswered integer not null check (unanswered between 0 and tries),
        sealed_card bytea,
        closed_at timestamptz,
        resolution jsonb,
        primary key (tenant_id, id),
        unique (tenant_id, idempotency_key),
        foreign key (tenant_id, payment_id) references payments (tenant_id, id),
        constraint attempts_closed_are_resolved check ((closed_at is null) = (resolution is null)),
        -- PCI DSS requirement 3.3: nothing of a card's security code remains once the authorization is finished.
        constraint attempts_closed_forget_the_card check (closed_at is null or sealed_card is null),
        constraint attempts_only_authorize_holds_a_card check (verb = 'AUTHORIZE' or sealed_card is null)
    )
    """,
    # A capture and a void can't race: one open attempt for each payment.
    "create unique index attempts_one_open_per_payment on attempts (tenant_id, payment_id) where closed_at is null",
    # Across tenants, for the worker: who has something due? Small, since it holds open attempts only.
    "create index attempts_due on attempts (lease_until, tenant_id) where closed_at is null",
    """
    create table event_sequences (
        tenant_id uuid primary key references partners (id),
        last bigint not null check (last >= 0)
    )
    """,
    """
    create table events (
        tenant_id uuid not null references partners (id),
        sequence bigint not null check (sequence > 0),
        id uuid not null,
        type text not null,
        occurred_at timestamptz not null,
        payment_id uuid not null,
        previous_state text,
        idempotency_key text,
        payment jsonb not null,
        primary key (tenant_id, sequence),
        unique (tenant_id, id),
        foreign key (tenant_id, payment_id) references payments (tenant_id, id)
    )
    """,
)

# `nullif`, because after a SET LOCAL has ended the setting is '' and not NULL, and ''::uuid is an error.
_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"
_PRESENTED = "decode(nullif(current_setting('app.key_hash', true), ''), 'hex')"


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)
    for table in ("api_keys", "payments", "attempts", "event_sequences", "events"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy tenant on {table} using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})")
    # Whoever presents a key may see that key's row, which says whose it is.
    op.execute(f"create policy presented on api_keys for select using (key_hash = {_PRESENTED})")
    # Partners are the platform's own list: its staff, which is the owner, sees all of it; a partner sees itself.
    op.execute("alter table partners enable row level security")
    op.execute(f"create policy itself on partners for select using (id = {_TENANT})")
