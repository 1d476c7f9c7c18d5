# SPDX-License-Identifier: BSD-3-Clause
"""EDNS towards clients, by raw packets: the cases by which ISC checks the servers of the world (ednscomp), over UDP and TCP; DNS cookies
(RFC 7873, 9018); edns-tcp-keepalive (RFC 7828)."""

import os
import struct
import time

import pytest

import harness
import wire
from harness import read_framed, send_framed, tcp_socket, udp_socket

GOOD = "www.example.org"
Z_HEADER = 0x0040 # the bit of the header that nobody has given a meaning
NSID, ECS, COOKIE, KEEPALIVE, PADDING = 3, 8, 10, 11, 12
CLIENT_COOKIE = bytes.fromhex("2464c4abcf10c957")


def exchange(port, packet, tcp=False, **where):
    """The reply's octets."""
    with (tcp_socket if tcp else udp_socket)(port, **where) as sock:
        if not tcp:
            sock.send(packet)
            return sock.recv(65535)
        send_framed(sock, packet)
        return read_framed(sock)


def with_opt(qname=GOOD, qtype=wire.A, flags=wire.RD, payload=1232, version=0, options=b"", edns_flags=0):
    opt = b"\0" + struct.pack("!HHIH", wire.OPT, payload, version << 16 | edns_flags, len(options)) + options
    return wire.header(0x4711, flags, additional=1) + wire.question(qname, qtype) + opt


def opt_of(packet):
    """(payload, version, flags, options) of the reply's only OPT, which stands last; None without one."""
    message = wire.parse(packet)
    if not message.edns:
        assert packet[10:12] == b"\0\0"
        return None
    assert packet[10:12] == b"\0\1"
    size = sum(4 + len(body) for _, body in message.options)
    rtype, payload, _, version, flags, length = struct.unpack_from("!HHBBHH", packet, len(packet) - size - 10)
    assert (packet[len(packet) - size - 11], rtype, length) == (0, wire.OPT, size)
    return payload, version, flags, message.options


@pytest.fixture(params=[False, True], ids=["udp", "tcp"])
def tcp(request):
    return request.param


def answered(packet, message_flags=0):
    """The good answer, its header free of what nobody asked for."""
    message = wire.parse(packet)
    assert message.ident == 0x4711 and message.rcode == wire.NOERROR
    assert message.flags & ~wire.AA == wire.QR | wire.RD | wire.RA | message_flags
    assert message.addresses == ["192.0.2.1"]


