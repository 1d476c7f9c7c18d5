# SPDX-License-Identifier: BSD-3-Clause
"""What is kept and for how long, and that one question goes upstream once."""

import threading
import time

import dns.rdatatype
import pytest

import harness
import wire
from harness import addresses_of, rcode_of, udp_socket, until


def ttl_of(message):
    return message.answer[0].ttl


def test_ttl_counts_down(upstream, teredown):
    """From the cache the rest of the TTL is given, never more than is left, and upstream is asked once."""
    server = upstream({"aged.example.org": "192.0.2.1"}, ttl=30)
    daemon = teredown(server.endpoint)
    before = time.monotonic()
    assert ttl_of(daemon.ask("aged.example.org")) == 30
    after = time.monotonic()
    until(lambda: ttl_of(daemon.ask("aged.example.org")) <= 28, "the TTL has gone down by two seconds")
    asked = time.monotonic()
    ttl = ttl_of(daemon.ask("aged.example.org"))
    assert 30 - (time.monotonic() - before) - 1 <= ttl <= 30 - (asked - after) + 1
    assert server.count("aged.example.org") == 1


def test_expires(upstream, teredown):
    server = upstream({"short.example.org": "192.0.2.1"}, ttl=1)
    daemon = teredown(server.endpoint, serve_stale=0)
    daemon.ask("short.example.org")

    def asked_again():
        answer = daemon.ask("short.example.org")
        assert ttl_of(answer) <= 1
        return server.count("short.example.org") >= 2
    until(asked_again, "upstream is asked again after a second")


def test_ttl_zero_and_top_bit_are_not_kept(upstream, teredown):
    """RFC 2181, 8: a TTL with its top bit set is zero."""
    answers = {"zero.example.org.": 0, "huge.example.org.": 0x80000001}

    def script(packet, asked, tcp):
        return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, answers.get(asked.qname, 0), bytes([192, 0, 2, 1]))]))]
    server = upstream(script)
    daemon = teredown(server.endpoint)
    for name in answers:
        for _ in range(3):
            assert ttl_of(daemon.ask(name)) == 0
        assert server.count(name) == 3


class TestNegative:
    @staticmethod
    def server(upstream, rcode, soa_ttl, minimum):
        return upstream(lambda packet, asked, tcp: [(0, wire.reply(packet, rcode, authority=[wire.soa("example.org", soa_ttl, minimum)]))])

    @pytest.mark.parametrize("rcode", [wire.NXDOMAIN, wire.NOERROR], ids=["NXDOMAIN", "NODATA"])
    @pytest.mark.parametrize("soa_ttl,minimum", [(300, 20), (20, 300)])
    def test_kept(self, upstream, teredown, rcode, soa_ttl, minimum):
        """RFC 2308: for the lesser of the SOA's TTL and its minimum, with the SOA in the authority section."""
        server = self.server(upstream, rcode, soa_ttl, minimum)
        daemon = teredown(server.endpoint)
        for _ in range(3):
            answer = daemon.ask("no.example.org")
            assert answer.rcode() == rcode and not answer.answer
            assert answer.authority[0].rdtype == dns.rdatatype.SOA and 15 <= answer.authority[0].ttl <= 20
        assert server.count("no.example.org") == 1
        daemon.ask("no.example.org", "AAAA")
        assert server.count("no.example.org", wire.AAAA) <= 1

    def test_expires(self, upstream, teredown):
        server = self.server(upstream, wire.NXDOMAIN, 1, 1)
        daemon = teredown(server.endpoint)

        def asked_again():
            assert rcode_of(daemon.ask("no.example.org")) == "NXDOMAIN"
            return server.count("no.example.org") >= 2
        until(asked_again, "upstream is asked again after a second")


