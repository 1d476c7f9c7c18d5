# SPDX-License-Identifier: BSD-3-Clause
"""The command line against a running daemon: what a person, and a program with --json, gets to see."""

import json
import re
import subprocess

import pytest

import harness
import wire
from harness import flatten, key, udp_socket, until
from load import Background, Load, loopback_clients

TEREDO = "teredo.ipv6.microsoft.com"
SERVER = "65.55.158.118"


@pytest.fixture
def daemon(teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="embedded")
    until(lambda: daemon.store().exists(key("meta")), "teredownd has written to Redis")
    return daemon


def ask_and_count(daemon, *questions):
    """Asks (name, client) each and waits until Redis has them."""
    for name, client in questions:
        daemon.ask(name, source=client)
    daemon.until_counted(len(questions))


class TestStatus:
    def test_keys(self, daemon):
        status = daemon.status()
        for name in ("received", "answered", "pending", "dropped_malformed", "cache_hits", "cache_misses", "coalesced", "zone", "redis",
                "queries_applied", "queries_waiting", "batches_waiting"):
            assert name in status, name
        assert isinstance(status["received"], int) and isinstance(status["zone"], list)
        zones = harness.zones_of(status)
        assert {"teredo", "6to4", "isatap", "tunnel-brokers", "special-use", "bypass"} <= set(zones)
        assert zones["teredo"]["mode"] == "watch" and zones["bypass"]["mode"] == "ignore"

    def test_for_people(self, daemon):
        text = daemon.run("status")
        assert harness.RESOLVER in text and "teredo" in text

    def test_conservation(self, daemon):
        """received = answered + dropped by reason + pending, of all that was sent."""
        before = harness.number(daemon.status(), "received")
        with udp_socket(daemon.port) as sock:
            for index in range(100):
                sock.send(wire.query(index, "h%d.example.org" % index))
                sock.recv(4096)
            for _ in range(10):
                sock.send(b"short")
            for _ in range(10):
                sock.send(wire.query(1, "x", flags=wire.QR))
            sock.send(wire.query(7, "www.example.org"))
            sock.recv(4096)
        status = until(lambda: (lambda status: status if harness.number(status, "received") == before + 121 else None)(daemon.status()), "121 queries received")
        received, accounted = harness.balance(status)
        assert received == accounted and harness.number(status, "pending") == 0
        assert harness.number(status, "dropped_malformed") == 20

    def test_latency(self, daemon):
        """Each answer is in one of two histograms: what waited for upstream, and what was told at once. UDP and TCP alike."""
        before = daemon.status()["latency_cached"]["count"]  # by which it was known to be up
        for tcp in (False, True):
            daemon.ask("took%d.example.org" % tcp, tcp=tcp)
            daemon.ask("took%d.example.org" % tcp, tcp=tcp)
            daemon.ask("localhost", tcp=tcp)
        def measured():
            status = daemon.status()
            cached, forwarded = status["latency_cached"], status["latency_forwarded"]
            return (cached, forwarded) if cached["count"] - before + forwarded["count"] >= 6 else None
        cached, forwarded = until(measured, "six answers are in the histograms")
        assert (cached["count"] - before, forwarded["count"]) == (4, 2)
        assert sum(cached["counts"]) == cached["count"] and len(cached["counts"]) == 23
        assert cached["sum_us"] > 0 and forwarded["sum_us"] > 0
        assert 0 < cached["p50_us"] <= cached["p90_us"] <= cached["p99_us"] < 10_000_000
        text = daemon.run("status")
        assert re.search(r"Answering took\n  at once, p50 +[0-9.]+ [um]s\n  at once, p90 .*\n  at once, p99 .*\n  waiting for upstream, p50 ", text)

    def test_no_latency_before_an_answer(self, daemon):
        assert "waiting for upstream, p50" not in daemon.run("status")
        assert daemon.status()["latency_forwarded"] == {"count": 0, "sum_us": 0, "p50_us": None, "p90_us": None, "p99_us": None, "counts": [0] * 23}

    def test_conservation_at_any_moment(self, daemon):
        load = Load(daemon.port, loopback_clients(8, "127.0.17.1"))
        plan = [(client, "u%d.example.org" % index, wire.A, index % 5 == 0, None) for index in range(500) for client in load.clients]
        with Background(load, plan, rate=1500) as background:
            for turn in range(25):
                seen = background.asked()
                until(lambda: background.asked() > seen, "more questions")
                status = daemon.status()
                received, accounted = harness.balance(status)
                assert received == accounted, status
                assert status["latency_cached"]["count"] + status["latency_forwarded"]["count"] == status["answered"]
        assert not load.unanswered


