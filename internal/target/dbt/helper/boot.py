# Started as `python -c`. Reads one line of JSON from standard input, {"modules": {name: source}, "request": ...}, and
# runs the module "main" with the request. Nothing is read from a folder that others can write to: `-c` puts the working
# directory, which is the dbt project, in front of the module path, and that entry goes before anything is imported.
import sys

if sys.path and sys.path[0] in ("", "."):
    del sys.path[0]

import json
import types

loaded = json.loads(sys.stdin.buffer.readline())
package = types.ModuleType("remediation")
package.__path__ = []
sys.modules["remediation"] = package
for name, source in loaded["modules"]:
    module = types.ModuleType("remediation." + name)
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(source, module.__name__, "exec"), module.__dict__)
sys.exit(sys.modules["remediation.main"].main(loaded["request"]))
