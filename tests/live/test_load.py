# SPDX-License-Identifier: BSD-3-Clause
"""Too many queries, connections or clients: who is limited, who gives way, and who never notices."""

import os
import resource
import time

import dns.flags
import pytest

import harness
import wire
from harness import addresses_of, rcode_of, udp_socket, until


def replies(sock, packets, silence_s=0.3, wanted=0):
    """Sends all packets, then reads until so many answers are there and nothing comes any more."""
    for packet in packets:
        sock.send(packet)
    answers = []
    try:
        while True:
            sock.settimeout(silence_s if len(answers) >= wanted else harness.DEADLINE_S)
            answers.append(sock.recv(65535))
    except TimeoutError:
        return answers


class TestRate:
    def test_of_a_client(self, teredown, nsd):
        """Ten at once, each second one of the others is told to come over TCP, where it is served; others are not limited."""
        daemon = teredown(nsd.endpoint, rate_limit=5, rate_limit_exempt=["127.0.0.77"])
        with udp_socket(daemon.port, source="127.0.0.5") as sock:
            answers = [wire.parse(packet) for packet in replies(sock, [wire.query(index, "localhost") for index in range(60)], wanted=32)]
        served = [answer for answer in answers if answer.addresses]
        slipped = [answer for answer in answers if answer.truncated]
        assert 10 <= len(served) <= 15 and len(served) + len(slipped) == len(answers) and 22 <= len(slipped) <= 25
        assert not any(answer.answers or answer.authority for answer in slipped)
        assert addresses_of(daemon.ask("localhost", tcp=True, source="127.0.0.5")) == ["127.0.0.1"]
        assert addresses_of(daemon.ask("localhost", source="127.0.0.6")) == ["127.0.0.1"]
        with udp_socket(daemon.port, source="127.0.0.77") as sock:
            assert len(replies(sock, [wire.query(index, "localhost") for index in range(60)], wanted=60)) == 60
        status = daemon.status()
        assert harness.number(status, "slipped") == len(slipped)
        assert harness.number(status, "dropped_rate") == 60 - len(answers)
        assert len(set(harness.balance(status))) == 1

    def test_with_a_cookie(self, teredown, nsd):
        """Whoever shows a cookie of ours is no forged sender, and is not limited; the cookie comes with the first reply, or with TC."""
        daemon = teredown(nsd.endpoint, rate_limit=1, rate_limit_slip=1, rate_limit_exempt=[])

        def query(ident, cookie):
            return wire.header(ident, wire.RD, additional=1) + wire.question("localhost", wire.A) + wire.opt(1232, options=wire.option(10, cookie))
        with udp_socket(daemon.port, source="127.0.0.5") as sock:
            packets = replies(sock, [query(index, b"12345678") for index in range(30)], wanted=30)
            assert sum(wire.parse(packet).truncated for packet in packets) >= 18
            cookie = dict(wire.parse(packets[-1]).options)[10]
            assert len(cookie) == 24 and len(packets[-1]) <= len(query(0, cookie))
            packets = replies(sock, [query(index, cookie) for index in range(30)], wanted=30)
            assert len(packets) == 30 and not any(wire.parse(packet).truncated for packet in packets)
            assert replies(sock, [query(1, cookie[:-1] + b"?")], wanted=1)[0][2] & 2, "not a cookie of ours"

    def test_over_all_workers(self, teredown, nsd):
        """A client's sockets are spread over the workers; its rate is one."""
        daemon = teredown(nsd.endpoint, workers=4, rate_limit=10, rate_limit_slip=0, rate_limit_exempt=[])
        socks = [udp_socket(daemon.port, source="127.0.0.5") for _ in range(16)]
        try:
            served = sum(len(replies(sock, [wire.query(index, "localhost") for index in range(20)], 0.05)) for sock in socks)
        finally:
            for sock in socks:
                sock.close()
        assert 20 <= served <= 40, "320 queries within two seconds"

    def test_changes_at_reload(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, rate_limit_exempt=[])
        packets = [wire.query(index, "localhost") for index in range(50)]
        with udp_socket(daemon.port, source="127.0.0.5") as sock:
            assert len(replies(sock, packets, wanted=50)) == 50
            daemon.configure(rate_limit=1, rate_limit_slip=0)
            daemon.run("reload")
            assert 10 <= len(replies(sock, packets, wanted=10)) <= 13

    def test_outsiders(self, teredown, nsd):
        """Refused, but not for as many as somebody cares to forge."""
        daemon = teredown(nsd.endpoint, allow=["127.0.0.1", "127.9.9.9"])
        with udp_socket(daemon.port, source="127.0.0.5") as sock:
            answers = replies(sock, [wire.query(index, "localhost") for index in range(200)], wanted=20)
        assert 20 <= len(answers) <= 30 and all(wire.parse(answer).rcode == wire.REFUSED for answer in answers)
        assert rcode_of(daemon.ask("localhost", source="127.0.0.5", tcp=True)) == "REFUSED"
        assert harness.number(daemon.status(), "dropped_rate") == 200 - len(answers)