class TestWho:
    def test_address(self, daemon):
        """The first question of the project: which name is behind 65.55.158.118, and who asked?"""
        ask_and_count(daemon, (TEREDO, "127.0.18.1"), (TEREDO, "127.0.18.1"), ("www.example.org", "127.0.18.2"))
        words = flatten(daemon.json("who", SERVER))
        assert any(word.startswith(TEREDO) for word in words) and "127.0.18.1" in words and "2" in words
        assert not any("127.0.18.2" in word or "www.example.org" in word for word in words)
        text = daemon.run("who", SERVER)
        assert TEREDO in text and "127.0.18.1" in text and "127.0.18.2" not in text

    def test_shared_address(self, daemon):
        """Two names share the address, two clients asked one each: each client stands with its own question and no other."""
        ask_and_count(daemon, (TEREDO, "127.0.18.3"), ("shared.example.org", "127.0.18.4"))
        pairs = [set(words) for words in leaves(daemon.json("who", SERVER))]
        own = [words for words in pairs if "127.0.18.3" in words]
        other = [words for words in pairs if "127.0.18.4" in words]
        assert own and other
        assert all(TEREDO + "." in words and "shared.example.org." not in words for words in own)
        assert all("shared.example.org." in words and TEREDO + "." not in words for words in other)

    def test_name(self, daemon):
        ask_and_count(daemon, (TEREDO, "127.0.18.5"), ("www.example.org", "127.0.18.6"))
        words = flatten(daemon.json("who", TEREDO))
        assert SERVER in words and "127.0.18.5" in words and "127.0.18.6" not in words

    def test_client(self, daemon):
        ask_and_count(daemon, (TEREDO, "127.0.18.7"), ("www.example.org", "127.0.18.8"))
        words = flatten(daemon.json("who", "127.0.18.7"))
        assert any(word.startswith(TEREDO) for word in words) and not any(word.startswith("www.example.org") for word in words)

    def test_nothing_yet(self, daemon):
        """Nobody asked: it says since when it has been recording, what the address is known as, and which names lead there."""
        done = daemon.command("who", SERVER)
        assert "recording" in done.stdout.lower() and "teredo" in done.stdout.lower() and TEREDO in done.stdout
        done = daemon.command("who", "192.0.2.99")
        assert (done.stdout + done.stderr).strip(), "an empty answer says why it is empty"
        json.loads(daemon.command("who", SERVER, "--json").stdout)

    def test_blocked_question_is_known(self, daemon):
        daemon.run("block", "on")
        ask_and_count(daemon, (TEREDO, "127.0.18.9"))
        words = flatten(daemon.json("who", TEREDO))
        assert "127.0.18.9" in words and SERVER not in words


def leaves(value):
    """The scalar values of each innermost object."""
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    if not isinstance(value, dict):
        return []
    own = [str(item) for item in value.values() if not isinstance(item, (dict, list))]
    inner = [leaf for item in value.values() for leaf in leaves(item)]
    return inner + [own] if own else inner


