# SPDX-License-Identifier: BSD-3-Clause
"""The cache as an administrator sees it: looking an entry up, flushing, what stays over a restart, what it takes."""

import os
import stat
import struct
import threading
import time

import dns.flags
import pytest

import harness
import wire
from harness import addresses_of, until
from test_who import control


@pytest.fixture
def server(upstream):
    """Every name has an address, which `server.last` is the last octet of."""
    def script(packet, asked, tcp):
        if server.silent:
            return []
        if asked.qname.startswith("no."):
            return [(0, wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa(asked.qname, 600, 600)]))]
        if asked.qname.startswith("broken."):
            return [(0, wire.reply(packet, wire.SERVFAIL))]
        if asked.qtype != wire.A:
            return [(0, wire.reply(packet, authority=[wire.soa(asked.qname, 600, 600)]))]
        address = wire.rr(b"\xc0\x0c", wire.A, server.ttl, bytes([192, 0, 2, server.last]))
        return [(server.delay, wire.reply(packet, answers=[address]))]
    server = upstream(script)
    server.last, server.delay, server.silent, server.ttl = 1, 0, False, 300
    return server


def entries(daemon, *words):
    return daemon.json("cache", *words)["entries"]


class TestLookUp:
    def test_variants(self, server, teredown):
        """An entry for each of the flags it was asked with, with its records, age and origin."""
        daemon = teredown(server.endpoint)
        daemon.ask("www.example.org")
        daemon.ask("WWW.example.org")
        daemon.ask("www.example.org", want_dnssec=True)
        daemon.ask("www.example.org", flags=dns.flags.RD | dns.flags.CD)
        daemon.ask("www.example.org", "AAAA")
        found = entries(daemon, "www.EXAMPLE.org.")
        assert sorted((entry["type"], entry["dnssec_ok"], entry["checking_disabled"]) for entry in found) == [
            ("A", False, False), ("A", False, True), ("A", True, False), ("AAAA", False, False)]
        plain = next(entry for entry in found if entry["type"] == "A" and not entry["dnssec_ok"] and not entry["checking_disabled"])
        assert plain["hits"] == 1 and plain["state"] == "fresh" and plain["kind"] == "positive" and plain["rcode"] == "NOERROR"
        assert plain["upstream"] == server.endpoint and not plain["checking_disabled"] and plain["rules"] == []
        assert 280 <= plain["left_s"] <= 300 and plain["left_s"] + plain["age_s"] in (299, 300)
        name, ttl, qtype, data = plain["records"][0].split()
        assert (name, qtype, data) == ("www.example.org.", "A", "192.0.2.1") and 280 <= int(ttl) <= 300
        assert [entry["type"] for entry in entries(daemon, "www.example.org", "AAAA")] == ["AAAA"]
        negative = entries(daemon, "www.example.org", "--type", "AAAA")[0]
        assert negative["kind"] == "negative" and " SOA " in negative["records"][0]
        assert server.count("www.example.org") == 3, "a look-up asks nobody"
        text = daemon.run("cache", "www.example.org")
        assert "asked with DO" in text and "192.0.2.1" in text and server.endpoint in text and "1 hit" in text

    def test_rules(self, server, teredown):
        daemon = teredown(server.endpoint)
        daemon.ask("teredo.ipv6.microsoft.com")
        assert any("teredo" in rule and "mode=watch" in rule for rule in entries(daemon, "teredo.ipv6.microsoft.com")[0]["rules"])
        assert "rule of teredo" in daemon.run("cache", "teredo.ipv6.microsoft.com")

    def test_absent(self, server, teredown):
        daemon = teredown(server.endpoint)
        done = daemon.command("cache", "absent.example.org")
        assert done.returncode == 3 and "absent.example.org. is not in the cache" in done.stdout
        assert daemon.command("cache", "a..b").returncode == 2
        assert daemon.command("cache", "a.example.org", "NOTYPE").returncode == 2
        first, _ = control(daemon, "cache", "lookup", "A")
        assert first.startswith("error ")

    def test_failure(self, server, teredown):
        daemon = teredown(server.endpoint)
        daemon.ask("broken.example.org")
        assert daemon.json("cache", "broken.example.org")["failures"] == ["A"]
        assert "failed a moment ago: A" in daemon.run("cache", "broken.example.org")
        assert daemon.json("flush", "broken.example.org") == {"entries": 0, "failures": 1}

    def test_hostile_names(self, upstream, teredown):
        """Octets of a name and of its data reach a terminal escaped."""
        name = b"\7e\x1b[2J\nx\7example\3org\0"

        def script(packet, asked, tcp):
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.CNAME, 300, b"\5a\tb\x00\xff\0")]))]
        daemon = teredown(upstream(script).endpoint)
        with harness.udp_socket(daemon.port) as sock:
            sock.send(wire.header(1, wire.RD) + name + b"\0\5\0\1")
            sock.recv(4096)
        text = daemon.run("cache", "e\\027[2J\\010x.example.org")
        assert all(" " <= letter <= "~" or letter == "\n" for letter in text) and "\\009b\\000\\255" in text
        assert len(entries(daemon, "e\\027[2J\\010x.example.org")) == 1


