"""What a run of selected models executes, as checksums.

Jinja resolves macros by name at run time, so the macros that a model can reach are found by name in the text: every
macro whose name occurs in the text of the model, of its hooks, of its materialization, or of a macro that is reached.
This can find more than what runs, never less. Two exceptions are handled separately: computed names (then all macros
count; see template.py) and names that dbt and its adapter call from Python (then every macro that overrides a built-in
one counts).
"""

import hashlib
import os
import re

from remediation.checksums import digest, environment, plain, properties, text_digest
from remediation.template import Template
from remediation.withhold import connection_digest

NAME = re.compile(r"[^\W\d]\w*")

# Settings below "flags:" of a project that change what dbt writes for people, and not what it runs.
SHOWN = re.compile(r"^(log_|print$|printer_|use_colors|use_fast|send_anonymous|quiet$|debug$|write_json$|"
                   r"version_check$|partial_parse|static_parser$|use_experimental_parser$|cache_selected_only$|"
                   r"populate_cache$|introspect$|upload_)")


def flags(project_root):
    """The flags of the project that change what runs: which materialization counts, for one."""
    from dbt.config.project import load_raw_project

    found = load_raw_project(project_root).get("flags") or {}
    return {str(k): v for k, v in found.items() if not SHOWN.match(str(k))} or None


def modules(project_root, paths):
    """The Python files that a profile lets models and plugins import, by their checksums."""
    found = {}
    for at in paths:
        root = os.path.join(project_root, os.path.expanduser(str(at)))
        for folder, folders, names in os.walk(root, followlinks=True):
            folders[:] = sorted(n for n in folders if n not in ("__pycache__", ".git"))
            if len(os.path.relpath(folder, root).split(os.sep)) > MOST_FOLDERS or len(found) > MOST_MODULES:
                raise ValueError("module_paths of the profile: %s contains too many files; name a folder that has only "
                                 "modules" % at)
            for name in sorted(names):
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.relpath(os.path.join(folder, name), project_root)] = (
                        hashlib.sha256(file.read()).hexdigest())
    return digest(found)


MOST_MODULES = 2000
MOST_FOLDERS = 20


class Macros:
    """The macros of a manifest and what their texts name."""

    def __init__(self, manifest, internal):
        self.by_name = {}
        self.suffixes = {}
        self.facts = {}
        self.memo, self.templates = {}, {}
        self.packages = {m.package_name for m in manifest.macros.values()}
        builtin = []
        for unique_id, macro in manifest.macros.items():
            self.by_name.setdefault(macro.name, []).append(unique_id)
            own = macro.package_name not in internal
            self.facts[unique_id] = (macro.macro_sql, own, text_digest(macro.macro_sql))
            if not own:
                builtin.append((unique_id, self.facts[unique_id][2]))
        for name in self.by_name:
            prefix, mark, rest = name.partition("__")
            while mark:
                self.suffixes.setdefault(rest, []).append(name)
                prefix, mark, rest = rest.partition("__")
        self.builtin = digest(sorted(builtin))
        self.named = {}
        self.overrides = self._overrides()

    def _overrides(self):
        standing = {m for m, ids in self.by_name.items() if any(not self.facts[i][1] for i in ids)}
        standing |= {rest for rest, names in self.suffixes.items() if any(n in standing for n in names)}
        found = set()
        for name, ids in self.by_name.items():
            rests = [name]
            rest = name
            while "__" in rest:
                rest = rest.partition("__")[2]
                rests.append(rest)
            if any(self.facts[i][1] for i in ids) and any(r in standing for r in rests):
                found.add(name)
        return found

    def template(self, text):
        if text not in self.templates:
            self.templates[text] = Template(text, self.by_name, self.packages)
        return self.templates[text]

    def names(self, text):
        return {n for n in set(NAME.findall(text or "")) if n in self.by_name or n in self.suffixes}

    def of(self, unique_id):
        if unique_id not in self.named:
            self.named[unique_id] = self.names(self.facts[unique_id][0])
        return self.named[unique_id]

    def reach(self, texts, roots=()):
        """The unique ids of the macros that the texts can reach, and what the texts and these macros read."""
        start = set(roots) | self.overrides
        read = [self.template(text) for text in texts]
        for text in texts + [s for template in read for s in template.strings]:
            start |= self.names(text)
        key = frozenset(start)
        if key not in self.memo:
            self.memo[key] = self._closure(start)
        reached = self.memo[key]
        read += [self.template(self.facts[i][0]) for i in reached]
        if any(t.macros or t.everything for t in read):
            reached = {i for i, (_, own, _) in self.facts.items() if own}
            read += [self.template(self.facts[i][0]) for i in reached]
        return reached, read

    def _closure(self, start):
        queue, seen, own_found = list(start), set(), set()
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            queue.extend(self.suffixes.get(name, ()))
            for unique_id in self.by_name.get(name, ()):
                text, own, _ = self.facts[unique_id]
                if own:
                    own_found.add(unique_id)
                    for written in self.template(text).strings:
                        queue.extend(self.names(written))
                queue.extend(self.of(unique_id))
        return own_found


