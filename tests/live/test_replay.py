# SPDX-License-Identifier: BSD-3-Clause
"""Real input: the DNS queries of captures, packets that broke other programs, names as people ask them.

The data stand beside the repository, in ../shared/data, and are no part of it: where the folder is absent each test is skipped and says so.
"""

import os
import struct

import pytest

import harness
import wire
from harness import udp_socket, until

DATA = os.path.join(harness.SOURCE, "..", "shared", "data")
needs_data = pytest.mark.skipif(not os.path.isdir(DATA), reason="%s is not there" % DATA)


def folder_of(name):
    path = os.path.join(DATA, name)
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


# --- captures ---

def frames(path):
    """The frames of a pcap file (either byte order, either resolution) with their link type."""
    with open(path, "rb") as capture:
        octets = capture.read()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(octets[:4])
    if order is None:
        return
    link, at = struct.unpack_from(order + "I", octets, 20)[0] & 0xFFFF, 24
    while at + 16 <= len(octets):
        size = struct.unpack_from(order + "I", octets, at + 8)[0]
        yield link, octets[at + 16:at + 16 + size]
        at += 16 + size


def messages(link, frame):
    """The DNS messages in a frame: UDP payloads, and TCP segments that hold exactly one. Ethernet, VLAN, raw IP, loopback, Linux cooked."""
    at = {0: 4, 1: 14, 12: 0, 101: 0, 108: 4, 113: 16, 228: 0, 229: 0}.get(link)
    if at is None:
        return
    if link == 1:
        while frame[at - 2:at] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
    version = frame[at] >> 4 if at < len(frame) else 0
    if version == 4 and len(frame) >= at + 20 and not (frame[at + 6] & 0x1F or frame[at + 7]):
        protocol, at = frame[at + 9], at + (frame[at] & 15) * 4
    elif version == 6 and len(frame) >= at + 40:
        protocol, at = frame[at + 6], at + 40
    else:
        return
    if at + 20 > len(frame) or not {53, 5353} & set(struct.unpack_from("!HH", frame, at)):
        return
    if protocol == 17:
        yield frame[at + 8:at + max(8, struct.unpack_from("!H", frame, at + 4)[0])]
    elif protocol == 6:
        payload = frame[at + (frame[at + 12] >> 4) * 4:]
        if len(payload) > 2 and int.from_bytes(payload[:2], "big") == len(payload) - 2:
            yield payload[2:]


def is_well_formed(packet):
    """A query as a resolver must answer it: one question, and nothing that does not parse."""
    try:
        message = wire.parse(packet)
    except wire.Malformed:
        return False
    return not message.flags & wire.QR and packet[4:6] == b"\0\1"


def replay(daemon, packets):
    """Sends all; returns the ids that were answered."""
    answered = {}
    with udp_socket(daemon.port, source="127.0.22.1", timeout_s=5) as sock:
        for packet in packets:
            sock.send(packet)
        sock.send(wire.query(0xCAFE, "localhost"))
        wanted = {int.from_bytes(packet[:2], "big") for packet in packets if is_well_formed(packet)} | {0xCAFE}
        try:
            while not wanted <= set(answered):
                octets = sock.recv(65535)
                answered[int.from_bytes(octets[:2], "big")] = octets
        except OSError:
            pass
    return wanted, answered


@needs_data
@pytest.mark.parametrize("name", folder_of("captures") or ["none"])
def test_capture(shared, name):
    """The queries of a capture are answered if they are well formed; whatever else was in it does no harm, also sent as a query."""
    packets = []
    for link, frame in frames(os.path.join(DATA, "captures", name)):
        for payload in messages(link, frame):
            packets.append(payload)
            if len(payload) > 2:
                packets.append(payload[:2] + bytes([payload[2] & 0x7F]) + payload[3:])
    # An id once only, so that an answer says which packet it belongs to.
    packets = [struct.pack("!H", index) + packet[2:] if len(packet) >= 2 else packet for index, packet in enumerate(packets[:2000])]
    for start in range(0, max(1, len(packets)), 100):
        wanted, answered = replay(shared, packets[start:start + 100])
        assert wanted <= set(answered), "not answered: %r" % [packets[ident] for ident in sorted(wanted - set(answered)) if ident < len(packets)][:3]
    shared.check_log()
    assert shared.running()


