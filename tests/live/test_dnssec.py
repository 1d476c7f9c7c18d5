# SPDX-License-Identifier: BSD-3-Clause
"""What a validating client behind us needs goes through unharmed: DO, AD, CD, signatures, denials (RFC 4035, 6840). delv and Unbound validate,
with the key of a root that the test has made; each answer is asked for twice, so that the second is one of the cache."""

import subprocess

import dns.flags
import dns.rdatatype
import pytest

import harness
import signed
import wire
from harness import rcode_of

AD, CD, RD = 0x20, 0x10, 0x100


@pytest.fixture(scope="module")
def world():
    for program in signed.PROGRAMS:
        if harness.find(program) is None:
            harness.missing("%s is not installed" % program)
    folder = harness.Folder()
    nsd = signed.SignedNsd(folder.path).start()
    yield nsd
    nsd.stop()
    folder.remove()


@pytest.fixture(scope="module")
def daemon(world):
    folder = harness.Folder()
    daemon = harness.Teredown(folder.path, world.endpoint).start()
    yield daemon
    daemon.stop()
    folder.remove()


@pytest.fixture(scope="module")
def recursive(world):
    """A validating recursive server, as most upstreams are."""
    folder = harness.Folder()
    server = signed.Validator(folder.path, "recursive", world.port, world.anchor_file, False).start()
    yield server
    server.stop()
    folder.remove()


@pytest.fixture(scope="module")
def behind(recursive):
    folder = harness.Folder()
    daemon = harness.Teredown(folder.path, recursive.endpoint).start()
    yield daemon
    daemon.stop()
    folder.remove()


