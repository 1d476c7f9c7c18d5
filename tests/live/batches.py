# SPDX-License-Identifier: BSD-3-Clause
"""Batches of counts as the daemon cuts them, given to the script directly: for what would take a daemon hours to bring about.

The layout is that of resolver/telemetry/redis/script.lua, which is run as it stands in the source.
"""

import os
import time

import harness

BOUNDS = dict(clients=100000, client_names=1000, names=100000, name_clients=10000, name_addresses=256, addresses=100000, pairs=10000,
    hour_names=2000, top=5000, stream=10000)
DAY_S = 86400


def script():
    with open(os.path.join(harness.SOURCE, "resolver", "telemetry", "redis", "script.lua")) as source:
        return source.read()


class Batches:
    """A daemon's side of the script: numbers batches of a boot and sends them."""

    def __init__(self, store, boot="00000000000000aa", now_s=None, resolver=harness.RESOLVER, schema=2, retention_s=8 * DAY_S, pair_retention_s=30 * DAY_S, **bounds):
        self.store, self.boot, self.resolver, self.schema = store, boot, resolver, schema
        self.retention_s, self.pair_retention_s = retention_s, pair_retention_s
        self.bounds = dict(BOUNDS, **bounds)
        self.now_s = time.time() if now_s is None else now_s
        self.number = 0
        self.sha = store.script_load(script())
        self.applied_key = "teredown:{%s}:applied" % resolver

    @property
    def hour(self):
        return int(self.now_s // 3600)

    @property
    def now_ms(self):
        return int(self.now_s * 1000)

    def call(self, *words):
        return self.store.evalsha(self.sha, 1, self.applied_key, *words)

    def lease(self, ms=15000):
        return self.call("0123456789abcdef", self.boot, ms)

    def words(self, items):
        header = [self.boot, self.number, self.schema, "1.0", self.now_ms, self.now_ms, self.retention_s, self.pair_retention_s]
        return ["0123456789abcdef", self.boot, 15000] + header + list(self.bounds.values()) + [word for item in items for word in item]

    def send(self, items):
        """Applies a batch; an outcome other than "applied" without a failed command is an error."""
        self.number += 1
        outcome = self.call(*self.words(items))
        if outcome[0] != "applied" or outcome[2] != 0:
            raise harness.Failure("batch %d: %r" % (self.number, outcome))
        return outcome

    # Items; times are now unless told.

    def client(self, client, hour=None, ms=None, **counters):
        counters.setdefault("queries", 1)
        ms = self.now_ms if ms is None else ms
        return ["c", client, self.hour if hour is None else hour, ms, ms, len(counters)] + [word for pair in counters.items() for word in pair]

    def total(self, hour=None, **counters):
        return ["h", self.hour if hour is None else hour, len(counters)] + [word for pair in counters.items() for word in pair]

    def query(self, client, name, count=1, hits=0, ms=None):
        return ["q", client, name, self.hour, count, hits, self.now_ms if ms is None else ms]

    def pair(self, address, client, name, count=1, owner=None, ms=None):
        ms = self.now_ms if ms is None else ms
        return ["p", address, client, name, ms, ms, count, owner or name]

    def timeline(self, address, count=1, source="dns"):
        return ["t", address, self.hour, source, count]

    def hit(self, zone, client, hits=1, ms=None):
        return ["z", zone, client, hits, self.now_ms if ms is None else ms]

    def rule(self, zone, rule, hits=1, ms=None):
        return ["r", zone, rule, hits, self.now_ms if ms is None else ms]

    def told(self, client, server, first=None, last=None):
        return ["s", client, self.now_ms if first is None else first, self.now_ms if last is None else last, server]

    def top(self, name, count=1, weight=None, day=None):
        return ["n", self.hour // 24 if day is None else day, name, count, count if weight is None else weight]

    def gauges(self, upstreams="192.0.2.53:53=ok", **values):
        return ["g", upstreams, len(values)] + [word for pair in values.items() for word in pair]

    def line(self, kind, text):
        return [kind, self.now_ms, text]
