# SPDX-License-Identifier: BSD-3-Clause
"""Bounds, folding, memory pressure, heavy hitters and migration of the keys in Redis, by the script itself on a redis-server of its own."""

import collections
import datetime
import json
import os
import random
import re
import time

import pytest
import redis

import harness
from batches import Batches
from harness import key, until

HOUR_S = 3600
# What ends at a time that is told ends as Redis's own clock goes: a day that no clock reaches soon, 2100-01-01T08:00:00Z.
FAR_S, FAR_DAY = 4_102_473_600, "21000101"


@pytest.fixture
def store(redis_server):
    client = redis_server.client()
    client.config_set("appendfsync", "everysec")
    return client


def scores(store, *parts):
    return {member: int(score) for member, score in store.zrange(key(*parts), 0, -1, withscores=True)}


def counters(store, client):
    return {field: int(value) for field, value in store.hgetall(key("client", client)).items() if field not in ("first_seen", "last_seen", "name")}


def clients_of(store):
    return set(store.zrange(key("clients"), 0, -1))


def sum_of_clients(store):
    total = collections.Counter()
    for client in clients_of(store):
        total.update(counters(store, client))
    return total


# --- a full table ---

class TestFullTable:
    def test_idle_clients_are_folded_exactly(self, store):
        batches = Batches(store, clients=10, now_s=FAR_S)
        batches.send([item for n in range(10) for item in (batches.client("10.0.0.%d" % n, queries=5, cached=5, watched=2),
            batches.query("10.0.0.%d" % n, "a.example.", 3), batches.query("10.0.0.%d" % n, "b.example.", 2), batches.total(queries=5, cached=5, watched=2))])
        assert len(clients_of(store)) == 10
        for n in range(10):
            store.hset(key("client", "10.0.0.%d" % n), mapping={"name": "17", "forwarder": "3"})
        batches.now_s += HOUR_S
        batches.send([batches.client("10.0.1.1", queries=1, cached=1)])
        assert "10.0.1.1" not in clients_of(store), "a client of an hour ago that asked five times stays"
        assert store.hget(key("meta"), "dropped_clients") == "1"
        batches.now_s += 2 * HOUR_S
        batches.send([batches.client("10.0.1.1", queries=1, cached=1), batches.client("10.0.1.2", queries=1, cached=1)])
        assert {"10.0.1.1", "10.0.1.2"} <= clients_of(store)
        gone = {"10.0.0.%d" % n for n in range(10)} - clients_of(store)
        assert len(gone) == 2 and store.hget(key("meta"), "folded_clients") == "2"
        assert counters(store, "*other") == {"queries": 11, "cached": 11, "watched": 4}
        for counter, total in (("queries", 53), ("watched", 20)):
            assert sum(scores(store, "clients", counter).values()) == total
            assert not gone & set(scores(store, "clients", counter))
        assert scores(store, "client", "*other", "names") == {"*other": 10}
        assert not any(store.exists(key("client", client), key("client", client, "names")) for client in gone)
        assert sum_of_clients(store)["queries"] == int(store.hget(key("meta"), "queries")) == 53
        assert store.ttl(key("client", "*other")) > 0

    def test_those_that_asked_little_go_first(self, store):
        """A flood of forged clients has left; a real one gets its place within a minute, and the quiet ones of before keep theirs."""
        batches = Batches(store, clients=50, now_s=FAR_S)
        real = ["10.1.0.%d" % n for n in range(5)]
        batches.send([batches.client(client, queries=100) for client in real])
        batches.now_s += 1
        batches.send([batches.client("10.2.0.%d" % n) for n in range(80)])
        batches.now_s += 61
        late = ["10.3.0.%d" % n for n in range(4)]
        batches.send([batches.client(client, queries=7) for client in late])
        assert set(real + late) <= clients_of(store)
        assert len(clients_of(store) - {"*other"}) == 50
        assert sum_of_clients(store)["queries"] == 500 + 80 + 28

    def test_folding_is_bounded(self, store):
        batches = Batches(store, clients=100, now_s=FAR_S)
        batches.send([batches.client("10.0.0.%d" % n) for n in range(100)])
        batches.now_s += 24 * HOUR_S
        for start in range(0, 60, 20):
            batches.send([batches.client("10.4.0.%d" % n) for n in range(start, start + 20)])
        assert store.hget(key("meta"), "folded_clients") == "12"
        assert sum_of_clients(store)["queries"] == 160

    def test_one_with_many_names(self, store):
        batches = Batches(store, clients=2, now_s=FAR_S)
        for start in range(0, 900, 100):
            batches.send([batches.query("10.0.0.1", "n%d.example." % n) for n in range(start, start + 100)] + [batches.client("10.0.0.1", queries=100)])
        batches.send([batches.client("10.0.0.2", queries=900)])
        batches.now_s += 3 * HOUR_S
        batches.send([batches.client("10.0.0.3")])
        assert scores(store, "client", "*other", "names") == {"*other": 900}
        assert counters(store, "*other")["queries"] == 900

    def test_names_and_addresses_make_room(self, store):
        batches = Batches(store, names=10, addresses=10, now_s=FAR_S)
        batches.send([item for n in range(10) for item in (batches.client("10.0.0.1"), batches.query("10.0.0.1", "a%d.example." % n),
            batches.pair("192.0.2.%d" % n, "10.0.0.1", "a%d.example." % n), batches.timeline("192.0.2.%d" % n))])
        batches.now_s += 60
        batches.send([batches.query("10.0.0.1", "b.example."), batches.pair("198.51.100.1", "10.0.0.1", "b.example.")])
        assert store.exists(key("name", "*other", "clients")) and store.exists(key("pair", "*other")), "all are younger than ten minutes"
        batches.now_s += 900
        batches.send([item for n in range(12) for item in (batches.query("10.0.0.1", "c%d.example." % n), batches.pair("198.51.100.%d" % n, "10.0.0.1", "c%d.example." % n))])
        known = set(store.zrange(key("names"), 0, -1)) - {"*other"}
        assert len(known) == 10 and sum(name.startswith("c") for name in known) == 8, "eight make room in one call"
        meta = store.hgetall(key("meta"))
        assert meta["removed_names"] == "8" and meta["removed_addresses"] == "8"
        assert len(list(store.scan_iter(key("pair", "192.0.2.*")))) == 2 == len(list(store.scan_iter(key("timeline", "192.0.2.*"))))
        asked = sum(sum(scores(store, "name", name, "clients").values()) for name in known | {"*other"})
        assert asked == 10 + 1 + 12 - 8

    def test_zone_clients(self, store):
        batches = Batches(store, clients=5, now_s=FAR_S)
        for n in range(5):
            batches.send([batches.hit("teredo", "10.0.0.%d" % n, 2)])
            batches.now_s += 3 * HOUR_S
        batches.send([batches.client("10.0.1.%d" % n) for n in range(5)] + [batches.hit("teredo", "10.0.1.%d" % n) for n in range(5)])
        hits = scores(store, "watch", "teredo")
        assert sum(hits.values()) == 15 and len(hits) <= 6 and "10.0.1.0" in hits and "10.0.0.0" not in hits
        assert len(scores(store, "watch", "teredo", "last")) <= 6

    def test_retention_ends(self, store):
        """What is forgotten is forgotten by client; the sum is not."""
        batches = Batches(store, now_s=FAR_S)
        batches.send([batches.client("10.0.0.1", queries=4), batches.query("10.0.0.1", "a.example.", 4)])
        batches.now_s += 31 * 86400
        batches.send([batches.client("10.0.0.2", queries=2)])
        assert clients_of(store) >= {"10.0.0.2"} and "10.0.0.1" not in clients_of(store)
        assert scores(store, "clients", "queries") == {"*other": 4, "10.0.0.2": 2}
        assert counters(store, "*other") == {"queries": 4}
        assert time.time() + store.ttl(key("client", "*other")) > batches.now_s + 29 * 86400, "the sum outlives the client that it is of"
        assert not store.exists(key("name", "a.example.", "clients")) or store.ttl(key("name", "a.example.", "clients")) > -1
        assert "a.example." not in scores(store, "names")


    def test_what_expired_first_is_folded_too(self, store):
        """Nobody was there when the retention ended: the client's own keys are gone, its places in the rankings are not."""
        batches = Batches(store, now_s=FAR_S)
        batches.send([batches.client("10.0.0.1", queries=4, watched=1)])
        store.delete(key("client", "10.0.0.1"))
        batches.now_s += 31 * 86400
        batches.send([batches.client("10.0.0.2", queries=2)])
        assert clients_of(store) - {"*other"} == {"10.0.0.2"}
        assert scores(store, "clients", "queries") == {"*other": 4, "10.0.0.2": 2}
        assert scores(store, "clients", "watched") == {"*other": 1}
        assert counters(store, "*other") == {"queries": 4, "watched": 1}


