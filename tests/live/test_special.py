# SPDX-License-Identifier: BSD-3-Clause
"""Names about which nobody is asked (RFC 6303, 6761, 7686, 7793, 8375, 9462, 9476): nothing of them leaves, whatever type is asked."""

import pytest

import harness
from harness import addresses_of, ede_codes, rcode_of

NXDOMAIN = ["x.invalid", "invalid", "onion", "a.b.onion", "alt", "x.alt", "printer.home.arpa", "wpad", "WPAD", "isatap", "IsATap"]
NODATA = ["home.arpa", "resolver.arpa", "_dns.resolver.arpa"]
EMPTY_ZONES = ["10.in-addr.arpa", "168.192.in-addr.arpa", "0.in-addr.arpa", "127.in-addr.arpa", "254.169.in-addr.arpa", "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa", "d.f.ip6.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa", "b.e.f.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa", "0." * 32 + "ip6.arpa"] \
    + ["%d.172.in-addr.arpa" % octet for octet in range(16, 32)] + ["%d.100.in-addr.arpa" % octet for octet in range(64, 128)]
# Beside them, and nobody's.
ORDINARY = ["isatap.example.org", "wpad.example.org", "isatap2", "test", "www.test", "local", "9.in-addr.arpa", "15.172.in-addr.arpa",
    "32.172.in-addr.arpa", "63.100.in-addr.arpa", "128.100.in-addr.arpa", "c.f.ip6.arpa", "ipv4only.arpa", "onions", "localhost.example.org"]


def leaves(server):
    return {qname for qname, _ in server.asked}


def test_nothing_leaves(teredown, upstream):
    server = upstream({})
    daemon = teredown(server.endpoint)
    for qname in NXDOMAIN:
        for qtype in ("A", "AAAA", "TXT", "HTTPS", "PTR", "SOA", "NS", "DS", "SVCB"):
            answer = daemon.ask(qname, qtype)
            assert rcode_of(answer) == "NXDOMAIN" and not answer.answer, (qname, qtype)
            assert [rrset.rdtype for rrset in answer.authority] == [6]
    for qname in NODATA + EMPTY_ZONES:
        answer = daemon.ask(qname, "PTR")
        assert rcode_of(answer) == "NOERROR" and not answer.answer and len(answer.authority) == 1, qname
    for zone in EMPTY_ZONES:
        answer = daemon.ask("1." + zone, "PTR")
        assert rcode_of(answer) == "NXDOMAIN" and answer.authority[0].name.to_text() == zone + ".", zone
    for qname in ("localhost", "a.b.localhost", "LOCALHOST"):
        assert addresses_of(daemon.ask(qname)) == ["127.0.0.1"] and addresses_of(daemon.ask(qname, "AAAA")) == ["::1"]
        assert rcode_of(daemon.ask(qname, "MX")) == "NOERROR"
    for qname in ("1.0.0.127.in-addr.arpa", "1." + "0." * 31 + "ip6.arpa"):
        assert daemon.ask(qname, "PTR").answer[0][0].to_text() == "localhost."
    assert not leaves(server)
    for qname in ORDINARY:
        daemon.ask(qname)
    assert leaves(server) == {qname + "." for qname in ORDINARY}


def test_whatever_the_flags(teredown, upstream):
    """DO, CD, TCP and EDNS sizes make no hole."""
    server = upstream({})
    daemon = teredown(server.endpoint)
    for options in ({"want_dnssec": True}, {"flags": 0x110}, {"tcp": True}, {"use_edns": False}, {"payload": 512}, {"flags": 0}):
        for qname in ("secret.onion", "isatap", "1.0.0.10.in-addr.arpa", "host.home.arpa"):
            assert rcode_of(daemon.ask(qname, **options)) == "NXDOMAIN"
    assert not leaves(server)


def test_isatap_is_seen(teredown, upstream):
    """A host that asks for the bare name is told that it does not exist, and is counted as one that looks for a tunnel."""
    server = upstream({})
    daemon = teredown(server.endpoint, query_log="watched")
    answer = daemon.ask("isatap")
    assert rcode_of(answer) == "NXDOMAIN" and not ede_codes(answer)
    record, = harness.until(daemon.records, "it is recorded")
    assert (record["action"], record["policy"], record["rule"], record["source"]) == ("watch", "isatap", "isatap.", "local")
    daemon.run("block", "on")
    answer = daemon.ask("isatap")
    assert rcode_of(answer) == "NXDOMAIN" and ede_codes(answer) == [15]
    record = harness.until(lambda: daemon.records()[1:], "it is recorded")[0]
    assert (record["action"], record["policy"]) == ("block", "isatap")
    daemon.run("mode", "ignore")
    assert rcode_of(daemon.ask("isatap")) == "NXDOMAIN"
    assert not leaves(server) and len(daemon.records()) == 2


@pytest.mark.parametrize("qname", ["localhost", "home.arpa"])
def test_a_list_cannot_take_local_data_away(teredown, upstream, folder, qname):
    """What exists here is not denied because a list names it."""
    zone = folder.write("list.rpz", "$TTL 60\n@ SOA localhost. nobody.invalid. 1 1 1 1 1\n%s CNAME .\n" % qname)
    daemon = teredown(upstream({}).endpoint, zones={"list": {"file": zone, "mode": "block"}})
    answer = daemon.ask(qname)
    assert rcode_of(answer) == "NOERROR" and not ede_codes(answer)
