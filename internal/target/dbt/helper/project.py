"""A dbt project, parsed by dbt itself the way `dbt run` parses it, and what selections of it would run."""

import contextlib
import hashlib
import ipaddress
import os
import pathlib
import re

from remediation.content import Content, plain
from remediation.withhold import withheld

# What a selection can match but `dbt run` skips.
NOT_RUN = ("test", "unit_test", "seed", "snapshot", "exposure", "source", "analysis", "saved_query", "metric",
               "semantic_model", "ephemeral")
CONFIG = ("materialized", "full_refresh", "incremental_strategy", "unique_key", "on_schema_change", "batch_size",
          "begin", "event_time", "lookback", "on_configuration_change")


OF_A_RUN = re.compile(r"\brun_started_at\b|\binvocation_id\b|\bmodules\.(datetime|pytz)\b")


class Failure(Exception):
    """dbt refused; the text is dbt's message."""


def forget_file_times(module):
    """Makes a partial parse compare contents: by default it skips YAML files whose time did not change."""
    original = module.ManifestLoader.read_manifest_for_partial_parse

    def read(self):
        saved = original(self)
        for file in (saved.files.values() if saved is not None else ()):
            if hasattr(file.path, "modification_time"):
                file.path.modification_time = -1.0
        return saved

    module.ManifestLoader.read_manifest_for_partial_parse = read


def prepare():
    """Imports dbt and patches it."""
    import dbt.cli.main
    import dbt.parser.manifest
    import dbt.task.run

    forget_file_times(dbt.parser.manifest)


def versions(config):
    import importlib.metadata

    from dbt.version import __version__

    adapter = config.credentials.type
    try:
        adapter_version = importlib.metadata.version("dbt-" + adapter)
    except importlib.metadata.PackageNotFoundError:
        adapter_version = "unknown"
    return {"dbt": __version__, "adapter": adapter, "adapter_version": adapter_version}


@contextlib.contextmanager
def installed_in(folder):
    """Makes dbt find the packages of the project in another folder, if one is given."""
    from dbt.config.runtime import RuntimeConfig

    if not folder:
        yield
        return
    real = RuntimeConfig._get_project_directories
    RuntimeConfig._get_project_directories = lambda self: (
        path for path in sorted(pathlib.Path(folder).iterdir()) if path.is_dir() and not path.name.startswith("__"))
    try:
        yield
    finally:
        RuntimeConfig._get_project_directories = real


