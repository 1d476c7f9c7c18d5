# SPDX-License-Identifier: BSD-3-Clause
"""Packets that are not what they should be (design: what is refused, and how). Silence is shown by what follows it: the
next answer on the socket is that of a good question sent after the bad one."""

import struct

import pytest

import harness
import wire
from harness import rcode_of, read_framed, send_framed, tcp_socket, udp_socket

GOOD = "www.example.org"


def exchange(port, packet, silence_s=0.15):
    """The reply to packet, or None for silence. What goes upstream is worth a longer wait."""
    with udp_socket(port) as sock:
        sock.send(packet)
        sock.send(wire.query(0xCAFE, GOOD))
        replies = {}
        # The two may be answered in either order: one comes from the cache, one may not.
        while 0xCAFE not in replies:
            octets = sock.recv(65535)
            replies[int.from_bytes(octets[:2], "big")] = octets
        del replies[0xCAFE]
        if not replies:
            sock.settimeout(silence_s)
            try:
                octets = sock.recv(65535)
                replies[int.from_bytes(octets[:2], "big")] = octets
            except OSError:
                return None
        return wire.parse(replies.popitem()[1])


def rcode(port, packet):
    answer = exchange(port, packet)
    return None if answer is None else answer.rcode


def ask_with(additional, count=1, qname=GOOD, ident=1):
    return wire.header(ident, wire.RD, additional=count) + wire.question(qname, wire.A) + additional


@pytest.fixture(autouse=True)
def survives(shared):
    shared.ask(GOOD)
    yield
    assert harness.addresses_of(shared.ask(GOOD)) == ["192.0.2.1"]


@pytest.mark.parametrize("packet", [
    b"", b"\0", wire.query(1, GOOD)[:2], wire.query(1, GOOD)[:11],
    wire.query(1, GOOD, flags=wire.RD | wire.QR), wire.header(1, wire.QR, 0)], ids=["0", "1", "2", "11", "QR", "QR and no question"])
def test_silence(shared, packet):
    """Under 12 octets, or a reply where a query belongs: dropped and counted."""
    before = harness.number(shared.status(), "dropped_malformed")
    assert exchange(shared.port, packet) is None
    assert harness.number(shared.status(), "dropped_malformed") == before + 1


@pytest.mark.parametrize("opcode", [1, 2, 4, 5, 6, 15])
def test_opcode(shared, opcode):
    assert rcode(shared.port, wire.query(1, GOOD, flags=opcode << 11)) == wire.NOTIMP


@pytest.mark.parametrize("questions", [0, 2, 65535])
def test_number_of_questions(shared, questions):
    packet = wire.header(1, wire.RD, questions) + wire.question(GOOD, wire.A) * min(questions, 2)
    assert rcode(shared.port, packet) == wire.FORMERR


BROKEN_NAMES = {
    "pointer to itself": b"\xc0\x0c", "pointer forward": b"\xc0\x20", "pointer into the header": b"\xc0\x00",
    "label type 01": b"\x41" + b"a" * 65 + b"\0", "label type 10": b"\x81aa\0", "no end": b"\x03www",
    "over 255": (b"\x3f" + b"a" * 63) * 4 + b"\0", "label beyond the end": b"\x3fwww",
}


@pytest.mark.parametrize("name", BROKEN_NAMES.values(), ids=BROKEN_NAMES.keys())
def test_broken_question(shared, name):
    packet = wire.header(1, wire.RD) + name + struct.pack("!HH", wire.A, 1)
    assert rcode(shared.port, packet) in (None, wire.FORMERR)


def test_question_cut_short(shared):
    assert rcode(shared.port, (wire.header(1, wire.RD) + wire.question(GOOD, wire.A))[:-1]) in (None, wire.FORMERR)
    assert rcode(shared.port, wire.header(1, wire.RD)) in (None, wire.FORMERR)


def test_name_of_255_octets(shared):
    name = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"b" * 61 + b"\0"
    assert len(name) == 255
    answer = exchange(shared.port, wire.header(1, wire.RD) + wire.question(name, wire.A), 5)
    assert answer.rcode == wire.NXDOMAIN and len(answer.question.qname) == 254


def test_name_of_any_octets(shared):
    """Names are bytes: none of these is refused, and each comes back as it was."""
    name = b"\x08\n\"\\\0\xff .;\x07" + bytes(range(7)) + b"\x07example\x03org\0"
    with udp_socket(shared.port) as sock:
        sock.send(wire.header(3, wire.RD) + wire.question(name, wire.A))
        packet = sock.recv(4096)
    assert packet[12:12 + len(name)] == name and wire.parse(packet).rcode == wire.NXDOMAIN


@pytest.mark.parametrize("qclass", [0, 3, 4, 254, 255])
def test_class(shared, qclass):
    packet = wire.header(1, wire.RD) + wire.question(GOOD, wire.A, qclass)
    assert rcode(shared.port, packet) == wire.REFUSED


@pytest.mark.parametrize("qtype", [wire.AXFR, wire.IXFR], ids=["AXFR", "IXFR"])
def test_transfer(shared, qtype):
    assert rcode(shared.port, wire.query(1, "example.org", qtype)) == wire.REFUSED
    with tcp_socket(shared.port) as sock:
        send_framed(sock, wire.query(1, "example.org", qtype))
        assert wire.parse(read_framed(sock)).rcode == wire.REFUSED


