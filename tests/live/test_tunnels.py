# SPDX-License-Identifier: BSD-3-Clause
"""Tunnels by what is answered: each class has its zone and its mode; what an address has inside is shown."""

import json
import re
import time

import dns.reversename
import pytest

import harness
from harness import addresses_of, ede_codes, key, rcode_of, until

PTR = "PTR"
# Of each class: the zone, and an address whose name is asked for, with what it has inside.
REVERSE = [
    ("teredo", "2001:0:4137:9e76:2c3d:63bf:3fff:fdd2", {"teredo": {"server": "65.55.158.118", "client": "192.0.2.45", "port": 40000}}),
    ("6to4", "2002:c000:204::1", {"sixtofour": "192.0.2.4"}),
    ("6to4", "192.88.99.1", {}),
    ("isatap", "2001:db9:1:2:0:5efe:c000:204", {"isatap": "192.0.2.4"}),
    ("isatap", "2001:db9:1:2:200:5efe:c000:204", {"isatap": "192.0.2.4"}),
]
INSIDE = ("teredo", "sixtofour", "isatap")


def name_of(address):
    return dns.reversename.from_address(address).to_text()


def records_of(daemon, count):
    return until(lambda: (lambda found: found if len(found) == count else None)(daemon.records()), "%d records" % count)


def test_names_of_tunnel_addresses_are_watched(teredown, nsd):
    """Who asks for the name of a tunnel's address is seen, with what that address has inside; a neighbour of the range is not."""
    daemon = teredown(nsd.endpoint, query_log="watched")
    for _, address, _ in REVERSE:
        assert rcode_of(daemon.ask(name_of(address), PTR)) == "NXDOMAIN"
    for address in ("2001:1::1", "2003::1", "192.88.98.1", "192.88.100.1", "2001:db9::5efe"):
        daemon.ask(name_of(address), PTR)
    records = sorted(records_of(daemon, len(REVERSE)), key=lambda record: record["txn"])
    for (zone, address, inside), record in zip(REVERSE, records):
        assert (record["policy"], record["action"], record["query"]) == (zone, "watch", name_of(address))
        assert {key: record[key] for key in INSIDE if key in record} == inside


@pytest.mark.parametrize("blocked", ["teredo", "6to4", "isatap"])
def test_names_of_one_class_are_blocked(teredown, nsd, blocked):
    daemon = teredown(nsd.endpoint)
    daemon.run("mode", "block", "--zone", blocked)
    for zone, address, _ in REVERSE:
        answer = daemon.ask(name_of(address), PTR)
        assert rcode_of(answer) == "NXDOMAIN" and ede_codes(answer) == ([15] if zone == blocked else [])