class TestTop:
    @pytest.fixture
    def asked(self, daemon):
        ask_and_count(daemon, *[("www.example.org", "127.0.19.1")] * 5, *[(TEREDO, "127.0.19.2")] * 3, ("first.example.org", "127.0.19.2"))
        return daemon

    def test_clients(self, asked):
        ranks = [words for words in leaves(asked.json("top", "clients")) if any(word.startswith("127.0.19.") for word in words)]
        assert [next(word for word in words if word.startswith("127.0.19.")) for words in ranks] == ["127.0.19.1", "127.0.19.2"]
        assert "5" in ranks[0] and "4" in ranks[1]

    def test_names(self, asked):
        ranks = leaves(asked.json("top", "names"))
        assert any("www.example.org." in words and "5" in words for words in ranks)
        assert any(TEREDO + "." in words and "3" in words for words in ranks)

    def test_watched(self, asked):
        words = flatten(asked.json("top", "watched"))
        assert "127.0.19.2" in words and "127.0.19.1" not in words

    def test_into_a_pipe(self, asked):
        """Not a terminal: prints once and ends, without control characters."""
        for which in ("clients", "names", "watched"):
            text = asked.run("top", which)
            assert "\x1b" not in text and text.strip()

    def test_nothing_yet(self, daemon):
        done = daemon.command("top", "watched")
        assert (done.stdout + done.stderr).strip()


