"""Keeps the secrets of a profile from the project while a plan parses it.

The project may be a pull request's. Its models can read the connection's credentials through dbt's objects, and show
them in pieces, such as in the name of a relation, where nothing can mask them. Parsing connects to nothing and needs
none of them.
"""

import contextlib
import dataclasses

from remediation.checksums import SECRET, digest

WITHHELD = "not-passed-at-plan"
# Fields that an adapter doesn't list among those that it shows, and that parsing needs.
NEEDED = {"type", "database", "schema", "module_paths"}


def connection_digest(credentials):
    """A checksum over the fields of a connection that its adapter shows."""
    return digest(sorted((k, str(v)) for k, v in credentials.connection_info()))


@contextlib.contextmanager
def withheld():
    """Within it, dbt loads profiles without their secrets. The list has the checksum of each connection as it was."""
    import dbt.cli.requires as module

    load, connections = module.load_profile, []

    def loaded(*args, **kwargs):
        profile = load(*args, **kwargs)
        connections.append(connection_digest(profile.credentials))
        clean(profile.credentials)
        return profile

    module.load_profile = loaded
    try:
        yield connections
    finally:
        module.load_profile = load


def clean(credentials):
    """Replaces the secrets in the credentials: in fields that the adapter doesn't show, everything; in the others, what
    a name marks as a secret, since settings of DuckDB may contain one."""
    shown = set(credentials._connection_keys()) | NEEDED
    for field in dataclasses.fields(credentials):
        value = getattr(credentials, field.name, None)
        object.__setattr__(credentials, field.name, replaced(value, field.name not in shown))


def replaced(value, secret):
    if isinstance(value, str):
        return WITHHELD if secret and value else value
    if isinstance(value, dict):
        return {k: replaced(v, secret or bool(SECRET.search(str(k)))) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(v, secret) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name, None)
            object.__setattr__(value, field.name, replaced(inner, secret or bool(SECRET.search(field.name))))
    return value