@pytest.mark.timed
@pytest.mark.parametrize("workers", [1, 4, 8])
def test_identical_questions_go_upstream_once(upstream, teredown, workers):
    """Two hundred clients ask the same at once: at most two questions leave, all are answered (CVE-2020-25686)."""
    server = upstream({"popular.example.org": "192.0.2.1"}, delay=0.3, ttl=60)
    daemon = teredown(server.endpoint, workers=workers)
    sockets = [udp_socket(daemon.port, source="127.0.5.%d" % (index + 1)) for index in range(200)]
    try:
        for index, sock in enumerate(sockets):
            sock.send(wire.query(index, "popular.example.org", edns=1232 if index % 2 else None))
        for index, sock in enumerate(sockets):
            answer = wire.parse(sock.recv(4096))
            assert answer.ident == index and answer.addresses == ["192.0.2.1"] and answer.edns == bool(index % 2)
    finally:
        for sock in sockets:
            sock.close()
    assert 1 <= server.count("popular.example.org") <= 2
    status = daemon.status()
    received, accounted = harness.balance(status)
    assert received == accounted and harness.number(status, "pending") == 0


@pytest.mark.timed
def test_variants_share_upstream_questions(upstream, teredown):
    """64 variants by letter case, CD, DO and ECS: at most four upstream questions (CVE-2025-5994)."""
    server = upstream({"variant.example.org": "192.0.2.1"}, delay=0.3)
    daemon = teredown(server.endpoint, workers=8)
    sockets = []
    for index in range(64):
        sock = udp_socket(daemon.port)
        sockets.append(sock)
        name = "".join(c.upper() if index >> bit & 1 else c for bit, c in enumerate("variant")) + ".example.org"
        ecs = wire.option(8, b"\0\1\x18\0" + bytes([10, index, 0]))
        flags = wire.RD | (wire.CD if index & 1 else 0)
        sock.send(wire.header(index, flags, additional=1) + wire.question(name, wire.A)
            + wire.opt(options=ecs, dnssec_ok=bool(index & 2)))
    for index, sock in enumerate(sockets):
        assert wire.parse(sock.recv(4096)).ident == index
        sock.close()
    assert 1 <= server.count("variant.example.org") <= 4


def test_coalesced_across_workers_all_get_records(upstream, teredown):
    """Coalesced questions are transactions of their own in the query log, each with its client."""
    server = upstream({"shared.example.org": "192.0.2.1"}, delay=0.3)
    daemon = teredown(server.endpoint, workers=4, query_log="all")
    results = []

    def one(index):
        results.append(daemon.ask("shared.example.org", source="127.0.6.%d" % (index + 1)))
    threads = [threading.Thread(target=one, args=(index,)) for index in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 30

    def recorded():
        records = [record for record in daemon.records() if record["query"] == "shared.example.org."]
        return records if len(records) >= 30 else None
    records = until(recorded, "thirty records")
    assert sorted(record["client"] for record in records) == sorted("127.0.6.%d" % (index + 1) for index in range(30))
    assert all(record["addresses"] == ["192.0.2.1"] for record in records)
    assert {record["source"] for record in records} <= {"upstream", "cache"}


def test_riders_are_not_kept(upstream, teredown):
    """Records that do not belong to the chain of the question are neither passed on nor cached."""
    def script(packet, asked, tcp):
        own = wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, 1]))
        rider = wire.rr("victim.example.org", wire.A, 60, bytes([192, 0, 2, 66]))
        if asked.qname.startswith("victim"):
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, 2]))]))]
        return [(0, wire.reply(packet, answers=[own, rider], authority=[wire.rr("example.org", wire.NS, 60, wire.name("evil.example.org"))]))]
    daemon = teredown(upstream(script).endpoint)
    answer = daemon.ask("bait.example.org")
    assert addresses_of(answer) == ["192.0.2.1"] and not answer.authority
    assert addresses_of(daemon.ask("victim.example.org")) == ["192.0.2.2"]


def test_alias_target_is_not_cached_from_a_rider(upstream, teredown):
    def script(packet, asked, tcp):
        if asked.qname.startswith("target"):
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, 2]))]))]
        target = wire.name("target.example.org")
        return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.CNAME, 60, target), wire.rr(target, wire.A, 60, bytes([192, 0, 2, 66]))]))]
    daemon = teredown(upstream(script).endpoint)
    assert addresses_of(daemon.ask("alias.example.org")) == ["192.0.2.66"]
    assert addresses_of(daemon.ask("target.example.org")) == ["192.0.2.2"]
