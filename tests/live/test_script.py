# SPDX-License-Identifier: BSD-3-Clause
"""How long a call of the script blocks Redis: at most 5 ms for the largest batch that the daemon cuts, of any kind, by Redis's own SLOWLOG.

A sequence of calls is run several times, each time from an empty Redis, so that its n-th call does the same work each time; the shortest of
these times is what the call takes (anything more was the machine's), and the longest call of a sequence is what counts, against a bound
that knows how slow the machine is just now (slowlog.py). Figures are printed also where they pass.
"""

import re
import os

import pytest

import harness
import slowlog
from batches import Batches
from harness import key

pytestmark = pytest.mark.alone

RUNS, CALLS = 5, 20
MIGRATION_STEPS = 400

ALL_COUNTERS = dict(queries=9, cached=1, forwarded=1, local=1, blocked=1, noerror=1, nodata=1, nxdomain=1, servfail=1, refused=1, other=1, watched=1, truncated=1, tcp=1)


def constant(name):
    with open(os.path.join(harness.SOURCE, "resolver", "telemetry", "batch.h")) as source:
        return int(re.search(r"#define %s (\d+)" % name, source.read()).group(1))


def cost(kind):
    with open(os.path.join(harness.SOURCE, "resolver", "telemetry", "batch.c")) as source:
        return int(re.search(r"\[PENDING_%s\] = (\d+)" % kind, source.read()).group(1))