class TestCompliance:
    """A class of servers fails each of these (ednscomp.isc.org)."""

    def test_plain_dns(self, shared, tcp):
        packet = exchange(shared.port, wire.query(0x4711, GOOD), tcp)
        answered(packet)
        assert opt_of(packet) is None

    def test_plain_edns(self, shared, tcp):
        packet = exchange(shared.port, with_opt(), tcp)
        answered(packet)
        assert opt_of(packet) == (1232, 0, 0, [])

    def test_unknown_option(self, shared, tcp):
        """Ignored, not echoed."""
        packet = exchange(shared.port, with_opt(options=wire.option(100, b"")), tcp)
        answered(packet)
        assert opt_of(packet) == (1232, 0, 0, [])

    def test_unknown_flag(self, shared, tcp):
        """Bits of the OPT record that have no meaning are 0 in the reply (RFC 6891, 6.1.4)."""
        for bits in (0x0040, 0x4000, 0x7fff):
            packet = exchange(shared.port, with_opt(edns_flags=bits), tcp)
            answered(packet)
            assert opt_of(packet) == (1232, 0, 0, [])

    def test_header_z(self, shared, tcp):
        """The one bit of the header that has none is 0 in the reply too."""
        packet = exchange(shared.port, wire.query(0x4711, GOOD, flags=wire.RD | Z_HEADER), tcp)
        answered(packet)
        assert not wire.parse(packet).flags & Z_HEADER

    def test_dnssec_ok(self, shared, tcp):
        packet = exchange(shared.port, with_opt(edns_flags=0x8000), tcp)
        answered(packet)
        assert opt_of(packet) == (1232, 0, 0x8000, [])

    def test_dnssec_ok_with_unknown_flag(self, shared, tcp):
        packet = exchange(shared.port, with_opt(edns_flags=0xc001), tcp)
        answered(packet)
        assert opt_of(packet)[2] == 0x8000

    @pytest.mark.parametrize("options", [b"", wire.option(100, b"x")], ids=["alone", "unknown option"])
    @pytest.mark.parametrize("flags", [0, 0x8000, 0x0040], ids=["", "DO", "unknown flag"])
    def test_version_1(self, shared, tcp, options, flags):
        """BADVERS, with the version that is spoken here, and no answer (RFC 6891, 6.1.3)."""
        packet = exchange(shared.port, with_opt(version=1, options=options, edns_flags=flags), tcp)
        message = wire.parse(packet)
        assert message.rcode == wire.BADVERS and not message.answers and not message.authority
        assert opt_of(packet) == (1232, 0, flags & 0x8000, [])

    def test_version_255(self, shared, tcp):
        assert wire.parse(exchange(shared.port, with_opt(version=255), tcp)).rcode == wire.BADVERS

    def test_at_512(self, shared):
        """No more than the client has room for: TC and nothing else, and all of it over TCP."""
        question = with_opt("many.example.org", payload=512, edns_flags=0x8000)
        packet = exchange(shared.port, question)
        assert len(packet) <= 512 and wire.parse(packet).truncated and opt_of(packet)[2] == 0x8000
        message = wire.parse(exchange(shared.port, question, tcp=True))
        assert not message.truncated and len(message.addresses) == 40

    @pytest.mark.parametrize("payload", [0, 1, 100, 511])
    def test_below_512_means_512(self, shared, payload):
        packet = exchange(shared.port, with_opt("many.example.org", payload=payload))
        assert wire.parse(packet).truncated
        answered(exchange(shared.port, with_opt(payload=payload)))

    @pytest.mark.parametrize("payload", [1232, 4096, 65535])
    def test_never_over_1232(self, shared, payload):
        packet = exchange(shared.port, with_opt("big.example.org", wire.TXT, payload=payload))
        assert len(packet) <= 1232 and wire.parse(packet).truncated

    @pytest.mark.parametrize("option", [
        wire.option(NSID, b""), wire.option(ECS, b"\0\1\x18\0\xc0\0\2"), wire.option(ECS, b"\0\0\0\0"), wire.option(PADDING, b"\0" * 64),
        wire.option(9, b"\0\0\0\1"), wire.option(13, b"\3org\0"), wire.option(14, b"\x4f\x66"),
    ], ids=["NSID", "ECS", "ECS of nobody", "padding", "expire", "chain", "key tag"])
    def test_known_option(self, shared, tcp, option):
        """Options that nothing is done with. The reply over a transport in the clear is not padded (RFC 7830, 3)."""
        packet = exchange(shared.port, with_opt(options=option), tcp)
        answered(packet)
        assert opt_of(packet) == (1232, 0, 0, [])

    def test_all_at_once(self, shared, tcp):
        """As dig +edns +nsid +cookie +subnet +expire +padding sends them."""
        options = (wire.option(NSID, b"") + wire.option(COOKIE, CLIENT_COOKIE) + wire.option(9, b"")
            + wire.option(ECS, b"\0\1\x18\0\xc0\0\2") + wire.option(PADDING, b"\0" * 20))
        packet = exchange(shared.port, with_opt(options=options), tcp)
        answered(packet)
        assert [code for code, _ in opt_of(packet)[3]] == [COOKIE]

    def test_opcode_with_edns(self, shared, tcp):
        """An unknown opcode meets NOTIMP and its own number, EDNS or not."""
        for packet in (wire.query(1, GOOD, flags=15 << 11), with_opt(flags=15 << 11)):
            message = wire.parse(exchange(shared.port, packet, tcp))
            assert message.rcode == wire.NOTIMP and message.flags >> 11 & 15 == 15 and not message.answers

    def test_unknown_type(self, shared, tcp):
        """NODATA, no error (RFC 3597)."""
        message = wire.parse(exchange(shared.port, with_opt(qtype=1000), tcp))
        assert message.rcode == wire.NOERROR and not message.answers and [record[1] for record in message.authority] == [wire.SOA]

    def test_no_recursion_wanted(self, shared, tcp):
        """RD comes back as it was sent; RA is always there."""
        message = wire.parse(exchange(shared.port, with_opt(flags=0), tcp))
        assert message.flags & (wire.RD | wire.RA) == wire.RA