class TestTail:
    def read(self, daemon, count, *words):
        """count lines of a tail that may go on for ever."""
        child = subprocess.Popen([harness.COMMAND, "-c", daemon.config, "tail", *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        try:
            return [child.stdout.readline() for _ in range(count)]
        finally:
            child.kill()
            child.wait()
            child.stdout.close()

    def test_records(self, daemon):
        ask_and_count(daemon, (TEREDO, "127.0.20.1"), ("www.example.org", "127.0.20.2"), (TEREDO, "127.0.20.3"))
        until(lambda: daemon.store().xlen(key("transactions")) == 2, "two records in the stream")
        records = [json.loads(line) for line in self.read(daemon, 2, "-n", "2", "--json")]
        assert sorted(record["client"] for record in records) == ["127.0.20.1", "127.0.20.3"]
        for record in records:
            assert record["query"] == TEREDO + "." and record["type"] == "A" and record["action"] == "watch"
            assert record["addresses"] == [SERVER] and record["resolver"] == harness.RESOLVER
        lines = self.read(daemon, 2, "-n", "2")
        assert TEREDO in "".join(lines) and "127.0.20." in "".join(lines)

    def test_live(self, daemon):
        """A record that comes while tail runs is shown."""
        ask_and_count(daemon, (TEREDO, "127.0.20.4"))
        until(lambda: daemon.store().xlen(key("transactions")) == 1, "a record in the stream")
        child = subprocess.Popen([harness.COMMAND, "-c", daemon.config, "tail", "-n", "1", "--json"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        try:
            assert json.loads(child.stdout.readline())["client"] == "127.0.20.4"
            daemon.ask(TEREDO, source="127.0.20.5")
            assert json.loads(child.stdout.readline())["client"] == "127.0.20.5"
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


def test_transaction_record(teredown, nsd):
    """Every field of the record, for a watched answer with a chain, and the decoded tunnel addresses."""
    daemon = teredown(nsd.endpoint, query_log="watched")
    with udp_socket(daemon.port, source="127.0.21.1") as sock:
        sock.send(wire.query(4711, "Teredo.IPv6.microsoft.COM", wire.A, 1232))
        sock.recv(4096)
        port = sock.getsockname()[1]
    daemon.ask("www.example.org", source="127.0.21.1")
    daemon.ask(TEREDO, source="127.0.21.1", tcp=True)
    records = until(lambda: (lambda records: records if len(records) == 2 else None)(daemon.records()), "two watched records")
    record, second = sorted(records, key=lambda record: record["ts"])
    assert {name: record[name] for name in ("resolver", "client", "port", "id", "proto", "type", "rcode", "action", "policy", "rule", "source",
        "upstream", "addresses")} == {"resolver": harness.RESOLVER, "client": "127.0.21.1", "port": port, "id": 4711, "proto": "udp", "type": "A",
        "rcode": "NOERROR", "action": "watch", "policy": "teredo", "rule": TEREDO + ".", "source": "upstream", "upstream": nsd.endpoint,
        "addresses": [SERVER]}
    assert record["query"].lower() == TEREDO + "." and record["duration_us"] >= 0 and record["ts"].endswith("Z")
    # The question in lower case, the answer as it was sent: with the client's spelling.
    answers = [dict(answer, name=answer["name"].lower()) for answer in record["answers"]]
    assert answers == [{"name": TEREDO + ".", "type": "CNAME", "ttl": 60, "data": TEREDO + ".nsatc.net."},
        {"name": TEREDO + ".nsatc.net.", "type": "A", "ttl": 60, "data": SERVER}]
    assert second["proto"] == "tcp" and second["source"] == "cache" and second["txn"] != record["txn"]


def test_record_decodes_tunnel_addresses(teredown, nsd):
    daemon = teredown(nsd.endpoint, query_log="all")
    daemon.ask("tunnel.example.org", "AAAA", source="127.0.21.2")
    daemon.ask("sixtofour.example.org", "AAAA", source="127.0.21.2")
    records = until(lambda: (lambda found: found if len(found) == 2 else None)(
        [record for record in daemon.records() if record["client"] == "127.0.21.2"]), "two records")
    records.sort(key=lambda record: record["ts"])
    words = flatten(records[0])
    # 2001:0:4137:9e76:2c3d:63bf:3fff:fdd2: RFC 4380's example of the port and client fields, with Microsoft's server.
    assert SERVER in words and "192.0.2.45" in words and "40000" in words
    assert "192.0.2.4" in flatten(records[1])


def test_decode(folder):
    """Needs no daemon."""
    daemon = harness.Teredown(folder.path, "127.0.0.1:53")
    words = flatten(daemon.json("decode", "2001:0:506:708:282a:3d75:fefd:fcfb"))
    assert "5.6.7.8" in words and "1.2.3.4" in words and "49802" in words
    assert "192.0.2.4" in flatten(daemon.json("decode", "2002:c000:204::1"))
    assert "192.0.2.143" in flatten(daemon.json("decode", "fe80::5efe:c000:28f"))
    assert daemon.command("decode", "not-an-address").returncode != 0


def test_mode_says_what_changed(daemon):
    text = daemon.run("block", "on")
    assert "teredo" in text and "block" in text
    text = daemon.run("mode", "watch", "--zone", "teredo")
    assert "teredo" in text and "watch" in text
    text = daemon.run("reload")
    assert text.strip()


class TestWrong:
    @pytest.mark.parametrize("words", [("nosuchcommand",), ("who",), ("block", "perhaps"), ("mode",), ("top", "nothing"), ("decode", "")])
    def test_usage(self, daemon, words):
        done = daemon.command(*words)
        assert done.returncode != 0 or words == ("mode",)
        assert (done.stdout + done.stderr).strip()

    def test_no_daemon(self, folder):
        """The daemon is not running: says so, and what to do."""
        stopped = harness.Teredown(folder.path, "127.0.0.1:53")
        for words in (("status",), ("block", "on"), ("reload",)):
            done = stopped.command(*words)
            assert done.returncode != 0 and done.stderr.strip(), words

    def test_hostile_arguments(self, daemon):
        for word in ("\x1b[31m", "a" * 300, "%s%n", "a b", "{}", "*", "::::", "1.2.3", "\udcff"):
            for command in ("who", "decode"):
                done = daemon.command(command, word)
                assert done.returncode in (0, 1, 2, 3) and "\x1b" not in done.stdout + done.stderr
        assert daemon.status()