class Content:
    """Checksums over a parsed project."""

    def __init__(self, manifest, config, versions, connection=None):
        """connection is the checksum of the connection, if its credentials were withheld since."""
        from dbt.adapters.factory import get_adapter_package_names

        self.manifest, self.config, self.versions = manifest, config, versions
        self.connection = connection or connection_digest(config.credentials)
        adapter = config.credentials.type
        internal = set(get_adapter_package_names(adapter)) | {"dbt", "dbt_" + adapter}
        self.adapter = adapter
        self.macros = Macros(manifest, internal)
        self.sums = {}
        self.everything = self.projects = self.hooks = None

    def of(self, unique_ids):
        """The part of the digest for these nodes."""
        content = {
            "format": 1,
            "versions": self.versions,
            "builtin_macros": self.macros.builtin,
            "project": self.project(),
            "connection": self.connection,
            "run_hooks": self.run_hooks(),
            "nodes": {i: self.node(i) for i in sorted(unique_ids)},
        }
        try:
            with open(os.path.join(self.config.project_root, "catalogs.yml"), encoding="utf-8") as file:
                content["catalogs"] = text_digest(file.read())
        except FileNotFoundError:
            pass  # most projects have none
        paths = getattr(self.config.credentials, "module_paths", None)
        if paths:
            content["modules"] = modules(self.config.project_root, paths)
        return content

    def project(self):
        if self.projects is None:
            self.projects = self._project()
        return self.projects

    def _project(self):
        projects = {}
        for name, project in (self.config.dependencies or {}).items():
            projects[name] = [plain(project.vars), plain(project.quoting), project.dispatch]
        config = self.config
        return digest([config.cli_vars, plain(config.vars), plain(config.quoting), config.dispatch,
                       plain(config.query_comment), flags(config.project_root), projects])

    def run_hooks(self):
        if self.hooks is None:
            self.hooks = self._run_hooks()
        return self.hooks

    def _run_hooks(self):
        hooks = [n for n in self.manifest.nodes.values() if n.resource_type == "operation"]
        comment = (plain(self.config.query_comment) or {}).get("comment") or ""
        return digest([self._reached([comment])] + [
            [h.unique_id, h.raw_code, getattr(h, "index", None), self._reached([h.raw_code], node=h)]
            for h in sorted(hooks, key=lambda h: h.unique_id)])

    def node(self, unique_id):
        if unique_id not in self.sums:
            self.sums[unique_id] = ""  # dbt refuses circles; this ends one all the same
            self.sums[unique_id] = digest(self._node(self.manifest.nodes[unique_id]))
        return self.sums[unique_id]

    def _node(self, node):
        config = plain(node.config)
        hooks = [h.get("sql", "") for key in ("pre-hook", "post-hook") for h in config.get(key, [])]
        materialized = config.get("materialized") or ""
        roots = {"materialization_%s_%s" % (materialized, kind) for kind in (self.adapter, "default")}
        roots.add(materialized)
        if config.get("incremental_strategy"):
            roots.add("get_incremental_%s_sql" % config["incremental_strategy"])
        documented = any((config.get("persist_docs") or {}).values())
        for key in ("docs", "tags"):
            config.pop(key, None)
        columns = []
        for name, column in sorted(node.columns.items()):
            column = plain(column)
            for key in ("description", "doc_blocks", "tags") if not documented else ("doc_blocks", "tags"):
                column.pop(key, None)
            columns.append([name, column])
        return {
            "code": node.raw_code, "language": node.language, "config": config, "columns": columns,
            "constraints": [plain(c) for c in getattr(node, "constraints", None) or []],
            "relation": [node.database, node.schema, node.alias, node.relation_name],
            "version": getattr(node, "version", None),
            "description": node.description if documented else "",
            "parents": [self._parent(i) for i in sorted(node.depends_on.nodes)],
            "reached": self._reached(([] if node.language == "python" else [node.raw_code]) + hooks, roots, node),
        }

    def _parent(self, unique_id):
        node = self.manifest.nodes.get(unique_id)
        if node is None:
            source = self.manifest.sources.get(unique_id)
            if source is None:
                function = (getattr(self.manifest, "functions", None) or {}).get(unique_id)
                return [unique_id, function.relation_name] if function else [unique_id]
            return [unique_id, source.relation_name, plain(source.config), source.meta, source.source_meta,
                    plain(source.external), plain(source.quoting)]
        if getattr(node, "is_ephemeral_model", False):
            return [unique_id, self.node(unique_id)]
        # A batch of a microbatch model filters by the event_time of what it reads.
        return [unique_id, node.relation_name, getattr(node.config, "event_time", None)]

    def _reached(self, texts, roots=(), node=None):
        reached, read = self.macros.reach(texts, roots)
        everything = any(t.everything for t in read)
        variables = set().union(*(t.variables for t in read))
        return {
            "macros": sorted((i, self.macros.facts[i][2]) for i in reached),
            "environment": environment(variables, everything or any(t.environment for t in read)),
            "graph": self._graph() if everything or any(t.graph for t in read) else "",
            "node": properties(node) if node and (everything or any(t.node for t in read)) else "",
            "computed": everything or any(t.macros for t in read),
        }

    def _graph(self):
        """Everything in the manifest: a text that reads `graph` can depend on any of it."""
        if self.everything is None:
            kinds = ("nodes", "sources", "exposures", "metrics", "groups", "semantic_models", "saved_queries")
            self.everything = digest([[kind, sorted((i, properties(n)) for i, n in
                                                    (getattr(self.manifest, kind, None) or {}).items())]
                                      for kind in kinds])
        return self.everything
