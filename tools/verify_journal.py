#!/usr/bin/env python3
"""Verify a journal of the remediation provider without the provider.

    verify_journal.py JOURNAL [SEQ:HASH ...]

JOURNAL is the SQLite file, an export with one JSON object per line, or the address and name of a journal in Elasticsearch, such as
https://search.example.com:9200/remediation-journal. Credentials come from ELASTICSEARCH_API_KEY, or from ELASTICSEARCH_USERNAME and
ELASTICSEARCH_PASSWORD, and a certificate authority from ELASTICSEARCH_CA_FILE. Each SEQ:HASH is a head that was recorded earlier and
must still exist, unless a compaction has removed it. Prints the head, and exits with 1 if the chain is broken. Needs only Python 3.9.
"""
import base64
import hashlib
import json
import os
import re
import sqlite3
import ssl
import sys
import urllib.request

DOMAIN = b"remediation journal entry v1\n"
COLUMNS = "seq, execution, kind, at, playbook, target, request, incident, digest, identity, body, prev, hash"


def text(value):
    """A string as the provider writes it: JSON with <, >, & and the two line separators escaped."""
    out = json.dumps(value, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        out = out.replace(char, "\\u%04x" % ord(char))
    return out


def line(row):
    """An entry as one line of an export."""
    seq, execution, kind, at, playbook, target, request, incident, digest, identity, body, prev, end = row
    at = re.sub(r"\.?0*Z$", "Z", at)
    subject = '"playbook":%s,"target":%s,"request":%s' % (text(playbook), text(target), text(request))
    if incident:
        subject += ',"incident":' + text(incident)
    if digest:
        subject += ',"digest":' + text(digest)
    if identity:
        subject += ',"identity":' + text(identity)
    return '{"seq":%d,"execution":%d,"kind":%s,"at":%s,"subject":{%s},"body":%s,"prev":%s,"hash":%s}' % (
        seq, execution, text(kind), text(at), subject, body, text(prev), text(end))


def search(address, query):
    """All documents that a search finds in the ranges of a journal in Elasticsearch, oldest first."""
    where, _, name = address.rstrip("/").rpartition("/")
    headers = {"Content-Type": "application/json"}
    if os.environ.get("ELASTICSEARCH_API_KEY"):
        headers["Authorization"] = "ApiKey " + os.environ["ELASTICSEARCH_API_KEY"]
    elif os.environ.get("ELASTICSEARCH_USERNAME"):
        pair = os.environ["ELASTICSEARCH_USERNAME"] + ":" + os.environ.get("ELASTICSEARCH_PASSWORD", "")
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    trust = ssl.create_default_context(cafile=os.environ.get("ELASTICSEARCH_CA_FILE") or None)
    url = where + "/" + name + "-entries-*/_search?expand_wildcards=all&allow_partial_search_results=false"
    body = {"size": 100, "sort": [{"seq": "asc"}], "query": query, "track_total_hits": False}
    while True:
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, context=trust) as answer:
            hits = json.load(answer)["hits"]["hits"]
        yield from (hit["_source"] for hit in hits)
        if len(hits) < body["size"]:
            return
        body["search_after"] = hits[-1]["sort"]


def documents(address):
    """The entries of a journal in Elasticsearch, in order, without what its compactions tell of: they may have been interrupted."""
    told = set()
    for d in search(address, {"term": {"kind": "compaction"}}):
        for gap in json.loads(d["body"])["gaps"]:
            told.update(range(gap["from"], gap["to"] + 1))
    for d in search(address, {"bool": {"must_not": {"term": {"kind": "removed"}}}}):
        if d["seq"] not in told:
            yield line([d.get(column, 0 if column == "execution" else "") for column in COLUMNS.split(", ")])


def lines(path):
    """The entries of a journal or an export, in order."""
    if path.startswith(("http://", "https://")):
        yield from documents(path)
        return
    with open(path, "rb") as f:
        sqlite = f.read(16).startswith(b"SQLite format 3")
    if not sqlite:
        with open(path, encoding="utf-8", newline="\n") as f:
            yield from (entry.rstrip("\n") for entry in f)
        return
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    yield from map(line, db.execute("SELECT %s FROM entries ORDER BY seq" % COLUMNS))


def explained(missing, told):
    """Where entries are missing that no compaction tells of, or None. Each is (seq and hash before, seq and prev after)."""
    for seq, prev, after, end in missing:
        at, digest = seq, prev
        while at < after - 1:
            gap = told.get(at + 1)
            if not gap or gap["prev"] != digest or not at < gap["to"] < after:
                return "after entry %d comes entry %d" % (seq, after)
            at, digest = gap["to"], gap["hash"]
        if digest != end:
            return "entry %d does not follow from the one before it" % after
    return None


def verify(path, known):
    seq, prev = 0, ""
    missing, told, removed = [], {}, 0
    for raw in lines(path):
        entry = json.loads(raw)
        emptied, found = re.subn(r'"hash":"[0-9a-f]{64}"}$', '"hash":""}', raw)
        digest = hashlib.sha256(DOMAIN + emptied.encode()).hexdigest()
        if entry["seq"] > seq + 1:
            missing.append((seq, prev, entry["seq"], entry["prev"]))
            removed += entry["seq"] - seq - 1
            seq, prev = entry["seq"] - 1, entry["prev"]
        if entry["seq"] != seq + 1:
            return "after entry %d comes entry %d" % (seq, entry["seq"])
        if entry["prev"] != prev:
            return "entry %d does not follow from the one before it" % entry["seq"]
        if found != 1 or entry["hash"] != digest:
            return "entry %d was changed after it was written" % entry["seq"]
        seq, prev = entry["seq"], digest
        if known.pop(seq, digest) != digest:
            return "entry %d is not the one that was noted" % seq
        if entry["kind"] == "compaction":
            told.update((gap["from"], gap) for gap in entry["body"]["gaps"])
    broken = explained(missing, told)
    if broken:
        return broken
    known = [s for s in known if s > seq]
    if known:
        return "entry %d is gone: the journal ends with entry %d" % (min(known), seq)
    print("holds, head %d:%s%s" % (seq, prev, ", %d entries were removed by compactions" % removed if removed else ""))
    return None


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    heads = dict((int(seq), digest) for seq, _, digest in (a.partition(":") for a in sys.argv[2:]))
    broken = verify(sys.argv[1], heads)
    if broken:
        print("broken: " + broken)
        sys.exit(1)
