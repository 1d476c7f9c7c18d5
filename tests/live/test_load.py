# SPDX-License-Identifier: BSD-3-Clause
"""Too many queries, connections or clients: who is limited, who gives way, and who never notices."""

import contextlib
import os
import resource
import socket
import threading
import time

import dns.flags
import pytest

import audit_overload
import harness
import wire
from harness import addresses_of, rcode_of, read_framed, send_framed, tcp_socket, udp_socket, until
from test_transport import memory_kb, processor_s

pytestmark = pytest.mark.timed


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
                    took = []  # the best of three: the machine has other things to do, too
                    while len(took) < 3 and not (took and took[-1] < 0.5):
                        started = time.monotonic()
                        answer = daemon.ask(canary, tcp=tcp, timeout_s=8)
                        assert rcode_of(answer) == ("NXDOMAIN" if canary.startswith("blocked") else "NOERROR")
                        took.append(time.monotonic() - started)
                    assert min(took) < 0.5
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
            until(lambda: sum(name.startswith("silent") for name, _ in list(server.asked)) == 100, "each is asked in its turn")
            assert addresses_of(daemon.ask("known.example")) == ["192.0.2.1"]



class TestConnections:
    """TCP, RFC 7766: who is served, who has to leave, and what it costs."""

    @staticmethod
    def closed(sock, timeout_s=harness.DEADLINE_S):
        """True once the server has closed; whatever it sends before is thrown away."""
        sock.settimeout(timeout_s)
        try:
            while sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def test_slowloris(self, teredown, nsd):
        """Queries that come octet by octet and are never whole: all are gone after the idle time, and nobody else notices."""
        daemon = teredown(nsd.endpoint, workers=1, tcp_idle_timeout=800, tcp_clients_max=300)
        packet = framed(wire.query(1, "x" * 60 + ".example.org"))
        socks = [tcp_socket(daemon.port, source="127.0.%d.%d" % (10 + index // 30, index % 30 + 1)) for index in range(290)]
        try:
            alive, started = list(socks), time.monotonic()
            for octet in packet[:-1] * 3:
                for sock in list(alive):
                    try:
                        sock.send(bytes([octet]))
                    except OSError:
                        alive.remove(sock)
                assert addresses_of(daemon.ask("localhost", timeout_s=2)) == ["127.0.0.1"]
                assert addresses_of(daemon.ask("localhost", tcp=True, source="127.0.3.1", timeout_s=2)) == ["127.0.0.1"]
                if not alive:
                    break
                time.sleep(0.05)
            assert not alive and time.monotonic() - started < harness.DEADLINE_S
        finally:
            close_all(socks)
        assert harness.number(daemon.status(), "tcp_closed") >= 290

    def test_a_reader_of_single_octets(self, teredown, nsd):
        """A client that takes its replies octet by octet is slower than any that means it."""
        daemon = teredown(nsd.endpoint, tcp_idle_timeout=600)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", daemon.port))
            sock.settimeout(0.2)
            with contextlib.suppress(OSError):
                while True:
                    sock.sendall(framed(wire.query(1, "big.example.org", wire.TXT)) * 20)

            def gone():
                with contextlib.suppress(TimeoutError):
                    sock.settimeout(0.05)
                    sock.recv(1)
                return harness.number(daemon.status(), "tcp_closed") == 1
            until(gone, "it is closed")
        assert harness.number(daemon.status(), "tcp_clients") == 0

    def test_pending_is_not_idle(self, upstream, teredown):
        """An answer that takes longer than the idle time still comes."""
        daemon = teredown(upstream({"slow.example.org": "192.0.2.1"}, delay=1.2).endpoint, tcp_idle_timeout=300)
        assert addresses_of(daemon.ask("slow.example.org", tcp=True)) == ["192.0.2.1"]

    def test_idle_makes_room(self, teredown, nsd):
        """All places taken: the longest idle one is closed for a new client. Of one address, its own."""
        daemon = teredown(nsd.endpoint, workers=1, tcp_clients_max=6, tcp_clients_per_address=3)
        socks = [tcp_socket(daemon.port, source="127.0.5.%d" % (index // 3 + 1)) for index in range(6)]
        try:
            for sock in (socks[0], *socks[2:]):  # the second one is idle for longest
                send_framed(sock, wire.query(1, "localhost"))
                read_framed(sock)
            assert addresses_of(daemon.ask("localhost", tcp=True, source="127.0.5.3")) == ["127.0.0.1"]
            assert self.closed(socks[1])
            extra = tcp_socket(daemon.port, source="127.0.5.2")
            socks.append(extra)
            send_framed(extra, wire.query(2, "localhost"))
            assert wire.parse(read_framed(extra)).ident == 2 and self.closed(socks[3])
            for sock in (socks[0], socks[2], socks[4], socks[5]):
                send_framed(sock, wire.query(3, "localhost"))
                assert wire.parse(read_framed(sock)).ident == 3
        finally:
            close_all(socks)

    def test_busy_makes_no_room(self, upstream, teredown):
        """Nobody whose query is pending is closed for a new client, which is refused."""
        daemon = teredown(upstream({"slow.example.org": "192.0.2.1"}, delay=1).endpoint, workers=1, tcp_clients_max=3)
        socks = [tcp_socket(daemon.port) for _ in range(3)]
        try:
            for sock in socks:
                send_framed(sock, wire.query(7, "slow.example.org"))
            until(lambda: harness.number(daemon.status(), "pending") == 3, "they wait")
            with tcp_socket(daemon.port) as extra:
                assert self.closed(extra)
            assert all(wire.parse(read_framed(sock)).addresses == ["192.0.2.1"] for sock in socks)
        finally:
            close_all(socks)
        assert harness.number(daemon.status(), "tcp_refused") == 1

    def test_queries_of_a_connection_are_bounded(self, teredown, nsd):
        """So many, all answered; then the server ends it in good order."""
        daemon = teredown(nsd.endpoint, workers=1)
        packets = framed(wire.query(1, "localhost")) * 25000
        with tcp_socket(daemon.port, timeout_s=30) as sock:
            sender = threading.Thread(target=send_quietly, args=(sock, packets))
            sender.start()
            answers = 0
            with contextlib.suppress(EOFError):
                reader = sock.makefile("rb")
                while True:
                    size = reader.read(2)
                    if len(size) < 2:
                        break
                    assert len(reader.read(int.from_bytes(size, "big"))) == int.from_bytes(size, "big")
                    answers += 1
            sender.join()
            assert answers == 20000
        status = daemon.status()
        assert harness.number(status, "dropped_gone") == 0 and len(set(harness.balance(status))) == 1

    def test_length_65535(self, shared):
        """As long as a message gets: a question with something behind it, answered as what it is."""
        with tcp_socket(shared.port) as sock:
            send_framed(sock, wire.query(1, "localhost").ljust(65535, b"\0"))
            assert wire.parse(read_framed(sock)).rcode == wire.FORMERR
            send_framed(sock, wire.query(2, "localhost"))
            assert wire.parse(read_framed(sock)).addresses == ["127.0.0.1"]

    def test_memory_of_slow_ones(self, teredown, nsd):
        """Hundreds that send half of a long message, and hundreds that read nothing: bounded together, and others are served."""
        # AddressSanitizer would keep what was freed, and grow by that.
        daemon = teredown(nsd.endpoint, workers=1, tcp_clients_max=2000, tcp_clients_per_address=2000,
            environment={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"})
        assert addresses_of(daemon.ask("localhost", tcp=True)) == ["127.0.0.1"]
        daemon.ask("big.example.org", "TXT", tcp=True)
        before, socks = memory_kb(daemon.pid), []
        try:
            for index in range(1000):
                sock = tcp_socket(daemon.port, source="127.0.5.%d" % (index % 200 + 1), timeout_s=0.05)
                socks.append(sock)
                data = b"\xff\xff" + b"x" * 60000 if index % 2 else framed(wire.query(1, "big.example.org", wire.TXT)) * 100
                with contextlib.suppress(OSError):
                    sock.sendall(data)
            grown = memory_kb(daemon.pid) - before
            print("memory of 1,000 slow connections: %d kB" % grown)
            assert grown < 64000
            assert addresses_of(daemon.ask("localhost", tcp=True, source="127.0.3.1")) == ["127.0.0.1"]
            assert addresses_of(daemon.ask("localhost")) == ["127.0.0.1"]
        finally:
            close_all(socks)

    @pytest.mark.alone
    def test_ten_thousand_idle(self, teredown, nsd):
        """Memory for each, next to no processor time, and everybody else is served."""
        count = 10000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < count + 500:
            harness.missing("%d descriptors are allowed, %d are wanted" % (hard, count + 500))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        daemon = teredown(nsd.endpoint, tcp_clients_max=count, tcp_clients_per_address=100, tcp_idle_timeout="60s")
        socks = []
        try:
            # Every one has asked once: what that left is part of what it costs.
            for index in range(50):
                harness.ask(daemon.port, "localhost", tcp=True, source="127.0.3.%d" % (index + 1))
            before = memory_kb(daemon.pid)
            packet = framed(wire.query(1, "localhost"))
            for index in range(count):
                sock = tcp_socket(daemon.port, source="127.0.%d.%d" % (10 + index // 2000, index % 200 + 1))
                sock.sendall(packet)
                socks.append(sock)
            for sock in socks:
                assert read_framed(sock)[2] & 0x80
            assert harness.number(daemon.status(), "tcp_clients") == count
            each = (memory_kb(daemon.pid) - before) * 1024 / count
            spent, started = processor_s(daemon.pid), time.monotonic()
            for index in range(20):
                assert addresses_of(daemon.ask("h%d.example.org" % index, timeout_s=2))
                assert addresses_of(daemon.ask("h%d.example.org" % index, tcp=True, source="127.0.3.%d" % (index + 1), timeout_s=2))
            until(lambda: time.monotonic() - started > 2, "two seconds")
            share = (processor_s(daemon.pid) - spent) / (time.monotonic() - started)
            print("10,000 idle connections: %d octets each, %.1f %% of a processor" % (each, 100 * share))
            assert each < 8192 and share < 0.2  # under AddressSanitizer four times as much
        finally:
            close_all(socks)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.alone
def test_goodput():
    """Twice what a worker can take, and as many pending questions as may be: the audit in short, by the worker's processor time."""
    if len(os.sched_getaffinity(0)) < 2:
        harness.missing("the client needs a processor of its own")
    best = {"overload": 0.0, "pending": 0.0}
    for _ in range(3):
        (overload, pending), = audit_overload.run(1, 0.5, 30000)
        assert pending.detail >= 500, "questions are pending"
        best = {"overload": max(best["overload"], overload.by_processor), "pending": max(best["pending"], pending.by_processor)}
        if min(best.values()) >= 0.9:
            break
    assert min(best.values()) >= 0.9, best


def test_descriptors_are_shared(nsd, folder):
    """More connections wanted than the system allows: said at the start, and the control socket is answered when all are taken."""
    daemon = harness.Teredown(folder.path, nsd.endpoint, workers=1, tcp_clients_max=4000, tcp_clients_per_address=4000)
    daemon.argv = ["/bin/sh", "-c", "ulimit -n 600 && exec \"$@\"", "sh"] + daemon.argv
    daemon.start()
    socks = []
    try:
        assert "tcp-clients-max: " in daemon.log() and "instead of 4000" in daemon.log()
        for _ in range(400):
            socks.append(tcp_socket(daemon.port))
        until(lambda: 200 <= harness.number(daemon.status(), "tcp_clients") <= 300, "so many are served")
        assert addresses_of(daemon.ask("www.example.org")) == ["192.0.2.1"], "a socket for a question upstream"
    finally:
        close_all(socks)
        daemon.stop()


def framed(packet):
    return len(packet).to_bytes(2, "big") + packet


def close_all(socks):
    for sock in socks:
        sock.close()


def send_quietly(sock, octets):
    with contextlib.suppress(OSError):
        sock.sendall(octets)


def try_read(sock):
    try:
        return sock.recv(65535)
    except TimeoutError:
        return None
