"""What a warehouse contains of the relations that models build and read. Nothing is written.

DuckDB: the file is opened here, read-only, and closed after the query. dbt's adapter would open it for writing, which
would create a missing file, take the lock, and run what the profile names (extensions, plugins, attached databases).
PostgreSQL: dbt's adapter connects, and everything is read in one read-only transaction.
"""

import os
import time

MOST_COLUMNS = 500
# How long an answer is used again, in seconds: all resources of a plan ask within it.
MOST_AGE = 5
# How long PostgreSQL may work on one query, in milliseconds.
QUERY_LIMIT = 10000

kept = {}


def read(question):
    """The relations of question["relations"], as [[schema, name], ...], that exist. A higher question["generation"]
    means that the warehouse may have changed since."""
    wanted = {(s.lower(), n.lower()) for s, n in question.get("relations") or ()}
    schemas = sorted({s for s, _ in wanted})
    if question.get("path"):
        source, reader = question["path"], lambda: duckdb_file(question["path"])
    else:
        source, reader = question.get("profile"), lambda: postgres(question["profile"], schemas)
    key = repr([source, schemas, question.get("generation")])
    at, answer = kept.get(key, (0, None))
    if answer is None or time.monotonic() - at > MOST_AGE:
        kept.clear()
        answer = reader()
        kept[key] = (time.monotonic(), answer)
    found = [r for r in answer["relations"] if (r["schema"].lower(), r["name"].lower()) in wanted]
    return dict(answer, relations=found)


def unread(state, failure):
    lines = [line.strip() for line in str(failure).strip().split("\n")]
    if len(lines) > 1 and lines[0].endswith(" Error"):
        del lines[0]
    return {"state": state, "why": lines[0][:300], "relations": []}


def duckdb_file(path):
    import duckdb

    if not os.path.exists(path):
        # The folder is not named: a secret in the path is only recognized as a whole.
        return {"state": "missing", "relations": [],
                "why": "" if os.path.isdir(os.path.dirname(path)) else "its folder does not exist"}
    try:
        handle = duckdb.connect(path, read_only=True, config={
            "enable_external_access": "false", "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false"})
    except Exception as failure:
        return unread("locked" if "lock" in str(failure).lower() else "unreadable", failure)
    try:
        return {"state": "read", "relations": duckdb_relations(handle)}
    finally:
        handle.close()


def duckdb_relations(handle):
    sizes = {(s, n): r for s, n, r in handle.execute(
        "select schema_name, table_name, estimated_size from duckdb_tables() "
        "where database_name = current_database()").fetchall()}
    columns = {}
    for schema, name, column in handle.execute(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_catalog = current_database() order by ordinal_position").fetchall():
        columns.setdefault((schema, name), []).append(column)
    found = []
    for schema, name, kind in handle.execute(
            "select table_schema, table_name, table_type from information_schema.tables "
            "where table_catalog = current_database()").fetchall():
        relation = {"schema": schema, "name": name, "type": "view" if kind == "VIEW" else "table",
                    "columns": columns.get((schema, name), [])[:MOST_COLUMNS]}
        if relation["type"] == "table" and (schema, name) in sizes:
            relation["rows"] = sizes[schema, name]
        found.append(relation)
    return found


POSTGRES_RELATIONS = """
select n.nspname, c.relname, c.relkind::text, c.reltuples::bigint, (
  select array_agg(a.attname::text order by a.attnum) from pg_catalog.pg_attribute a
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where lower(n.nspname) = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# Which views read which relations, in the whole database: dropping a relation with CASCADE drops them.
POSTGRES_DEPENDENTS = """
select distinct sn.nspname, s.relname, vn.nspname, v.relname
from pg_catalog.pg_depend d
join pg_catalog.pg_rewrite r on r.oid = d.objid and d.classid = 'pg_catalog.pg_rewrite'::regclass
join pg_catalog.pg_class v on v.oid = r.ev_class
join pg_catalog.pg_namespace vn on vn.oid = v.relnamespace
join pg_catalog.pg_class s on s.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_class'::regclass
join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
where s.oid <> v.oid and sn.nspname not in ('pg_catalog', 'information_schema')
"""

# Locks of other sessions that make a run wait. Building a table again waits for every lock, but a lock of a reader counts
# only if its transaction is old: most reads end soon.
POSTGRES_LOCKS = """
select distinct n.nspname, c.relname, l.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''),
  coalesce(to_char(a.xact_start at time zone 'UTC', 'HH24:MI'), '')
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_database d on d.oid = l.database and d.datname = current_database()
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.granted and l.pid <> pg_backend_pid() and lower(n.nspname) = any(%s) and (
  l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  or a.xact_start < clock_timestamp() - interval '1 minute')
