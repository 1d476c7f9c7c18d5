# SPDX-License-Identifier: BSD-3-Clause
"""How questions come in and answers leave: UDP, TCP, IPv4, IPv6, sizes."""

import contextlib
import os
import resource
import socket
import subprocess
import threading
import time

import dns.flags
import pytest

import harness
import wire
from harness import addresses_of, read_framed, rcode_of, send_framed, tcp_socket, udp_socket, until


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_answers(shared, host, tcp):
    answer = shared.ask("www.example.org", host=host, tcp=tcp)
    assert rcode_of(answer) == "NOERROR" and addresses_of(answer) == ["192.0.2.1"]
    assert answer.flags & dns.flags.RA and answer.flags & dns.flags.RD and not answer.flags & dns.flags.AA
    assert addresses_of(shared.ask("www.example.org", "AAAA", host=host, tcp=tcp)) == ["2001:db8::1"]


def test_chain(shared):
    answer = shared.ask("alias.example.org")
    assert [rrset.rdtype for rrset in answer.answer] == [wire.CNAME, wire.A] and addresses_of(answer) == ["192.0.2.1"]


def test_wildcard_of_the_zone(shared):
    answer = shared.ask("some.thing.wild.example.org")
    assert addresses_of(answer) == ["192.0.2.77"]
    assert answer.answer[0].name.to_text() == "some.thing.wild.example.org."


def test_clients_of_127_0_0_x(shared):
    for last in (2, 77, 254):
        assert addresses_of(shared.ask("first.example.org", source="127.0.0.%d" % last)) == ["192.0.2.11"]
        assert addresses_of(shared.ask("first.example.org", source="127.0.0.%d" % last, tcp=True)) == ["192.0.2.11"]


def test_case_comes_back(shared):
    """From upstream and from the cache; the answer's owner is the question's spelling too, by compression."""
    for spelled in (b"tWo.ExAmPlE.oRg", b"TWO.example.ORG", b"two.example.org"):
        with udp_socket(shared.port) as sock:
            sock.send(wire.query(7, spelled.decode()))
            packet = sock.recv(4096)
        asked = wire.name(spelled.decode())
        assert packet[12:12 + len(asked)] == asked
        assert sorted(wire.parse(packet).addresses) == ["192.0.2.2", "192.0.2.3"]


class TestTruncation:
    def test_without_edns(self, shared):
        """Forty addresses are more than 512 octets: TC, no OPT record, and all of it over TCP."""
        answer = shared.ask("many.example.org", use_edns=False)
        assert answer.flags & dns.flags.TC and len(answer.to_wire()) <= 512 and answer.edns == -1
        answer = shared.ask("many.example.org", use_edns=False, tcp=True)
        assert not answer.flags & dns.flags.TC and len(addresses_of(answer)) == 40

    def test_with_room(self, shared):
        answer = shared.ask("many.example.org", payload=1232)
        assert not answer.flags & dns.flags.TC and len(addresses_of(answer)) == 40

    def test_upstream_truncates(self, shared):
        """4 KB of text: NSD sends TC, the daemon asks it over TCP, this client gets TC, and everything over TCP."""
        answer = shared.ask("big.example.org", "TXT", payload=4096)
        assert answer.flags & dns.flags.TC
        answer = shared.ask("big.example.org", "TXT", tcp=True)
        assert not answer.flags & dns.flags.TC and len(answer.answer[0]) == 20

    def test_never_over_1232(self, shared):
        with udp_socket(shared.port) as sock:
            for payload in (512, 1232, 4096, 65535):
                sock.send(wire.query(payload, "big.example.org", wire.TXT, payload))
                packet = sock.recv(65535)
                assert len(packet) <= min(payload, 1232) and wire.parse(packet).truncated

    def test_payload_under_512_means_512(self, shared):
        with udp_socket(shared.port) as sock:
            sock.send(wire.query(1, "many.example.org", wire.A, 20))
            packet = sock.recv(65535)
            assert len(packet) <= 512 and wire.parse(packet).truncated
            sock.send(wire.query(2, "www.example.org", wire.A, 0))
            assert wire.parse(sock.recv(65535)).addresses == ["192.0.2.1"]

    def test_truncated_is_not_cached(self, upstream, teredown):
        """Upstream says TC with a partial answer over UDP; nobody ever sees the part."""
        full = [wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, index])) for index in range(1, 61)]

        def script(packet, asked, tcp):
            if tcp:
                return [(0, wire.reply(packet, answers=full))]
            return [(0, wire.reply(packet, answers=full[:3], flags=wire.RA | wire.TC))]
        server = upstream(script)
        daemon = teredown(server.endpoint)
        assert len(addresses_of(daemon.ask("x.example.org", payload=1232))) == 60
        assert len(addresses_of(daemon.ask("x.example.org", payload=1232))) == 60
        assert (server.udp_packets, server.tcp_queries) == (1, 1)
        answer = daemon.ask("x.example.org", use_edns=False)
        assert answer.flags & dns.flags.TC and addresses_of(answer) != addresses_of(daemon.ask("x.example.org", tcp=True))


