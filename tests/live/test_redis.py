# SPDX-License-Identifier: BSD-3-Clause
"""What stands in Redis, read back with a Redis client of the tests' own; and that DNS does not notice when Redis is away."""

import json
import os
import signal
import time

import pytest
import redis

import harness
import wire
from batches import Batches
from harness import addresses_of, key, udp_socket, until

TEREDO = "teredo.ipv6.microsoft.com"
SERVER = "65.55.158.118"
OUTCOMES = ("noerror", "nodata", "nxdomain", "servfail", "refused", "other")


def fields_of(store, client):
    """The counters of a client, those that are zero too."""
    fields = {name: int(value) for name, value in store.hgetall(key("client", client)).items() if value.isdigit()}
    return {name: fields.get(name, 0) for name in ("queries", "watched", "blocked", "cached", "forwarded", "local", "truncated", "tcp") + OUTCOMES}


class TestKeys:
    """One client asks a known list of questions; every key of the schema is then what these questions make it."""
    CLIENT = "127.0.13.1"

    @pytest.fixture(scope="class")
    def recorded(self, nsd):
        from conftest import _Daemons
        daemons = _Daemons()
        daemon = daemons(nsd.endpoint, redis="embedded")
        until(lambda: daemon.store().exists(key("meta")), "teredownd has written to Redis")
        asked = dict(source=self.CLIENT)
        started_ms = int(time.time() * 1000)
        for _ in range(3):
            daemon.ask("www.example.org", **asked)
        daemon.ask("nosuch.example.org", **asked)
        daemon.ask("www.example.org", "MX", **asked)
        daemon.ask(TEREDO, **asked)
        daemon.ask(TEREDO, tcp=True, **asked)
        daemon.ask("localhost", **asked)
        daemon.ask("many.example.org", use_edns=False, **asked)
        daemon.ask("tunnel.example.org", "AAAA", **asked) # an address of Teredo is a hit as well
        with udp_socket(daemon.port, source=self.CLIENT) as sock:
            sock.send(wire.header(1, wire.RD, 2) + wire.question("www.example.org", wire.A) * 2)
            assert wire.parse(sock.recv(512)).rcode == wire.FORMERR
            sock.send(wire.query(2, "www.example.org", flags=wire.QR))
        daemon.run("block", "on")
        daemon.ask(TEREDO, **asked)
        daemon.run("block", "off")
        daemon.ask("www.example.org", source="127.0.13.2")
        daemon.until_counted(13)
        yield daemon.store(), started_ms
        daemons.end()

    @pytest.fixture
    def store(self, recorded):
        return recorded[0]

    def test_client(self, store):
        assert fields_of(store, self.CLIENT) == {
            "queries": 12, "noerror": 7 + 1, "nodata": 1, "nxdomain": 1 + 1, "servfail": 0, "refused": 0, "other": 1,
            "watched": 3, "blocked": 1, "cached": 3, "forwarded": 6, "local": 2, "truncated": 1, "tcp": 1}

    def test_outcomes_add_up(self, store):
        for client in (self.CLIENT, "127.0.13.2"):
            fields = fields_of(store, client)
            assert sum(fields[name] for name in OUTCOMES) == fields["queries"]
            assert fields["cached"] + fields["forwarded"] + fields["local"] + fields["blocked"] == fields["queries"]

    def test_times(self, recorded):
        store, started_ms = recorded
        fields = store.hgetall(key("client", self.CLIENT))
        assert started_ms - 1000 <= int(fields["first_seen"]) <= int(fields["last_seen"]) <= int(time.time() * 1000) + 1000
        assert store.zscore(key("clients"), self.CLIENT) == int(fields["last_seen"])

    def test_names_of_the_client(self, store):
        names = dict(store.zrange(key("client", self.CLIENT, "names"), 0, -1, withscores=True))
        # Whether the refused query with two questions counts for the first one's name is left open.
        assert names.pop("www.example.org.") in (4, 5)
        assert names == {"nosuch.example.org.": 1, TEREDO + ".": 3, "localhost.": 1, "many.example.org.": 1,
            "tunnel.example.org.": 1}

    def test_clients_by_counter(self, store):
        assert store.zscore(key("clients", "queries"), self.CLIENT) == 12
        assert store.zscore(key("clients", "watched"), self.CLIENT) == 3
        assert store.zscore(key("clients", "blocked"), self.CLIENT) == 1
        assert store.zrevrange(key("clients", "queries"), 0, 0) == [self.CLIENT]
        assert store.zscore(key("clients", "watched"), "127.0.13.2") is None

    def test_hours(self, store):
        hours = [name for name in store.scan_iter(match=key("hour", "*")) if name.count(":") == 3]
        assert hours and all(len(name.split(":")[-1]) == 10 for name in hours)
        assert sum(int(store.hget(name, "watched") or 0) for name in hours) == 3
        watched = [store.zscore(name + ":watched-names", "%s %s." % (self.CLIENT, TEREDO)) for name in hours]
        assert sum(score or 0 for score in watched) == 3
        assert all(store.ttl(name) > 0 for name in hours), "an hour has a retention"

    def test_watch(self, store):
        assert store.zrange(key("watch", "teredo"), 0, -1, withscores=True) == [(self.CLIENT, 4)]
        assert [client for client, _ in store.zrange(key("watch", "teredo", "last"), 0, -1, withscores=True)] == [self.CLIENT]

    def test_pairs(self, store):
        pairs = store.hgetall(key("pair", SERVER))
        assert list(pairs) == ["%s %s." % (self.CLIENT, TEREDO)]
        first, last, count, owner = pairs["%s %s." % (self.CLIENT, TEREDO)].split(" ")
        assert int(first) <= int(last) and count == "2" and owner == TEREDO + ".nsatc.net."
        assert set(store.hgetall(key("pair", "192.0.2.1"))) == {"127.0.13.1 www.example.org.", "127.0.13.2 www.example.org."}

    def test_names(self, store):
        assert store.zrange(key("name", TEREDO + "."), 0, -1) == [SERVER]
        # Blocked questions are asked as well.
        assert store.zrange(key("name", TEREDO + ".", "clients"), 0, -1, withscores=True) == [(self.CLIENT, 3)]

    def test_timeline(self, store):
        assert sum(int(count) for field, count in store.hgetall(key("timeline", SERVER)).items() if field.endswith(":dns")) == 2

    def test_transactions(self, store):
        records = sorted((json.loads(fields["json"]) for _, fields in store.xrange(key("transactions"))), key=lambda record: record["ts"])
        assert [record["action"] for record in records] == ["watch", "watch", "watch", "block"]
        assert all(record["client"] == self.CLIENT and record["policy"] == "teredo" for record in records)
        assert records[0]["addresses"] == [SERVER] and records[3]["rcode"] == "NXDOMAIN"

    def test_events(self, store):
        text = json.dumps(store.xrange(key("events")))
        assert self.CLIENT in text and "mode" in text

    def test_resolver(self, store):
        assert store.smembers("teredown:resolvers") == {harness.RESOLVER}
        meta = store.hgetall(key("meta"))
        assert meta["schema"] == "2" and meta["boot"] and int(meta["last_batch"]) >= 1 and int(meta["recording_since"]) > 0
        assert store.hget(key("applied"), meta["boot"]) == meta["last_batch"]

    def test_top(self, store):
        top = {}
        for name in store.scan_iter(match=key("top", "????????")):
            for member, score in store.zrange(name, 0, -1, withscores=True):
                top[member] = top.get(member, 0) + int(score)
        assert top["www.example.org."] in (5, 6) and top[TEREDO + "."] == 3

    def test_all_keys_in_one_slot(self, store):
        """The hash tag {R} holds everything of one resolver together in a Redis Cluster."""
        strangers = [name for name in store.scan_iter() if not name.startswith(key("")) and name != "teredown:resolvers"]
        assert strangers == []


