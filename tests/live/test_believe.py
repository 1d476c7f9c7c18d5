# SPDX-License-Identifier: BSD-3-Clause
"""Which answers are believed: letter case, cookies, and what somebody does who answers in a server's place."""

import hashlib
import ipaddress
import json
import os
import socket
import struct

import pytest

import harness
import wire
from harness import addresses_of, number, rcode_of, udp_socket

COOKIE, BADCOOKIE = 10, 23
NAME = "www.believe.example.org"


def told(packet, last, **options):
    return wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, last]))], **options)


def spelled(packet):
    """The question's name as it stands in the packet."""
    return packet[12:wire.read_question(packet).end - 4]


def lowered(packet):
    """A packet whose question is in lower case."""
    end = wire.read_question(packet).end - 4
    return packet[:12] + packet[12:end].lower() + packet[end:]


def names(count):
    return ["n%d.%s" % (index, NAME) for index in range(count)]


# --- letter case ---

def test_case_is_random_and_the_clients_comes_back(upstream, teredown):
    """Questions leave in case that differs; the client's own spelling comes back, cached or not, in names that the server points to it, too."""
    seen = []

    def script(packet, asked, tcp):
        seen.append(spelled(packet))
        mail = wire.rr(b"\xc0\x0c", 15, 60, struct.pack("!H", 10) + b"\4mail\xc0\x0c")
        alias = wire.rr(b"\xc0\x0c", wire.CNAME, 60, b"\5alias\xc0\x0c")
        return [(0, wire.reply(packet, answers=[mail if asked.qtype == 15 else alias]))]
    daemon = teredown(upstream(script).endpoint)
    for name in names(20):
        daemon.ask(name)
    letters = [octets for octets in seen if octets.lower() != octets and octets.upper() != octets]
    assert len(letters) >= 19 and len({octets[-23:] for octets in seen}) >= 19, seen
    for spelling in ("WwW.bELIEVE.example.ORG", "wWw.Believe.EXAMPLE.org"):
        with udp_socket(daemon.port) as sock:
            sock.send(wire.query(1, spelling))
            reply = sock.recv(4096)
            assert wire.name(spelling) == reply[12:12 + len(wire.name(spelling))]
        answer = daemon.ask(spelling, "CNAME")
        assert answer.answer[0].name.to_text() == spelling + "."
        assert answer.answer[0][0].target.to_text() == "alias.%s." % spelling
        assert daemon.ask(spelling, "MX").answer[0][0].exchange.to_text() == "mail.%s." % NAME


def test_case_off(upstream, teredown):
    seen = []

    def script(packet, asked, tcp):
        seen.append(spelled(packet))
        return [(0, told(lowered(packet), 1))]
    daemon = teredown(upstream(script).endpoint, randomize_case="off")
    for name in names(5):
        assert addresses_of(daemon.ask(name.upper())) == ["192.0.2.1"]
    assert all(octets == octets.lower() for octets in seen) and len(seen) == 5