def cookie_of(packet):
    found = [body for code, body in wire.parse(packet).options if code == COOKIE]
    assert len(found) <= 1
    return found[0] if found else None


def ask_cookie(port, cookie, tcp=False, qname=GOOD, **where):
    return exchange(port, with_opt(qname, options=wire.option(COOKIE, cookie)), tcp, **where)


class TestCookies:
    def test_a_client_learns_one(self, shared, tcp):
        """Its own 8 octets, then version 1, zeros, the time, a hash; and it is taken as it is while it is fresh."""
        packet = ask_cookie(shared.port, CLIENT_COOKIE, tcp)
        answered(packet)
        cookie = cookie_of(packet)
        assert len(cookie) == 24 and cookie[:12] == CLIENT_COOKIE + b"\1\0\0\0"
        assert abs(struct.unpack("!I", cookie[12:16])[0] - time.time()) < 60
        assert cookie_of(ask_cookie(shared.port, cookie, tcp)) == cookie

    def test_another_address(self, shared):
        """A cookie is bound to the address it was given to; another one gets its own, and its answer too."""
        cookie = cookie_of(ask_cookie(shared.port, CLIENT_COOKIE))
        packet = ask_cookie(shared.port, cookie, source="127.0.0.2")
        answered(packet)
        assert cookie_of(packet)[:8] == CLIENT_COOKIE and cookie_of(packet)[16:] != cookie[16:]
        assert cookie_of(ask_cookie(shared.port, CLIENT_COOKIE, host="::1"))[16:] != cookie[16:]

    @pytest.mark.parametrize("bad", [CLIENT_COOKIE + b"x" * 8, CLIENT_COOKIE + b"x" * 16, CLIENT_COOKIE + b"\1\0\0\0" + b"\0" * 12,
        CLIENT_COOKIE + b"y" * 32], ids=["8", "16", "of 1970", "32"])
    def test_bad_one(self, shared, tcp, bad):
        """As if there had been none: an answer, and a good cookie."""
        packet = ask_cookie(shared.port, bad, tcp)
        answered(packet)
        assert len(cookie_of(packet)) == 24 and cookie_of(packet)[8:] != bad[8:24]
        assert cookie_of(ask_cookie(shared.port, cookie_of(packet), tcp)) == cookie_of(packet)

    def test_length(self, shared, tcp):
        """8, or 16 to 40 octets; else FORMERR (RFC 7873, 5.2.2)."""
        for size in range(0, 44):
            message = wire.parse(ask_cookie(shared.port, b"c" * size, tcp))
            assert message.rcode == (wire.NOERROR if size == 8 or 16 <= size <= 40 else wire.FORMERR), size

    def test_first_of_two(self, shared):
        options = wire.option(COOKIE, CLIENT_COOKIE) + wire.option(COOKIE, b"another1")
        assert cookie_of(exchange(shared.port, with_opt(options=options)))[:8] == CLIENT_COOKIE

    def test_none_without_being_asked(self, shared, tcp):
        assert cookie_of(exchange(shared.port, with_opt(), tcp)) is None

    def test_with_every_reply(self, teredown, nsd):
        """Forwarded, cached, local, truncated, refused: the cookie is the client's own, never one out of the cache."""
        daemon = teredown(nsd.endpoint, allow=["127.0.0.1", "127.9.9.9"])
        for qname in ("h1.example.org", "h1.example.org", "localhost", "nothing.invalid", "many.example.org"):
            for octet in b"ab":
                cookie = bytes([octet]) * 8
                packet = exchange(daemon.port, with_opt(qname, payload=512, options=wire.option(COOKIE, cookie)))
                assert len(packet) <= 512 and cookie_of(packet)[:8] == cookie, qname
        assert cookie_of(ask_cookie(daemon.port, CLIENT_COOKIE, source="127.0.0.2"))[:8] == CLIENT_COOKIE

    def test_it_fits(self, shared):
        """An answer that has just room for 512 octets leaves the room of the cookie free."""
        for count in range(25, 32):
            packet = exchange(shared.port, with_opt("many.example.org", payload=28 * count, options=wire.option(COOKIE, CLIENT_COOKIE)))
            assert len(packet) <= max(512, 28 * count) and len(cookie_of(packet)) == 24

    def test_off(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, cookies="off")
        packet = ask_cookie(daemon.port, CLIENT_COOKIE)
        answered(packet)
        assert cookie_of(packet) is None
        assert wire.parse(ask_cookie(daemon.port, b"short")).rcode == wire.FORMERR

    def test_file(self, teredown, nsd, folder):
        """Two servers with one file take each other's cookies; a reload brings a new secret in, and the one before stays good."""
        old, new = "e5e973e5a6b2a43f48e7dc849e37bfcf", "dd3bdf9344b678b185a6f5cb60fca715"
        path = folder.write("cookies", old + "\n")
        first = teredown(nsd.endpoint, cookie_secret_file=path)
        second = teredown(nsd.endpoint, cookie_secret_file=path)
        cookie = cookie_of(ask_cookie(first.port, CLIENT_COOKIE))
        assert cookie_of(ask_cookie(second.port, cookie)) == cookie
        folder.write("cookies", "# rolled\n%s\n%s\n" % (new.upper(), old))
        first.run("reload")
        renewed = cookie_of(ask_cookie(first.port, cookie))
        assert renewed != cookie and cookie_of(ask_cookie(first.port, renewed)) == renewed
        assert cookie_of(ask_cookie(second.port, renewed)) != renewed
        os.unlink(path)
        assert first.command("reload").returncode == 0
        harness.until(lambda: "the old secrets stay" in first.log(), "the missing file is told")
        assert cookie_of(ask_cookie(first.port, renewed)) == renewed

    @pytest.mark.parametrize("text,word", [("", "no secret in it"), ("12345\n", "line 1"), ("#\n" + "g" * 32 + "\n", "line 2"),
        ("\n".join(["ab" * 16] * 3), "line 3"), (None, "cannot be opened")], ids=["empty", "short", "not hex", "three", "not there"])
    def test_bad_file(self, nsd, folder, text, word):
        """-t says what is wrong, without the secret."""
        path = os.path.join(folder.path, "cookies")
        if text is not None:
            folder.write("cookies", text)
        daemon = harness.Teredown(folder.path, nsd.endpoint, cookie_secret_file=path)
        done = harness.subprocess.run([harness.DAEMON, "-t", "-c", daemon.config], stdout=harness.subprocess.PIPE,
            stderr=harness.subprocess.STDOUT, universal_newlines=True)
        assert done.returncode == 1 and "cookie-secret-file" in done.stdout and word in done.stdout
        assert "ab" * 16 not in done.stdout


