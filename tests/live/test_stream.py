# SPDX-License-Identifier: BSD-3-Clause
"""TCP to upstream servers (RFC 7766): one connection for many questions, answers in any order, and servers that do as they like."""

import time

import pytest

import harness
import wire
from harness import addresses_of, rcode_of, until
from stream_server import CLOSE, Raw, StreamServer, answer, ask_all, at_once
from upstream import addresses

pytestmark = pytest.mark.timed


@pytest.fixture
def serve():
    started = []

    def start(script=at_once):
        started.append(StreamServer(script))
        return started[-1]
    yield start
    for server in started:
        server.stop()
    for server in started:
        assert server.udp_packets == 0, "asked over UDP"


def tcp(server):
    return "tcp://" + server.endpoint


def names(count, turn=0):
    return ["n%d.t%d.example" % (number, turn) for number in range(1, count + 1)]


def assert_all(daemon, count, turn=0, **options):
    got = ask_all(daemon, names(count, turn), **options)
    assert got == {name: (0, ["192.0.2.%d" % (number + 1)]) for number, name in enumerate(names(count, turn))}


def test_cut_answers_share_a_connection(upstream, teredown):
    """What UDP cuts is fetched over one connection, question after question."""
    accepted = []

    def script(packet, asked, tcp_):
        if not tcp_:
            return [(0, wire.reply(packet, flags=wire.RA | wire.TC))]
        return [(0, answer(packet))]
    server = upstream(script)
    accept = server._accept
    server._selector.modify(server.tcp, 1, lambda listener: (accepted.append(1), accept(listener)))
    daemon = teredown(server.endpoint, workers=1)
    for number in range(20):
        assert addresses_of(daemon.ask("n%d.example" % number)) == ["192.0.2.1"]
    assert server.tcp_queries == 20 and len(accepted) == 1
    status = daemon.status()
    assert harness.number(status, "upstream_connections") == 1 and harness.number(status, "upstream_tcp") == 20


def test_fifty_over_one_connection(serve, teredown):
    """In any order: the first asked is answered last."""
    server = serve(lambda packet, asked, connection: [(0.5 - 0.008 * len(connection.messages), at_once(packet, asked, connection)[0][1])])
    daemon = teredown(tcp(server), workers=1, upstream_hedge="off")
    assert_all(daemon, 50)
    assert len(server.connections) == 1
    ids = [message[:2] for message in server.messages]
    assert len(set(ids)) == 50 and len({(b[0] << 8 | b[1]) - (a[0] << 8 | a[1]) for a, b in zip(ids, ids[1:])}) > 40
    assert harness.number(daemon.status(), "upstream_udp") == 0


def test_more_than_a_connection_takes(serve, teredown):
    server = serve(lambda packet, asked, connection: [(0.4, at_once(packet, asked, connection)[0][1])])
    daemon = teredown(tcp(server), workers=1)
    assert_all(daemon, 250)
    assert len(server.connections) == 2
    assert max(len(connection.messages) for connection in server.connections) <= 128


def test_closed_after_each_answer(serve, teredown):
    """A server may close at any time (RFC 7766, 6.2.3): nothing is lost, and it is no failure of the server."""
    def script(packet, asked, connection):
        return at_once(packet, asked, connection) + [(0, CLOSE)] if len(connection.messages) == 1 else []
    server = serve(script)
    daemon = teredown(tcp(server), workers=1)
    for turn in range(2):
        assert_all(daemon, 40, turn)
    status = daemon.status()
    assert status["upstream"][0]["timeouts"] in (0, "0") and status["upstream"][0]["failures"] in (0, "0")
    assert harness.number(status, "upstream_repeated") > 0


def test_closed_without_answer(serve, teredown):
    """Asked again once on another connection, then it is a failure."""
    server = serve(lambda packet, asked, connection: [(0, CLOSE)])
    daemon = teredown(tcp(server), workers=1)
    started = time.monotonic()
    assert rcode_of(daemon.ask("n1.example")) == "SERVFAIL"
    assert time.monotonic() - started < 2
    assert server.asked["n1.example."] == 2


def test_closed_while_idle(serve, teredown):
    server = serve(lambda packet, asked, connection: at_once(packet, asked, connection) + [(0.05, CLOSE)])
    daemon = teredown(tcp(server), workers=1)
    number = 0
    while len(server.connections) < 4:
        number += 1
        assert addresses_of(daemon.ask("n%d.t%d.example" % (number % 200, number))) == ["192.0.2.%d" % (number % 200)]


def test_connection_that_died_unnoticed(serve, teredown):
    """A NAT forgot it: no answer and no sign. Another is opened, within the time of the question."""
    def script(packet, asked, connection):
        return at_once(packet, asked, connection) if connection is not server.connections[0] or asked.qname == "n1.example." else []
    server = serve(script)
    daemon = teredown(tcp(server), workers=1)
    assert addresses_of(daemon.ask("n1.example")) == ["192.0.2.1"]
    started = time.monotonic()
    assert addresses_of(daemon.ask("n2.example", timeout_s=6)) == ["192.0.2.2"]
    assert 1 < time.monotonic() - started < 3
    assert addresses_of(daemon.ask("n3.example")) == ["192.0.2.3"]
    assert len(server.connections) == 2


