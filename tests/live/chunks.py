# SPDX-License-Identifier: BSD-3-Clause
"""Chunks of logs as `teredown ingest` sends them, given to its script directly. The layout is that of resolver/telemetry/redis/ingest.lua, which is run
as it stands in the source.
"""

import json
import os
import time

import harness

BOUNDS = dict(addresses=100000, drops=2000, history=10000, eventlog=10000, sources=1000)
DAY_S = 86400


def script():
    with open(os.path.join(harness.SOURCE, "resolver", "telemetry", "redis", "ingest.lua")) as source:
        return source.read()


class Chunks:
    """What the command sends."""

    def __init__(self, store, source="s", resolver=harness.RESOLVER, **bounds):
        self.store, self.source, self.offset = store, source, None
        self.key = "teredown:{%s}:ingest" % resolver
        self.bounds = dict(BOUNDS, **bounds)
        self.sha = store.script_load(script())
        self.now_ms = int(time.time() * 1000)
        self.hour = self.now_ms // 3600000

    def words(self, items, expected, offset, former="", oldest=""):
        position = json.dumps({"path": "/var/log/a-log-somewhere.log", "format": "netfilter", "offset": offset, "lines": 1, "at": self.now_ms}, separators=(",", ":"))
        return [2, self.source, former, "" if expected is None else expected, offset, position, self.now_ms, 8 * DAY_S, 30 * DAY_S,
            *self.bounds.values(), oldest] + [word for item in items for word in item]

    def call(self, *words):
        return self.store.evalsha(self.sha, 1, self.key, *words)

    def send(self, items, oldest=""):
        before, self.offset = self.offset, (self.offset or 0) + 1000
        outcome = self.call(*self.words(items, before, self.offset, oldest=oldest))
        assert outcome[:4] == ["applied", self.offset, 0, ""], outcome

    def drop(self, number, hour=None):
        return ["d", self.hour if hour is None else hour, address(number, 10), address(number), "udp3544", 3]

    def timeline(self, number, column="firewall-drop", hour=None):
        hour = self.hour if hour is None else hour
        return ["t", address(number), hour, column, 3, hour * 3600000]

    def history(self, number, of=None):
        return ["h", address(number if of is None else of), address(number, 10), name(number), self.now_ms, self.now_ms, 1, "certain"]

    def event(self, number):
        return ["e", "pc-%d.corp.example" % number, self.now_ms, json.dumps({"at": self.now_ms, "state": "active", "event": 1, "text": "x" * 200})]


def address(number, first=192):
    return "%d.%d.%d.%d" % (first, number >> 16 & 255, number >> 8 & 255, number & 255)


def name(number):
    return "%032x.a-name-of-some-length.example.org." % number
