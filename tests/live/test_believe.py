# SPDX-License-Identifier: BSD-3-Clause
"""Which answers are believed: letter case, cookies, and what somebody does who answers in a server's place."""

import hashlib
import ipaddress
import json
import os
import random
import socket
import struct

import pytest

import audit_ports
import harness
import wire
from harness import addresses_of, number, rcode_of, udp_socket

pytestmark = pytest.mark.timed

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


def told_of(daemon):
    """What status says of the only upstream server: name=value for each figure."""
    words = harness.flatten(daemon.status()["upstream"])
    return " ".join("%s=%s" % pair for pair in zip(words, words[1:]))


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
    assert "case=no" in told_of(daemon) and "doubted=1" in told_of(daemon)
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
    assert all(word in told_of(cookies.daemon) for word in ("case=yes", "cookies=yes", "doubted=0", "spoofed=0"))
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
    assert "cookies=no" in told_of(script.daemon)


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
    lengths = [cookie and len(cookie) for _, cookie in script.seen]
    # A silent server is probed as well, with a cookie until one question was answered without.
    assert lengths[0] == 8 and lengths.count(8) <= (2 if how == "silence" else 1) and lengths[-4:] == [None] * 4


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
    if how == "silence":  # probes of a silent server are with and without in turn
        assert plain[:2] == [False, False] and plain.count(False) <= 4 and plain[-3:] == [True] * 3
    else:
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
    assert daemon.log().count("spoofing suspected") == 1 and "spoofed=3" in told_of(daemon)


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


# --- what there is to guess ---

def test_ports_ids_and_case(capsys):
    """The audit: 2,000 questions one by one, then 10,000 at once (CVE-2026-50252, CVE-2025-40780)."""
    result = audit_ports.audit(audit_ports.parse_options(["--burst", "10000"]))
    with capsys.disabled():
        print("\n" + audit_ports.describe(result))
    figures, seen, reuse = result
    assert seen >= 2000 and reuse.asked >= 10000
    assert audit_ports.is_good(result), audit_ports.describe(result)


@pytest.mark.parametrize("fault", ["half the range", "one step", "ports of a client", "even ids", "a letter that stays", "same port"])
def test_audit_of_ports_sees(fault):
    """The audit itself: randomness with one thing wrong is not passed; without, it is."""
    chance = random.Random(7)
    asked = []
    for index in range(2000):
        one = audit_ports.Asked.__new__(audit_ports.Asked)
        one.client, one.port, one.ident = index % audit_ports.CLIENTS, chance.randrange(1024, 65536), chance.randrange(65536)
        one.case = [chance.randrange(2) for _ in range(40)]
        asked.append(one)
    reuse = audit_ports.Reuse([port for port in chance.sample(range(1024, 65536), 1250) for _ in range(8)])
    assert audit_ports.is_good((audit_ports.judge(asked), 2000, reuse))
    for index, one in enumerate(asked):
        if fault == "half the range":
            one.port = 32768 + one.port // 2
        elif fault == "one step" and index % 50:
            one.port = (asked[index - 1].port + 7 - 1024) % 64512 + 1024
        elif fault == "ports of a client":
            one.port = 1024 + one.client * 8064 + one.port % 8064
        elif fault == "even ids":
            one.ident &= 0xFFFE
        elif fault == "a letter that stays":
            one.case[17] = 0
    if fault == "same port":
        reuse = audit_ports.Reuse([port for port in chance.sample(range(1024, 65536), 600) for _ in range(16)])
    assert not audit_ports.is_good((audit_ports.judge(asked), 2000, reuse))


def test_one_question_is_one_chance(upstream, teredown):
    """DNSpooq (CVE-2020-25684 to 25686): however many clients ask, in whatever spelling, a forger has one port and one id to guess, not
    one for each; and an answer for one name never serves another that was asked beside it."""
    def script(packet, asked, tcp):
        if asked.qname.startswith("other"):
            return [(0.3, told(packet, 2))]
        return [(0.3, told(packet, 1))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=4)
    sockets = [udp_socket(daemon.port, source="127.0.9.%d" % (index + 1)) for index in range(20)]
    for index, sock in enumerate(sockets):
        for ident in range(5):
            sock.send(wire.query(ident, "".join(letter.upper() if index >> at % 5 & 1 else letter for at, letter in enumerate(NAME))))
        sock.send(wire.query(5, OTHER))
    for sock in sockets:
        answers = [wire.parse(sock.recv(4096)) for _ in range(6)]
        assert {(answer.question.qname, tuple(answer.addresses)) for answer in answers} == {(NAME + ".", ("192.0.2.1",)), (OTHER + ".", ("192.0.2.2",))}
        sock.close()
    assert server.count(NAME) <= 2 and server.count(OTHER) <= 2 and server.udp_packets <= 4
    harness.balance(daemon.status())


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