def test_a_person_sees_the_host_behind(teredown, nsd):
    """tail and who say what is inside, of an address in a question too."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    teredo = REVERSE[0][1]
    daemon.ask(name_of(teredo), PTR)
    daemon.until_counted(1)
    line = until(lambda: daemon.run("tail", "--once"), "a line")
    assert " [Teredo: server 65.55.158.118, client 192.0.2.45 port 40000, flags 0x2c3d]" in line
    text = daemon.run("who", name_of(teredo))
    assert "server 65.55.158.118, client 192.0.2.45 port 40000" in text
    view = json.loads(daemon.run("who", name_of(teredo), "--json"))["views"][0]
    assert view["tunnel"] == {"kind": "teredo", "server": "65.55.158.118", "client": "192.0.2.45", "port": 40000, "flags": 0x2c3d}


# What an answer tells, of each class: name, type, zone, rule, address and what is inside; in conftest's world or below.
ANSWERS = [
    ("tunnel.example.org", "AAAA", "teredo", "32.zz.2001.rpz-ip.", {"teredo": {"server": "65.55.158.118", "client": "192.0.2.45", "port": 40000}}),
    ("sixtofour.example.org", "AAAA", "6to4", "16.zz.2002.rpz-ip.", {"sixtofour": "192.0.2.4"}),
    ("relay.example.org", "A", "6to4", "24.0.99.88.192.rpz-ip.", {}),
    ("isatap-host.example.org", "AAAA", "isatap", "@::5efe:0:0/::fdff:ffff:0:0", {"isatap": "192.0.2.4"}),
    ("isatap-global.example.org", "AAAA", "isatap", "@::5efe:0:0/::fdff:ffff:0:0", {"isatap": "192.0.2.4"}),
    ("alias-of-tunnel.example.org", "AAAA", "teredo", "32.zz.2001.rpz-ip.", {"teredo": {"server": "65.55.158.118", "client": "192.0.2.45", "port": 40000}}),
]
NEAR = ["beside1.example.org", "beside2.example.org", "www.example.org"]


class TestAnswers:
    def test_watched_and_decoded(self, teredown, nsd):
        """Each class under its own zone and rule, with what is inside, from upstream and from the cache; addresses beside the ranges are nobody's."""
        daemon = teredown(nsd.endpoint, query_log="watched", redis="embedded")
        for name, kind, *_ in ANSWERS * 2:
            assert rcode_of(daemon.ask(name, kind)) == "NOERROR"
        for name in NEAR:
            assert addresses_of(daemon.ask(name, "AAAA"))
        records = sorted(records_of(daemon, 2 * len(ANSWERS)), key=lambda record: record["txn"])
        for (name, kind, zone, rule, inside), record in zip(ANSWERS * 2, records):
            assert (record["query"], record["policy"], record["rule"], record["action"]) == (name + ".", zone, rule, "watch")
            assert {field: record["answers"][-1][field] for field in INSIDE if field in record["answers"][-1]} == inside
        daemon.until_counted(2 * len(ANSWERS) + len(NEAR))
        hits = {(row["zone"], row["rule"]): row["hits"] for row in daemon.json("top", "rules")["rows"]}
        assert hits == {("teredo", "32.zz.2001.rpz-ip."): 4, ("6to4", "16.zz.2002.rpz-ip."): 2, ("6to4", "24.0.99.88.192.rpz-ip."): 2,
            ("isatap", "@::5efe:0:0/::fdff:ffff:0:0"): 4}
        # An address of IPv6 is no server: nobody was told one here.
        assert not [row for row in daemon.json("top")["rows"] if "told_teredo" in row]
        assert "server 65.55.158.118, client 192.0.2.45 behind UDP port 40000" in daemon.run("who", "2001:0:4137:9e76:2c3d:63bf:3fff:fdd2")
        assert " [ISATAP: 192.0.2.4]" in daemon.run("tail", "--once") and " [6to4: 192.0.2.4]" in daemon.run("tail", "--once")

    @pytest.mark.parametrize("blocked", ["teredo", "6to4", "isatap"])
    def test_blocked_without_the_others(self, teredown, nsd, blocked):
        """Also what is in the cache already, and with DO set; then truthfully again."""
        daemon = teredown(nsd.endpoint)
        daemon.ask(ANSWERS[0][0], "AAAA")
        daemon.run("mode", "block", "--zone", blocked)
        for name, kind, zone, *_ in ANSWERS:
            for options in ({}, {"want_dnssec": True}):
                answer = daemon.ask(name, kind, **options)
                assert rcode_of(answer) == ("NXDOMAIN" if zone == blocked else "NOERROR")
                assert ede_codes(answer) == ([15] if zone == blocked else []) and bool(addresses_of(answer)) == (zone != blocked)
        for name in NEAR:
            assert addresses_of(daemon.ask(name, "AAAA"))
        daemon.run("mode", "watch", "--zone", blocked)
        assert all(addresses_of(daemon.ask(name, kind)) for name, kind, *_ in ANSWERS)

    def test_a_server_known_by_its_address(self, teredown, nsd, folder):
        """A rule of the zone teredo on an address: whatever name led there, the client was told a server."""
        path = folder.write("servers.rpz", "$TTL 60\n@ SOA . . 1 1 1 1 1\n32.118.158.55.65.rpz-ip CNAME .\n")
        daemon = teredown(nsd.endpoint, redis="embedded", zones={"teredo": {"file": path, "mode": "watch"}})
        daemon.ask("shared.example.org", source="127.0.31.1")
        daemon.until_counted(1)
        assert daemon.store().hget(key("client", "127.0.31.1"), "told_teredo_server") == "65.55.158.118"