def how_many(kind):
    """Items of one kind in the largest batch."""
    return min(constant("BATCH_ITEMS_MAX"), -(-constant("BATCH_COST_MAX") // cost(kind)))


class Measured:
    def __init__(self, server):
        self.store = server.client()
        # No copy of the process beside it, whose pages every write would have to copy.
        self.store.config_set("appendfsync", "everysec")
        self.store.config_set("auto-aof-rewrite-percentage", 0)

    def longest(self, sequence):
        """Microseconds of the longest call by its name. sequence() prepares an empty Redis and yields (name, calls of that name)."""
        shortest = {}
        for _ in range(RUNS):
            self.store.config_set("maxmemory", 0)
            self.store.flushall(asynchronous=False)
            for name, calls in sequence():
                taken = [slowlog.duration(self.store, call) for call in calls]
                shortest[name] = [min(pair) for pair in zip(taken, shortest.get(name, taken))]
        self.store.config_set("maxmemory", 0) # the calibration needs room of its own
        return {name: max(taken) for name, taken in shortest.items()}


def address(number, first=10):
    return "%d.%d.%d.%d" % (first, number >> 16 & 255, number >> 8 & 255, number & 255)


def name(number):
    return "%032x.a-name-of-some-length.example.org." % number


class Numbers:
    """Numbers that never come twice."""

    def __init__(self):
        self.last = 0

    def take(self, count):
        self.last += count
        return range(self.last - count, self.last)


@pytest.fixture
def measured(redis_server):
    return Measured(redis_server)


KINDS = {
    "clients": lambda b, n: [b.client(address(i), **ALL_COUNTERS) for i in n.take(how_many("CLIENT"))],
    "questions": lambda b, n: [b.query(address(i), name(i), 2, 1) for i in n.take(how_many("QUERY"))],
    "pairs": lambda b, n: [b.pair(address(i, 192), address(i), name(i)) for i in n.take(how_many("PAIR"))],
    "hours of addresses": lambda b, n: [b.timeline(address(i, 192)) for i in n.take(how_many("TIMELINE"))],
    "hits of zones": lambda b, n: [b.hit("teredo", address(i)) for i in n.take(how_many("ZONE"))],
    "rules": lambda b, n: [b.rule("list", name(i)) for i in n.take(how_many("RULE"))],
    "told a server": lambda b, n: [b.told(address(i), "192.0.2.9") for i in n.take(how_many("TOLD"))],
    "top names": lambda b, n: [b.top(name(i)) for i in n.take(how_many("TOP"))],
    "lines": lambda b, n: [b.line("x", '{"json":"%s"}' % ("x" * 500)) for i in n.take(100)],
    "gauges": lambda b, n: [b.gauges(" ".join(["192.0.2.53:53=ok"] * 60), **{"figure%d" % (i % 64): i for i in n.take(64)})],
    "mixed": lambda b, n: [item for i in n.take(9) for item in (b.client(address(i), **ALL_COUNTERS), b.query(address(i), name(i), 2, 1),
        b.pair(address(i, 192), address(i), name(i)), b.top(name(i)))],
}


def report(capsys, words):
    with capsys.disabled():
        print("\n" + words)


@pytest.mark.parametrize("state", ["new", "full", "tight"])
def test_script_time(measured, state, capsys):
    """Members that are all new: with room for them; with every table full, so that each call also folds and evicts; and in little memory."""
    bounds = dict(clients=300, names=300, addresses=300, top=300) if state == "full" else {}

    def sequence():
        batches, numbers = Batches(measured.store, **bounds), Numbers()
        if state == "tight":
            for _ in range(400):
                batches.send(KINDS["mixed"](batches, numbers))
            measured.store.config_set("maxmemory", int(measured.store.info("memory")["used_memory"] / 0.87) + 1048576)

        def call(make):
            batches.now_s += 10000 if state == "full" else 0
            items = make(batches, numbers)
            return lambda: batches.send(items)
        for kind, make in KINDS.items():
            yield kind, [call(make) for _ in range(CALLS)]
        if state != "new":
            counter = {"full": "folded_clients", "tight": "trimmed"}[state]
            assert int(measured.store.hget(key("meta"), counter)) > 100
    longest = measured.longest(sequence)
    slowness = slowlog.slowness(measured.store)
    report(capsys, "script, %s: %s; machine %.1f times slower than at rest" % (state,
        ", ".join("%s %.1f ms" % (kind, us / 1000) for kind, us in longest.items()), slowness))
    slow = [(kind, us) for kind, us in longest.items() if us > slowlog.BOUND_US * slowness]
    assert not slow, "longer than %d us: %r" % (slowlog.BOUND_US * slowness, slow)


def test_return_time(measured, capsys):
    """Hits of clients that were all marked as remediated in as many zones as count, and come back all at once: more than are told in one call."""
    def returns():
        batches = Batches(measured.store)
        zones = ["zone-%d" % index for index in range(16)]
        mark = '{"at":1,"by":"root","method":"powershell","zones":["%s"]}' % '","'.join(zones)
        clients = [address(index) for index in range(10000)]
        for start in range(0, len(clients), 1000):
            measured.store.hset(key("remediated"), mapping=dict.fromkeys(clients[start:start + 1000], mark))
        for start in range(0, len(clients), 50):
            batches.send([batches.hit("zone-0", client) for client in clients[start:start + 50]])

        def call():
            batches.now_s += 1800
            items = [batches.hit("zone-0", client) for client in clients[:how_many("ZONE")]]
            return lambda: batches.send(items)
        yield "clients that come back", [call() for _ in range(CALLS)]
        assert measured.store.hget(key("meta"), "returned")
    longest = measured.longest(returns)
    slowness = slowlog.slowness(measured.store)
    report(capsys, "script: %s; machine %.1f times slower than at rest" % (
        ", ".join("%s %.1f ms" % (kind, us / 1000) for kind, us in longest.items()), slowness))
    assert max(longest.values()) <= slowlog.BOUND_US * slowness


def test_fold_and_migration_time(measured, capsys):
    """What is rare, but large: clients with a thousand names each that make room, and steps of a migration."""
    def folds():
        batches, numbers = Batches(measured.store, clients=CALLS), Numbers()
        for client in range(CALLS):
            for start in range(0, 1000, 500):
                batches.send([batches.query(address(client), name(n)) for n in range(start, start + 500)])
            batches.send([batches.client(address(client), queries=1000)])
        batches.now_s += 8 * 3600
        numbers.take(100000)

        def call():
            items = [batches.client(address(i)) for i in numbers.take(how_many("CLIENT"))]
            return lambda: batches.send(items)
        yield "folding clients with 1,000 names", [call() for _ in range(CALLS)]
        assert int(measured.store.hget(key("meta"), "folded_clients")) >= CALLS

    def migration():
        batches = Batches(measured.store)
        measured.store.hset(key("meta"), "schema", 1)
        for day in range(20):
            measured.store.zadd(key("top", "202701%02d" % (day + 1)), {name(n): n + 1 for n in range(5000)})
        yield "steps of a migration", [batches.lease] * MIGRATION_STEPS
        assert measured.store.hget(key("meta"), "schema") == "2"
    longest = dict(measured.longest(folds), **measured.longest(migration))
    slowness = slowlog.slowness(measured.store)
    report(capsys, "script: %s; machine %.1f times slower than at rest" % (
        ", ".join("%s %.1f ms" % (kind, us / 1000) for kind, us in longest.items()), slowness))
    assert max(longest.values()) <= slowlog.BOUND_US * slowness