class TestKeepalive:
    def test_over_tcp(self, shared):
        """The time a connection may be idle, in tenths of a second, for who asks."""
        packet = exchange(shared.port, with_opt(options=wire.option(KEEPALIVE, b"")), tcp=True)
        answered(packet)
        (code, body), = opt_of(packet)[3]
        assert code == KEEPALIVE and len(body) == 2 and 20 <= struct.unpack("!H", body)[0] <= 300

    def test_not_over_udp(self, shared):
        """RFC 7828, 3.2.1: it has no meaning there, and is ignored."""
        packet = exchange(shared.port, with_opt(options=wire.option(KEEPALIVE, b"")))
        answered(packet)
        assert opt_of(packet)[3] == []

    def test_not_unasked(self, shared):
        assert opt_of(exchange(shared.port, with_opt(), tcp=True))[3] == []


class TestErrors:
    """Extended DNS Errors (RFC 8914): which, for whom, and never at the price of the answer's room."""

    ZONE = "$TTL 60\n@ SOA localhost. nobody.invalid. 1 1 1 1 1\n%s CNAME .\n"

    @pytest.mark.parametrize("reason,code", [(None, 15), ("blocked", 15), ("censored", 16), ("filtered", 17)])
    def test_reason(self, teredown, nsd, folder, reason, code):
        zone = folder.write("list.rpz", self.ZONE % GOOD)
        daemon = teredown(nsd.endpoint, zones={"list": dict({"file": zone, "mode": "block"}, **({"reason": reason} if reason else {}))})
        for _ in range(2):
            (option, body), = opt_of(exchange(daemon.port, with_opt()))[3]
            assert option == 15 and body == struct.pack("!H", code) + b"policy zone list"
        assert opt_of(exchange(daemon.port, wire.query(1, GOOD))) is None
        daemon.configure()
        if reason is None:
            return
        daemon.settings[("zone", "list")]["reason"] = "blocked"
        daemon.configure()
        daemon.run("reload")
        assert opt_of(exchange(daemon.port, with_opt()))[3][0][1][:2] == b"\0\x0f"

    def test_it_fits(self, teredown, nsd, folder):
        """The longest name, 512 octets, a cookie: what has no place is left out, and the rest is whole."""
        labels = [b"\x3f" + octet * 63 for octet in (b"a", b"b", b"c")] + [b"\x3d" + b"d" * 61]
        text = ".".join(label[1:].decode() for label in labels)
        zone = folder.write("list.rpz", "$TTL 60\n$ORIGIN .\n@ SOA localhost. nobody.invalid. 1 1 1 1 1\n*.%s CNAME .\n" % text.split(".", 1)[1])
        daemon = teredown(nsd.endpoint, zones={"x" * 31: {"file": zone, "mode": "block"}})
        opt = wire.opt(512, options=wire.option(COOKIE, CLIENT_COOKIE), dnssec_ok=True)
        question = wire.header(1, wire.RD, additional=1) + wire.question(b"".join(labels) + b"\0", wire.A) + opt
        packet = exchange(daemon.port, question)
        message = wire.parse(packet)
        assert len(packet) <= 512 and message.rcode == wire.NXDOMAIN and message.authority and not message.truncated
        assert len(cookie_of(packet)) == 24

    def test_outside(self, teredown, nsd):
        """18, prohibited: a client that is not served."""
        daemon = teredown(nsd.endpoint, allow=["127.9.9.9"])
        assert opt_of(exchange(daemon.port, with_opt()))[3] == [(15, b"\0\x12")]

    def test_nobody_answers(self, teredown):
        """22 or 23: no server, or a network without a way to it."""
        daemon = teredown("127.0.0.1:%d" % harness.free_port(), upstream_timeout=500)
        message = wire.parse(exchange(daemon.port, with_opt()))
        assert message.rcode == wire.SERVFAIL
        assert [body[:2] for code, body in message.options if code == 15] in ([b"\0\x16"], [b"\0\x17"])
