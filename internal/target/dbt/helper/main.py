"""Answers questions about a dbt project (serve), or runs exactly what was reviewed (run)."""

import json
import os
import queue
import sys
import threading
import time

MOST_PARSES = 4  # kept at once; each takes as much memory as the project's manifest


def main(request):
    if request["mode"] == "run":
        return run(request)
    return serve()


def serve():
    """One question per line on standard input, one answer per line on what was standard output. dbt, macros and
    adapters that print write to standard error, so a print can't look like an answer."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    questions = queue.Queue()
    threading.Thread(target=listen, args=(questions,), daemon=True).start()
    parses = {}
    while True:
        question = questions.get()
        answer = {"id": question["id"]}
        try:
            answer["answer"] = OPERATIONS[question["op"]](parses, question)
        except KeyboardInterrupt:
            return 130
        except BaseException as failure:
            answer["error"] = {"kind": type(failure).__name__, "text": str(failure)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def listen(questions):
    for line in sys.stdin.buffer:
        questions.put(json.loads(line))
    os._exit(0)  # the caller has exited, possibly during a parse


def review(parses, question):
    from remediation import project

    seconds = {}
    if not parses.get("prepared"):
        began = time.monotonic()
        project.prepare()
        parses["prepared"] = True
        seconds["import"] = time.monotonic() - began
    key = json.dumps([question["argv"], question["state"], question.get("packages")])
    parsed = key not in parses
    if parsed:
        if not question.get("target_path"):
            return {"must_parse": True, "seconds": seconds}
        for old in [k for k in parses if k != "prepared"][:-MOST_PARSES + 1 or None]:
            del parses[old]
        began = time.monotonic()
        parses[key] = project.Project(question["argv"] + ["--target-path", question["target_path"]],
                                       question.get("packages"))
        parses[key].number = question["id"]
        seconds["parse"] = time.monotonic() - began
    known = parses[key]
    answers = [known.review(s) for s in question["selections"]]
    return {"parsed": parsed, "parse": known.number, "seconds": seconds, "about": known.about(),
            "names": known.names(question["selections"], answers), "selections": answers}


def catalog(parses, question):
    from remediation import catalog as module

    return module.read(question)


OPERATIONS = {"review": review, "catalog": catalog}


def run(request):
    """Does what the command `dbt run` does, but checks what dbt has parsed and selected, right before the first
    statement. If it differs from what was reviewed, nothing runs and the file at request["refused"] says why."""
    import dbt.task.run
    from dbt.cli.main import cli

    from remediation import project

    project.prepare()
    wait_for_readers()

    class Reviewed(dbt.task.run.RunTask):
        def compile_manifest(self):
            if self.graph is None:
                super().compile_manifest()

        def get_graph_queue(self):
            # The plan has warned about an exclude that matches nothing. Where a project treats warnings as errors, dbt
            # would refuse it.
            with project.Unmatched():
                return super().get_graph_queue()

        def run(self):
            self.compile_manifest()
            now = project.Project.of(self.args, self.config, self.manifest, self.graph)
            answer = now.answer(self, request["selection"])
            differences = compare(request["content"], answer["content"])
            differences += compare(request["identity"], now.about()["identity"], "connection.")
            if differences:
                refuse(request["refused"], differences)
            if request.get("execution"):
                mark_queries(self.config, request["execution"])
            # Modules that models import now come from the files that were compared, never from compiled ones beside
            # them.
            sys.dont_write_bytecode, sys.pycache_prefix = True, request["refused"] + ".pycache"
            return super().run()

    dbt.task.run.RunTask = Reviewed
    sys.argv = ["dbt"] + request["argv"]
    return cli(args=request["argv"], prog_name="dbt")


def wait_for_readers():
    """Makes dbt wait for up to 2 s for a DuckDB file that is locked: a plan in another process may be reading it."""
    try:
        import duckdb
    except ImportError:
        return
    original = duckdb.connect

    def connect(*args, **kwargs):
        for _ in range(20):
            try:
                return original(*args, **kwargs)
            except duckdb.IOException as failure:
                if "lock" not in str(failure).lower():
                    raise
                time.sleep(0.1)
        return original(*args, **kwargs)

    duckdb.connect = connect


def mark_queries(config, execution):
    """Adds the execution to the project's query comment: as a member if that is JSON, otherwise as a line."""
    from dbt.adapters.factory import get_adapter

    header = get_adapter(config).connections.query_header
    if header is None:
        return
    own = header.generator

    def generate(name, node):
        comment = (own(name, node) or "").strip()
        try:
            members = json.loads(comment)
        except ValueError:
            members = None
        if isinstance(members, dict):
            return json.dumps({**members, "remediation_execution": execution})
        return (comment + "\nremediation execution " + execution).strip()

    header.generator = generate
    header.reset()


def refuse(path, differences):
    from dbt_common.exceptions import DbtRuntimeError

    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"differences": differences}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    raise DbtRuntimeError("What dbt would run now is not what was reviewed. Nothing was run.")


def compare(reviewed, now, prefix=""):
    """The names of what differs."""
    found = []
    for name in sorted(set(reviewed) | set(now)):
        before, after = reviewed.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += compare(before, after, prefix + name + ".")
        elif before != after:
            found.append(prefix + name)
    return found