# --- heavy hitters ---

class Tops:
    """Sends names of a day, or rules of a zone, with a truth kept beside."""

    def __init__(self, store, most, now_s=FAR_S, family="top"):
        self.store, self.most, self.truth, self.family = store, most, collections.Counter(), family
        self.batches = Batches(store, top=most, now_s=now_s)
        self.of = FAR_DAY if family == "top" else "list"

    def item(self, name, count):
        return self.batches.top(name, count) if self.family == "top" else self.batches.rule("list", name, count)

    def send(self, asked):
        asked = list(asked.items())
        for start in range(0, len(asked), 45):
            self.batches.send([self.item(name, count) for name, count in asked[start:start + 45]])
        self.truth.update(dict(asked))

    def check(self):
        counted, estimates = scores(self.store, self.family, self.of), scores(self.store, self.family, self.of, "estimate")
        total, missed = sum(self.truth.values()), int(self.store.hget(key(self.family, self.of, "error"), "missed") or 0)
        assert sum(counted.values()) == total, "the sum is exact"
        assert set(counted) - {"*other"} == set(estimates) and len(estimates) <= self.most
        for name, estimate in estimates.items():
            assert counted[name] <= self.truth[name] <= estimate + missed
            assert estimate - counted[name] <= total / self.most, "the error is at most N/K"
        for name, count in self.truth.items():
            assert count <= total / self.most or name in estimates, "%s, asked %d times, is missing" % (name, count)
        return counted, estimates