class TestToldATeredoServer:
    SERVER = "65.55.158.118"
    TEREDO = "teredo.ipv6.microsoft.com"

    @staticmethod
    def fields(daemon, client):
        return {name: value for name, value in daemon.store().hgetall(key("client", client)).items() if name.startswith("told_")}

    def test_since_when(self, teredown, nsd):
        """The first time stays, the last one moves; what was told none, a blocked question or another type of record, is no such thing."""
        daemon = teredown(nsd.endpoint, redis="embedded")
        before = time.time() * 1000
        daemon.ask(self.TEREDO, source="127.0.31.1")
        daemon.ask(self.TEREDO, "AAAA", source="127.0.31.2")
        daemon.ask("6to4.ipv6.microsoft.com", source="127.0.31.2")
        daemon.run("block", "on")
        daemon.ask(self.TEREDO, source="127.0.31.3")
        daemon.until_counted(4)
        told = self.fields(daemon, "127.0.31.1")
        first = int(told["told_teredo"])
        assert before - 1 <= first == int(told["told_teredo_last"]) <= time.time() * 1000 and told["told_teredo_server"] == self.SERVER
        assert not self.fields(daemon, "127.0.31.2") and not self.fields(daemon, "127.0.31.3")
        daemon.run("block", "off")
        daemon.ask("win10.ipv6.microsoft.com", source="127.0.31.1")
        daemon.until_counted(5)
        told = self.fields(daemon, "127.0.31.1")
        assert int(told["told_teredo"]) == first < int(told["told_teredo_last"]) and told["told_teredo_server"] == "40.81.94.43"

        for text in (daemon.run("who", "127.0.31.1"), daemon.run("top", "--once")):
            assert text.count("told a Teredo server since 20") == 1 and "40.81.94.43" in text
        assert "told a Teredo server" not in daemon.run("who", "127.0.31.2")
        view = daemon.json("who", "127.0.31.1")["views"][0]
        assert view["told_teredo"]["server"] == "40.81.94.43" and view["told_teredo"]["since"] < view["told_teredo"]["last"]
        rows = {row["client"]: row.get("told_teredo") for row in daemon.json("top")["rows"]}
        assert rows["127.0.31.1"] == view["told_teredo"] and rows["127.0.31.2"] is None and rows["127.0.31.3"] is None

    def test_survives_a_kill(self, teredown, nsd):
        """What was answered and not stored is found in memory by the next process, and first and last time with it."""
        daemon = teredown(nsd.endpoint, redis="embedded")
        daemon.ask(self.TEREDO, source="127.0.31.1")
        daemon.until_counted(1)
        told = self.fields(daemon, "127.0.31.1")
        daemon.ask(self.TEREDO, source="127.0.31.1")
        daemon.ask(self.TEREDO, source="127.0.31.4")
        # The client has its answer a moment before the memory has; a kill between the two is one the design leaves uncertain.
        until(lambda: harness.number(daemon.status(), "answered") >= 3, "all is counted")
        daemon.kill()
        daemon.start()
        until(lambda: self.fields(daemon, "127.0.31.4"), "the client that was told before the kill")
        after = self.fields(daemon, "127.0.31.1")
        assert after["told_teredo"] == told["told_teredo"] and int(after["told_teredo_last"]) > int(told["told_teredo_last"])

    def test_forgotten_and_under_a_pseudonym(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded")
        daemon.ask(self.TEREDO, source="127.0.31.1")
        daemon.ask(self.TEREDO, source="127.0.31.2")
        daemon.until_counted(2)
        assert daemon.run("forget", "127.0.31.1", "--yes")
        assert not self.fields(daemon, "127.0.31.1") and not self.fields(daemon, "*other") and self.fields(daemon, "127.0.31.2")
        daemon = teredown(nsd.endpoint, redis="embedded", anonymize="hash")
        daemon.ask(self.TEREDO, source="127.0.31.1")
        daemon.until_counted(1)
        store = daemon.store()
        told = [store.hget(name, "told_teredo_server") for name in store.scan_iter(key("client", "anon-*")) if not name.endswith(":names")]
        assert [server for server in told if server] == [self.SERVER] and not self.fields(daemon, "127.0.31.1")


def test_hits_by_rule(teredown, nsd, folder):
    """Each watched and blocked answer under its rule, by names of a zone, its wildcards and patterns, over a reload; shown by top and who."""
    path = folder.write("ads.rpz", "$TTL 60\n@ SOA . . 1 1 1 1 1\nwww.example.org CNAME .\n*.wild.example.org CNAME .\n")
    daemon = teredown(nsd.endpoint, redis="embedded", zones={"ads": {"file": path, "mode": "block"}})
    for name in ["teredo.ipv6.microsoft.com"] * 3 + ["win1.ipv6.microsoft.com", "win2.ipv6.microsoft.com", "www.example.org"] \
            + ["a.wild.example.org", "b.wild.example.org", "first.example.org"]:
        daemon.ask(name)
    daemon.until_counted(9)
    expected = [{"zone": "teredo", "rule": "teredo.ipv6.microsoft.com.", "hits": 3}, {"zone": "ads", "rule": "*.wild.example.org.", "hits": 2},
        {"zone": "teredo", "rule": "win*.ipv6.microsoft.com.", "hits": 2}, {"zone": "ads", "rule": "www.example.org.", "hits": 1}]
    assert daemon.json("top", "rules")["rows"] == expected
    assert daemon.store().zrange(key("rules", "ads"), 0, -1, withscores=True) == [("www.example.org.", 1), ("*.wild.example.org.", 2)]
    folder.write("ads.rpz", "$TTL 60\n@ SOA . . 2 1 1 1 1\n*.example.org CNAME .\n")
    daemon.run("reload")
    daemon.ask("www.example.org")
    daemon.ask("a.wild.example.org")
    daemon.until_counted(11)
    assert daemon.json("top", "rules")["rows"] == [expected[0], {"zone": "ads", "rule": "*.example.org.", "hits": 2}] + expected[1:]
    assert "HITS" in daemon.run("top", "rules", "--once")
    assert daemon.json("policy", "list", "--rules", "--zone", "teredo")["rules"] == [row for row in expected if row["zone"] == "teredo"]
    text = daemon.run("policy", "list", "--rules", "-n", "3")
    assert "*.wild.example.org." in text and "win*.ipv6.microsoft.com." not in text
    assert daemon.command("policy", "list", "--rules", "--zone", "isatap").returncode == 3
    assert daemon.command("policy", "list", "-n", "3").returncode == 2 and daemon.command("policy", "test", "a.", "--rules").returncode == 2
    assert daemon.json("who", "www.example.org")["views"][0]["policy"][0]["hits"] == 2
    assert re.search(r"\*\.example\.org\. +2 ", daemon.run("who", "www.example.org"))