def test_any_is_minimal(shared):
    """RFC 8482: one RRset at most, and far less than an amplifier wants."""
    with udp_socket(shared.port) as sock:
        question = wire.query(1, "many.example.org", wire.ANY, 4096)
        sock.send(question)
        packet = sock.recv(65535)
    answer = wire.parse(packet)
    assert answer.rcode == wire.NOERROR and len({record[1] for record in answer.answers}) <= 1
    assert len(packet) <= 3 * len(question)


class TestEdns:
    def test_none_means_none_back(self, shared):
        assert not exchange(shared.port, wire.query(1, "two.example.org"), 5).edns

    def test_back(self, shared):
        answer = exchange(shared.port, wire.query(1, "two.example.org", edns=4096), 5)
        assert answer.edns and answer.payload == 1232

    def test_do_bit_comes_back(self, shared):
        answer = harness.ask(shared.port, GOOD, want_dnssec=True)
        assert answer.ednsflags & 0x8000

    def test_version_1(self, shared):
        answer = exchange(shared.port, ask_with(wire.opt(version=1)))
        assert answer.rcode == wire.BADVERS and answer.edns and not answer.answers

    def test_two(self, shared):
        assert rcode(shared.port, ask_with(wire.opt() + wire.opt(), 2)) == wire.FORMERR

    def test_not_at_the_root(self, shared):
        assert rcode(shared.port, ask_with(wire.opt(owner=wire.name("a")))) == wire.FORMERR

    def test_option_beyond_its_end(self, shared):
        assert rcode(shared.port, ask_with(wire.opt(options=struct.pack("!HH", 10, 40) + b"12345678"))) == wire.FORMERR

    def test_rdata_beyond_the_end(self, shared):
        assert rcode(shared.port, ask_with(wire.opt(options=b"1234")[:-2])) == wire.FORMERR

    def test_thousand_options(self, shared):
        options = b"".join(wire.option(65001 + index % 500, b"") for index in range(1000))
        assert rcode(shared.port, ask_with(wire.opt(options=options))) == wire.NOERROR

    @pytest.mark.parametrize("code", [3, 5, 8, 9, 11, 12, 13, 14, 15, 16, 65535])
    def test_odd_bodies(self, shared, code):
        for body in (b"", b"\0", b"\xff" * 7, b"\0\1\0\0"):
            assert rcode(shared.port, ask_with(wire.opt(options=wire.option(code, body)))) in (wire.NOERROR, wire.FORMERR)

    @pytest.mark.parametrize("size,expected", [(0, wire.FORMERR), (7, wire.FORMERR), (8, wire.NOERROR), (9, wire.FORMERR),
        (15, wire.FORMERR), (16, wire.NOERROR), (40, wire.NOERROR), (41, wire.FORMERR)])
    def test_cookie_length(self, shared, size, expected):
        assert rcode(shared.port, ask_with(wire.opt(options=wire.option(10, b"c" * size)))) == expected


def test_trailing_octets(shared):
    assert rcode(shared.port, wire.query(1, GOOD) + b"x") == wire.FORMERR


def test_counts_that_lie(shared):
    for counts in ((1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (1, 0, 0, 65535)):
        packet = wire.header(1, wire.RD, *counts) + wire.question(GOOD, wire.A)
        assert rcode(shared.port, packet) == wire.FORMERR


def test_every_prefix_of_a_query(shared):
    """A packet cut anywhere gets FORMERR or silence, and the whole one its answer."""
    packet = wire.query(1, GOOD, wire.A, 1232)
    with udp_socket(shared.port) as sock:
        for size in range(len(packet)):
            sock.send(struct.pack("!H", size) + packet[2:size] if size > 2 else packet[:size])
        sock.send(wire.query(0xCAFE, GOOD))
        while True:
            answer = wire.parse(sock.recv(4096))
            if answer.ident == 0xCAFE:
                break
            assert answer.rcode == wire.FORMERR, "%d octets" % answer.ident


def test_refused_clients(teredown, nsd):
    """Whoever is outside `allow` is refused, over UDP and TCP, and learns nothing."""
    daemon = teredown(nsd.endpoint, allow=["127.0.0.1", "127.9.9.9", "::1"])
    for tcp in (False, True):
        answer = daemon.ask(GOOD, source="127.0.0.2", tcp=tcp)
        assert rcode_of(answer) == "REFUSED" and not answer.answer
        assert rcode_of(daemon.ask(GOOD, source="127.0.0.1", tcp=tcp)) == "NOERROR"
    assert rcode_of(daemon.ask(GOOD, host="::1")) == "NOERROR"


def test_change_of_allow(teredown, nsd):
    """A reload applies it, without a word about a restart."""
    daemon = teredown(nsd.endpoint, allow=["127.0.0.1", "127.9.9.9"])
    assert rcode_of(daemon.ask(GOOD, source="127.0.0.2")) == "REFUSED"
    daemon.configure(allow=["127.0.0.0/8"])
    done = daemon.command("reload")
    assert done.returncode == 0 and "restart" not in done.stdout + done.stderr
    assert rcode_of(daemon.ask(GOOD, source="127.0.0.2")) == "NOERROR"
    assert rcode_of(daemon.ask(GOOD, host="::1")) == "REFUSED"
