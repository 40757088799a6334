"""A small service for the demo: a metric that is too low, and an incident service with one open incident.

Usage: service.py FILE. It listens on a free port of the loopback interface, writes its address into FILE, and answers
until it is stopped.
"""

import http.server
import json
import os
import re
import sys

INCIDENT = {"id": 2041, "status": "open", "severity": "sev1", "summary": "Accuracy of the canary is 13% lower",
            "metadata": {}}
# What each change needs, and what it leads to.
CHANGES = {"acknowledge": (["open"], "acknowledged"), "mitigate": (["open", "acknowledged"], "mitigated"),
           "resolve": (["acknowledged", "mitigated"], "resolved")}


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            self.answer(200, {"canary_accuracy": 0.78, "stable_accuracy": 0.9})
        elif self.path == "/api/incidents/2041":
            self.answer(200, INCIDENT)
        else:
            self.answer(404, {"detail": "Not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        change = re.fullmatch(r"/api/incidents/2041/(\w+)", self.path)
        if not change or change[1] not in CHANGES:
            self.answer(404, {"detail": "Not found"})
            return
        allowed, status = CHANGES[change[1]]
        if INCIDENT["status"] not in allowed:
            self.answer(400, {"detail": f"Cannot {change[1]} incident in {INCIDENT['status']} state"})
            return
        INCIDENT["status"] = status
        notes = json.loads(body or b"{}").get("notes")
        if notes:
            INCIDENT["metadata"]["resolution_notes"] = notes
        self.answer(200, {"success": True, "incident": INCIDENT})

    def answer(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"http://127.0.0.1:{server.server_port}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
