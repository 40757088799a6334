"""Checksums of values, nodes, and environment variables."""

import hashlib
import json
import os
import re

SECRET = re.compile(r"SECRET|TOKEN|PASS|PWD|ACCESS_KEY|CREDENTIAL|PRIVATE", re.I)


def digest(value):
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_digest(text):
    return hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).hexdigest()


def plain(value):
    """A dbt object as a dictionary."""
    if not hasattr(value, "to_dict"):
        return value
    try:
        return value.to_dict(omit_none=True)
    except TypeError:  # dbt's variables are no data class
        return value.to_dict()


# What dbt adds to a node when it parses, compiles, or runs it.
OF_A_PARSE = {"created_at", "build_path", "compiled", "compiled_path", "compiled_code", "extra_ctes",
              "extra_ctes_injected", "depends_on", "deferred", "defer_relation", "batch", "previous_batch_results",
              "checksum"}


def properties(node):
    """Everything that a template can read of a node."""
    return digest({k: v for k, v in plain(node).items() if k not in OF_A_PARSE})


# What the provider sets, and sets differently for a plan and for a run.
OF_A_PROCESS = {"DBT_PROJECT_DIR", "DBT_PROFILES_DIR", "DBT_TARGET_PATH", "DBT_USE_COLORS", "DBT_QUIET", "DBT_PRINT",
                "DBT_WRITE_JSON", "DBT_SHOW_RESOURCE_REPORT", "DBT_SEND_ANONYMOUS_USAGE_STATS", "GIT_TERMINAL_PROMPT",
                "PYTHONUNBUFFERED"}


def environment(names, computed):
    """The variables with these names, or all if a name is computed. For a secret one, only whether it is set."""
    if computed:
        names = names | {n for n in os.environ
                         if n not in OF_A_PROCESS and not n.startswith(("DBT_PARTIAL", "DBT_LOG"))}
    values = []
    for name in sorted(names):
        value = os.environ.get(name)
        if value is None:
            values.append([name, None])
        elif SECRET.search(name):
            values.append([name, "set"])
        else:
            values.append([name, text_digest(value)])
    return values