# --- what a reply may bring along: nothing ---

EVIL = b"\xc6\x33\x64\x42"  # 198.51.100.66
GOOD = b"\xc0\0\2\1"
VICTIM = "victim.example.net"


def rr_class(owner, rtype, rclass, ttl, rdata):
    return (owner if isinstance(owner, bytes) else wire.name(owner)) + struct.pack("!HHIH", rtype, rclass, ttl, len(rdata)) + rdata


def with_additional(reply, records):
    """The records before the reply's OPT record, which stays the last."""
    opt = reply[-len(wire.opt()):]
    count = int.from_bytes(reply[10:12], "big") + len(records)
    return reply[:10] + struct.pack("!H", count) + reply[12:-len(opt)] + b"".join(records) + opt


GOOD_A = wire.rr(b"\xc0\x0c", wire.A, 60, GOOD)
EVIL_A = wire.rr(VICTIM, wire.A, 3600, EVIL)
SIGNATURE = struct.pack("!HBBIIIH", wire.A, 13, 3, 3600, 4102444800, 0, 1) + wire.name("example.net") + bytes(64)

# What rides on an answer for poison.example.org; the client sees the right address alone, and nothing is cached of the victim.
RIDERS = {
    "authority NS, with glue": lambda packet: with_additional(wire.reply(packet, answers=[GOOD_A],
        authority=[wire.rr("example.net", wire.NS, 3600, wire.name("ns." + VICTIM)), wire.rr("net", wire.NS, 3600, wire.name(VICTIM))]), [EVIL_A]),
    "additional address": lambda packet: with_additional(wire.reply(packet, answers=[GOOD_A]), [EVIL_A]),
    "address in the answer": lambda packet: wire.reply(packet, answers=[EVIL_A, GOOD_A, EVIL_A]),
    "alias of the victim": lambda packet: wire.reply(packet, answers=[GOOD_A, wire.rr(VICTIM, wire.CNAME, 3600, wire.name("evil.example")),
        wire.rr("evil.example", wire.A, 3600, EVIL)]),
    "DNAME over the victim": lambda packet: wire.reply(packet, answers=[wire.rr("example.net", 39, 3600, wire.name("evil.example")), GOOD_A]),
    "SOA over the victim": lambda packet: wire.reply(packet, answers=[GOOD_A], authority=[wire.soa("net", 3600, 3600), wire.soa(VICTIM, 3600, 3600)]),
    "another class": lambda packet: wire.reply(packet, answers=[rr_class(b"\xc0\x0c", wire.A, 3, 60, EVIL), GOOD_A, rr_class(VICTIM, wire.A, 3, 60, EVIL)]),
    "another type": lambda packet: wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.TXT, 60, b"\4evil"), GOOD_A]),
    "signatures": lambda packet: wire.reply(packet, answers=[GOOD_A, wire.rr(VICTIM, 46, 3600, SIGNATURE), EVIL_A]),
    "name above the question": lambda packet: wire.reply(packet, answers=[GOOD_A, wire.rr("example.org", wire.A, 3600, EVIL)]),
    "root servers": lambda packet: wire.reply(packet, answers=[GOOD_A], authority=[wire.rr(".", wire.NS, 3600, wire.name(VICTIM))]),
}


def test_riders_are_dropped(upstream, teredown):
    """Of each reply only the answer is passed on, and afterwards the victim is asked upstream and rightly told (Kaminsky's and all later classes)."""
    kinds = list(RIDERS.values())

    def script(packet, asked, tcp):
        if ".poison." in asked.qname:
            return [(0, kinds[int(asked.qname[1:].split(".")[0])](packet))]
        return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, GOOD)]))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for index, kind in enumerate(RIDERS):
        for _ in range(2):
            answer = daemon.ask("n%d.poison.example.org" % index, want_dnssec=kind == "signatures")
            assert addresses_of(answer) == ["192.0.2.1"] and len(answer.answer) == 1 and not answer.authority and not answer.additional, kind
        daemon.run("flush", VICTIM)  # so that each kind has its own try
        assert addresses_of(daemon.ask(VICTIM)) == ["192.0.2.1"], kind
    for name in ("example.net", "ns." + VICTIM, "example.org", "evil.example", "net"):
        assert addresses_of(daemon.ask(name)) == ["192.0.2.1"], name
    assert server.count(VICTIM) == len(kinds)