@pytest.mark.parametrize("family", ["top", "rules"])
def test_top_names_zipf(store, family):
    tops, chance = Tops(store, 50, family=family), random.Random(7)
    weights = [1 / (rank + 1) for rank in range(3000)]
    for _ in range(40):
        tops.send(collections.Counter("n%d.example." % name for name in chance.choices(range(3000), weights, k=400)))
    counted, estimates = tops.check()
    assert max(estimates, key=estimates.get) == "n0.example." and store.ttl(key(family, tops.of, "estimate")) > 0


@pytest.mark.parametrize("family", ["top", "rules"])
def test_top_names_that_come_late(store, family):
    """All places are taken by names asked once or twice; then one is asked often."""
    tops = Tops(store, 50, family=family)
    for start in range(0, 2000, 100):
        tops.send({"r%d.example." % n: 1 + n % 2 for n in range(start, start + 100)})
    tops.send({"late.example.": 500})
    counted, estimates = tops.check()
    assert counted["late.example."] == 500 and estimates["late.example."] - 500 <= 3000 / 50
    assert int(store.hget(key("meta"), "dropped_" + family)) >= 1900


def test_top_names_says_what_is_not_certain(store, redis_server, folder, nsd):
    batches = Batches(store, top=2)
    batches.send([batches.top("a.example.", 90), batches.top("b.example.", 5)])
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url)
    assert "AT MOST" not in daemon.run("top", "names")
    assert daemon.json("top", "names")["rows"] == [{"name": "a.example.", "queries": 90}, {"name": "b.example.", "queries": 5}]
    batches.send([batches.top("c.example.", 7), batches.top("*other", 4, 1)])
    assert daemon.json("top", "names")["rows"] == [{"name": "a.example.", "queries": 90, "at_most": 91}, {"name": "*other", "queries": 9},
        {"name": "c.example.", "queries": 7, "at_most": 13}]
    text = daemon.run("top", "names")
    assert "AT MOST" in text and "13" in text