def test_embedded_socket_is_private(teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="embedded")
    path = os.path.join(daemon.state, "redis.sock")
    until(lambda: daemon.store().ping(), "embedded Redis answers")
    config = {name: daemon.store().config_get(name)[name] for name in ("port", "appendonly", "maxmemory", "maxmemory-policy")}
    assert config["port"] == "0" and config["appendonly"] == "yes" and int(config["maxmemory"]) > 0 and config["maxmemory-policy"] == "noeviction"
    assert os.stat(path).st_mode & 0o077 == 0 or os.stat(daemon.state).st_mode & 0o077 == 0


def test_embedded_keeps_over_a_restart(folder, nsd):
    """Counts are there after SIGTERM and a new start, and go on; Redis ends with its daemon."""
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis="embedded").start()
    for _ in range(5):
        daemon.ask("www.example.org", source="127.0.14.1")
    daemon.stop()
    with pytest.raises(redis.exceptions.ConnectionError):
        daemon.store().ping()
    daemon.start()
    daemon.ask("www.example.org", source="127.0.14.1")
    until(lambda: fields_of(daemon.store(), "127.0.14.1")["queries"] == 6, "six queries counted over a restart")
    assert len(daemon.store().hgetall(key("applied"))) == 2
    daemon.stop()


def test_embedded_is_restarted(teredown, nsd):
    """Its redis-server killed: the keeper starts it again, and nothing counted is lost but what Redis had not yet written."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    daemon.ask("www.example.org", source="127.0.14.2")
    until(lambda: fields_of(daemon.store(), "127.0.14.2")["queries"] == 1, "one query counted")
    pid = int(daemon.store().info()["process_id"])
    os.kill(pid, signal.SIGKILL)
    daemon.ask("www.example.org", source="127.0.14.3")
    until(lambda: int(daemon.store().info()["process_id"]) != pid, "another redis-server")
    until(lambda: fields_of(daemon.store(), "127.0.14.3")["queries"] == 1, "the query asked meanwhile is counted")


def test_embedded_is_adopted(folder, nsd):
    """A daemon killed with SIGKILL: the next one has what Redis had, whether its Redis outlived it or not."""
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis="embedded").start()
    daemon.ask("www.example.org", source="127.0.14.4")
    until(lambda: fields_of(daemon.store(), "127.0.14.4")["queries"] == 1, "one query counted")
    daemon.kill()
    daemon.start()
    daemon.ask("www.example.org", source="127.0.14.4")
    until(lambda: fields_of(daemon.store(), "127.0.14.4")["queries"] == 2, "two queries counted")
    # The keeper of the daemon that was killed may only now end its Redis, under our hands.
    pid = until(lambda: int(daemon.store().info()["process_id"]), "a redis-server answers")
    daemon.stop()
    until(lambda: not os.path.exists("/proc/%d" % pid) or "Z" in open("/proc/%d/stat" % pid).read().split(")")[1][:3], "redis-server has ended")


def test_off(teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="off", query_log="all")
    assert addresses_of(daemon.ask(TEREDO)) == [SERVER]
    until(lambda: [record for record in daemon.records() if record["query"] == TEREDO + "."], "the record without Redis")
    assert "off" in json.dumps(daemon.status()).lower()
    assert not os.path.exists(os.path.join(daemon.state, "redis.sock"))
    for words in (("who", SERVER), ("top",)):
        done = daemon.command(*words)
        assert "redis" in (done.stdout + done.stderr).lower(), "an empty answer says why it is empty"


@pytest.mark.timed
@pytest.mark.parametrize("how", ["stopped", "killed", "never there"])
def test_redis_away_does_not_delay(redis_server, teredown, nsd, how):
    """Answers come as quickly as ever, the counts wait, and arrive exactly once when Redis is back."""
    if how == "never there":
        redis_server.kill()
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    client = "127.0.15.1"
    if how != "never there":
        daemon.ask("www.example.org", source=client)
        until(lambda: fields_of(redis_server.client(), client)["queries"] == 1, "one query counted")
        if how == "stopped":
            redis_server.send(signal.SIGSTOP)
        else:
            redis_server.kill()
    asked, slowest = 0, 0.0
    with udp_socket(daemon.port, source=client) as sock:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            started = time.monotonic()
            sock.send(wire.query(asked & 0xFFFF, "h%d.example.org" % (asked % 500)))
            assert wire.parse(sock.recv(4096)).rcode == wire.NOERROR
            slowest = max(slowest, time.monotonic() - started)
            asked += 1
    # Far above what an answer takes on a machine shared with others, far below any timeout of Redis.
    assert slowest < 0.5, "slowest answer %.3f s" % slowest
    until(lambda: harness.number(daemon.status(), "queries_waiting") >= asked, "the counts wait")
    if how == "stopped":
        redis_server.send(signal.SIGCONT)
    else:
        redis_server.start()
    total = asked + (how != "never there")
    until(lambda: fields_of(redis_server.client(), client)["queries"] >= total, "the counts have arrived", 30)
    daemon.until_counted(total)
    assert fields_of(redis_server.client(), client)["queries"] == total
    until(lambda: sum(score for _, score in redis_server.client().zrange(key("client", client, "names"), 0, -1, withscores=True)) == total,
        "the names of the client add up to %d" % total)


def gauges_of(store):
    return {name[len("gauge_"):]: value for name, value in store.hgetall(key("meta")).items() if name.startswith("gauge_")}


def test_gauges_of_sections(redis_server, teredown, upstream):
    """Servers of sections are counted and told like others."""
    silent = "127.0.0.1:%d" % harness.free_port()
    server = upstream(lambda packet, asked, tcp: [(0, wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa("", 300, 60)]))])
    daemon = teredown(server.endpoint, redis=redis_server.url, forwards={"corp.example": {"upstream": [silent]}}, upstream_timeout="1s")
    for number in range(6):
        daemon.ask("n%d.corp.example" % number)
    until(lambda: daemon.json("status")["forward"][0]["state"] == "backoff", "the server of the section is seen to be gone")
    daemon.stop()
    gauges = gauges_of(redis_server.client())
    assert gauges["upstreams_state"] == "%s=ok %s=backoff" % (server.endpoint, silent)
    assert (gauges["upstreams"], gauges["upstreams_failing"]) == ("2", "1")


def test_gauges(redis_server, teredown, nsd):
    """What the daemon says of itself stands in Redis while it runs and, to the last query, after it has stopped; and what another boot left in
    the journal does not replace it."""
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    store = redis_server.client()
    for _ in range(4):
        daemon.ask("www.example.org", source="127.0.13.1")
    with udp_socket(daemon.port) as sock:
        sock.send(b"short")
    # Told every ten seconds.
    until(lambda: gauges_of(store).get("dropped_malformed") == "1", "the gauges are those of now", 30)
    gauges, status = gauges_of(store), daemon.status()
    for name in ("answered", "pending", "cache_hits", "cache_misses", "cache_entries", "cache_bytes", "dropped_overload", "workers"):
        assert int(gauges[name]) == status[name], name
    assert gauges["upstreams"] == "1" and gauges["upstreams_failing"] == "0" and gauges["upstreams_state"] == "%s=ok" % status["upstream"][0]["address"]
    for name in ("latency_cached", "latency_forwarded"):
        assert [int(number) for number in gauges[name].split()] == status[name]["counts"] + [status[name]["sum_us"]]
    meta = store.hgetall(key("meta"))
    assert int(gauges["at"]) >= int(meta["started"])
    row = daemon.json("status", "--fleet")["resolvers"][0]
    assert (row["unanswered"], row["cache_hits"], row["cache_misses"], row["upstreams"]) == (1, status["cache_hits"], status["cache_misses"], 1)
    assert row["latency"] == {"cached": status["latency_cached"], "forwarded": status["latency_forwarded"]}
    daemon.ask("nosuch.example.org", source="127.0.13.1")
    daemon.stop()
    gauges = gauges_of(store)
    assert (int(gauges["received"]), int(gauges["answered"]), int(gauges["pending"])) == (status["received"] + 1, status["answered"] + 1, 0)
    assert not store.hexists(key("meta"), "lease_until")

    batches = Batches(store)
    batches.number = 1
    words = batches.words([batches.client("127.0.13.1"), batches.gauges(received=1)])
    words[1] = meta["boot"]
    assert batches.call(*words)[0] == "applied"
    assert gauges_of(store) == gauges


def test_redis_emptied_by_hand(redis_server, teredown, nsd):
    """History is lost, counting goes on."""
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    daemon.ask("www.example.org", source="127.0.15.2")
    until(lambda: fields_of(redis_server.client(), "127.0.15.2")["queries"] == 1, "one query counted")
    redis_server.client().flushall()
    for _ in range(3):
        daemon.ask("www.example.org", source="127.0.15.2")
    until(lambda: fields_of(redis_server.client(), "127.0.15.2")["queries"] == 3, "three queries counted")


def test_killed_with_a_batch_on_its_way(redis_server, folder, nsd):
    """Redis does not answer, and the daemon is killed: its frozen batch is on disk, and the next daemon sends it, whether Redis took it or not;
    what is in no batch yet is in memory that outlives it."""
    client, total = "127.0.15.3", 0
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url)
    for taken in (True, False):
        daemon.start()
        for _ in range(4):
            daemon.ask("www.example.org", source=client)
        total += 4
        until(lambda: fields_of(redis_server.client(), client)["queries"] == total, "%d queries counted" % total)
        daemon.until_counted(4)
        redis_server.send(signal.SIGSTOP)
        for _ in range(3):
            daemon.ask("www.example.org", source=client)
        until(lambda: harness.number(daemon.status(), "journal_waiting") == 1, "a batch is frozen")
        until(lambda: harness.number(daemon.status(), "queries_waiting") == 3, "three queries wait")
        daemon.kill()
        if taken:
            redis_server.send(signal.SIGCONT)
        else:
            redis_server.kill()
            redis_server.start()
        daemon.start()
        daemon.ask("www.example.org", source="127.0.15.4")
        daemon.until_counted(1)
        until(lambda: harness.number(daemon.status(), "journal_waiting") == 0, "nothing waits in the journal")
        total += 3
        assert fields_of(redis_server.client(), client)["queries"] == total
        daemon.stop()


def test_stopped_while_redis_is_away(redis_server, folder, nsd):
    """What waits at a clean stop is on disk, private, and counted by the next daemon, once."""
    client = "127.0.15.5"
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url).start()
    daemon.ask("www.example.org", source=client)
    daemon.until_counted(1)
    redis_server.kill()
    for number in range(300):
        daemon.ask("h%d.example.org" % number, source=client)
    daemon.stop()
    assert "300 answered queries wait there" in daemon.log()
    assert "could not be stored" not in daemon.log()
    journal = os.path.join(daemon.state, "journal")
    assert os.stat(journal).st_mode & 0o077 == 0
    assert all(os.stat(os.path.join(journal, name)).st_mode & 0o177 == 0 for name in os.listdir(journal))
    redis_server.start()
    for _ in range(2):
        daemon.start()
        until(lambda: fields_of(redis_server.client(), client)["queries"] == 301, "301 queries counted")
        until(lambda: harness.number(daemon.status(), "journal_waiting") == 0, "nothing waits in the journal")
        daemon.stop()
    assert fields_of(redis_server.client(), client)["queries"] == 301
    names = redis_server.client().zrange(key("client", client, "names"), 0, -1, withscores=True)
    assert sum(score for _, score in names) == 301


def test_two_of_one_name(redis_server, teredown, nsd):
    """The second writes nothing while the first lives, says why, and goes on counting."""
    first = teredown(nsd.endpoint, redis=redis_server.url)
    first.ask("www.example.org", source="127.0.15.6")
    first.until_counted(1)
    second = teredown(nsd.endpoint, redis=redis_server.url)
    second.ask("www.example.org", source="127.0.15.7")
    until(lambda: "another daemon" in second.status()["redis_error"], "the second says that it is fenced")
    assert second.status()["redis"] == "away"
    assert "resolver-name" in second.log()
    first.ask("www.example.org", source="127.0.15.6")
    first.until_counted(2)
    assert not redis_server.client().exists(key("client", "127.0.15.7"))
    first.stop()
    second.until_counted(1, 30)
    assert fields_of(redis_server.client(), "127.0.15.7")["queries"] == 1
    assert fields_of(redis_server.client(), "127.0.15.6")["queries"] == 2


def test_hostile_names_in_redis_and_log(teredown, nsd):
    """Newline, quote, backslash, NUL, \\255: one field, one line, escaped as in presentation format (CVE-2026-0396)."""
    daemon = teredown(nsd.endpoint, redis="embedded", query_log="all")
    name = b"\x0aa\n\"\\\0\xff b.{\x07example\x03org\0"
    with udp_socket(daemon.port, source="127.0.15.3") as sock:
        sock.send(wire.header(3, wire.RD) + wire.question(name, wire.A))
        sock.recv(4096)
    text = r'a\010\"\\\000\255\032b\.{.example.org.'
    record = until(lambda: [record for record in daemon.records() if record["client"] == "127.0.15.3"], "the record")[0]
    assert record["query"] == text
    until(lambda: daemon.store().zrange(key("client", "127.0.15.3", "names"), 0, -1) == [text], "the name in Redis")


def test_shared_address_names_only_who_asked(teredown, nsd):
    """Two names share the address and two clients asked one each: never projected apart."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    daemon.ask(TEREDO, source="127.0.16.1")
    daemon.ask("shared.example.org", source="127.0.16.2")
    until(lambda: len(daemon.store().hgetall(key("pair", SERVER))) == 2, "two pairs")
    assert set(daemon.store().hgetall(key("pair", SERVER))) == {"127.0.16.1 %s." % TEREDO, "127.0.16.2 shared.example.org."}
