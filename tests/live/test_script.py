# SPDX-License-Identifier: BSD-3-Clause
"""How long a call of the script blocks Redis: at most 5 ms for the largest batch that the daemon cuts, of any kind, by Redis's own SLOWLOG.

For each kind the longest of twenty calls is taken five times; the median of these five is what counts, against a bound that knows how slow
the machine is just now (slowlog.py). Figures are printed also where they pass.
"""

import re
import os
import statistics

import pytest

import harness
import slowlog
from batches import Batches
from harness import key

pytestmark = pytest.mark.alone

RUNS, CALLS = 5, 20

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
        self.store.config_set("appendfsync", "everysec")

    def durations(self, calls):
        return slowlog.durations(self.store, calls)

    def longest(self, make_call):
        """The median of the longest calls of some runs."""
        return statistics.median(max(self.durations([make_call() for _ in range(CALLS)])) for _ in range(RUNS))


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
    batches, numbers, words = Batches(measured.store, **bounds), Numbers(), []
    if state == "tight":
        for _ in range(400):
            batches.send(KINDS["mixed"](batches, numbers))
        measured.store.config_set("maxmemory", int(measured.store.info("memory")["used_memory"] / 0.87) + 1048576)
    for kind, make in KINDS.items():
        def call():
            batches.now_s += 10000 if state == "full" else 0
            items = make(batches, numbers)
            return lambda: batches.send(items)
        words.append((kind, measured.longest(call)))
    measured.store.config_set("maxmemory", 0) # the calibration needs room of its own
    slowness = slowlog.slowness(measured.store)
    report(capsys, "script, %s: %s; machine %.1f times slower than at rest" % (state, ", ".join("%s %.1f ms" % (kind, us / 1000) for kind, us in words), slowness))
    if state == "full":
        assert int(measured.store.hget(key("meta"), "folded_clients")) > 100
    if state == "tight":
        assert int(measured.store.hget(key("meta"), "trimmed")) > 100
    slow = [(kind, us) for kind, us in words if us > slowlog.BOUND_US * slowness]
    assert not slow, "longer than %d us: %r" % (slowlog.BOUND_US * slowness, slow)


def test_fold_and_migration_time(measured, capsys):
    """What is rare, but large: clients with a thousand names each that make room, and steps of a migration."""
    batches = Batches(measured.store, clients=RUNS * CALLS)
    for client in range(RUNS * CALLS):
        for start in range(0, 1000, 500):
            batches.send([batches.query(address(client), name(n)) for n in range(start, start + 500)])
        batches.send([batches.client(address(client), queries=1000)])
    batches.now_s += 8 * 3600
    numbers = Numbers()
    numbers.take(100000)

    def call():
        items = [batches.client(address(i)) for i in numbers.take(how_many("CLIENT"))]
        return lambda: batches.send(items)
    folds = measured.longest(call)
    assert int(measured.store.hget(key("meta"), "folded_clients")) >= RUNS * CALLS
    measured.store.flushall()
    measured.store.hset(key("meta"), "schema", 1)
    for day in range(20):
        measured.store.zadd(key("top", "202701%02d" % (day + 1)), {name(n): n + 1 for n in range(5000)})
    steps = []
    while True:
        steps += measured.durations([batches.lease] * CALLS)
        if measured.store.hget(key("meta"), "schema") == "2":
            break
    migration = statistics.median(max(steps[start:start + CALLS]) for start in range(0, len(steps), CALLS))
    slowness = slowlog.slowness(measured.store)
    report(capsys, "script: folding clients with 1,000 names %.1f ms, steps of a migration %.1f ms; machine %.1f times slower than at rest" % (folds / 1000,
        migration / 1000, slowness))
    assert max(folds, migration) <= slowlog.BOUND_US * slowness