def test_rules_live_as_long_as_their_zone_is_hit(store):
    """Until pair-retention after the last hit of any rule, all three keys together."""
    batches = Batches(store, now_s=FAR_S, pair_retention_s=86400)
    batches.send([batches.rule("list", "a.example."), batches.rule("list", "*other", 2)])
    batches.now_s += 7200
    batches.send([batches.rule("list", "b.example.")])
    ends = {int(store.execute_command("EXPIRETIME", key("rules", "list", *part))) for part in ((), ("estimate",), ("error",))}
    assert ends == {FAR_S + 7200 + 86400}
    assert scores(store, "rules", "list") == {"a.example.": 1, "b.example.": 1, "*other": 2}


def test_told_a_teredo_server(store):
    """The first and the last time and the last server, in whatever order batches come; a client that is not known yet becomes known."""
    batches = Batches(store)
    now = batches.now_ms

    def told():
        return store.hmget(key("client", "192.0.2.7"), "told_teredo", "told_teredo_last", "told_teredo_server")
    batches.send([batches.told("192.0.2.7", "198.51.100.1", now - 5000, now - 4000)])
    assert told() == [str(now - 5000), str(now - 4000), "198.51.100.1"] and store.ttl(key("client", "192.0.2.7")) > 0
    batches.send([batches.client("192.0.2.7"), batches.told("192.0.2.7", "198.51.100.2", now - 9000, now - 8000)])
    assert told() == [str(now - 9000), str(now - 4000), "198.51.100.1"]
    batches.send([batches.told("192.0.2.7", "198.51.100.3", now - 3000, now - 1000), batches.told("*other", "198.51.100.4")])
    assert told() == [str(now - 9000), str(now - 1000), "198.51.100.3"]
    assert not store.hexists(key("client", "*other"), "told_teredo")
    assert store.hget(key("client", "192.0.2.7"), "queries") == "1" and store.ttl(key("client", "192.0.2.7")) > 0


def test_told_a_teredo_server_is_not_folded(store):
    """Who makes room leaves its counters to *other, and not what it was told."""
    batches = Batches(store, clients=1)
    batches.send([batches.client("192.0.2.7"), batches.told("192.0.2.7", "198.51.100.1")])
    batches.now_s += 10000
    batches.send([batches.client("192.0.2.8")])
    other = store.hgetall(key("client", "*other"))
    assert other["queries"] == "1" and not [field for field in other if field.startswith("told")]
    assert not store.exists(key("client", "192.0.2.7"))