class TestFigures:
    def test_kinds(self, server, teredown):
        daemon = teredown(server.endpoint)
        for name in ("a.example.org", "b.example.org", "a.example.org", "no.example.org", "broken.example.org"):
            daemon.ask(name)
        daemon.ask("a.example.org", "AAAA")
        figures = daemon.json("cache")
        assert (figures["positive"], figures["nodata"], figures["nxdomain"], figures["stale"], figures["failures"]) == (2, 1, 1, 0, 1)
        assert figures["entries"] == 4 and figures["hits"] >= 1 and figures["limit"] == 64 << 20 and 0 < figures["bytes"] < 2 << 20
        text = daemon.run("cache")
        assert "of 64.0 MiB, 4 entries" in text and "1 hits" in text


class TestFlush:
    def test_name_suffix_type_all(self, server, teredown):
        daemon = teredown(server.endpoint)
        names = ["example.org", "www.example.org", "a.www.example.org", "notexample.org", "example.com"]

        def fill():
            for name in names:
                daemon.ask(name)
                daemon.ask(name, "AAAA")
        fill()
        assert daemon.json("flush", "WWW.example.org", "--type", "A") == {"entries": 1, "failures": 0}
        assert [entry["type"] for entry in entries(daemon, "www.example.org")] == ["AAAA"]
        assert daemon.run("flush", "www.example.org") == "Flushed: 1 entry.\n"
        fill()
        assert daemon.run("flush", "--suffix", "example.org") == "Flushed: 6 entries.\n"
        assert daemon.json("cache")["entries"] == 4
        fill()
        assert daemon.json("flush", "--all", "--type", "AAAA")["entries"] == 5
        assert daemon.json("flush", "--all")["entries"] == 5
        assert daemon.json("cache")["entries"] == 0 and daemon.json("cache")["flushed"] == 18
        assert "cache: flushed example.org. and below, type any: 6 entries" in daemon.log()
        for words in ([], ["a", "b"], ["--all", "a"], ["--all", "--suffix"], ["--suffix"], ["a", "--type", "NOTYPE"]):
            assert daemon.command("flush", *words).returncode == 2, words

    def test_nobody_is_served_what_was_before(self, server, teredown):
        """Over four workers, while clients ask all the time: each question that begins after the flush gets the new address."""
        daemon = teredown(server.endpoint, workers=4)
        ending, faults = threading.Event(), []
        flushed = [0]  # the address that is true since the last flush

        def ask_on(index):
            while not ending.is_set():
                least = flushed[0]
                told = int(addresses_of(daemon.ask("moving.example.org", source="127.0.7.%d" % index))[0].rsplit(".", 1)[1])
                if told < least:
                    faults.append((told, least))
        threads = [threading.Thread(target=ask_on, args=(index + 1,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for last in range(2, 22):
            server.last = last
            assert daemon.json("flush", "moving.example.org")["entries"] <= 1
            flushed[0] = last
        ending.set()
        for thread in threads:
            thread.join()
        assert not faults
        status = daemon.status()
        received, accounted = harness.balance(status)
        assert received == accounted

    def test_what_was_on_its_way_is_not_kept(self, server, teredown):
        """A question that upstream has from before the flush is answered, and its answer is gone."""
        daemon = teredown(server.endpoint, serve_stale=0)
        server.hold()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(daemon.ask("late.example.org")))
        thread.start()
        until(lambda: server.count("late.example.org") == 1, "upstream has the question")
        daemon.run("flush", "late.example.org")
        server.release()
        thread.join()
        server.last = 2
        assert addresses_of(answers[0]) == ["192.0.2.1"]
        assert daemon.command("cache", "late.example.org").returncode == 3
        assert addresses_of(daemon.ask("late.example.org")) == ["192.0.2.2"]
        assert daemon.json("cache")["outdated"] == 1


    def test_who_asks_after_it_waits_for_a_new_answer(self, server, teredown):
        """Though the same question is on its way from before."""
        daemon = teredown(server.endpoint, workers=1)
        server.hold()
        with harness.udp_socket(daemon.port) as before, harness.udp_socket(daemon.port) as after:
            before.send(wire.query(1, "late.example.org"))
            until(lambda: server.count("late.example.org") == 1, "upstream has the question")
            server.last = 2
            daemon.run("flush", "late.example.org")
            after.send(wire.query(2, "late.example.org"))
            until(lambda: server.count("late.example.org") >= 2, "upstream has the second question")
            server.release()
            assert wire.parse(before.recv(4096)).addresses == ["192.0.2.1"]
            assert wire.parse(after.recv(4096)).addresses == ["192.0.2.2"]


class TestReload:
    def test_clamps_and_size(self, server, teredown):
        """Both take effect at a reload: TTLs for what comes from then on, the size for what is there."""
        daemon = teredown(server.endpoint, cache_size="4M")
        for index in range(400):
            daemon.ask("n%d.example.org" % index)
        before = daemon.json("cache")
        assert before["entries"] == 400
        daemon.configure(cache_size="1M", cache_ttl_max=20, negative_ttl_max="10s", cache_ttl_min="1s")
        done = daemon.run("reload")
        assert "restart" not in done, done
        after = daemon.json("cache")
        assert after["limit"] == 1 << 20 and after["bytes"] <= 1 << 20
        assert daemon.ask("new.example.org").answer[0].ttl == 20
        assert daemon.ask("no.example.org").authority[0].ttl == 10


class TestWarmStart:
    NAMES = ["w%d.example.org" % index for index in range(50)]

    def fill(self, daemon):
        for name in self.NAMES:
            daemon.ask(name)
        daemon.ask("no.example.org")
        daemon.ask("w0.example.org", want_dnssec=True)

    def saved(self, daemon):
        return os.path.join(daemon.state, "cache.save")

    def until_loaded(self, daemon, count):
        until(lambda: daemon.json("cache")["entries"] >= count, "the saved cache is back")

    def test_answers_without_upstream(self, server, teredown):
        """After a clean stop and start the cache answers, with TTLs that went on, though upstream is gone; the zones' rules hold for it."""
        daemon = teredown(server.endpoint, redis="off")
        self.fill(daemon)
        daemon.ask("teredo.ipv6.microsoft.com")
        daemon.stop()
        assert stat.S_IMODE(os.stat(self.saved(daemon)).st_mode) == 0o600
        assert sorted(name for name in os.listdir(daemon.state) if name.startswith("cache")) == ["cache.save"]
        assert "cache: 53 entries saved" in daemon.log()
        server.silent = True
        daemon.configure(mode="block")
        daemon.start()
        self.until_loaded(daemon, 53)
        until(lambda: "cache: 53 of 53 saved entries are back" in daemon.log(), "it says so")
        for name in self.NAMES:
            answer = daemon.ask(name, timeout_s=3)
            assert addresses_of(answer) == ["192.0.2.1"] and 200 < answer.answer[0].ttl <= 300
        assert harness.rcode_of(daemon.ask("no.example.org")) == "NXDOMAIN"
        assert harness.rcode_of(daemon.ask("teredo.ipv6.microsoft.com")) == "NXDOMAIN"
        found = entries(daemon, "w0.example.org")
        assert sorted(entry["dnssec_ok"] for entry in found) == [False, True] and found[0]["upstream"] == server.endpoint

    def test_stale_over_a_restart(self, server, teredown):
        """What expired while the daemon was away is a stale answer for the day the servers are gone."""
        server.ttl = 1
        daemon = teredown(server.endpoint, stale_client_timeout="100ms")
        daemon.ask("gone.example.org")
        daemon.stop()
        server.silent = True
        daemon.start()
        found = until(lambda: entries(daemon, "gone.example.org") if daemon.json("cache")["stale"] == 1 else None, "the entry is stale")
        assert found[0]["state"] == "stale" and found[0]["left_s"] <= 0
        assert "stale for" in daemon.run("cache", "gone.example.org")
        answer = daemon.ask("gone.example.org")
        assert addresses_of(answer) == ["192.0.2.1"] and answer.answer[0].ttl == 30

    def test_other_servers_are_asked_anew(self, server, upstream, teredown):
        """A section `forward` that is new at the restart: what the server before said of its names does not come back."""
        inside = upstream({"host.corp.example": "10.1.2.3"}, ttl=300)
        daemon = teredown(server.endpoint)
        for name in ("host.corp.example", "www.example.org"):
            assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
        daemon.stop()
        daemon.settings[("forward", "corp.example")] = {"upstream": [inside.endpoint]}
        daemon.configure()
        daemon.start()
        until(lambda: "cache: 1 of 2 saved entries are back" in daemon.log(), "one is back")
        assert addresses_of(daemon.ask("host.corp.example")) == ["10.1.2.3"] and server.count("www.example.org") == 1

    def test_kill_leaves_the_old_file(self, server, teredown):
        daemon = teredown(server.endpoint)
        self.fill(daemon)
        daemon.stop()
        with open(self.saved(daemon), "rb") as saved:
            before = saved.read()
        daemon.start()
        self.until_loaded(daemon, 52)
        daemon.ask("later.example.org")
        daemon.kill()
        with open(self.saved(daemon), "rb") as saved:
            assert saved.read() == before
        daemon.start()
        self.until_loaded(daemon, 52)
        asked = sum(server.asked.values())
        self.fill(daemon)
        assert sum(server.asked.values()) == asked
        daemon.ask("later.example.org")
        assert sum(server.asked.values()) == asked + 1

    def test_what_was_flushed_does_not_come_back(self, server, teredown):
        """Not even when the daemon is killed after the flush."""
        daemon = teredown(server.endpoint)
        self.fill(daemon)
        daemon.stop()
        daemon.start()
        self.until_loaded(daemon, 52)
        daemon.run("flush", "w1.example.org")
        daemon.kill()
        daemon.start()
        assert daemon.command("cache", "w1.example.org").returncode == 3
        assert "saved entries" not in daemon.log()[daemon.log().rindex("flushed"):]

    @pytest.mark.parametrize("damage,why", [
        (lambda octets: octets[:-30], "it ends too soon"), (lambda octets: octets[:400] + b"?" + octets[401:], "a checksum is wrong"),
        (lambda octets: b"", "it ends too soon"), (lambda octets: b"something else entirely", "it is no saved cache"),
        (lambda octets: octets[:11] + b"\xff" + octets[12:], "it is of another version"),
        (lambda octets: octets[:12] + struct.pack("!Q", int(time.time() * 1000) + 86400000) + octets[20:], "the clock has been set back")],
        ids=["cut", "bit", "empty", "foreign", "version", "future"])
    def test_damage(self, server, teredown, damage, why):
        """A file that is damaged gives a line in the log and an empty cache; the next stop writes a whole one."""
        daemon = teredown(server.endpoint)
        self.fill(daemon)
        daemon.stop()
        with open(self.saved(daemon), "rb") as saved:
            octets = saved.read()
        with open(self.saved(daemon), "wb") as saved:
            saved.write(damage(octets))
        daemon.start()
        until(lambda: why in daemon.log() and "it begins empty" in daemon.log(), "it says what is wrong")
        assert daemon.json("cache")["entries"] == 0
        assert addresses_of(daemon.ask(self.NAMES[0])) == ["192.0.2.1"]
        daemon.stop()
        daemon.start()
        self.until_loaded(daemon, 1)

    def test_off_and_no_room_on_disk(self, server, teredown):
        daemon = teredown(server.endpoint, cache_save="off")
        self.fill(daemon)
        daemon.stop()
        assert not os.path.exists(self.saved(daemon))
        os.mkdir(self.saved(daemon) + ".new")  # nothing can be written there
        daemon.configure(cache_save="on")
        daemon.start()
        daemon.ask(self.NAMES[0])
        daemon.stop()
        assert "cache.save.new cannot be written" in daemon.log() and not os.path.exists(self.saved(daemon))

    def test_many(self, server, teredown):
        """Thousands come back in slices of the main thread, while the workers answer."""
        daemon = teredown(server.endpoint)
        with harness.udp_socket(daemon.port) as sock:
            for first in range(0, 6000, 50):
                for index in range(first, first + 50):
                    sock.send(wire.query(index, "m%d.example.org" % index))
                for _ in range(50):
                    sock.recv(4096)
        daemon.stop()
        daemon.start()
        until(lambda: "cache: 6000 of 6000 saved entries are back after" in daemon.log(), "all are back")
        server.silent = True
        for index in range(0, 6000, 500):
            assert addresses_of(daemon.ask("m%d.example.org" % index)) == ["192.0.2.1"]


def test_threads_share_one_arena(server, teredown):
    """What one worker allocated another one frees: with an arena for each thread a full cache would take up to half more than cache-size.
    An arena of a thread is a part of 64 MB at an address divisible by that, the rest of it without access."""
    daemon = teredown(server.endpoint, workers=4)
    for index in range(32):
        daemon.ask("a%d.example.org" % index, source="127.0.8.%d" % (index + 1))
    with open("/proc/%d/maps" % daemon.pid) as maps:
        areas = [(*(int(end, 16) for end in line.split()[0].split("-")), line.split()[1]) for line in maps]
    arenas = [start for (start, end, access), (rest, last, none) in zip(areas, areas[1:])
        if start % (64 << 20) == 0 and access == "rw-p" and none == "---p" and rest == end and last == start + (64 << 20)]
    assert not arenas
