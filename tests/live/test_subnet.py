# SPDX-License-Identifier: BSD-3-Clause
"""EDNS Client Subnet (RFC 7871): taken off, and passed on where pass-client-subnet says so."""

import ipaddress
import struct

import pytest

import harness
import wire
from harness import udp_socket

ECS = 8
GIVEN = struct.pack("!HBB4s", 1, 32, 0, bytes([198, 51, 100, 77]))
SENT = struct.pack("!HBB3s", 1, 24, 0, bytes([198, 51, 100]))


def subnet_of(packet):
    """The option's data in a query or reply; None without one."""
    return next((body for code, body in wire.parse(packet).options if code == ECS), None)


class Script:
    """Answers with an address that says of which subnet the question was; .seen are the options that came."""

    def __init__(self, scope=16, other=None):
        self.seen, self.scope, self.other = [], scope, other

    def __call__(self, packet, asked, tcp):
        subnet = subnet_of(packet)
        self.seen.append((asked.qname, subnet))
        if asked.qname.startswith("silent"):
            return []
        address = b"\xc0\0\2\1" if subnet is None else (subnet[4:] + b"\0" * 4)[:3] + b"\x09"
        back = b"" if subnet is None else wire.option(ECS, (self.other or subnet[:3] + bytes([self.scope]) + subnet[4:]))
        head = wire.header(int.from_bytes(packet[:2], "big"), wire.QR | wire.RD | wire.RA, 1, 1, 0, 1)
        return [(0, head + packet[12:asked.end] + wire.rr(b"\xc0\x0c", wire.A, 300, address) + wire.opt(options=back))]


def ask(port, qname, subnet=None, ident=1):
    options = b"" if subnet is None else wire.option(ECS, subnet)
    with udp_socket(port) as sock:
        sock.send(wire.header(ident, wire.RD, additional=1) + wire.question(qname, wire.A) + wire.opt(options=options))
        return sock.recv(4096)


def test_taken_off(teredown, upstream):
    """By default nobody is told, and one answer, out of the cache, serves every subnet."""
    script = Script()
    daemon = teredown(upstream(script).endpoint)
    for octet in range(10):
        packet = ask(daemon.port, "www.example.org", GIVEN[:7] + bytes([octet]))
        assert subnet_of(packet) is None and wire.parse(packet).addresses == ["192.0.2.1"]
    assert script.seen == [("www.example.org.", None)]


@pytest.fixture
def passing(teredown, upstream):
    script = Script()
    daemon = teredown(upstream(script).endpoint, pass_client_subnet=["CDN.example", "other.example"])
    return daemon, script


def test_passed_on(passing):
    """Cut to what may be told; the client gets its own back, with the prefix for which the answer holds."""
    daemon, script = passing
    for qname in ("cdn.example", "www.CDN.example", "a.b.other.example"):
        packet = ask(daemon.port, qname, GIVEN)
        assert subnet_of(packet) == GIVEN[:3] + b"\x18" + GIVEN[4:]
        assert wire.parse(packet).addresses == ["198.51.100.9"]
        assert script.seen[-1] == (qname.lower() + ".", SENT)
    v6 = struct.pack("!HBB16s", 2, 128, 0, ipaddress.ip_address("2001:db8:1:2ff::7").packed)
    assert subnet_of(ask(daemon.port, "www.cdn.example", v6))[:4] == b"\0\2\x80\x38"
    assert script.seen[-1][1] == struct.pack("!HBB7s", 2, 56, 0, ipaddress.ip_address("2001:db8:1:200::").packed[:7])


def test_not_for_others(passing):
    daemon, script = passing
    for qname in ("www.example", "xcdn.example", "example"):
        assert subnet_of(ask(daemon.port, qname, GIVEN)) is None
        assert script.seen[-1] == (qname + ".", None)


def test_neither_kept_nor_shared(passing):
    """Each such question goes upstream by itself; who sends no subnet is answered from the cache, and never with another's answer."""
    daemon, script = passing
    for _ in range(3):
        assert wire.parse(ask(daemon.port, "www.cdn.example", GIVEN)).addresses == ["198.51.100.9"]
        assert wire.parse(ask(daemon.port, "www.cdn.example")).addresses == ["192.0.2.1"]
        assert wire.parse(ask(daemon.port, "www.cdn.example", b"\0\1\x10\0\x0a\x07")).addresses == ["10.7.0.9"]
    assert len(script.seen) == 7 and script.seen.count(("www.cdn.example.", None)) == 1


def test_nobody(passing):
    """A prefix of 0 bits asks for not being told of (RFC 7871, 7.1.2): it is passed on as it is."""
    daemon, script = passing
    assert subnet_of(ask(daemon.port, "www.cdn.example", b"\0\1\0\0")) == b"\0\1\0\0"
    assert script.seen == [("www.cdn.example.", b"\0\1\0\0")]


@pytest.mark.parametrize("broken", [b"", b"\0", b"\0\1\x18\0\xc0\0", b"\0\1\x18\x08\xc0\0\2", b"\0\1\x17\0\xc0\0\3", b"\0\3\x08\0\1"],
    ids=["empty", "short", "cut", "scope", "bits behind", "family"])
def test_broken(passing, broken):
    daemon, script = passing
    assert subnet_of(ask(daemon.port, "www.cdn.example", broken)) is None
    assert script.seen == [("www.cdn.example.", None)]


def test_answer_for_another(teredown, upstream):
    """An answer that says it is about another subnet is not believed (RFC 7871, 7.3)."""
    daemon = teredown(upstream(Script(other=SENT[:6] + b"\x65")).endpoint, pass_client_subnet=["cdn.example"])
    packet = ask(daemon.port, "www.cdn.example", GIVEN)
    assert wire.parse(packet).rcode == wire.SERVFAIL


def test_bound(passing):
    """Whoever makes subnets up has a name asked so often at once, and no oftener (CVE-2025-5994)."""
    daemon, script = passing
    daemon.configure(workers=1)
    daemon.stop()
    daemon.start()
    script.seen.clear()
    with udp_socket(daemon.port) as sock:
        for number in range(400):
            subnet = b"\0\1\x18\0\x0a" + struct.pack("!H", number)
            sock.send(wire.header(number, wire.RD, additional=1) + wire.question("silent.cdn.example", wire.A)
                + wire.opt(options=wire.option(ECS, subnet)))
        harness.until(lambda: harness.number(daemon.status(), "received") >= 400, "all are taken")
        subnets = {subnet for _, subnet in script.seen if subnet}
        assert len(subnets) <= 256
        assert harness.addresses_of(daemon.ask("www.cdn.example")) == ["192.0.2.1"]


def test_fault(folder):
    daemon = harness.Teredown(folder.path, "127.0.0.1:53", pass_client_subnet=["a..b"])
    done = harness.subprocess.run([harness.DAEMON, "-t", "-c", daemon.config], stdout=harness.subprocess.PIPE,
        stderr=harness.subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 1 and 'pass-client-subnet: "a..b" is not a domain name' in done.stdout