def test_top_names_of_version_1_batches(store):
    """A batch that lay in the journal while the daemon was replaced."""
    batches = Batches(store, now_s=FAR_S)
    batches.send([["d", batches.hour // 24, "old.example.", 3], ["d", batches.hour // 24, "*other", 2]])
    assert scores(store, "top", FAR_DAY) == {"old.example.": 3, "*other": 2}
    assert scores(store, "top", FAR_DAY, "estimate") == {"old.example.": 3}


# --- memory ---

def test_little_memory(store):
    """A flood into a Redis that is nearly full: the detail stops growing, no write is refused, the sums stay exact, and afterwards there is room again."""
    store.config_set("maxmemory", int(store.info("memory")["used_memory"]) + (5 << 20))
    batches, asked, known = Batches(store), 0, ["10.9.0.%d" % n for n in range(5)]
    batches.send([batches.client(client, queries=10) for client in known] + [batches.total(queries=50)])
    asked += 50
    for start in range(0, 12000, 25):
        flood = range(start, start + 25)
        batches.send([batches.client("10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255)) for n in flood]
            + [batches.query("10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255), "%032x.example." % n) for n in flood]
            + [batches.pair("198.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255), "10.9.0.1", "%032x.example." % n) for n in flood[:5]]
            + [batches.top("%032x.example." % n) for n in flood] + [batches.line("x", '{"n":%d,"x":"%s"}' % (start, "x" * 300))]
            + [batches.client(known[start // 25 % 5]), batches.total(queries=26)])
        asked += 26
    meta = store.hgetall(key("meta"))
    assert int(meta["queries"]) == asked
    assert 1 <= int(meta["pressure"]) <= 2 and float(meta["memory_used"]) < float(meta["memory_max"])
    assert sum(scores(store, "clients", "queries").values()) == asked
    assert sum(int(store.hget(name, "queries") or 0) for name in store.scan_iter(key("hour", "*")) if name.count(":") == 3) == asked
    assert sum(sum(int(score) for _, score in store.zrange(name, 0, -1, withscores=True)) for name in store.scan_iter(key("hour", "*", "queries"))) == asked
    top = [name for name in store.scan_iter(key("top", "*")) if name.count(":") == 3]
    assert sum(int(score) for name in top for _, score in store.zrange(name, 0, -1, withscores=True)) == 12000
    assert all(counters(store, client)["queries"] == 10 + 12000 / 25 / 5 for client in known), "clients that were known are counted on"
    assert int(meta["dropped_clients"]) > 0 and int(meta["dropped_names"]) > 0 and int(meta["trimmed"]) > 0
    store.config_set("maxmemory", 0)
    for _ in range(9):
        batches.send([batches.client("10.8.0.1")])
    assert store.hget(key("meta"), "pressure") == "0" and "10.8.0.1" in clients_of(store)


def test_full_memory_makes_room(store):
    """Redis is full already, by its own measure: the oldest detail goes, and the batch is applied in the same call."""
    batches = Batches(store)
    for start in range(0, 500, 50):
        batches.send([batches.query("10.0.0.1", "%064x.example." % n) for n in range(start, start + 50)])
    store.config_set("maxmemory", int(store.info("memory")["used_memory"]) - 60000)
    names = store.zcard(key("names"))
    batches.send([batches.client("10.0.0.1", queries=500)])
    assert store.zcard(key("names")) < names
    assert counters(store, "10.0.0.1") == {"queries": 500} or counters(store, "*other") == {"queries": 500}


def test_short_memory_keeps_known_clients(store):
    """Who is known is counted under its own name in every hour that comes; when nothing else is left, an old hour gives up its clients."""
    batches, known = Batches(store), ["10.0.0.%d" % n for n in range(20)]
    old = batches.hour - 48
    batches.send([batches.client(client, hour=hour, watched=1) for client in known for hour in (old, old + 1)])
    store.config_set("maxmemory", int(store.info("memory")["used_memory"]) + (1 << 20)) # what the script takes for full
    for _ in range(9):
        batches.send([batches.client(client, watched=1) for client in known])
    assert store.hget(key("meta"), "pressure") == "2"
    now = str(datetime.datetime.utcfromtimestamp(batches.now_s).strftime("%Y%m%d%H"))
    for counter in ("queries", "watched"):
        assert scores(store, "hour", now, counter) == {client: 9 for client in known}
    batches.now_s += 3600
    batches.send([batches.client(client) for client in known])
    next_hour = datetime.datetime.utcfromtimestamp(batches.now_s).strftime("%Y%m%d%H")
    assert scores(store, "hour", next_hour, "queries") == {client: 1 for client in known}
    assert store.hget(key("meta"), "trimmed_hours") == "2"
    assert not [name for name in store.scan_iter(key("hour", "*", "queries")) if name.split(":")[-2] not in (now, next_hour)]
    assert all(counters(store, client)["queries"] == 12 for client in known)


# --- versions ---

def load_version_1(store):
    """What was recorded on 2026-11-22, as if that had been yesterday: nothing of it is so old that it would go."""
    recorded, recorded_hour = 20779, 498696
    day = int(time.time() // 86400) - 1
    text = time.strftime("%Y%m%d", time.gmtime(day * 86400))

    def moved(word):
        word = re.sub(r"\b1795312\d{6}\b", lambda ms: str(int(ms.group()) + (day - recorded) * 86400000), word)
        word = re.sub(r"\b%d\b" % recorded_hour, str(recorded_hour + (day - recorded) * 24), word)
        return re.sub(r"\b20261122", text, word)
    with open(os.path.join(harness.SOURCE, "tests", "data", "redis-schema-1.jsonl")) as lines:
        for line in lines:
            store.execute_command(*map(moved, json.loads(line)))


def test_data_of_version_1(redis_server, teredown, nsd):
    """The next daemon migrates what an older one wrote, and counts on."""
    store = redis_server.client()
    load_version_1(store)
    before = {name: store.hgetall(key("client", name)) for name in clients_of(store)}
    days = [name for name in store.scan_iter(key("top", "*"))]
    assert len(days) == 1 and store.hget(key("meta"), "schema") == "1"
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    until(lambda: store.hget(key("meta"), "schema") == "2", "the data are migrated")
    daemon.ask("h1.example.org", source="127.0.20.1")
    daemon.until_counted(1)
    fixture_day = days[0].rsplit(":", 1)[1]
    today = datetime.datetime.utcnow().strftime("%Y%m%d")
    if fixture_day != today:
        assert scores(store, "top", fixture_day, "estimate") == scores(store, "top", fixture_day)
    assert 0 < store.ttl(days[0] + ":estimate") <= store.ttl(days[0])
    assert int(store.hget(key("client", "127.0.20.1"), "queries")) == int(before["127.0.20.1"]["queries"]) + 1
    assert int(store.hget(key("meta"), "queries")) >= 77 and not store.hexists(key("meta"), "migrated")
    for client in set(before) - {"127.0.20.1", "127.9.9.9"}:
        assert store.hgetall(key("client", client)) == before[client]


def test_migration_goes_in_steps(store):
    """Each step is small; cut short, it goes on where it was."""
    batches = Batches(store)
    store.hset(key("meta"), mapping={"schema": 1, "queries": 1})
    now_day = int(float(store.time()[0]) // 86400)
    days = [(datetime.date(1970, 1, 1) + datetime.timedelta(days=now_day - back)).strftime("%Y%m%d") for back in (0, 1, 5)]
    truth = {}
    for back, day in enumerate(days):
        truth[day] = {"n%d.example." % n: n + 1 for n in range(2000 if back == 0 else 30)}
        store.zadd(key("top", day), dict(truth[day], **{"*other": 77}))
        store.expire(key("top", day), 1000)
    steps = 0
    while batches.lease()[1] == 1:
        steps += 1
        assert store.hget(key("meta"), "schema") == "1"
        with pytest.raises(redis.exceptions.ResponseError, match="migrated first"):
            batches.call(*batches.words([]))
        if steps == 3:
            assert 0 < store.zcard(key("top", days[0], "estimate")) < 2000
    assert steps >= 7 and store.hget(key("meta"), "schema") == "2"
    for day in days:
        assert scores(store, "top", day, "estimate") == truth[day]
        assert store.hget(key("top", day, "error"), "missed") == "77", "any name may be under *other"
        assert 0 < store.ttl(key("top", day, "estimate")) <= 1000
    assert batches.lease()[1] == 0


def test_data_of_a_newer_version(redis_server, teredown, nsd):
    """Nothing is written, and the status says why."""
    store = redis_server.client()
    store.hset(key("meta"), "schema", 3)
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    daemon.ask("www.example.org")
    until(lambda: "newer schema" in daemon.status()["redis_error"], "the status says that the schema is newer")
    assert [name for name in store.scan_iter() if name != "teredown:resolvers"] == [key("meta")] and store.hgetall(key("meta")) == {"schema": "3"}
    batches = Batches(store)
    for call in (batches.lease, lambda: batches.send([])):
        with pytest.raises(redis.exceptions.ResponseError, match="NEWER it holds data of schema version 3"):
            call()
