"""What keys may do and for how long, how much partners may use, and a sandbox for each partner."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SCOPES = (
    "users:read", "users:write", "cards:read", "cards:write", "payments:read", "payments:write", "refunds:write", "webhooks:read",
    "webhooks:write", "keys:read", "keys:write", "events:read", "usage:read", "audit:read",
)  # fmt: skip
_PRESENTED = "decode(nullif(current_setting('app.key_hash', true), ''), 'hex')"

_STATEMENTS = (
    """
    alter table partners
        add column tier text not null default 'STANDARD' check (tier in ('TRIAL', 'STANDARD', 'ENTERPRISE')),
        add column suspended_at timestamptz,
        add column sandbox_of uuid references partners (id)
    """,
    # A sandbox's id is its partner's with another version: see domain/partner.py.
    """
    insert into partners (id, name, created_at, tier, sandbox_of)
    select overlay(id::text placing '8' from 15 for 1)::uuid, name, created_at, 'TRIAL', id from partners
    """,
    # Keys that there are could do everything there was to do.
    f"""
    alter table api_keys
        add column scopes text[] not null default '{{{",".join(_SCOPES)}}}',
        add column created_by uuid,
        add column expires_at timestamptz,
        add column networks cidr[] not null default '{{}}',
        add column last_used_at timestamptz,
        add column replaced_by uuid
    """,
    "alter table api_keys alter column scopes drop default",
    # Whoever presents a key may see whose it is, too.
    f"create policy presented on partners for select using (id = (select tenant_id from api_keys where key_hash = {_PRESENTED}))",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
