"""What the text of a template reads besides what it names.

A template can reach the environment, other nodes, and macros by computed names and by other names of dbt's functions.
Where the text doesn't show what it reads, everything counts. Names are found with Jinja's own lexer, because a template
has more ways to write a string than a regular expression knows.
"""

import re

import jinja2

SIMPLE = re.compile(r"['\"]\w+['\"]$")
# What gives access to every macro, node, and variable, unless it is used as these rules say.
EVERYTHING = {"context", "builtins", "render", "adapter_macro", "context_macro_stack"}
CALLED = {"ref", "source", "metric", "function", "var"}
# Members of dbt's objects that do.
MEMBERS = {"context", "manifest", "model"}
LISTING = {"get", "items", "values", "keys"}
SETTINGS = {"get", "require", "meta_get", "meta_require"}
# Settings that the content of a node leaves out.
FOR_PEOPLE = {"tags", "docs"}
# What may follow a name whose value is only printed or compared.
PRINTED = {"}}", "-}}", "~", "==", "!="}


class Template:
    """What one text reads. macros: any macro; everything: also any node and variable; node: properties of its own node
    that are otherwise for people; graph: other nodes; variables: names of environment variables; environment: any."""

    def __init__(self, text, macros, packages):
        self.macros = self.everything = self.node = self.graph = self.environment = False
        self.variables, self.strings = set(), []
        self.known, self.packages = macros, packages
        try:
            tokens = [(kind, value) for _, kind, value in LEXER.lex(text or "")
                      if kind not in ("whitespace", "data", "comment", "raw_begin", "raw_end")]
        except jinja2.TemplateSyntaxError:
            self.everything = True
            return
        end, declares = [("end", "")] * 3, False
        for at, (kind, value) in enumerate(tokens):
            before = tokens[at - 1][1] if at else ""
            after = tokens[at + 1:at + 4] + end
            if kind in ("block_begin", "block_end"):
                declares = kind == "block_begin" and after[0][1] == "macro"
            elif kind == "string":
                if "\\" in value:
                    self.strings.append(unescaped(value))
            elif kind == "operator" and value == "]" and after[0][1] == "(":
                self.macros = True
            elif kind == "name" and before == "|":
                self.macros = self.macros or value == "attr"
            elif kind == "name" and before == ".":
                self.member(value, tokens[at - 2][1] if at > 1 else "", after)
            elif declares and before in ("(", ",") and after[0][1] in (",", ")"):
                pass  # the name of a parameter
            elif kind == "name" and after[0][1] != "=":  # neither an assignment nor an argument's name
                self.name(value, after)

    def member(self, value, of, after):
        if value == "dispatch":
            self.macros = self.macros or not dispatched(after)
        elif value in MEMBERS or (value == "config" and of in CALLED | {"adapter"}):
            self.everything = True
        elif of in self.packages and value in LISTING:
            self.macros = True
        elif of == "config" and value in SETTINGS:
            key = after[1][1]
            self.node = self.node or not SIMPLE.match(key) or key[1:-1] in FOR_PEOPLE

    def name(self, value, after):
        following = after[0][1]
        if value == "env_var":
            if following == "(" and SIMPLE.match(after[1][1]) and after[2][1] in (",", ")"):
                self.variables.add(after[1][1][1:-1])
            else:
                self.environment = True
        elif value == "dbt_metadata_envs":
            self.environment = True
        elif value == "graph":
            self.graph = True
        elif value == "model":
            self.node = True
        elif value == "config":
            self.node = self.node or following not in ("(", ".")
        elif value in EVERYTHING:
            self.everything = True
        elif value == "adapter" or value in self.packages:
            self.everything = self.everything or following != "."
        elif value in CALLED or value in self.known:
            # These have members, such as a macro's context, and another name hides which one is read.
            self.everything = self.everything or (following != "(" and following not in PRINTED)


# dbt parses templates with this extension; the lexer needs no other setting.
LEXER = jinja2.Environment(extensions=["jinja2.ext.do"])  # noqa: S701 (nothing is rendered)


def dispatched(after):
    """Whether the tokens after "dispatch" call it with a name that is written out."""
    return after[0][1] == "(" and bool(SIMPLE.match(after[1][1])) and after[2][1] in (",", ")")


def unescaped(value):
    try:
        return value[1:-1].encode("ascii", "backslashreplace").decode("unicode-escape")
    except UnicodeDecodeError:
        return ""
