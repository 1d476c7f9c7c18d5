# SPDX-License-Identifier: BSD-3-Clause
"""Rules that lead to another name, as a client sees them and as they are recorded: the target comes from wherever names come from."""

import dns.flags
import dns.rdatatype

import harness
from harness import addresses_of, ede_codes, rcode_of
from test_policy import RPZ_HEAD
from upstream import addresses

RULES = RPZ_HEAD + """bad.test CNAME www.example.org.
*.wild.test CNAME *.wild.example.org.
inside.test CNAME walled.corp.test.
host.test CNAME printer.lan.
none.test CNAME nothing.example.org.
alias.test CNAME alias.example.org.
big.test CNAME many.example.org.
data.test TYPE65280 \\# 3 010203
data.test SVCB 1 svc.example. port=8443
*.data.test MX 5 mx.example.
*.data.test SRV 1 2 53 ns.example.
"""


def answer_of(message):
    return [(rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype), record.to_text()) for rrset in message.answer for record in rrset]


def test_target_is_told_and_recorded(teredown, nsd, folder):
    """Over UDP and TCP, fresh and out of the cache; recorded is the question with its rule, and each address under the name that has it."""
    daemon = teredown(nsd.endpoint, zones={"walls": {"file": folder.write("walls.rpz", RULES), "mode": "block"}}, query_log="watched")
    expected = [("Bad.test.", "CNAME", "www.example.org."), ("www.example.org.", "A", "192.0.2.1")]
    for tcp in (False, True, False):
        reply = daemon.ask("Bad.test", tcp=tcp, flags=dns.flags.RD | dns.flags.AD)
        assert answer_of(reply) == expected and not reply.flags & dns.flags.AD and ede_codes(reply) == [15]
    assert answer_of(daemon.ask("a.B.wild.test")) == [("a.B.wild.test.", "CNAME", "a.B.wild.test.wild.example.org."),
        ("a.B.wild.test.wild.example.org.", "A", "192.0.2.77")]
    assert answer_of(daemon.ask("bad.test", "CNAME")) == [("bad.test.", "CNAME", "www.example.org.")]
    denied = daemon.ask("none.test")
    assert rcode_of(denied) == "NXDOMAIN" and answer_of(denied) == [("none.test.", "CNAME", "nothing.example.org.")] and denied.authority
    big = daemon.ask("big.test", use_edns=False)
    assert big.flags & dns.flags.TC and not big.answer and len(addresses_of(daemon.ask("big.test", tcp=True))) == 40
    records = harness.until(lambda: len(daemon.records()) >= 8 and daemon.records(), "records")
    first = records[0]
    assert (first["query"], first["source"], first["action"], first["policy"], first["rule"]) == ("bad.test.", "policy", "block", "walls", "bad.test.")
    assert first["addresses"] == ["192.0.2.1"] and [record["name"].lower() for record in first["answers"]] == ["bad.test.", "www.example.org."]
    assert not first.get("upstream")
    received, accounted = harness.balance(daemon.status())
    assert received == accounted


def test_target_comes_from_where_names_come_from(teredown, upstream, folder):
    """Servers of a section forward and hosts files are asked for the target; a server that cannot answer makes SERVFAIL, and is not asked again."""
    inside = upstream(addresses({"walled.corp.test": ["192.0.2.88"]}))
    outside = upstream(lambda packet, asked, tcp: [])
    hosts = folder.write("hosts", "192.0.2.99 printer.lan\n")
    daemon = teredown(outside.endpoint, zones={"walls": {"file": folder.write("walls.rpz", RULES), "mode": "block"}}, hosts=[hosts],
        forwards={"corp.test": {"upstream": [inside.endpoint]}}, upstream_timeout="300ms")
    assert addresses_of(daemon.ask("inside.test")) == ["192.0.2.88"] and inside.count("walled.corp.test") == 1
    assert addresses_of(daemon.ask("host.test")) == ["192.0.2.99"]
    failed = daemon.ask("bad.test")
    assert rcode_of(failed) == "SERVFAIL" and ede_codes(failed) in ([22], [13])
    asked = outside.count("www.example.org")
    assert asked >= 1 and outside.count("bad.test") == 0
    assert ede_codes(daemon.ask("bad.test")) == [13] and outside.count("www.example.org") == asked


def test_local_data_of_any_type(teredown, nsd, folder):
    """Also of types without a name; below a wildcard the question owns the records; what there is none of is NODATA."""
    daemon = teredown(nsd.endpoint, zones={"walls": {"file": folder.write("walls.rpz", RULES), "mode": "block"}})
    assert answer_of(daemon.ask("data.test", "TYPE65280")) == [("data.test.", "TYPE65280", "\\# 3 010203")]
    assert answer_of(daemon.ask("data.test", "SVCB")) == [("data.test.", "SVCB", '1 svc.example. port="8443"')]
    assert answer_of(daemon.ask("x.Y.data.test", "MX")) == [("x.Y.data.test.", "MX", "5 mx.example.")]
    assert answer_of(daemon.ask("y.data.test", "SRV")) == [("y.data.test.", "SRV", "1 2 53 ns.example.")]
    nothing = daemon.ask("data.test", "A")
    assert rcode_of(nothing) == "NOERROR" and not nothing.answer and nothing.authority