class TestAmplification:
    """What a forged question over UDP can make of its octets."""

    # The zone's names have one label, so that the questions are as short as they get.

    @pytest.fixture(scope="class")
    def daemon(self, nsd):
        from conftest import _Daemons
        folder = harness.Folder()
        path = folder.write("long.rpz", "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 900 604800 300\n  NS localhost.\nn CNAME .\n"
            + "".join("data TXT \"%s\"\n" % (str(index) * 100) for index in range(9)) + "data A 192.0.2.1\n")
        daemons = _Daemons()
        yield daemons(nsd.endpoint, zones={"long": {"file": path, "mode": "block"}}, rate_limit=1, rate_limit_slip=1,
            rate_limit_exempt=["127.0.0.1", "127.9.9.9"])
        daemons.end()
        folder.remove()

    @pytest.mark.parametrize("edns", [None, 512, 4096])
    @pytest.mark.parametrize("qname", ["any.", "n.", "data.", ".", "www.example.org."])
    def test_any(self, daemon, qname, edns):
        with udp_socket(daemon.port) as sock:
            packet = wire.query(1, qname, wire.ANY, edns)
            sock.send(packet)
            answer = sock.recv(65535)
            assert len(answer) <= 3 * len(packet), wire.parse(answer).answers
        assert not daemon.ask(qname, "ANY", tcp=True).flags & dns.flags.TC

    @pytest.mark.parametrize("edns", [None, 512, 4096])
    @pytest.mark.parametrize("qtype", [wire.A, wire.TXT, wire.ANY, wire.AXFR, 999])
    def test_limited(self, daemon, qtype, edns):
        """Whatever is asked: no longer than the question."""
        with udp_socket(daemon.port, source="127.0.0.%d" % (50 + qtype % 100)) as sock:
            packets = [wire.query(index, "data.", qtype, edns) for index in range(40)]
            answers = replies(sock, packets, wanted=20)
        late = [answer for answer in answers if int.from_bytes(answer[:2], "big") >= 20]
        assert late and all(len(answer) <= len(packets[0]) and wire.parse(answer).truncated for answer in late)

    @pytest.mark.parametrize("packet", [
        wire.header(1, wire.RD, questions=0), wire.header(1, wire.RD) + b"\3ab", wire.header(1, 4 << 11) + wire.question("x.", wire.A),
        wire.header(1, wire.RD, additional=1) + wire.question("x.", wire.A) + wire.opt(1232, version=3),
        wire.query(1, "x.", wire.A, 1232) + b"trailing", wire.query(1, "x.", wire.AXFR, 1232),
    ], ids=["no question", "broken", "opcode", "version", "trailing", "transfer"])
    def test_errors(self, daemon, packet):
        with udp_socket(daemon.port) as sock:
            for answer in replies(sock, [packet], 0.2):
                assert len(answer) <= 3 * len(packet)

    def test_outsiders(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, allow=["127.9.9.9"])
        with udp_socket(daemon.port, source="127.0.0.5") as sock:
            packet = wire.query(1, ".", wire.ANY, 4096)
            for answer in replies(sock, [packet]):
                assert wire.parse(answer).rcode == wire.REFUSED and len(answer) <= 3 * len(packet)


