# SPDX-License-Identifier: BSD-3-Clause
"""How long a call of ingest.lua blocks Redis: at most 5 ms for the largest chunk of each kind, by Redis's own SLOWLOG, as test_script.py does it
for the daemon's script; also with every table full, and with a thousand sources of which one has to go. And what the script refuses.
"""

import json
import os
import re
import time

import pytest
import redis

import harness
import slowlog
from batches import Batches
from chunks import Chunks, address
from harness import key

RUNS, CALLS = 5, 15


def how_many(kind):
    """Items of one kind in the largest chunk."""
    with open(os.path.join(harness.SOURCE, "resolver", "control", "ingest", "ingest_gather.c")) as source:
        text = source.read()
    def number(name):
        return int(re.search(r"#define COST_%s\s+(\d+)" % name, text).group(1))
    return number("MAX") // number(kind)


KINDS = {
    "drops": lambda c, n: [c.drop(i) for i in n.take(how_many("DROP"))],
    "drops of many hours": lambda c, n: [c.drop(i, c.hour - i % 150) for i in n.take(how_many("HOUR"))],
    "timelines": lambda c, n: [c.timeline(i) for i in n.take(how_many("TIMELINE"))],
    "hours of one address": lambda c, n: [c.timeline(1, column, c.hour - i % 30) for i in n.take(how_many("TIMELINE") // 4)
        for column in ("firewall-drop", "firewall-pass", "proxy", "eventlog")],
    "history": lambda c, n: [c.history(i) for i in n.take(how_many("HISTORY"))],
    "history of one address": lambda c, n: [c.history(i, 1) for i in n.take(how_many("HISTORY"))],
    "events": lambda c, n: [c.event(i) for i in n.take(how_many("EVENT"))],
    "mixed": lambda c, n: [item for i in n.take(how_many("DROP") // 9) for item in (c.drop(i), c.timeline(i), c.history(i))],
}


class Numbers:
    def __init__(self):
        self.last = 1

    def take(self, count):
        self.last += count
        return range(self.last - count, self.last)


@pytest.mark.alone
@pytest.mark.parametrize("state", ["new", "full"])
def test_script_time(redis_server, state, capsys):
    store = redis_server.client()
    store.config_set("appendfsync", "everysec")
    store.config_set("auto-aof-rewrite-percentage", 0)
    bounds = dict(addresses=100, drops=50, history=50, eventlog=50) if state == "full" else {}
    shortest = {}
    for _ in range(RUNS):
        store.flushall(asynchronous=False)
        store.hset(key("meta"), "schema", 2)
        chunks, numbers = Chunks(store, **bounds), Numbers()
        if state == "full":
            sources = iter(["%032x-4096" % number for number in range(chunks.bounds["sources"])])
            for number in range(chunks.bounds["sources"]):
                store.hset(key("ingest"), "%032x-4096" % number, json.dumps({"path": "/var/log/%d" % number, "offset": 5, "at": number + 1}, separators=(",", ":")))
        for kind, make in KINDS.items():
            taken = []
            for _ in range(CALLS):
                oldest = ""
                if state == "full": # a source that is new
                    chunks.source, chunks.offset, oldest = "new-%d" % numbers.take(1)[0], None, next(sources)
                items = make(chunks, numbers)
                taken.append(slowlog.duration(store, lambda: chunks.send(items, oldest)))
            shortest[kind] = [min(pair) for pair in zip(taken, shortest.get(kind, taken))]
        if state == "full":
            assert store.hlen(key("ingest")) == 1000
            assert int(store.hget(key("meta"), "dropped_drops")) > 1000
    longest = {kind: max(taken) for kind, taken in shortest.items()}
    slowness = slowlog.slowness(store)
    with capsys.disabled():
        print("\ningest script, %s: %s; machine %.1f times slower than at rest" % (state, ", ".join("%s %.1f ms" % (kind, us / 1000) for kind, us in longest.items()), slowness))
    slow = [(kind, us) for kind, us in longest.items() if us > slowlog.BOUND_US * slowness]
    assert not slow, "longer than %d us: %r" % (slowlog.BOUND_US * slowness, slow)


def snapshot(store):
    return {name: (store.hgetall if store.type(name) == "hash" else lambda k: store.zrange(k, 0, -1, withscores=True))(name) for name in store.scan_iter()}


def test_once(redis_server):
    store = redis_server.client()
    chunks = Chunks(store)
    items = [chunks.drop(7), chunks.timeline(7)]
    first = chunks.words(items, None, 500)
    assert chunks.call(*first) == ["applied", 500, 0, "", 0]
    before = snapshot(store)
    assert chunks.call(*first) == ["repeated", 500, 0, "", 0]
    assert chunks.call(*chunks.words(items, 400, 900)) == ["refused", 500, 0, "", 0]
    assert chunks.call(*chunks.words(items, None, 900)) == ["refused", 500, 0, "", 0]
    assert snapshot(store) == before
    chunks.source = "longer"
    assert chunks.call(*chunks.words(items, 400, 900, "s"))[:2] == ["refused", 500]
    assert chunks.call(*chunks.words(items, 500, 900, "s"))[:2] == ["applied", 900]
    assert chunks.call(*chunks.words(items, 500, 900, "s"))[:2] == ["repeated", 900]
    assert store.hkeys(key("ingest")) == ["longer"]
    assert store.hget(key("timeline", address(7)), time.strftime("%Y%m%d%H", time.gmtime(chunks.hour * 3600)) + ":firewall-drop") == "6"


def test_invalid_writes_nothing(redis_server):
    store = redis_server.client()
    chunks = Chunks(store)
    good = chunks.drop(1)
    for bad in (["d"], ["x", 1], good[:-1], good[:4] + ["udp53", 3], good[:5] + ["-3"], good[:5] + [""], good[:5] + ["1234567890123456"],
            chunks.timeline(1, "dns"), chunks.history(1)[:-1] + ["perhaps"], ["e", "pc", "yesterday", "{}"]):
        with pytest.raises(redis.exceptions.ResponseError, match="TEREDOWN"):
            chunks.call(*chunks.words([good, bad], None, 500))
    for field, value in ((0, "two"), (3, "x"), (4, "-1"), (6, ""), (9, "1e9")):
        words = chunks.words([good], None, 500)
        words[field] = value
        with pytest.raises(redis.exceptions.ResponseError, match="TEREDOWN"):
            chunks.call(*words)
    assert list(store.scan_iter()) == []
    store.hset(key("meta"), "schema", 3)
    with pytest.raises(redis.exceptions.ResponseError, match="NEWER"):
        chunks.send([good])
    store.hset(key("meta"), "schema", 1)
    with pytest.raises(redis.exceptions.ResponseError, match="TRYAGAIN"):
        chunks.send([good])


def test_addresses_leave_room(redis_server):
    """What nobody looked up takes half of the index at most, the rest is under *other; what is there stays the daemon's."""
    store = redis_server.client()
    chunks = Chunks(store, addresses=100)
    told_ms = chunks.now_ms - 5000000
    store.zadd(key("addresses"), {address(5): told_ms, address(6): told_ms})
    store.hset(key("pair", address(5)), "192.0.2.1 a.example.", "1 2 3 a.example.")
    chunks.send([chunks.timeline(i, "firewall-pass") for i in range(5, 65)])
    assert store.zcard(key("addresses")) == 26 # a quarter, and *other
    chunks.send([chunks.timeline(i) for i in range(5, 105)])
    assert store.zcard(key("addresses")) == 50
    field = time.strftime("%Y%m%d%H", time.gmtime(chunks.hour * 3600))
    assert store.hget(key("timeline", "*other"), field + ":firewall-drop") == str(3 * 51)
    assert store.zscore(key("addresses"), address(5)) == told_ms
    assert store.zscore(key("addresses"), address(6)) == chunks.hour * 3600000


def test_expiry_is_only_raised(redis_server):
    store = redis_server.client()
    chunks = Chunks(store)
    chunks.send([chunks.timeline(1)])
    before = store.ttl(key("timeline", address(1)))
    chunks.send([chunks.timeline(1, hour=chunks.hour - 100)])
    assert before - 5 <= store.ttl(key("timeline", address(1))) <= before


def test_history_goes_with_its_address(redis_server):
    """The daemon's script takes it away where an address makes room for another one."""
    store = redis_server.client()
    chunks = Chunks(store)
    chunks.send([["h", address(1), "192.0.2.1", "a.example.", 1000, chunks.now_ms - 7200000, 1, "certain"], chunks.drop(1)])
    assert store.exists(key("history", address(1)))
    batches = Batches(store, addresses=1)
    batches.send([batches.pair(address(2), "192.0.2.1", "b.example.")])
    assert store.zrange(key("addresses"), 0, -1) == [address(2)]
    assert not store.exists(key("history", address(1)), key("timeline", address(1)))


def test_oldest_source_goes(redis_server):
    store = redis_server.client()
    store.hset(key("ingest"), mapping={"s%d" % number: json.dumps({"offset": 1, "at": 5000 - number}, separators=(",", ":")) for number in range(3)})
    chunks = Chunks(store, "new", sources=3)
    chunks.send([], "s1")
    assert set(store.hkeys(key("ingest"))) == {"s0", "s2", "new"}
    chunks = Chunks(store, "newer", sources=3)
    chunks.send([], "s1") # gone already: it looks itself
    assert set(store.hkeys(key("ingest"))) == {"s0", "new", "newer"}


def test_newest_event_stays(redis_server):
    store = redis_server.client()
    chunks = Chunks(store)
    chunks.send([["e", "pc", 2000, '{"at":2000,"state":"active"}'], ["e", "pc", 1000, '{"at":1000,"state":"inactive"}']])
    chunks.send([["e", "pc", 1500, '{"at":1500,"state":"inactive"}']])
    assert json.loads(store.hget(key("eventlog"), "pc"))["state"] == "active"
