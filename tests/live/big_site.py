# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of clients and names in Redis, written by the ordinary script in batches as the daemon cuts them: what a dashboard is measured on.

Every tenth client has a host name, every twentieth asks for a tunnel, all of them are in some hours of the last week.
"""

import json
import random
import time

import harness
from batches import Batches

HOURS = 168
TUNNEL = "teredo.ipv6.microsoft.com."
SERVER = "65.55.158.118"
BUSY = "198.51.100.80"
BUSY_NAMES = ["win%d.ipv6.microsoft.com." % number for number in range(5)]


def client_of(number):
    return "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


def name_of(number):
    return "host-%06d.region-%d.example.org." % (number, number % 17)


class BigSite:
    """clients and names: how many. What it fills is told by itself, so that answers can be checked against it."""

    def __init__(self, store, clients, names, resolver=harness.RESOLVER, seed=1):
        self.store, self.clients, self.names = store, clients, names
        self.batches = Batches(store, resolver=resolver)
        self.random = random.Random(seed)
        self.items, self.queries, self.tunnellers = [], {}, []

    def put(self, *items):
        self.items.extend(items)
        if len(self.items) >= 150:
            self.flush()

    def flush(self):
        if self.items:
            self.batches.send(self.items)
        self.items = []

    def add_hours(self):
        """Totals beyond what the clients below add, so that each hour has some; closed, but for the last one."""
        self.batches.send([["k", self.batches.hour - HOURS - 1]])
        for hour in range(self.batches.hour - HOURS, self.batches.hour + 1):
            self.put(self.batches.total(hour=hour, queries=1000, cached=700, forwarded=250, local=20, blocked=30, watched=40, noerror=900, nxdomain=90,
                servfail=10))
        self.flush()
        for hour in range(self.batches.hour - HOURS, self.batches.hour, 40):
            self.batches.send([["k", min(hour + 39, self.batches.hour - 1)]])

    def add_client(self, number):
        client, batches, rng = client_of(number), self.batches, self.random
        tunnels, names = number % 20 == 0, max(1, self.names // self.clients)
        self.queries[client] = 0
        for age in sorted(rng.sample(range(HOURS), 3), reverse=True):
            queries = rng.randrange(10, 5000)
            self.queries[client] += queries
            ms = batches.now_ms - age * 3600000 - rng.randrange(1000000)
            self.put(batches.client(client, hour=batches.hour - age, ms=ms, queries=queries, cached=queries // 2, forwarded=queries - queries // 2,
                noerror=queries - queries // 10, nxdomain=queries // 10, **({"watched": queries // 5} if tunnels else {})))
        for index in range(names):
            self.put(batches.query(client, name_of(number * names + index), rng.randrange(1, 50)))
        if number % 10 == 0:
            self.put(["m", client, "name", "pc-%05d.corp.example" % number])
        if tunnels:
            self.tunnellers.append(client)
            self.put(batches.query(client, TUNNEL, 40, hits=40), batches.hit("teredo", client, 40, ms=batches.now_ms - number),
                batches.rule("teredo", TUNNEL, 40), batches.told(client, SERVER), batches.pair(SERVER, client, TUNNEL, 40),
                batches.timeline(SERVER, 40), batches.line("x", '{"client":"%s","query":"%s"}' % (client, TUNNEL)))

    def add_busy(self, pairs, hour_rows=0, entries=0):
        """BUSY was told to so many (client, name); as many rows of watched names in each hour, and transactions in the stream, are of them."""
        asked = [(client_of(number % self.clients), BUSY_NAMES[(number + number // self.clients) % 5]) for number in range(pairs)]
        for number, (client, name) in enumerate(asked):
            self.put(self.batches.pair(BUSY, client, name, 1 + number % 997, owner="t.nsatc.net.", ms=self.batches.now_ms - number))
        self.put(self.batches.timeline(BUSY, pairs))
        for number in range(entries):
            client, name = asked[number * 7 % pairs]
            self.put(self.batches.line("x", self.transaction(client, name, self.batches.now_s - entries + number)))
        self.flush()
        for hour in range(self.batches.hour - HOURS, self.batches.hour + 1) if hour_rows else ():
            key = "teredown:{%s}:hour:%s:watched-names" % (self.batches.resolver, time.strftime("%Y%m%d%H", time.gmtime(hour * 3600)))
            self.store.zadd(key, {"%s %s" % asked[(hour + number * 13) % pairs]: 1 + number % 9 for number in range(hour_rows)})
        return self.end_lease()

    def transaction(self, client, name, at_s):
        """As the daemon writes it."""
        chain = [{"name": name, "type": "CNAME", "ttl": 60, "data": "t.nsatc.net."}, {"name": "t.nsatc.net.", "type": "A", "ttl": 60, "data": BUSY}]
        return json.dumps({"ts": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(at_s)), "resolver": self.batches.resolver, "txn": 1, "client": client,
            "port": 53124, "id": 52011, "proto": "udp", "query": name, "type": "A", "rcode": "NOERROR", "action": "watch", "policy": "teredo", "rule": name,
            "source": "upstream", "upstream": "192.0.2.53:53", "duration_us": 1234, "addresses": [BUSY], "answers": chain}, separators=(",", ":"))

    def fill(self):
        self.add_hours()
        for number in range(self.clients):
            self.add_client(number)
        for number in range(min(self.names, 6000)):
            self.put(self.batches.top(name_of(number), self.random.randrange(1, 50)))
        self.flush()
        self.store.sadd("teredown:resolvers", self.batches.resolver)
        return self.end_lease()

    def end_lease(self):
        """A batch holds the lease for a while; the daemon beside the dashboard is not to wait for it."""
        self.store.hdel("teredown:{%s}:meta" % self.batches.resolver, "lease_instance", "lease_boot", "lease_until")
        return self
