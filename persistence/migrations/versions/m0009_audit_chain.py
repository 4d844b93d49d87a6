"""The audit log of everything: who, from where, and a chain of hashes for each tenant, which Postgres itself writes."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

# In this order. Each is written as its length in bytes, a colon, itself and a comma, so that no two entries have one text; what is
# null is a dash. `domain/audit_chain.py` has the same list, written anew from the description: neither can forge for the other.
_HASHED = (
    "entry.tenant_id::text",
    "entry.sequence::text",
    "encode(entry.previous_hash, 'hex')",
    "entry.id::text",
    """to_char(entry.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "entry.kind",
    "entry.actor",
    "entry.api_key_id::text",
    "entry.address",
    "entry.request_id",
    "entry.action",
    "entry.payment_id::text",
    "entry.subject",
    "entry.attempt_id::text",
    "entry.idempotency_key",
    "entry.note",
    "entry.before::text",
    "entry.after::text",
)
_TEXT = " || ".join(f"public.audit_text({each})" for each in _HASHED)

_STATEMENTS = (
    """
    alter table audit_log
        add column sequence bigint check (sequence > 0),
        add column previous_hash bytea check (length(previous_hash) = 32),
        add column hash bytea check (length(hash) = 32),
        add column kind text check (kind in ('API_KEY', 'OPERATOR', 'RECONCILIATION')),
        add column api_key_id uuid,
        add column address text check (length(address) <= 45),
        add column request_id text check (length(request_id) <= 64),
        add column subject text check (length(subject) <= 64),
        add column attempt_id uuid,
        add column idempotency_key text check (length(idempotency_key) <= 255)
    """,
    # The end of each tenant's chain. Without it, entries that are missing at the end would not be missed.
    """
    create table audit_heads (
        tenant_id uuid primary key references partners (id),
        sequence bigint not null check (sequence >= 0),
        hash bytea not null check (length(hash) = 32)
    )
    """,
    "alter table audit_heads enable row level security",
    "alter table audit_heads force row level security",
    f"create policy tenant on audit_heads using (tenant_id = {_TENANT}) with check (tenant_id = {_TENANT})",
    """
    create function audit_text(value text) returns text language sql immutable set search_path = pg_catalog
    return case when value is null then '-,' else octet_length(value) || ':' || value || ',' end
    """,
    f"""
    create function audit_hash(entry audit_log) returns bytea language sql immutable set search_path = pg_catalog
    return sha256(convert_to({_TEXT}, 'UTF8'))
    """,
    # With the owner's rights: the API's login can read a head and cannot write one. The head is locked from here to the commit, which
    # makes the chain gapless and in the order of the commits. `kind`: processes of the version before know nothing of it.
    """
    create function audit_chain() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    declare head public.audit_heads;
    begin
        insert into public.audit_heads values (new.tenant_id, 0, decode(repeat('00', 32), 'hex')) on conflict do nothing;
        select * into strict head from public.audit_heads where tenant_id = new.tenant_id for update;
        new.sequence := head.sequence + 1;
        new.previous_hash := head.hash;
        new.kind := coalesce(new.kind, case new.actor when 'reconciliation' then 'RECONCILIATION' else 'OPERATOR' end);
        new.hash := public.audit_hash(new);
        update public.audit_heads set sequence = new.sequence, hash = new.hash where tenant_id = new.tenant_id;
        return new;
    end $$
    """,
    "revoke execute on function audit_chain() from public",
    # What is there already, in the order of its ids, which is that of time. As each tenant: FORCE binds an owner who is no superuser.
    """
    do $$
    declare tenant uuid; entry audit_log; head audit_heads;
    begin
        for tenant in select id from partners loop
            perform set_config('app.tenant_id', tenant::text, true);
            head := row(tenant, 0, decode(repeat('00', 32), 'hex'));
            for entry in select * from audit_log where tenant_id = tenant order by id loop
                entry.sequence := head.sequence + 1;
                entry.previous_hash := head.hash;
                entry.kind := case entry.actor when 'reconciliation' then 'RECONCILIATION' else 'OPERATOR' end;
                entry.hash := audit_hash(entry);
                update audit_log set sequence = entry.sequence, previous_hash = entry.previous_hash, kind = entry.kind, hash = entry.hash
                    where tenant_id = tenant and id = entry.id;
                head := row(tenant, entry.sequence, entry.hash);
            end loop;
            if head.sequence > 0 then
                insert into audit_heads values (tenant, head.sequence, head.hash);
            end if;
        end loop;
        perform set_config('app.tenant_id', '', true);
    end $$
    """,
    """
    alter table audit_log
        alter column sequence set not null,
        alter column previous_hash set not null,
        alter column hash set not null,
        alter column kind set not null,
        add constraint audit_log_sequence unique (tenant_id, sequence),
        add constraint audit_log_keys_are_named check ((kind = 'API_KEY') = (api_key_id is not null))
    """,
    "create trigger chain before insert on audit_log for each row execute function audit_chain()",
    # What staff and reconciliation did is rare among the mutations, and is looked for.
    "create index audit_log_of_staff on audit_log (tenant_id, id) where kind <> 'API_KEY'",
    "create index audit_log_of_subject on audit_log (tenant_id, subject, sequence) where subject is not null",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement.replace(":", r"\:"))
