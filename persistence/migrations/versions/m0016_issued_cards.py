"""Cards that the bank makes: on record before it is asked, and whether their number was shown."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

_STATEMENTS = (
    # No foreign key to the card: it comes later, when the bank has made it.
    """
    create table issued_cards (
        tenant_id uuid not null references partners (id),
        card_id uuid not null,
        user_id uuid not null,
        opened_at timestamptz not null,
        actor text not null check (length(actor) between 1 and 255),
        api_key_id uuid not null,
        idempotency_key text not null,
        ask_again_at timestamptz,
        bank_reference text,
        revealed_at timestamptz,
        primary key (tenant_id, card_id),
        foreign key (tenant_id, user_id) references users (tenant_id, id),
        constraint issued_cards_made_or_asked_for check (num_nonnulls(bank_reference, ask_again_at) = 1),
        constraint issued_cards_show_what_was_made check (revealed_at is null or bank_reference is not null)
    )
    """,
    "create index issued_cards_due on issued_cards (ask_again_at, tenant_id) where ask_again_at is not null",
    "create index issued_cards_being_made on issued_cards (tenant_id, user_id) where bank_reference is null",
    "alter table issued_cards enable row level security",
    "alter table issued_cards force row level security",
    f"create policy tenant on issued_cards using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