class TestTcp:
    def test_pipelined(self, shared):
        """Twenty questions in one write, each answered once, each with its own answer."""
        with tcp_socket(shared.port) as sock:
            packets = [wire.query(100 + index, "h%d.example.org" % index) for index in range(20)]
            sock.sendall(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets))
            answers = [wire.parse(read_framed(sock)) for _ in range(20)]
        assert sorted(answer.ident for answer in answers) == list(range(100, 120))
        for answer in answers:
            index = answer.ident - 100
            assert answer.question.qname == "h%d.example.org." % index
            assert answer.addresses == ["203.0.113.%d" % (index % 250 + 1)]

    def test_out_of_order(self, upstream, teredown):
        """A slow question does not hold up the quick one behind it (RFC 7766, 6.2.1.1)."""
        quick = upstream({"slow.example.org": "192.0.2.1", "quick.example.org": "192.0.2.2"})
        plain = quick.script
        quick.script = lambda packet, asked, tcp: [(0.7 if asked.qname.startswith("slow") else 0, plain(packet, asked, tcp)[0][1])]
        daemon = teredown(quick.endpoint)
        with tcp_socket(daemon.port) as sock:
            send_framed(sock, wire.query(1, "slow.example.org"))
            send_framed(sock, wire.query(2, "quick.example.org"))
            assert [wire.parse(read_framed(sock)).ident for _ in range(2)] == [2, 1]

    def test_one_byte_at_a_time(self, shared):
        packet = wire.query(5, "www.example.org")
        with tcp_socket(shared.port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in len(packet).to_bytes(2, "big") + packet:
                sock.send(bytes([octet]))
            assert wire.parse(read_framed(sock)).addresses == ["192.0.2.1"]

    def test_length_zero(self, shared):
        """Nothing to answer; the connection may close, the daemon goes on."""
        with tcp_socket(shared.port) as sock:
            sock.sendall(b"\0\0")
            send_framed(sock, wire.query(6, "www.example.org"))
            try:
                assert wire.parse(read_framed(sock)).ident == 6
            except (EOFError, ConnectionError):
                pass
        assert addresses_of(shared.ask("www.example.org", tcp=True)) == ["192.0.2.1"]

    def test_length_zero_behind_questions(self, upstream, teredown):
        """The questions before it are answered, those that take a while too, then the connection ends."""
        daemon = teredown(upstream({"slow.example.org": "192.0.2.1"}, delay=0.3).endpoint)
        with tcp_socket(daemon.port) as sock:
            packets = [wire.query(1, "slow.example.org"), wire.query(2, "localhost")]
            sock.sendall(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets) + b"\0\0")
            assert [wire.parse(read_framed(sock)).ident for _ in range(2)] == [2, 1]
            assert sock.recv(1) == b""

    def test_length_65535_and_gone(self, shared):
        for _ in range(20):
            with tcp_socket(shared.port) as sock:
                sock.sendall(b"\xff\xff" + b"x" * 1000)
        assert addresses_of(shared.ask("www.example.org", tcp=True)) == ["192.0.2.1"]

    def test_half_close(self, shared):
        """A client that closes its side after the question still gets the answer."""
        with tcp_socket(shared.port) as sock:
            send_framed(sock, wire.query(8, "second.example.org"))
            sock.shutdown(socket.SHUT_WR)
            assert wire.parse(read_framed(sock)).addresses == ["192.0.2.12"]
            assert sock.recv(1) == b""

    def test_idle_connection_is_closed(self, shared):
        started = time.monotonic()
        with tcp_socket(shared.port, timeout_s=35) as sock:
            send_framed(sock, wire.query(9, "www.example.org"))
            read_framed(sock)
            assert sock.recv(1) == b"" and time.monotonic() - started < 30

    def test_idle_connections_stop_nobody(self, shared):
        idle = []
        try:
            for index in range(400):
                idle.append(tcp_socket(shared.port, source="127.0.2.%d" % (index % 200 + 1)))
            assert addresses_of(shared.ask("www.example.org")) == ["192.0.2.1"]
            assert addresses_of(shared.ask("www.example.org", tcp=True, source="127.0.3.1")) == ["192.0.2.1"]
        finally:
            for sock in idle:
                sock.close()

    def test_slow_reader(self, shared):
        """A client that asks for a lot and reads nothing takes neither the daemon's time nor its memory."""
        with tcp_socket(shared.port, timeout_s=1) as sock:
            packet = wire.query(1, "big.example.org", wire.TXT)
            framed = (len(packet).to_bytes(2, "big") + packet) * 50
            before = memory_kb(shared.pid)
            try:
                for _ in range(400):  # 20,000 questions, 80 MB of answers
                    sock.sendall(framed)
            except OSError:
                pass  # it stopped reading, or closed: both are right
            assert addresses_of(shared.ask("www.example.org")) == ["192.0.2.1"]
            assert memory_kb(shared.pid) - before < 30000

    def test_silence_takes_no_place(self, upstream, teredown, folder):
        """Pending questions that a rule on the answer's alias silences: the connection goes on, and ends when the client has ended it."""
        quiet = wire.name("quiet.example.net")

        def script(packet, asked, tcp):
            if asked.qname.startswith("plain"):
                return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 0, bytes([192, 0, 2, 1]))]))]
            return [(0.05, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.CNAME, 0, quiet), wire.rr(quiet, wire.A, 0, bytes(4))]))]
        path = folder.write("quiet.rpz", "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 900 604800 300\n  NS localhost.\n"
            "quiet.example.net CNAME rpz-drop.\n")
        daemon = teredown(upstream(script).endpoint, zones={"quiet": {"file": path, "mode": "block"}})
        with tcp_socket(daemon.port) as sock:
            for index in range(150):  # more than may be pending on one connection
                send_framed(sock, wire.query(index, "q%d.example.org" % index))
            send_framed(sock, wire.query(999, "plain.example.org"))
            assert wire.parse(read_framed(sock)).ident == 999
            send_framed(sock, wire.query(1, "last.example.org"))
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b"", "closed once nothing is pending"
        status = daemon.status()
        assert harness.number(status, "tcp_clients") == 0 and harness.number(status, "dropped_policy") == 151
        assert len(set(harness.balance(status))) == 1

    def test_out_of_descriptors(self, teredown, nsd):
        """More clients than descriptors: the newest are served in place of idle ones, and the processor is not spent on those who wait."""
        daemon = teredown(nsd.endpoint, workers=1)
        used = len(os.listdir("/proc/%d/fd" % daemon.pid))
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 10, used + 10))
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(tcp_socket(daemon.port, source="127.0.5.%d" % (index % 20 + 1))) for index in range(30)]
            send_framed(socks[-1], wire.query(1, "localhost"))
            read_framed(socks[-1])
            before, started = processor_s(daemon.pid), time.monotonic()
            time.sleep(1)
            assert processor_s(daemon.pid) - before < (time.monotonic() - started) / 4
        until(lambda: addresses_of(daemon.ask("localhost", tcp=True, timeout_s=1)) == ["127.0.0.1"], "a client comes in again")

    def test_client_gone_before_the_answer(self, upstream, teredown):
        server = upstream({"slow.example.org": "192.0.2.1"}, delay=0.3)
        daemon = teredown(server.endpoint)
        for index in range(20):
            with tcp_socket(daemon.port) as sock:
                send_framed(sock, wire.query(index, "slow.example.org"))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        until(lambda: harness.number(daemon.status(), "pending") == 0, "nothing pending")
        received, accounted = harness.balance(daemon.status())
        assert received == accounted
        assert addresses_of(daemon.ask("slow.example.org")) == ["192.0.2.1"]


