"""What would let a login see more than one tenant's rows, whatever the code above does: found in Postgres's own catalogue."""

from typing import Any

from sqlalchemy import Row, text

# A membership counts whether it inherits or not: SET ROLE is one statement away. Whoever owns or was granted a table of ours, or is
# named in a policy, is one of ours.
OPENINGS = text("""
    with me as (
        select oid, rolname, rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user
    ), relations as (
        select oid, relname, relkind, relowner, relacl, relrowsecurity, relforcerowsecurity, reloptions,
            exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'tenant_id') as is_a_tenants
        from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
    ), ours as (
        select relowner as role from relations
        union select grantee from relations, aclexplode(relacl)
        union select unnest(polroles) from pg_policy
    )
    select me.rolname as login, me.bypasses,
        exists (select from relations where relowner = me.oid) as owns,
        (
            select string_agg(rolname, ', ' order by rolname) from pg_roles join ours on role = pg_roles.oid
            where pg_roles.oid <> me.oid and pg_has_role(me.oid, pg_roles.oid, 'MEMBER')
        ) as member_of,
        (
            select string_agg(relname, ', ' order by relname) from relations
            where relname <> 'alembic_version' and case
                when relkind = 'v' then not coalesce(reloptions::text[] && '{security_invoker=true,security_invoker=on}', false)
                when relkind in ('m', 'f') then true
                else not relrowsecurity or (is_a_tenants and not relforcerowsecurity)
                    or not exists (select from pg_policy where polrelid = relations.oid)
            end
        ) as unguarded
    from me
""")


def opening(row: Row[Any]) -> str | None:
    """What is open, and what an operator does about it. None: nothing."""
    if row.bypasses:
        return "it is a superuser or has BYPASSRLS. Use the login that `partner-api migrate` has set up"
    if row.owns:
        return "it owns tables, and could switch their row security off. Use the login that `partner-api migrate` has set up"
    if row.member_of:
        return f"it is a member of {row.member_of}, and has all that they have. Run `revoke {row.member_of} from {row.login}`"
    if row.unguarded:
        return f"these are not guarded by row security: {row.unguarded}. Somebody has changed the schema; find out who, and why"
    return None