def test_slow_server(serve, teredown):
    """Two seconds for each answer: waited for."""
    server = serve(lambda packet, asked, connection: [(2, at_once(packet, asked, connection)[0][1])])
    assert addresses_of(teredown(tcp(server)).ask("n3.example", timeout_s=8)) == ["192.0.2.3"]


def wrong(kind, packet):
    if kind == "id":
        return [((packet[0] << 8 | packet[1]) + 1 & 0xFFFF).to_bytes(2, "big") + answer(packet, 66)[2:]] * 3
    if kind == "question":
        return [packet[:2] + answer(wire.query(0, "other.example", edns=1232), 66)[2:]] * 3
    if kind == "query":
        return [packet]
    return [packet[:2] + b"\xff" * 40, packet[:12]]


@pytest.mark.parametrize("kind", ["id", "question", "query", "garbage"])
def test_what_does_not_match_is_ignored(serve, teredown, kind):
    server = serve(lambda packet, asked, connection: [(0, forged) for forged in wrong(kind, packet)] + [(0.1, answer(packet))])
    daemon = teredown(tcp(server), workers=1)
    for _ in range(2):
        assert addresses_of(daemon.ask("name.example")) == ["192.0.2.1"]
    assert server.asked["name.example."] == 1 and len(server.connections) == 1
    assert harness.number(daemon.status(), "upstream_mismatched") > 0


@pytest.mark.parametrize("octets", [b"\0\0", b"\0\x01x", b"\0\x0b" + b"x" * 11], ids=["length0", "length1", "length11"])
def test_what_is_no_message_ends_the_connection(serve, teredown, octets):
    def script(packet, asked, connection):
        return [(0, Raw(octets))] if len(server.connections) == 1 else [(0, answer(packet))]
    server = serve(script)
    daemon = teredown(tcp(server), workers=1)
    assert addresses_of(daemon.ask("name.example")) == ["192.0.2.1"]
    assert len(server.connections) == 2


def test_flood_of_strange_replies_ends_the_connection(serve, teredown):
    def script(packet, asked, connection):
        if len(server.connections) > 1:
            return [(0, answer(packet))]
        return [(0, number.to_bytes(2, "big") + answer(packet, 66)[2:]) for number in range(1000)]
    server = serve(script)
    daemon = teredown(tcp(server), workers=1)
    assert addresses_of(daemon.ask("name.example")) in (["192.0.2.1"], ["192.0.2.66"])
    if len(server.connections) > 1:
        assert harness.number(daemon.status(), "upstream_mismatched") == 64


def test_piecemeal_and_huge(serve, teredown):
    """One octet at a time; and as long as a message can be."""
    def script(packet, asked, connection):
        if asked.qname == "n1.example.":
            whole = answer(packet)
            whole = len(whole).to_bytes(2, "big") + whole
            return [(0.002 * at, Raw(whole[at:at + 1])) for at in range(len(whole))]
        records = [wire.rr(b"\xc0\x0c", wire.TXT, 60, b"\xff" + b"x" * 255) for _ in range(244)]
        return [(0, wire.reply(packet, answers=records))]
    server = serve(script)
    daemon = teredown(tcp(server), workers=1)
    assert addresses_of(daemon.ask("n1.example")) == ["192.0.2.1"]
    answered = daemon.ask("huge.example", "TXT", tcp=True)
    assert rcode_of(answered) == "NOERROR" and len(answered.answer[0]) == 1


def test_keepalive_of_the_server_is_heeded(serve, teredown):
    """RFC 7828: what the server says, where it is less than ours; 0 is at once."""
    def script(packet, asked, connection):
        reply = answer(packet)
        reply = reply[:-11] + wire.opt(options=wire.option(11, (3).to_bytes(2, "big")))
        return [(0, reply)]
    server = serve(script)
    daemon = teredown(tcp(server), workers=1)
    assert addresses_of(daemon.ask("n1.example")) == ["192.0.2.1"]
    until(lambda: server.connections[0].sock.fileno() < 0, "the connection is closed after 300 ms", 3)


def test_refused(teredown, upstream):
    """Said in status; the next server answers; the refused one is used again as soon as it is there."""
    port = harness.free_port()
    other = upstream(addresses({"name.example.org": "192.0.2.1"}))
    daemon = teredown(["tcp://127.0.0.1:%d" % port, other.endpoint])
    assert addresses_of(daemon.ask("name.example.org")) == ["192.0.2.1"]
    until(lambda: "tcp://127.0.0.1:%d: Connection refused" % port in str(daemon.status().get("upstream_error")), "the reason is said")
