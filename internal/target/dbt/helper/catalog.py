"""The relations of a DuckDB file, read without dbt: its adapter opens the file for writing, which would create a missing
file, take the lock, and run what the profile names (extensions, plugins, attached databases)."""

import os

MOST_COLUMNS = 500


def read(path, wanted):
    """The relations of wanted that exist in the file at path, as [[schema, name], ...]."""
    import duckdb

    if not os.path.exists(path):
        return {"state": "missing", "relations": []}
    try:
        handle = duckdb.connect(path, read_only=True, config={
            "enable_external_access": "false", "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false"})
    except Exception as failure:
        text = str(failure)
        return {"state": "locked" if "lock" in text.lower() else "unreadable", "why": text.split("\n")[0][:300],
                "relations": []}
    try:
        return {"state": "read", "relations": relations(handle, wanted)}
    finally:
        handle.close()


def relations(handle, wanted):
    keys = {(s.lower(), n.lower()) for s, n in wanted}
    found = []
    for schema, name, kind in handle.execute(
            "select table_schema, table_name, table_type from information_schema.tables "
            "where table_catalog = current_database()").fetchall():
        if (schema.lower(), name.lower()) in keys:
            found.append({"schema": schema, "name": name, "type": "view" if kind == "VIEW" else "table"})
    sizes = {(s.lower(), n.lower()): r for s, n, r in handle.execute(
        "select schema_name, table_name, estimated_size from duckdb_tables() "
        "where database_name = current_database()").fetchall()}
    columns = {}
    for schema, name, column in handle.execute(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_catalog = current_database() order by ordinal_position").fetchall():
        columns.setdefault((schema.lower(), name.lower()), []).append(column)
    for each in found:
        key = (each["schema"].lower(), each["name"].lower())
        each["columns"] = columns.get(key, [])[:MOST_COLUMNS]
        if each["type"] == "table" and key in sizes:
            each["rows"] = sizes[key]
    return found