def processor_s(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    with open("/proc/%d/status" % pid) as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def test_many_at_once(shared):
    """Two hundred clients, each with a socket and a question of its own: no answer goes astray."""
    faults = []

    def one(index):
        try:
            source = "127.0.4.%d" % (index + 1)
            answer = shared.ask("h%d.example.org" % index, source=source)
            assert addresses_of(answer) == ["203.0.113.%d" % (index % 250 + 1)]
        except Exception as fault:
            faults.append("%d: %r" % (index, fault))
    threads = [threading.Thread(target=one, args=(index,)) for index in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[:5]


def test_kdig(shared, need):
    output = subprocess.run([need("kdig"), "@127.0.0.1", "-p", str(shared.port), "+short", "teredo.ipv6.microsoft.com"],
        stdout=subprocess.PIPE, universal_newlines=True, timeout=20).stdout
    assert output.split() == ["teredo.ipv6.microsoft.com.nsatc.net.", "65.55.158.118"]


def test_dnsperf_loses_nothing(shared, need, folder):
    """Real load: nothing lost, all NOERROR, and the daemon's own count agrees."""
    questions = folder.write("questions", "".join("h%d.example.org A\n" % index for index in range(500)))
    before = harness.number(shared.status(), "answered")
    output = subprocess.run([need("dnsperf"), "-s", "127.0.0.1", "-p", str(shared.port), "-d", questions, "-n", "20", "-q", "50",
        "-c", "8", "-t", "5"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60).stdout
    lines = dict(line.strip().split(":", 1) for line in output.splitlines() if ":" in line)
    assert lines["Queries completed"].split()[0] == "10000", output
    assert lines["Queries lost"].split()[0] == "0", output
    assert lines["Response codes"].strip() == "NOERROR 10000 (100.00%)", output
    assert harness.number(shared.status(), "answered") - before == 10000
