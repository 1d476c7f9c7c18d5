# SPDX-License-Identifier: BSD-3-Clause
"""Towards upstreams: whom to believe, whom to ask next, what never leaves."""

import socket
import threading
import time

import pytest

import harness
import wire
from harness import addresses_of, rcode_of, udp_socket, until
from upstream import addresses

pytestmark = pytest.mark.timed

RIGHT = {"name.example.org": "192.0.2.1"}


def answer_with(packet, last, **options):
    return wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, last]))], **options)


def wrong_ids(packet):
    right = int.from_bytes(packet[:2], "big")
    return [((right + 1 + index) & 0xFFFF).to_bytes(2, "big") + answer_with(packet, 66)[2:] for index in range(16)]


def wrong_question(packet):
    other = wire.query(0, "other.example.org", edns=1232)
    return [packet[:2] + answer_with(other, 66)[2:] for _ in range(5)]


def wrong_type(packet):
    end = wire.read_question(packet).end
    fake = bytearray(answer_with(packet, 66))
    fake[end - 3] = wire.TXT
    return [bytes(fake)] * 5


def not_a_reply(packet):
    fake = bytearray(answer_with(packet, 66))
    fake[2] &= 0x7F
    return [bytes(fake)] * 5


def garbage(packet):
    return [b"", b"\0", packet[:2], packet[:11], packet[:12], packet[:2] + b"\xff" * 40, answer_with(packet, 66)[:14]]


