"""The vault: a data key for each partner, wrapped by a master key, and the card numbers that are sealed under it."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

_STATEMENTS = (
    # No partner's: which master keys there were. They themselves are nowhere in the database; the check value is a known text, wrapped.
    """
    create table master_keys (
        id text primary key check (length(id) between 1 and 255),
        check_value bytea not null,
        created_at timestamptz not null,
        is_active boolean not null,
        retired_at timestamptz,
        constraint master_keys_active_or_retired check (not is_active or retired_at is null)
    )
    """,
    "create unique index master_keys_one_is_active on master_keys (is_active) where is_active",
    "alter table master_keys enable row level security",
    "create policy everybody on master_keys for select using (true)",
    # The first process to start begins with its key. With the index above no other one can be made active but by the owner.
    "create policy the_first on master_keys for insert with check (is_active)",
    """
    create table data_keys (
        tenant_id uuid not null references partners (id),
        version integer not null check (version > 0),
        wrapped bytea not null,
        master_key_id text not null,
        created_at timestamptz not null,
        superseded_at timestamptz,
        primary key (tenant_id, version)
    )
    """,
    # Apart from the cards: whoever reads those, by mistake or on purpose, reads no number. A key in use can't be destroyed, and a
    # number can't claim to be sealed under another key than the one that it names in front.
    """
    create table card_numbers (
        tenant_id uuid not null,
        card_id uuid not null,
        sealed bytea not null check (length(sealed) <= 255),
        key_version integer not null,
        primary key (tenant_id, card_id),
        foreign key (tenant_id, card_id) references cards (tenant_id, id),
        foreign key (tenant_id, key_version) references data_keys (tenant_id, version),
        constraint card_numbers_name_their_key check (substr(sealed, 2, 4) = int4send(key_version))
    )
    """,
    "create index card_numbers_of_key on card_numbers (tenant_id, key_version, card_id)",
    *(
        statement
        for table in ("data_keys", "card_numbers")
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