class TestPending:
    @staticmethod
    def script(packet, asked, tcp):
        if asked.qname.startswith("known"):
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 600, bytes([192, 0, 2, 1]))]))]
        return []

    @pytest.mark.parametrize("workers", [1, 4])
    def test_a_silent_upstream_stops_nothing_else(self, upstream, teredown, folder, workers):
        """Names that nobody answers, more than may be pending; then a canary of every kind that needs no upstream, and one that does."""
        server = upstream(self.script)
        path = folder.write("blocked.rpz", "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 900 604800 300\n  NS localhost.\nblocked.example CNAME .\n")
        daemon = teredown(server.endpoint, workers=workers, pending_max=100, pending_per_client_max=60, upstream_timeout="20s",
            zones={"blocked": {"file": path, "mode": "block"}})
        assert addresses_of(daemon.ask("known.example")) == ["192.0.2.1"]
        socks = [udp_socket(daemon.port, source="127.0.6.%d" % (index % 7 + 1)) for index in range(20)]
        try:
            for index in range(200 * workers):
                socks[index % 20].send(wire.query(index, "silent%d.example" % index, edns=1232))
            for canary in ("known.example", "localhost", "blocked.example"):
                for tcp in (False, True):
                    started = time.monotonic()
                    answer = daemon.ask(canary, tcp=tcp, timeout_s=2)
                    assert rcode_of(answer) == ("NXDOMAIN" if canary.startswith("blocked") else "NOERROR")
                    assert time.monotonic() - started < 0.5
            assert addresses_of(daemon.ask("known2.example")) == ["192.0.2.1"], "a new question finds its place"
            status = daemon.status()
            assert harness.number(status, "pending") <= 100 * workers and harness.number(status, "dropped_overload") == 0
            assert harness.number(status, "gave_way") == 200 * workers - harness.number(status, "pending") >= 100
            assert len(set(harness.balance(status))) == 1
            for sock in socks:  # who gave way was told so
                sock.settimeout(0.2)
            told = wire.parse(next(packet for packet in map(try_read, socks) if packet))
            assert told.rcode == wire.SERVFAIL and (15, b"\0\x16") in told.options
        finally:
            for sock in socks:
                sock.close()

    def test_no_late_burst(self, upstream, teredown):
        """A client that repeats itself while upstream is slow gets one answer for each question; nothing that comes after it was told."""
        release = [0.5]
        server = upstream(lambda packet, asked, tcp: [(release[0], wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 0, bytes(4))]))])
        daemon = teredown(server.endpoint, upstream_timeout="1s")
        with udp_socket(daemon.port) as sock:
            packets = [wire.query(index, "slow%d.example" % index) for index in range(50)]
            answers = replies(sock, packets * 4, wanted=50)
            assert sorted(int.from_bytes(answer[:2], "big") for answer in answers) == list(range(50))
            release[0] = 1.4  # after the daemon has given up
            packets = [wire.query(index, "late%d.example" % index) for index in range(50)]
            answers = replies(sock, packets, 0.7, wanted=50)
            assert len(answers) == 50 and all(wire.parse(answer).rcode == wire.SERVFAIL for answer in answers)
        assert harness.number(daemon.status(), "dropped_repeated") == 150

    def test_without_descriptors(self, upstream, teredown):
        """No socket left for another question: the oldest one ends for it."""
        server = upstream(self.script)
        daemon = teredown(server.endpoint, workers=1, upstream_timeout="20s")
        used = len(os.listdir("/proc/%d/fd" % daemon.pid))
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
        with udp_socket(daemon.port) as sock:
            packets = [wire.query(index, "silent%d.example" % index) for index in range(100)]
            answers = replies(sock, packets, wanted=70)
            assert all(wire.parse(answer).rcode == wire.SERVFAIL for answer in answers)
            until(lambda: len(server.asked) == 100, "each is asked in its turn")
            assert addresses_of(daemon.ask("known.example")) == ["192.0.2.1"]


def try_read(sock):
    try:
        return sock.recv(65535)
    except TimeoutError:
        return None