"""

POSTGRES_KINDS = {"r": "table", "p": "table", "f": "table", "v": "view", "m": "materialized_view"}


def postgres(profile, schemas):
    from dbt.adapters.contracts.connection import Connection, ConnectionState
    from dbt.adapters.postgres import PostgresConnectionManager

    handle = None
    try:
        connection = Connection(type="postgres", name="catalog", state=ConnectionState.INIT, transaction_open=False,
                                handle=None, credentials=credentials(profile))
        PostgresConnectionManager.open(connection)
        handle = connection.handle
        handle.rollback()
        handle.set_session(readonly=True, autocommit=False)
        with handle.cursor() as cursor:
            cursor.execute("set local statement_timeout = %s", (QUERY_LIMIT,))
            cursor.execute(POSTGRES_RELATIONS, (schemas,))
            rows = cursor.fetchall()
            cursor.execute(POSTGRES_DEPENDENTS)
            dependents = closure(cursor.fetchall())
            cursor.execute(POSTGRES_LOCKS, (schemas,))
            locks = sessions(cursor.fetchall())
        return {"state": "read", "relations": [
            dict(postgres_relation(row, dependents), locked_by=locks.get((row[0], row[1]), [])) for row in rows]}
    except Exception as failure:
        return unread("unreadable", failure)
    finally:
        if handle is not None:
            handle.close()


def sessions(rows):
    """Who holds locks, in phrases, by schema and name of the relation."""
    found = {}
    for schema, name, pid, user, application, since in sorted(rows):
        phrase = "session %d" % pid
        if user:
            phrase += " of " + user
        if application:
            phrase += " (%s)" % application
        if since:
            phrase += ", since %s UTC" % since
        found.setdefault((schema, name), []).append(phrase)
    return found


def postgres_relation(row, dependents):
    schema, name, kind, rows, columns = row
    relation = {"schema": schema, "name": name, "type": POSTGRES_KINDS[kind], "columns": (columns or [])[:MOST_COLUMNS],
                "dependents": dependents(schema, name)}
    if relation["type"] == "table" and rows >= 0:
        relation["rows"] = rows
    return relation


def closure(pairs):
    """A function that returns what depends on a relation, directly or indirectly, as [[schema, name], ...]."""
    direct = {}
    for schema, name, view_schema, view in pairs:
        direct.setdefault((schema, name), []).append((view_schema, view))

    def of(schema, name):
        found, queue = set(), [(schema, name)]
        while queue:
            for view in direct.get(queue.pop(), ()):
                if view not in found:
                    found.add(view)
                    queue.append(view)
        return sorted(list(view) for view in found)

    return of


def credentials(profile):
    """The credentials of the profile, as dbt resolves them. Nothing is parsed."""
    from argparse import Namespace

    import dbt.flags
    from dbt.config.runtime import load_profile
    from dbt_common.context import set_invocation_context

    set_invocation_context(dict(os.environ))
    before = dbt.flags.get_flags()
    project, profiles = os.environ["DBT_PROJECT_DIR"], os.environ["DBT_PROFILES_DIR"]
    dbt.flags.set_from_args(Namespace(project_dir=project, profiles_dir=profiles), None)
    try:
        return load_profile(project, profile.get("vars") or {}, None, profile.get("target") or None).credentials
    finally:
        dbt.flags.set_flags(before)