class Project:
    """One parse, for one set of inputs, with the packages of the project or of another folder."""

    def __init__(self, argv, packages=None):
        import dbt.task.run
        from dbt.cli.main import dbtRunner

        kept = {}
        real = dbt.task.run.RunTask

        class Keep:
            """Replaces dbt's task: keeps what dbt prepared for the run, and runs nothing."""

            def __init__(self, flags, config, manifest, **more):
                kept.update(flags=flags, config=config, manifest=manifest, more=more)

            def run(self):
                return None

            def interpret_results(self, results):
                return True

        dbt.task.run.RunTask = Keep
        try:
            with installed_in(packages), withheld() as connections:
                result = dbtRunner().invoke(argv)
        finally:
            dbt.task.run.RunTask = real
        if "manifest" not in kept:
            raise Failure(str(result.exception or "dbt stopped without a message"))
        self.connection = connections[-1] if connections else None
        self.use(kept["flags"], kept["config"], kept["manifest"], more=kept["more"])

    @classmethod
    def of(cls, flags, config, manifest, graph):
        project = cls.__new__(cls)
        project.connection = None
        project.use(flags, config, manifest, graph)
        return project

    def use(self, flags, config, manifest, graph=None, more=None):
        """more are further arguments of dbt's task: dbt 1.12 passes its catalogs."""
        from dbt.compilation import Compiler

        self.flags, self.config, self.manifest, self.more = flags, config, manifest, more or {}
        self.graph = graph or Compiler(config).compile(manifest, write=False, **self.more)
        self.versions = versions(config)
        self.content = Content(manifest, config, self.versions, self.connection)
        self.every_name = None

    def task(self, selection):
        """dbt's own task for a selection. It is queried and never run."""
        from dbt.task.run import RunTask

        flags = object.__new__(type(self.flags))
        for name, value in vars(self.flags).items():
            object.__setattr__(flags, name, value)
        for name in ("select", "exclude", "selector"):
            value = selection.get(name)
            value = tuple(value) if isinstance(value, list) and value else (value or None)
            object.__setattr__(flags, name, value)
            object.__setattr__(flags, name.upper(), value)
        task = RunTask(flags, self.config, self.manifest, **self.more)
        task.graph = self.graph
        return task

    def review(self, selection):
        task = self.task(selection)
        return self.answer(task, selection)

    def answer(self, task, selection):
        selector = task.get_node_selector()
        remember_selections(selector)
        with Unmatched():
            spec = task.get_selection_spec()
            selected = selector.get_selected(spec)
            everything, _ = selector.select_nodes(spec)
            chosen, excluded = selection.get("select") or [], selection.get("exclude") or []
            if len(chosen) == 1 and everything and not excluded:
                unmatched = []  # the only selector is the whole selection
            else:
                unmatched = self._unmatched(selector, chosen)
            answer = {"unmatched": {"select": unmatched, "exclude": self._unmatched(selector, excluded)}}
        runs = sorted(i for i in selected if not self.manifest.nodes[i].is_ephemeral_model)
        deferred = {}
        if getattr(task.args, "defer", False):
            deferred = task._get_deferred_manifest().nodes
        answer.update({
            "models": [self._model(i, deferred) for i in runs],
            "passive": len(self._models(everything)) - len(runs),
            "not_run": self._not_run(everything, runs),
            "content": self.content.of(runs),
        })
        if selection.get("state"):
            answer["content"]["state"] = state_digest(os.path.join(self.config.project_root, selection["state"]))
        answer["downstream"], answer["exposures"] = self._downstream(runs, everything)
        return answer

    def _models(self, unique_ids):
        return [i for i in unique_ids if i.startswith("model.")]

    def _unmatched(self, selector, items):
        from dbt.graph import parse_difference

        return [i for i in items if not selector.select_nodes(parse_difference([i], None))[0]]

    def _not_run(self, unique_ids, runs):
        found = {}
        for unique_id in sorted(unique_ids):
            kind = unique_id.split(".", 1)[0]
            node = self.manifest.nodes.get(unique_id)
            if kind == "model" and unique_id not in runs and getattr(node, "is_ephemeral_model", False):
                kind = "ephemeral"
            if kind in NOT_RUN:
                found.setdefault(kind, []).append(self._name(unique_id))
        return found

    def _name(self, unique_id):
        for kind in ("nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "unit_tests"):
            node = getattr(self.manifest, kind, {}).get(unique_id)
            if node is not None:
                return node.name
        return unique_id.rsplit(".", 1)[-1]

    def _downstream(self, unique_ids, selected):
        """Models and exposures that depend on these, directly or indirectly, and are not selected themselves."""
        models, exposures = [], []
        for child in self.graph.select_children(set(unique_ids)) - set(unique_ids):
            if child in selected and not child.startswith("exposure."):
                continue
            if child.startswith("exposure."):
                exposures.append(self._name(child))
            elif child.startswith("model.") and child in self.manifest.nodes:
                models.append(self._name(child))
        return sorted(models), sorted(exposures)

    def _model(self, unique_id, deferred):
        node = self.manifest.nodes[unique_id]
        config = plain(node.config)
        return {
            "unique_id": unique_id, "name": node.name, "version": str(getattr(node, "version", None) or ""),
            "package": node.package_name, "path": node.original_file_path, "relation": relation(node),
            "config": {k: written(config[k]) for k in CONFIG if config.get(k) is not None},
            "timed": timed(node, self.config), "concurrent": concurrent(config, self.config),
            "contract": bool((config.get("contract") or {}).get("enforced")),
            "columns": sorted(node.columns),
            "hooks": {kind: [h.get("sql", "") for h in config.get(kind, [])] for kind in ("pre-hook", "post-hook")},
            "parents": self._parents(node, deferred),
        }

    def _parents(self, node, deferred):
        """What a node reads, itself or through ephemeral models, which are part of its statement."""
        found, queue = {}, list(node.depends_on.nodes)
        while queue:
            unique_id = queue.pop()
            if unique_id in found:
                continue
            found[unique_id] = self._parent(unique_id)
            if unique_id in deferred:
                found[unique_id]["deferred"] = relation(deferred[unique_id])
            parent = self.manifest.nodes.get(unique_id)
            if getattr(parent, "is_ephemeral_model", False):
                queue.extend(parent.depends_on.nodes)
        return [found[i] for i in sorted(found)]

    def _parent(self, unique_id):
        node = self.manifest.nodes.get(unique_id) or self.manifest.sources.get(unique_id)
        if node is None:
            return {"unique_id": unique_id}
        config = plain(node.config)
        external = any(s.get(k) for s in (config, config.get("meta") or {}, getattr(node, "meta", None) or {})
                       for k in ("external_location", "plugin"))
        return {"unique_id": unique_id, "name": node.name, "relation": relation(node),
                "virtual": getattr(node, "is_ephemeral_model", False) or external}

    def about(self):
        config = self.config
        return {
            "versions": self.versions, "connection": connection(config), "identity": identity(config),
            "threads": config.threads,
            "run_hooks": [{"unique_id": n.unique_id, "sql": n.raw_code}
                          for n in sorted(self.manifest.nodes.values(), key=lambda n: n.unique_id)
                          if n.resource_type == "operation"],
        }

    def names(self, selections, answers):
        """The names and kinds of the nodes that the selections name, or of all nodes if a selector matches nothing: the
        message then suggests similar names."""
        if self.every_name is None:
            self.every_name = sorted(
                (n.name, n.resource_type.value if hasattr(n.resource_type, "value") else n.resource_type)
                for kind in (self.manifest.nodes, self.manifest.sources) for n in kind.values()
                if n.resource_type in ("model", "seed", "snapshot", "source"))
        if any(answer["unmatched"]["select"] for answer in answers):
            return self.every_name + sorted({(n.name, "disabled") for of in self.manifest.disabled.values() for n in of})
        # The input "upstream" adds a + before each name.
        wanted = {item.lstrip("+") for selection in selections for item in selection.get("select") or ()}
        return [pair for pair in self.every_name if pair[0] in wanted]


def remember_selections(selector):
    """Makes a selector of dbt evaluate each specification once."""
    select, kept = selector.select_nodes, {}

    def remembered(spec, *args, **kwargs):
        if id(spec) not in kept:
            kept[id(spec)] = spec, select(spec, *args, **kwargs)
        return tuple(set(nodes) for nodes in kept[id(spec)][1])

    selector.select_nodes = remembered


def written(value):
    """A date in a configuration as text: JSON has no dates."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def timed(node, config):
    """Whether the node's configuration depends on the time or the run: each parse gives it another one."""
    calls = re.findall(r"\{\{-?\s*config\s*\((.*?)\)\s*-?\}\}", getattr(node, "raw_code", "") or "", re.S)
    written_for_all = getattr(getattr(config, "unrendered", None), "project_dict", {}).get("models")
    return bool(OF_A_RUN.search("\n".join(calls) + str(properties(node, config)) + str(written_for_all)))


def concurrent(config, project):
    """Whether batches of a microbatch model may run at the same time."""
    from dbt.adapters.capability import Capability
    from dbt.adapters.factory import get_adapter_class_by_name

    able = getattr(Capability, "MicrobatchConcurrency", None)
    if config.get("incremental_strategy") != "microbatch" or able is None or not get_adapter_class_by_name(
            project.credentials.type).supports(able):
        return False
    return config.get("concurrent_batches") is not False


def properties(node, config):
    """The node's configuration in a YAML file, unrendered, or None."""
    import yaml

    package, _, path = (getattr(node, "patch_path", None) or "").partition("://")
    if package != config.project_name:
        return None
    try:
        with open(os.path.join(config.project_root, path), encoding="utf-8") as file:
            models = (yaml.safe_load(file) or {}).get("models") or []
    except (OSError, ValueError, yaml.YAMLError, AttributeError):
        return None
    return [m.get("config") for m in models if isinstance(m, dict) and m.get("name") == node.name]


class Unmatched:
    """Keeps dbt from reporting a selector that matches nothing as an event: the answer contains it."""

    def __enter__(self):
        import dbt.graph.selector as module

        # dbt before 1.12 reports it with warn_or_error, and later ones with fire_event.
        self.module, self.kept = module, {n: getattr(module, n) for n in ("warn_or_error", "fire_event")
                                          if hasattr(module, n)}
        for name in self.kept:
            setattr(module, name, lambda *args, **kwargs: None)

    def __exit__(self, *args):
        for name, function in self.kept.items():
            setattr(self.module, name, function)


def state_digest(folder):
    """The artifacts to which a selection compares or defers."""
    found = {}
    for name in ("manifest.json", "run_results.json", "sources.json"):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
        except FileNotFoundError:
            found[name] = None
    return found


def relation(node):
    if hasattr(node, "identifier") and getattr(node, "source_name", None):
        return {"database": node.database, "schema": node.schema, "identifier": node.identifier}
    return {"database": getattr(node, "database", None), "schema": getattr(node, "schema", None),
            "identifier": getattr(node, "alias", None)}


def connection(config):
    """The connection, for people. No field can contain a secret."""
    credentials = config.credentials
    found = {"adapter": credentials.type, "target": config.target_name, "database": credentials.database,
             "schema": credentials.schema}
    for name in ("host", "port", "account", "project", "catalog", "server"):
        value = getattr(credentials, name, None)
        if isinstance(value, (str, int)) and value != "":
            found[name] = str(value)
    if credentials.type == "duckdb":
        found["path"] = file_path(config)
    return found


def identity(config):
    """What identifies the target, whatever its name."""
    found = {k: v for k, v in connection(config).items() if k != "target"}
    if "host" in found:
        found["host"] = host_name(found["host"])
    if "path" not in found:
        try:  # for some adapters, this is the host
            found["unique_field"] = host_name(str(config.credentials.unique_field))
        except NotImplementedError:
            pass
    return found


def host_name(host):
    """A host in lower case, without a final dot, and with one name for this machine."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    address = getattr(address, "ipv4_mapped", None) or address
    # The kernel connects an unspecified address to this machine.
    return "localhost" if address.is_loopback or address.is_unspecified else str(address)


def file_path(config):
    path = config.credentials.path
    if path == ":memory:" or "://" in path or path.startswith(("md:", "motherduck:", "ducklake:")):
        return path.split("?", 1)[0]
    return os.path.realpath(os.path.join(config.project_root, os.path.expanduser(path)))