# Replies that deny, or lead elsewhere, and what is taken of them.
def chain(packet, links, loop=False):
    names = [wire.name("c%d.chain.example" % index) for index in range(links)]
    owners = [b"\xc0\x0c"] + names
    records = [wire.rr(owner, wire.CNAME, 60, target) for owner, target in zip(owners, names)]
    if loop:
        return records + [wire.rr(names[-1], wire.CNAME, 60, names[0])]
    return records + [wire.rr(owners[-1], wire.A, 60, GOOD)]


def test_chains(upstream, teredown):
    """Eleven links are followed, wherever their records stand; more, or a loop, is no answer; a target is never cached under its own name."""
    def script(packet, asked, tcp):
        kind = asked.qname.split(".")[0]
        if kind.startswith("c"):
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, b"\xc0\0\2\2")]))]
        records = {"eleven": lambda: chain(packet, 11), "reversed": lambda: chain(packet, 11)[::-1], "twelve": lambda: chain(packet, 12),
            "huge": lambda: chain(packet, 200), "loop": lambda: chain(packet, 3, loop=True),
            "self": lambda: [wire.rr(b"\xc0\x0c", wire.CNAME, 60, b"\xc0\x0c")],
            "forked": lambda: [wire.rr(b"\xc0\x0c", wire.CNAME, 60, wire.name("c0.chain.example")),
                wire.rr(b"\xc0\x0c", wire.CNAME, 60, wire.name("c1.chain.example")), wire.rr("c0.chain.example", wire.A, 60, GOOD),
                wire.rr("c1.chain.example", wire.A, 60, EVIL)]}[kind]()
        if not tcp and kind == "huge":
            return [(0, wire.reply(packet, flags=wire.AA | wire.RA | wire.TC))]
        return [(0, wire.reply(packet, answers=records))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for kind in ("eleven", "reversed", "forked"):
        assert addresses_of(daemon.ask(kind + ".poison.example")) == ["192.0.2.1"], kind
    assert addresses_of(daemon.ask("c0.chain.example")) == addresses_of(daemon.ask("c10.chain.example")) == ["192.0.2.2"]
    for kind in ("twelve", "huge", "loop", "self"):
        assert rcode_of(daemon.ask(kind + ".poison.example")) == "SERVFAIL", kind
    harness.balance(daemon.status())


def test_denials(upstream, teredown):
    """A denial is cached by the SOA of a zone that contains the name, and by no other."""
    soas = {"inside": wire.soa("poison.example", 3600, 3600), "root": wire.soa(".", 3600, 3600), "outside": wire.soa("example.net", 3600, 3600),
        "below": wire.soa("x.below.poison.example", 3600, 3600), "none": b"", "class": rr_class("poison.example", wire.SOA, 3, 3600, wire.soa(".", 1, 1)[11:])}

    def script(packet, asked, tcp):
        soa = soas[asked.qname.split(".")[0]]
        return [(0, wire.reply(packet, wire.NXDOMAIN, authority=[soa] if soa else []))]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1)
    for kind in soas:
        name = kind + ".poison.example"
        for _ in range(3):
            answer = daemon.ask(name)
            assert rcode_of(answer) == "NXDOMAIN" and len(answer.authority) == (kind in ("inside", "root")), kind
        assert server.count(name) == (1 if kind in ("inside", "root") else 3), kind


def test_mangled_records(upstream, teredown):
    """Right id, right question, and records that are none: SERVFAIL at worst, nothing cached, and the daemon lives."""
    bodies = [b"\xc0\x0c", b"\xc0\xff\0\1\0\1", b"\xc0\x0c\0\1\0\1\0\0\0\x3c\xff\xff\1", b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\3abc",
        b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\xff", b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x30", b"\x3f" + b"x" * 20, b"\xff" * 50, b"\x40" * 50,
        b"\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\1\0", b"\xc0\x0c\0\6\0\1\0\0\0\x3c\0\4\0\0\0\0"]

    def script(packet, asked, tcp):
        index = int(asked.qname[1:].split(".")[0])
        head = packet[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)
        return [(0, head + packet[12:asked.end] + bodies[index])]
    server = upstream(script)
    daemon = teredown(server.endpoint, workers=1, failure_ttl="1s")
    for index in range(len(bodies)):
        for qtype in ("A", "CNAME", "MX", "SOA"):
            answer = daemon.ask("n%d.mangled.example" % index, qtype)
            assert rcode_of(answer) in ("SERVFAIL", "NOERROR") and not answer.answer, (index, qtype)
    assert daemon.running()
    harness.balance(daemon.status())