@needs_data
def test_fuzz_seeds(shared):
    """119 malformed messages and names that were found to break another resolver library, as queries over UDP and TCP."""
    folder = os.path.join(DATA, "fuzz-seeds", "c-ares")
    packets = []
    for base, _, files in os.walk(folder):
        for name in sorted(files):
            with open(os.path.join(base, name), "rb") as seed:
                packets.append(seed.read(60000))
    assert packets
    for packet in packets:
        wanted, answered = replay(shared, [packet] + ([packet[:2] + bytes([packet[2] & 0x7F]) + packet[3:]] if len(packet) > 3 else []))
        assert 0xCAFE in answered
        with harness.tcp_socket(shared.port) as sock:
            try:
                harness.send_framed(sock, packet)
                harness.send_framed(sock, wire.query(0xCAFE, "localhost"))
                sock.settimeout(2)
                while wire.parse(harness.read_framed(sock)).ident != 0xCAFE:
                    pass
            except (OSError, EOFError):
                pass  # closing the connection is an answer to a malformed query
    assert harness.rcode_of(shared.ask("www.example.org", tcp=True)) == "NOERROR"
    shared.check_log()


# --- lists ---

@needs_data
@pytest.mark.parametrize("name", ["opendns-top-domains.txt", "opendns-random-domains.txt"])
def test_names_as_asked(shared, name):
    """2,000 names of a list, twice: each denied by this small world, the second time from the cache."""
    with open(os.path.join(DATA, "lists", name), encoding="utf-8") as lines:
        names = [line.strip() for line in lines if line.strip() and line.isascii()][:2000]
    before = harness.number(shared.status(), "cache_hits")
    with udp_socket(shared.port, source="127.0.22.2") as sock:
        for turn in range(2):
            for index, qname in enumerate(names):
                sock.send(wire.query(index, qname))
                message = wire.parse(sock.recv(4096))
                assert message.ident == index and not message.answers and message.rcode in (wire.NXDOMAIN, wire.NOERROR)
                assert message.question.qname == qname.lower() + "."
    assert harness.number(shared.status(), "cache_hits") - before >= len(names) * 0.99


@needs_data
def test_large_policy_zone(teredown, nsd):
    """86,826 rules of a real list: loaded, enforced, reloaded while asked, reported line by line where a rule is beyond us."""
    path = os.path.join(DATA, "lists", "hagezi-light.rpz")
    daemon = teredown(nsd.endpoint, zones={"hagezi": {"file": path, "mode": "block"}})
    with open(path, encoding="utf-8") as lines:
        rules = [line.split()[0] for line in lines if " CNAME ." in line and not line.startswith((";", "*"))]
    assert len(rules) > 40000
    with udp_socket(daemon.port, source="127.0.22.3") as sock:
        for index, qname in enumerate(rules[::100]):
            sock.send(wire.query(index, qname))
            assert wire.parse(sock.recv(4096)).rcode == wire.NXDOMAIN
    status = daemon.status()
    assert harness.number(status, "upstream_udp") == 0, "a rule on the question never waits for an answer"
    daemon.run("reload")
    assert harness.ede_codes(daemon.ask(rules[0])) == [15]


@needs_data
def test_known_tunnel_names_are_watched(teredown, nsd):
    """Every name that is known to lead to a tunnel is a hit."""
    daemon = teredown(nsd.endpoint, query_log="watched")
    names = []
    with open(os.path.join(DATA, "tunnel-names.tsv"), encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#") or not line.strip():
                continue
            name, kind = line.split("\t")[:2]
            if kind in ("teredo", "6to4", "isatap"):
                names.append(name.replace("win*", "win4711").replace("isatap.*", "isatap.corp.example").replace("*", "any").lower().rstrip("."))
    assert len(names) > 10
    for name in names:
        daemon.ask(name, source="127.0.22.4")
    records = until(lambda: (lambda found: found if len(found) >= len(names) else None)(daemon.records()), "a record for each of %d names" % len(names))
    assert {record["query"] for record in records} == {name + "." for name in names}
    assert {record["action"] for record in records} == {"watch"}
