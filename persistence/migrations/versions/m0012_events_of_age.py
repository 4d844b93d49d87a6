"""Old events go, in whole beginnings of a sequence, and what has gone is on record."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# The three columns are added without a look at the rows. `forgotten` is the number of the last event that has gone; the time and the id
# are the greatest of all that have, for ids and numbers are not in one order: they are given before the commit, and at it.
#
# Nobody may delete events but through this function, and only the worker may call it. It deletes from the beginning and nowhere else,
# never what is younger than thirty days, and never the newest: whoever has seen everything can always go on. It is the owner's, whom
# row-level security binds too; the tenant is the transaction's. The counter is changed last, for whoever appends waits for its lock.
_FORGET = """
    create function forget_events(before timestamptz, most integer) returns integer
    language sql security definer set search_path = pg_catalog, pg_temp as $$
        with mine as (
            select tenant_id, forgotten, last from public.event_sequences
            where tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        ), page as (
            select events.sequence, events.occurred_at from mine, public.events
            where events.tenant_id = mine.tenant_id and events.sequence > mine.forgotten and events.sequence < mine.last
            order by events.sequence limit least(most, 10000)
        ), upto as (
            select coalesce(
                min(sequence) filter (where occurred_at >= least(before, now() - interval '30 days')), max(sequence) + 1
            ) as stop from page
        ), gone as (
            delete from public.events using mine, upto
            where events.tenant_id = mine.tenant_id and events.sequence > mine.forgotten and events.sequence < upto.stop
            returning events.sequence, events.occurred_at, events.id
        ), counted as (
            select max(sequence) as last, max(occurred_at) as until, count(*) as many,
                   (select id from gone order by id desc limit 1) as newest_id
            from gone
        ), noted as (
            update public.event_sequences as counters
            set forgotten = greatest(counters.forgotten, counted.last),
                forgotten_until = greatest(counters.forgotten_until, counted.until),
                forgotten_id = greatest(counters.forgotten_id, counted.newest_id)
            from mine, counted where counters.tenant_id = mine.tenant_id and counted.many > 0
            returning 1
        )
        select many::integer from counted, (select count(*) from noted) as written
    $$
"""

_STATEMENTS = (
    """
    alter table event_sequences
        add column forgotten bigint not null default 0,
        add column forgotten_until timestamptz,
        add column forgotten_id uuid,
        add constraint event_sequences_forgotten check (
            forgotten >= 0 and (forgotten = 0) = (forgotten_until is null) and (forgotten = 0) = (forgotten_id is null)
        ) not valid
    """,
    _FORGET,
    "revoke execute on function forget_events(timestamptz, integer) from public",
)

CONSTRAINTS_VALIDATED_LATER = {"event_sequences_forgotten": "event_sequences"}


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