def delv(port, world, qname, qtype, *words):
    done = subprocess.run([harness.find("delv"), "@127.0.0.1", "-p", str(port), "-a", world.delv_file, "+root=.", qname, qtype, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
    return done.stdout


SECURE = "; fully validated"
DENIED = "; negative response, fully validated"
CASES = {
    "address": ("www.example", "A", SECURE), "IPv6": ("www.example", "AAAA", SECURE), "wildcard": ("x.y.wild.example", "A", SECURE),
    "wildcard of another type": ("x.wild.example", "TXT", SECURE), "chain": ("alias.example", "A", SECURE),
    "chain into a wildcard": ("towards-wild.example", "A", SECURE), "alias itself": ("alias.example", "CNAME", SECURE),
    "DNAME": ("a.old.example", "A", SECURE), "DNAME itself": ("old.example", "DNAME", SECURE),
    "chain to nowhere": ("dangling.example", "A", SECURE), "chain to NODATA": ("alias.example", "MX", SECURE),
    "no data": ("www.example", "TXT", DENIED), "no name": ("nothing.example", "A", DENIED), "empty non-terminal": ("empty.example", "A", DENIED),
    "no data in a wildcard": ("q.wild.example", "MX", DENIED), "mixed case": ("mIxEd.CaSe.example", "MX", SECURE),
    "SRV": ("srv.example", "SRV", SECURE), "HTTPS": ("https.example", "HTTPS", SECURE), "large, by TCP": ("big.example", "TXT", SECURE),
    "keys": (".", "DNSKEY", SECURE), "keys below": ("three.example", "DNSKEY", SECURE), "DS": ("three.example", "DS", SECURE),
    "no DS": ("plain.example", "DS", DENIED), "NSEC": ("www.example", "NSEC", SECURE), "SOA": ("three.example", "SOA", SECURE),
    "name servers": ("three.example", "NS", SECURE), "NSEC3 address": ("www.three.example", "A", SECURE),
    "NSEC3 wildcard": ("a.wild.three.example", "A", SECURE), "NSEC3 chain": ("alias.three.example", "A", SECURE),
    "NSEC3 no data": ("www.three.example", "AAAA", DENIED), "NSEC3 no name": ("no.three.example", "A", DENIED),
    "NSEC3 empty non-terminal": ("empty.three.example", "A", DENIED), "NSEC3 parameters": ("three.example", "NSEC3PARAM", SECURE),
    "insecure": ("www.plain.example", "A", "; unsigned answer"), "insecure no name": ("no.plain.example", "A", "; negative response, unsigned answer"),
}


@pytest.mark.parametrize("qname,qtype,expected", CASES.values(), ids=CASES.keys())
def test_delv(world, daemon, need, qname, qtype, expected):
    need("delv")
    for source in ("upstream", "cache"):
        lines = delv(daemon.port, world, qname, qtype).splitlines()
        assert expected in lines, "from %s: %s" % (source, "\n".join(lines[:8]))


def test_delv_sees_a_bad_signature(world, daemon, need):
    """What delv says above says something."""
    need("delv")
    text = delv(daemon.port, world, "www.bogus.example", "A")
    assert "RRSIG failed to verify" in text and SECURE not in text


def test_unbound_behind_us(world, daemon, need, folder):
    """A validating resolver that forwards to us: AD where the zone is signed, SERVFAIL where a signature is wrong."""
    need("unbound")
    client = signed.Validator(folder.path, "client", daemon.port, world.anchor_file, True).start()
    try:
        for qname, rcode, secure in (("www.example", "NOERROR", True), ("nothing.example", "NXDOMAIN", True), ("x.wild.example", "NOERROR", True),
                ("no.three.example", "NXDOMAIN", True), ("www.plain.example", "NOERROR", False), ("www.bogus.example", "SERVFAIL", False)):
            answer = harness.ask(client.port, qname, flags=RD | AD)
            assert (rcode_of(answer), bool(answer.flags & dns.flags.AD)) == (rcode, secure), qname
        answer = harness.ask(client.port, "www.bogus.example", flags=RD | CD)
        assert harness.addresses_of(answer) == ["192.0.2.40"]
    finally:
        client.stop()


def records(answer):
    """Sections as sets, without times."""
    return [sorted((rrset.name.to_text().lower(), rrset.rdtype, rrset.covers, record.to_text()) for rrset in section for record in rrset)
        for section in (answer.answer, answer.authority)]


@pytest.mark.parametrize("qname,qtype,_", CASES.values(), ids=CASES.keys())
def test_no_record_is_lost(world, daemon, qname, qtype, _):
    """With DO, what NSD says is what we say, but for name servers that nobody asked for."""
    plain = harness.ask(world.port, qname, qtype, want_dnssec=True, tcp=True)
    for tcp in (True, True):
        ours = harness.ask(daemon.port, qname, qtype, want_dnssec=True, tcp=tcp)
        assert ours.rcode() == plain.rcode() and ours.ednsflags & dns.flags.DO
        answer, authority = records(plain)
        unasked = [record for record in authority if dns.rdatatype.NS in (record[1], record[2])]
        assert records(ours) == [answer, [record for record in authority if record not in unasked]]


def test_none_without_do(daemon):
    """No signature and no proof for who has not asked (RFC 4035, 3.2.1), though both stand in the cache for who has."""
    for qname in ("www.example", "nothing.example", "x.wild.example"):
        harness.ask(daemon.port, qname, want_dnssec=True)
        for _ in range(2):
            answer = harness.ask(daemon.port, qname)
            kinds = {rrset.rdtype for section in (answer.answer, answer.authority) for rrset in section}
            assert not kinds & {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3}, qname
        assert dns.rdatatype.RRSIG in {rrset.rdtype for rrset in harness.ask(daemon.port, qname, want_dnssec=True).answer} or qname == "nothing.example"


class TestAd:
    """AD says what upstream said, to those who understand it (RFC 6840, 5.7 and 5.8)."""

    def test_for_who_asks(self, behind, need):
        """By AD or DO in the query. One question upstream serves both kinds of client."""
        need("unbound")
        for _ in range(2):
            assert not harness.ask(behind.port, "www.example").flags & dns.flags.AD
            assert harness.ask(behind.port, "www.example", flags=RD | AD).flags & dns.flags.AD
            assert harness.ask(behind.port, "www.example", use_edns=False, flags=RD | AD).flags & dns.flags.AD
            assert harness.ask(behind.port, "www.example", want_dnssec=True).flags & dns.flags.AD

    def test_denials(self, behind):
        for qname in ("nothing.example", "no.three.example"):
            assert harness.ask(behind.port, qname, flags=RD | AD).flags & dns.flags.AD

    def test_not_where_nothing_is_signed(self, behind):
        for options in ({"flags": RD | AD}, {"want_dnssec": True}):
            answer = harness.ask(behind.port, "www.plain.example", **options)
            assert rcode_of(answer) == "NOERROR" and not answer.flags & dns.flags.AD

    def test_not_of_our_own(self, behind):
        """What is made here nobody has validated."""
        for qname in ("localhost", "nothing.invalid", "1.0.0.10.in-addr.arpa"):
            assert not harness.ask(behind.port, qname, want_dnssec=True).flags & dns.flags.AD

    def test_not_blocked(self, recursive, teredown, folder):
        """A signed name that is blocked: the denial is not secure, and a validating client sees that."""
        zone = folder.write("list.rpz", "$TTL 60\n@ SOA localhost. nobody.invalid. 1 1 1 1 1\nwww.example CNAME .\n")
        daemon = teredown(recursive.endpoint, zones={"list": {"file": zone, "mode": "block"}})
        for _ in range(2):
            answer = daemon.ask("www.example", want_dnssec=True, flags=RD | AD)
            assert rcode_of(answer) == "NXDOMAIN" and not answer.flags & dns.flags.AD

    def test_not_trusted(self, recursive, teredown):
        """trust-ad = off: whatever upstream says."""
        daemon = teredown(recursive.endpoint, trust_ad="off")
        for _ in range(2):
            assert not daemon.ask("www.example", flags=RD | AD).flags & dns.flags.AD
        daemon.configure(trust_ad="on")
        daemon.run("reload")
        assert daemon.ask("www.example", flags=RD | AD).flags & dns.flags.AD


class TestCd:
    def test_bogus(self, behind):
        """SERVFAIL, and for who checks himself (CD) the data; neither is told the other's answer out of the cache."""
        for _ in range(2):
            assert rcode_of(harness.ask(behind.port, "www.bogus.example")) == "SERVFAIL"
            answer = harness.ask(behind.port, "www.bogus.example", flags=RD | CD, want_dnssec=True)
            assert harness.addresses_of(answer) == ["192.0.2.40"] and answer.flags & dns.flags.CD
            assert not answer.flags & dns.flags.AD

    def test_comes_back(self, behind):
        for flags in (RD, RD | CD):
            assert harness.ask(behind.port, "www.example", flags=flags).flags & CD == flags & CD

    def test_upstream_sees_it(self, teredown, upstream):
        """RD and AD are set in what we ask, CD where the client set it, and nothing else, whatever the client sent."""
        seen = []

        def script(packet, asked, tcp):
            seen.append(int.from_bytes(packet[2:4], "big"))
            return [(0, good_reply(packet))]
        server = upstream(script)
        daemon = teredown(server.endpoint)
        for number, (flags, expected) in enumerate(((RD, RD | AD), (RD | CD, RD | AD | CD), (0, RD | AD), (RD | AD, RD | AD))):
            daemon.ask("n%d.example.org" % number, flags=flags)
            assert seen[-1] == expected


def good_reply(packet):
    return wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, b"\xc0\0\2\1")])