def test_wrong_case_is_asked_again_over_tcp(upstream, teredown):
    """A reply that is right but for case, as from somebody who cannot see the question; the right one comes 150 ms later."""
    def script(packet, asked, tcp):
        return [(0, told(packet, 1))] if tcp else [(0, told(lowered(packet), 66)), (0.15, told(packet, 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint)
    for name in names(10):
        for _ in range(2):
            assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
    status = daemon.status()
    assert server.tcp_queries == 10 and number(status, "upstream_doubted") == 10, "none of the forgeries switched it off"
    harness.balance(status)


def test_server_that_lowers_case(upstream, teredown):
    """It lowers over TCP as well, so it is the server: believed, and not varied for it any more."""
    seen = []

    def script(packet, asked, tcp):
        seen.append((tcp, spelled(packet)))
        return [(0, told(lowered(packet), 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for name in names(10):
        assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
    assert server.tcp_queries == 1 and number(daemon.status(), "upstream_doubted") == 1
    assert all(octets == octets.lower() for _, octets in seen[2:])


def test_server_that_lowers_case_without_tcp(upstream, teredown):
    """Three replies in a row, each to another port and id; then it is believed."""
    server = upstream(lambda packet, asked, tcp: [(0, told(lowered(packet), 1))], tcp=False)
    daemon = teredown(server.endpoint, workers=1)
    for name in names(10):
        assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
    assert server.udp_packets == 12 and number(daemon.status(), "upstream_doubted") == 2
    assert len(set(server.sources)) == 12


# --- cookies ---

class CookieServer:
    """Speaks cookies as RFC 7873 says; what it saw; what a test makes it do otherwise."""

    def __init__(self):
        self.seen, self.secret, self.twist = [], b"1", None

    def cookie(self, client):
        return client + hashlib.sha256(self.secret + client).digest()[:8]

    def reply(self, packet, last, cookie, rcode=0):
        plain = told(packet, last, edns=False) if rcode == 0 else wire.reply(packet, rcode & 15, edns=False)
        return plain[:10] + b"\0\1" + plain[12:] + wire.opt(extended_rcode=rcode >> 4, options=wire.option(COOKIE, cookie))

    def __call__(self, packet, asked, tcp):
        options = dict(wire.parse(packet).options)
        cookie = options.get(COOKIE)
        self.seen.append((tcp, cookie))
        if self.twist:
            twisted = self.twist(packet, tcp, cookie)
            if twisted is not None:
                return twisted
        if cookie is None:
            return [(0, told(packet, 1))]
        return [(0, self.reply(packet, 1, self.cookie(cookie[:8])))]


@pytest.fixture
def cookies(upstream, teredown):
    """A server and a daemon that have exchanged cookies; one worker, which alone remembers them."""
    script = CookieServer()
    script.server = upstream(script)
    script.daemon = teredown(script.server.endpoint, workers=1)
    assert addresses_of(script.daemon.ask("first." + NAME)) == ["192.0.2.1"]
    return script


def ask_all(script, count=5):
    for name in names(count):
        assert addresses_of(script.daemon.ask(name)) == ["192.0.2.1"]


def test_cookies_are_learnt(cookies, upstream, teredown):
    """Ours alone at first, then with the server's part, the same one; another server gets another."""
    ask_all(cookies)
    (_, first), *rest = cookies.seen
    assert len(first) == 8
    assert all(cookie == cookies.cookie(first) for _, cookie in rest) and cookies.server.tcp_queries == 0
    other = CookieServer()
    daemon = teredown([upstream(other).endpoint], workers=1)
    daemon.ask(NAME)
    assert other.seen[0][1] != first


def test_cookies_off(upstream, teredown):
    script = CookieServer()
    daemon = teredown(upstream(script).endpoint, upstream_cookies="off")
    assert addresses_of(daemon.ask(NAME)) == ["192.0.2.1"]
    assert [cookie for _, cookie in script.seen] == [None]


@pytest.mark.parametrize("forged", ["none", "wrong", "short", "long", "no EDNS", "FORMERR"])
def test_forged_without_the_cookie(cookies, forged):
    """Who does not see the question knows id and port at best: what lacks the cookie is asked again over TCP, and the server keeps its cookie."""
    def twist(packet, tcp, cookie):
        if tcp:
            return None
        bad = {"none": lambda: told(packet, 66), "no EDNS": lambda: told(packet, 66, edns=False),
            "wrong": lambda: cookies.reply(packet, 66, b"12345678" + cookie[8:]), "short": lambda: cookies.reply(packet, 66, cookie[:7]),
            "long": lambda: cookies.reply(packet, 66, cookie[:8] + bytes(33)),
            "FORMERR": lambda: packet[:2] + struct.pack("!5H", 0x8181, 0, 0, 0, 0)}[forged]()
        return [(0, bad), (0.15, cookies.reply(packet, 1, cookies.cookie(cookie[:8])))]
    cookies.twist = twist
    ask_all(cookies)
    assert cookies.server.tcp_queries == 5
    cookies.twist = None
    assert addresses_of(cookies.daemon.ask("after." + NAME)) == ["192.0.2.1"]
    tcp, cookie = cookies.seen[-1]
    assert not tcp and len(cookie) == 16


def test_badcookie(cookies):
    """The server's secret changes: it says BADCOOKIE with its new part, and is asked again with that, over UDP."""
    def twist(packet, tcp, cookie):
        right = cookies.cookie(cookie[:8])
        return None if cookie == right else [(0, cookies.reply(packet, 1, right, BADCOOKIE))]
    cookies.twist = twist
    cookies.secret = b"2"
    ask_all(cookies, 3)
    assert cookies.server.tcp_queries == 0 and len(cookies.seen) == 1 + 4


def test_badcookie_for_ever(cookies):
    """Members of a set that do not agree on a secret: over TCP."""
    def twist(packet, tcp, cookie):
        return None if tcp else [(0, cookies.reply(packet, 1, cookie[:8] + os.urandom(8), BADCOOKIE))]
    cookies.twist = twist
    ask_all(cookies, 2)
    assert cookies.server.tcp_queries == 2


def test_router_that_caches_cookies(upstream, teredown):
    """Some home routers serve what they have cached with the cookie of whoever asked first, over TCP as well: they get none any more."""
    script = CookieServer()
    script.twist = lambda packet, tcp, cookie: cookie and [(0, script.reply(packet, 1, b"somebody" + bytes(8)))]
    server = upstream(script)
    script.daemon = teredown(server.endpoint, workers=1)
    ask_all(script)
    assert server.tcp_queries == 1 and [cookie for _, cookie in script.seen[2:]] == [None] * 4


@pytest.mark.parametrize("how", ["FORMERR", "BADVERS", "silence"])
def test_server_that_chokes_on_cookies(upstream, teredown, how):
    """Asked again without the cookie, but with EDNS; then remembered."""
    script = CookieServer()

    def twist(packet, tcp, cookie):
        if cookie is None:
            return None
        return {"FORMERR": [(0, wire.reply(packet, wire.FORMERR, edns=False))], "silence": [],
            "BADVERS": [(0, wire.reply(packet, edns=False)[:10] + b"\0\1" + packet[12:wire.read_question(packet).end] + wire.opt(extended_rcode=1))]}[how]
    script.twist = twist
    server = upstream(script)
    script.daemon = teredown(server.endpoint, workers=1)
    ask_all(script)
    assert [cookie and len(cookie) for _, cookie in script.seen] == [8, None, None, None, None, None]


# --- EDNS ---

@pytest.mark.parametrize("how", ["FORMERR", "NOTIMP", "header alone", "BADVERS", "silence"])
def test_server_without_edns(upstream, teredown, how):
    """The question goes again without; later ones at once."""
    plain = []

    def script(packet, asked, tcp):
        plain.append(packet[10:12] == b"\0\0")
        if plain[-1]:
            return [(0, told(packet, 1))]
        body = packet[12:asked.end]
        return {"FORMERR": [(0, wire.reply(packet, wire.FORMERR, edns=False))], "NOTIMP": [(0, wire.reply(packet, wire.NOTIMP, edns=False))],
            "header alone": [(0, packet[:2] + struct.pack("!5H", 0x8181, 0, 0, 0, 0))], "silence": [],
            "BADVERS": [(0, packet[:2] + struct.pack("!5H", 0x8180, 1, 0, 0, 1) + body + wire.opt(extended_rcode=1))]}[how]
    daemon = teredown(upstream(script).endpoint, workers=1)
    for name in names(4):
        assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
    assert plain == [False, False] + [True] * 4


# --- guessing ---

def forged_ids(packet, count=200):
    right = int.from_bytes(packet[:2], "big")
    return [(0, ((right + 1 + index) & 0xFFFF).to_bytes(2, "big") + told(packet, 66)[2:]) for index in range(count)]


def test_many_wrong_ids_lead_to_tcp(upstream, teredown):
    """200 guesses of the id on the right port (SAD DNS): the question goes over TCP; it is counted, and said once."""
    def script(packet, asked, tcp):
        return [(0, told(packet, 1))] if tcp else forged_ids(packet) + [(0.15, told(packet, 67))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for name in names(3):
        assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
    status = daemon.status()
    assert server.tcp_queries == 3 and number(status, "upstream_spoofed") == 3 and number(status, "upstream_mismatched") >= 3 * 17
    assert daemon.log().count("spoofing suspected") == 1


def test_many_wrong_ids_without_tcp(upstream, teredown):
    """Nothing else is left: from other ports, and the right answer is waited for."""
    server = upstream(lambda packet, asked, tcp: forged_ids(packet) + [(0.15, told(packet, 1))], tcp=False)
    daemon = teredown(server.endpoint, workers=1)
    assert addresses_of(daemon.ask(NAME)) == ["192.0.2.1"]
    assert 1 < server.udp_packets <= 3 and len(set(server.sources)) == server.udp_packets


def icmp_unreachable(server_port, client_port):
    """Port unreachable (RFC 792) for a datagram that 127.0.0.1:client_port sent to 127.0.0.1:server_port."""
    def checksum(octets):
        total = sum(struct.unpack("!%dH" % (len(octets) // 2), octets))
        return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    local = socket.inet_aton("127.0.0.1")
    quoted = struct.pack("!BBHHHBBH", 0x45, 0, 60, 1, 0, 64, 17, 0) + local + local + struct.pack("!4H", client_port, server_port, 40, 0)
    head = struct.pack("!BBHI", 3, 3, 0, 0)
    return head[:2] + struct.pack("!H", checksum(head + quoted)) + head[4:] + quoted


def test_forged_icmp_ends_nothing(upstream, teredown):
    """Anybody can say that the port is closed (TuDoor): the right answer 150 ms later is delivered, and no server is dead."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        harness.missing("raw sockets need root")

    def script(packet, asked, tcp):
        for _ in range(5):
            raw.sendto(icmp_unreachable(server.port, server.sources[-1][0]), ("127.0.0.1", 0))
        return [(0.15, told(packet, 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for name in names(4):
        assert addresses_of(daemon.ask(name)) == ["192.0.2.1"]
    raw.close()
    status = daemon.status()
    assert number(status, "upstream_errors") > 0, "the messages came"
    assert server.udp_packets == 4 and number(status, "upstream_timeouts") == 0


# --- TuDoor: packets that are no proper reply, then the right one ---

def with_flags(packet, set_bits=0, clear_bits=0, rcode=0, last=66):
    reply = bytearray(told(packet, last))
    flags = (int.from_bytes(reply[2:4], "big") | set_bits | rcode) & ~clear_bits
    reply[2:4] = flags.to_bytes(2, "big")
    return bytes(reply)


def wrong_id(packet):
    return bytes([packet[0] ^ 0x55]) + packet[1:]


def with_octet(packet, behind, value):
    """The reply with one octet of its question changed, counted from the question's end."""
    reply = bytearray(told(packet, 66))
    reply[wire.read_question(packet).end + behind] = value
    return bytes(reply)


OTHER = "other." + NAME
IMPROPER = {
    "no question": lambda packet: packet[:2] + struct.pack("!5H", 0x8180, 0, 1, 0, 0) + told(packet, 66)[wire.read_question(packet).end:],
    "no question, SERVFAIL": lambda packet: packet[:2] + struct.pack("!5H", 0x8182, 0, 0, 0, 0),
    "no question, REFUSED": lambda packet: packet[:2] + struct.pack("!5H", 0x8185, 0, 0, 0, 0),
    "two questions": lambda packet: packet[:2] + struct.pack("!5H", 0x8180, 2, 0, 0, 0) + 2 * packet[12:wire.read_question(packet).end],
    "a query": lambda packet: with_flags(packet, clear_bits=wire.QR),
    "our query": lambda packet: packet,
    "opcode": lambda packet: with_flags(packet, set_bits=0x2000),
    "FORMERR, wrong id": lambda packet: wrong_id(with_flags(packet, rcode=wire.FORMERR)),
    "SERVFAIL, wrong id": lambda packet: wrong_id(with_flags(packet, rcode=wire.SERVFAIL)),
    "TC, wrong id": lambda packet: wrong_id(with_flags(packet, set_bits=wire.TC)),
    "class": lambda packet: with_octet(packet, -1, 3),
    "type": lambda packet: with_octet(packet, -3, wire.AAAA),
    "name": lambda packet: told(packet[:2] + wire.query(0, OTHER, edns=1232)[2:], 66),
    "empty": lambda packet: b"",
    "header": lambda packet: packet[:2] + b"\x81\x80",
}


def test_improper_packet_ends_nothing(upstream, teredown):
    """Each five times, then the right answer: none is delivered or cached, none ends the wait or marks the server."""
    kinds = list(IMPROPER.values())

    def script(packet, asked, tcp):
        if asked.qname[0] != "n":
            return [(0, told(packet, 1))]
        bad = kinds[int(asked.qname[1:].split(".")[0])](packet)
        return [(0, bad)] * 5 + [(0.15, told(packet, 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for name, kind in zip(names(len(kinds)), IMPROPER):
        for _ in range(2):
            assert addresses_of(daemon.ask(name)) == ["192.0.2.1"], kind
    assert addresses_of(daemon.ask(OTHER)) == ["192.0.2.1"], "not cached under another name"
    status = daemon.status()
    assert server.udp_packets == len(kinds) + 1 and server.tcp_queries == 0
    assert number(status, "upstream_mismatched") == 5 * len(kinds) and number(status, "upstream_timeouts") == 0
    harness.balance(status)


# --- addresses of the inside ---

INSIDE = {"A": ["10.1.2.3", "127.0.0.1", "169.254.169.254", "0.0.0.0"], "AAAA": ["fd00::1", "::ffff:192.168.1.1", "64:ff9b::a00:1", "::1"]}


def inside_answer(packet, asked):
    """The address that the first label says, as l10-1-2-3; h: as a hint of HTTPS; m: with an address of the outside before it."""
    kind, text = asked.qname[0], asked.qname[1:].split(".")[0]
    address = ipaddress.ip_address(text.replace("-", ":" if "--" in text or text.count("-") > 3 else "."))
    if kind == "h":
        octets = struct.pack("!HB", 1, 0) + struct.pack("!HH", 4, 4) + address.packed
        return wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", 65, 60, octets)])
    before = [wire.rr(b"\xc0\x0c", asked.qtype, 60, b"\x08\x08\x08\x08")] if kind == "m" else []
    return wire.reply(packet, answers=before + [wire.rr(b"\xc0\x0c", asked.qtype, 60, address.packed)])


def inside_name(kind, address, below):
    return kind + address.replace(":", "-").replace(".", "-") + "." + below


def is_withheld(answer):
    return rcode_of(answer) == "NOERROR" and not answer.answer and harness.ede_codes(answer) == [15]


def test_rebinding(upstream, teredown, folder):
    """Names of the outside have no addresses of the inside; allowed names have, also when an alias leads to them only if they are asked."""
    def script(packet, asked, tcp):
        if asked.qname.startswith("alias"):
            target = wire.rr(b"\xc0\x0c", wire.CNAME, 60, wire.name("printer.corp.example"))
            return [(0, wire.reply(packet, answers=[target, wire.rr("printer.corp.example", wire.A, 60, b"\x0a\0\0\x07")]))]
        if asked.qname[0] not in "lhm":
            return [(0, told(packet, 1))]
        return [(0, inside_answer(packet, asked))]
    log = os.path.join(folder.path, "queries.log")
    daemon = teredown(upstream(script).endpoint, rebinding_protection="on", rebinding_allow=["corp.example"], query_log="watched", query_log_file=log)
    for qtype, texts in INSIDE.items():
        for text in (text for text in texts if not text.startswith("::ffff") and not text.startswith("64:")):
            for _ in range(2):
                assert is_withheld(daemon.ask(inside_name("l", text, "evil.example"), qtype)), text
            assert addresses_of(daemon.ask(inside_name("l", text, "host.corp.example"), qtype)) == [text]
    assert is_withheld(daemon.ask(inside_name("m", "192.168.1.1", "evil.example")))
    assert is_withheld(daemon.ask(inside_name("h", "192.168.1.1", "evil.example"), "HTTPS"))
    assert daemon.ask(inside_name("h", "8.8.4.4", "good.example"), "HTTPS").answer
    assert is_withheld(daemon.ask("alias.evil.example"))
    assert addresses_of(daemon.ask("alias.corp.example")) == ["10.0.0.7"]
    assert addresses_of(daemon.ask("good.example")) == ["192.0.2.1"]
    assert addresses_of(daemon.ask("localhost")) == ["127.0.0.1"], "what is answered here is not upstream's"
    status = daemon.status()
    assert number(status, "rebinding") == 2 * 6 + 3
    harness.balance(status)
    record = harness.until(lambda: next((line for line in open(log) if "l10-1-2-3.evil" in line), None), "a record")
    record = json.loads(record)
    assert (record["action"], record["policy"], record["rule"], record["source"]) == ("block", "rebinding", "10.0.0.0/8", "policy")
    assert record["addresses"] == []


def test_rebinding_is_reloaded(upstream, teredown):
    """It holds for what is cached, in both directions; off is the default."""
    server = upstream({"www.evil.example": "10.0.0.1"})
    daemon = teredown(server.endpoint)
    assert addresses_of(daemon.ask("www.evil.example")) == ["10.0.0.1"]
    daemon.configure(rebinding_protection="on")
    daemon.run("reload")
    assert is_withheld(daemon.ask("www.evil.example"))
    daemon.configure(rebinding_protection="on", rebinding_allow=["evil.example"])
    daemon.run("reload")
    assert addresses_of(daemon.ask("www.evil.example")) == ["10.0.0.1"]
    assert server.count("www.evil.example") == 1
