# SPDX-License-Identifier: BSD-3-Clause
"""`teredown dashboard` beside a daemon under test, and a client that speaks its API."""

import gzip
import http.client
import json
import os
import re

import harness


class Reply:
    """status, headers (lower case), body in octets; json() of it."""

    def __init__(self, reply):
        self.status = reply.status
        self.headers = {}
        for name, value in reply.getheaders():
            self.headers[name.lower()] = value
        self.raw = reply.read()
        self.body = gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s>" % (self.status, self.body[:300])


class Dashboard(harness.Process):
    """Reads the configuration of the daemon, to which `options` are added (dashboard-…; an underscore stands for a hyphen). Reading is open
    unless they say otherwise."""

    def __init__(self, folder, daemon, name="dashboard", fleet=False, environment=None, **options):
        if not harness.is_built_with("DASHBOARD"):
            harness.missing("this build has no dashboard")
        self.port = harness.free_port()
        self.daemon = daemon
        settings = {"dashboard-listen": ["127.0.0.1:%d" % self.port], "dashboard-reading": "open"}
        settings.update({key.replace("_", "-"): value for key, value in options.items()})
        self.settings = settings
        self.config = os.path.join(folder, name + ".conf")
        self.write_config()
        self.cookie, self.csrf = None, None
        super().__init__(name, [harness.COMMAND, "-c", self.config, "dashboard"] + (["--fleet"] if fleet else []), folder, environment)

    def write_config(self, **options):
        """What the daemon's file has, and ours; options change ours."""
        self.settings.update({key.replace("_", "-"): value for key, value in options.items()})
        with open(self.daemon.config) as given, open(self.config, "w") as out:
            out.write(given.read() + harness.render(self.settings))

    def start(self):
        super().start()
        self.until(lambda: self.request("GET", "/healthz").status == 200, "the dashboard answers")
        return self

    def connect(self, timeout_s=20):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def request(self, method, path, body=None, headers=None, connection=None):
        """One request, on a connection of its own unless one is given. body: an object, sent as JSON."""
        sent = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if self.cookie and "Cookie" not in sent:
            sent["Cookie"] = self.cookie
        if self.csrf and method not in ("GET", "HEAD"):
            sent.setdefault("X-CSRF-Token", self.csrf)
        own = connection or self.connect()
        try:
            own.request(method, path, body=body, headers=sent)
            return Reply(own.getresponse())
        finally:
            if not connection:
                own.close()

    def get(self, path, **more):
        """The object behind a path of the API ("clients?limit=3"); anything but 200 is a failure."""
        reply = self.request("GET", path if path.startswith("/") else "/api/v1/" + path, **more)
        if reply.status != 200:
            raise harness.Failure("GET %s: %r" % (path, reply))
        return reply.json()

    def token(self):
        """What it printed at its first start."""
        return re.search(r"^ {4}([a-z2-7]{52})$", self.log(), re.MULTILINE).group(1)

    def sign_in(self, token=None):
        """Keeps the session for what follows. Without a token: with the one it printed."""
        token = token or self.token()
        reply = self.request("POST", "/api/v1/session", {"token": token})
        if reply.status != 200:
            raise harness.Failure("signing in: %r" % reply)
        self.cookie = reply.headers["set-cookie"].split(";")[0]
        self.csrf = reply.json()["csrf"]
        return reply


class Stream:
    """/api/v1/live: next() gives (event, object); comments are counted."""

    def __init__(self, board):
        self.connection = board.connect()
        self.connection.request("GET", "/api/v1/live", headers={"Cookie": board.cookie} if board.cookie else {})
        self.reply = self.connection.getresponse()
        self.comments = 0

    def next(self):
        event, data = None, None
        while True:
            line = self.reply.readline()
            if not line:
                raise harness.Failure("the stream has ended")
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and event:
                return event, json.loads(data)

    def close(self):
        self.connection.close()