@pytest.mark.parametrize("kind", [wrong_ids, wrong_question, wrong_type, not_a_reply, garbage])
def test_what_does_not_match_is_ignored(upstream, teredown, kind):
    """Forgeries first, the right answer 150 ms later: that one is delivered and cached, none of the others (RFC 5452, TuDoor)."""
    def script(packet, asked, tcp):
        return [(0, forged) for forged in kind(packet)] + [(0.15, answer_with(packet, 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint)
    for _ in range(2):
        assert addresses_of(daemon.ask("name.example.org")) == ["192.0.2.1"]
    assert server.count("name.example.org") == 1 and server.tcp_queries == 0
    assert harness.number(daemon.status(), "upstream_mismatched") > 0


def test_answer_from_another_address_is_ignored(upstream, teredown):
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.1", 0))

    def script(packet, asked, tcp):
        port = server.sources[-1][0]
        for _ in range(5):
            stranger.sendto(answer_with(packet, 66), ("127.0.0.1", port))
        return [(0.15, answer_with(packet, 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint)
    assert addresses_of(daemon.ask("name.example.org")) == ["192.0.2.1"]
    stranger.close()


def test_ids_and_ports_are_random(upstream, teredown):
    """Over a thousand questions: ports over the whole range, no step, no order (CVE-2026-50252, CVE-2025-40780)."""
    server = upstream(addresses({}))
    daemon = teredown(server.endpoint)
    with udp_socket(daemon.port) as sock:
        for index in range(1000):
            sock.send(wire.query(index, "u%d.example.org" % index))
            sock.recv(4096)
    ports = [port for port, _ in server.sources]
    ids = [int.from_bytes(ident, "big") for _, ident in server.sources]
    assert len(ports) >= 1000 and len(set(ids)) > 950
    assert min(ports) < 5000 and max(ports) > 60000, "ports from %d to %d" % (min(ports), max(ports))
    assert len(set(ports)) > 100
    for values in (ids, ports):
        steps = [(after - before) & 0xFFFF for before, after in zip(values, values[1:])]
        assert max(steps.count(step) for step in set(steps) - {0}) < 20


@pytest.mark.alone
@pytest.mark.parametrize("dead", ["closed", "silent"])
@pytest.mark.parametrize("first", [True, False], ids=["dead first", "dead second"])
def test_two_upstreams_one_dead(upstream, teredown, dead, first):
    """Every question is answered; a dead server costs two seconds once, then it is asked last."""
    server = upstream({"h%d.example.org" % index: "192.0.2.1" for index in range(100)})
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if dead == "silent":
        silent.bind(("127.0.0.1", 0))
        gone = "127.0.0.1:%d" % silent.getsockname()[1]
    else:
        gone = "127.0.0.1:%d" % harness.free_port()
    daemon = teredown([gone, server.endpoint] if first else [server.endpoint, gone])
    took = []
    for index in range(30):
        started = time.monotonic()
        assert addresses_of(daemon.ask("h%d.example.org" % index)) == ["192.0.2.1"]
        took.append(time.monotonic() - started)
    silent.close()
    assert max(took) < 2.5 and sorted(took)[25] < 0.2, took


def test_every_upstream_dead(teredown):
    """SERVFAIL within the configured time, with an Extended DNS Error, and names that need no upstream answer at once."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    daemon = teredown("127.0.0.1:%d" % silent.getsockname()[1], upstream_timeout="1s")
    with udp_socket(daemon.port) as sock:
        for index in range(200):
            sock.send(wire.query(index, "u%d.example.org" % index))
        started = time.monotonic()
        assert rcode_of(daemon.ask("localhost")) == "NOERROR"
        assert time.monotonic() - started < 0.8
        for _ in range(200):
            assert wire.parse(sock.recv(4096)).rcode == wire.SERVFAIL
    answer = daemon.ask("another.example.org")
    assert rcode_of(answer) == "SERVFAIL" and harness.ede_codes(answer)
    silent.close()


def test_no_more_than_three_packets(teredown):
    """A silent server gets at most three packets for one question."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    silent.setblocking(False)
    daemon = teredown("127.0.0.1:%d" % silent.getsockname()[1], upstream_timeout="4s")
    assert rcode_of(daemon.ask("name.example.org")) == "SERVFAIL"
    packets = 0
    try:
        while True:
            packets += wire.read_question(silent.recv(4096)).qname.lower() == "name.example.org."
    except BlockingIOError:
        pass
    silent.close()
    assert 1 <= packets <= 3


def test_servfail_is_passed_on_and_next_is_asked(upstream, teredown):
    broken = upstream(lambda packet, asked, tcp: [(0, wire.reply(packet, wire.SERVFAIL))])
    daemon = teredown(broken.endpoint)
    assert rcode_of(daemon.ask("name.example.org")) == "SERVFAIL"


def test_no_edns_upstream(upstream, teredown):
    """A server that answers FORMERR to EDNS is asked again without."""
    plain = addresses(RIGHT)

    def script(packet, asked, tcp):
        if packet[10:12] != b"\0\0":
            return [(0, wire.reply(packet, wire.FORMERR, edns=False))]
        return plain(packet, asked, tcp)
    daemon = teredown(upstream(script).endpoint)
    assert addresses_of(daemon.ask("name.example.org")) == ["192.0.2.1"]


def test_client_options_are_not_passed_on(upstream, teredown):
    """The OPT record that leaves is our own: 1232 octets, no option of the client (CVE-2026-42004)."""
    seen = []
    plain = addresses(RIGHT)

    def script(packet, asked, tcp):
        seen.append(wire.parse(packet))
        return plain(packet, asked, tcp)
    daemon = teredown(upstream(script).endpoint)
    with udp_socket(daemon.port) as sock:
        options = wire.option(8, b"\0\1\x18\0\x0a\1\2") + wire.option(65001, b"secret") + wire.option(10, b"12345678")
        sock.send(wire.header(1, wire.RD, additional=1) + wire.question("name.example.org", wire.A) + wire.opt(4096, options=options))
        sock.recv(4096)
    assert seen and all(message.payload == 1232 for message in seen)
    for message in seen:
        assert [code for code, _ in message.options] == [10], "a cookie of our own"
        assert b"12345678" not in message.options[0][1]


def test_chain_option(upstream, teredown):
    """EDNS option 13 (CHAIN, RFC 7901), on which the packet printers of ldns crash: in a query, in a reply, whole and cut short, with all that
    prints what was answered."""
    bodies = [b"", b"\0", b"\3org\0", b"\3or", b"\xc0\x0c", b"\x3f" * 64]

    def script(packet, asked, tcp):
        body = bodies[int(asked.qname[1])]
        record = wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, 1]))
        answer = wire.reply(packet, answers=[record], edns=False)
        return [(0, answer[:10] + b"\0\1" + answer[12:] + wire.opt(options=wire.option(13, body)))]
    daemon = teredown(upstream(script).endpoint, query_log="all", redis="off")
    with udp_socket(daemon.port) as sock:
        for index, body in enumerate(bodies):
            sock.send(wire.header(index, wire.RD, additional=1) + wire.question("n%d.example.org" % index, wire.A) + wire.opt(options=wire.option(13, body)))
            assert wire.parse(sock.recv(4096)).addresses == ["192.0.2.1"]
    until(lambda: len([record for record in daemon.records() if record["addresses"] == ["192.0.2.1"]]) == len(bodies), "each is printed")
    assert "192.0.2.1" in daemon.run("cache", "n2.example.org")


SPECIAL = [("localhost", "A"), ("localhost", "AAAA"), ("a.localhost", "A"), ("x.invalid", "A"), ("duckduckgogg42xjoc72x3.onion", "A"),
    ("printer.home.arpa", "A"), ("name.alt", "A"), ("_dns.resolver.arpa", "SVCB"), ("1.0.0.127.in-addr.arpa", "PTR"),
    ("1.1.168.192.in-addr.arpa", "PTR"), ("4.3.2.10.in-addr.arpa", "PTR"), ("1.1.254.169.in-addr.arpa", "PTR"),
    ("1.0.16.172.in-addr.arpa", "PTR"), ("1.2.0.192.in-addr.arpa", "PTR"), ("d.f.ip6.arpa", "PTR"), ("8.e.f.ip6.arpa", "PTR"),
    ("1." + "0." * 31 + "ip6.arpa", "PTR"), ("8.b.d.0.1.0.0.2.ip6.arpa", "PTR")]


def test_special_names_never_leave(upstream, teredown):
    """RFC 6761, RFC 6303 and their followers, also in another letter case and over TCP."""
    server = upstream(addresses({}))
    daemon = teredown(server.endpoint)
    for name, qtype in SPECIAL:
        for spelled in (name, name.upper()):
            answer = daemon.ask(spelled, qtype)
            assert rcode_of(answer) in ("NOERROR", "NXDOMAIN"), (name, rcode_of(answer))
        daemon.ask(name, qtype, tcp=True)
    assert addresses_of(daemon.ask("localhost")) == ["127.0.0.1"]
    assert addresses_of(daemon.ask("localhost", "AAAA")) == ["::1"]
    assert not server.asked, "went upstream: %s" % dict(server.asked)
    daemon.ask("leaves.example.org")
    assert server.count("leaves.example.org") == 1


def test_special_names_are_outside_all_modes(upstream, teredown):
    server = upstream(addresses({}))
    daemon = teredown(server.endpoint, mode="ignore")
    assert addresses_of(daemon.ask("localhost")) == ["127.0.0.1"]
    daemon.run("mode", "block")
    assert addresses_of(daemon.ask("localhost")) == ["127.0.0.1"]
    assert not server.asked


def test_own_address_as_upstream_is_refused(teredown, folder):
    """A resolver that would ask itself says so at the start instead of storming."""
    daemon = harness.Teredown(folder.path, "127.0.0.1:1")
    daemon.configure(upstream=["127.0.0.1:%d" % daemon.port])
    daemon.start(wait=False)
    assert daemon.wait() == 1
    assert "upstream" in daemon.log()


def test_silent_upstream_stops_nobody(upstream, teredown):
    """Two hundred questions hang; cached, local and blocked names and other clients are answered at once."""
    plain = addresses({"cached.example.org": "192.0.2.1", "quick.example.org": "192.0.2.2"}, ttl=300)

    def script(packet, asked, tcp):
        return [] if asked.qname.startswith("hang") else plain(packet, asked, tcp)
    daemon = teredown(upstream(script).endpoint, mode="block", upstream_timeout="3s")
    daemon.ask("cached.example.org")
    with udp_socket(daemon.port, source="127.0.7.1") as sock:
        for index in range(200):
            sock.send(wire.query(index, "hang%d.example.org" % index))
        started = time.monotonic()
        assert addresses_of(daemon.ask("cached.example.org")) == ["192.0.2.1"]
        assert rcode_of(daemon.ask("teredo.ipv6.microsoft.com")) == "NXDOMAIN"
        assert rcode_of(daemon.ask("localhost")) == "NOERROR"
        assert time.monotonic() - started < 1
    until(lambda: harness.number(daemon.status(), "pending") == 0, "nothing pending")


def test_burst_of_distinct_questions(upstream, teredown):
    """Eight threads, 2,000 distinct questions, an upstream that delays: all answered, each with its own address."""
    def script(packet, asked, tcp):
        index = int(asked.qname[1:].split(".")[0])
        record = wire.rr(b"\xc0\x0c", wire.A, 60, bytes([10, 1, index >> 8, index & 255]))
        return [(0.001 * (index % 50), wire.reply(packet, answers=[record]))]
    daemon = teredown(upstream(script).endpoint)
    faults = []

    def client(number):
        with udp_socket(daemon.port, source="127.0.8.%d" % (number + 1)) as sock:
            for index in range(number, 2000, 8):
                sock.send(wire.query(index, "q%d.example.org" % index))
                answer = wire.parse(sock.recv(4096))
                if answer.ident != index or answer.addresses != ["10.1.%d.%d" % (index >> 8, index & 255)]:
                    faults.append((index, answer.ident, answer.addresses))
    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[:5]
