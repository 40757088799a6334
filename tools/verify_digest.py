#!/usr/bin/env python3
"""Recompute digests without the provider.

    verify_digest.py SUBJECT.json      print the digest of what was reviewed, an object as the specification of the digest says
    verify_digest.py --vectors FILE    check the test vectors of the specification; exits with 1 if one differs

It needs Python 3.9 and nothing else.
"""
import hashlib
import json
import re
import sys
from decimal import Decimal

FORMAT = "remediation.preview.v2"


def number(value):
    """A number as ECMAScript writes it."""
    if isinstance(value, int) and abs(value) < 10**21:
        return str(value)
    value = float(value)
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e-4:  # Python switches to an exponent earlier than ECMAScript
        return format(Decimal(repr(value)), "f")
    out = repr(value)
    mantissa, _, exponent = out.partition("e")
    if exponent:
        mantissa = re.sub(r"\.0$", "", mantissa)
        return "%se%s%d" % (mantissa, "+" if int(exponent) > 0 else "-", abs(int(exponent)))
    return out


def canonical(value):
    """Canonical JSON, RFC 8785."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(canonical(n) + ":" + canonical(value[n]) for n in names) + "}"


def digest(subject):
    return "sha256:" + hashlib.sha256(canonical(subject).encode()).hexdigest()


def check_vectors(path):
    wrong = 0
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    for v in vectors:
        subject = dict(v["subject"], format=FORMAT)
        ok = canonical(subject) == v["canonical"] and digest(subject) == v["digest"]
        wrong += not ok
        print("%s: %s" % (v["name"], "ok" if ok else "DIFFERS"))
    return 1 if wrong or not vectors else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--vectors"]:
        sys.exit(check_vectors(sys.argv[2]))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as given:
        print(digest(dict(json.load(given), format=FORMAT)))
