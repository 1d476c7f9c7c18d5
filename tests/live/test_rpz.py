# SPDX-License-Identifier: BSD-3-Clause
"""Response Policy Zones as a whole: every trigger with every action, as kdig sees it over UDP and TCP, asked twice so that the second answer is
one of the cache; overrides; signed answers."""

import subprocess

import dns.rdatatype
import pytest

import harness
import signed
import wire
from harness import addresses_of, ede_codes, rcode_of
from test_policy import RPZ_HEAD, assert_blocked
from upstream import addresses

ACTIONS = {"nxdomain": "CNAME .", "nodata": "CNAME *.", "passthru": "CNAME rpz-passthru.", "drop": "CNAME rpz-drop.",
    "tcp-only": "CNAME rpz-tcp-only.", "local": "A 192.0.2.200\n  AAAA 2001:db8:ffff::200"}
TRIGGERS = ("question", "v4", "v6", "client", "client6", "chain")
CLIENTS = {action: "127.0.9.%d" % number for number, action in enumerate(ACTIONS, 1)}


def owner(trigger, number, action):
    return {"question": "%s.question.test" % action, "v4": "32.%d.113.0.203.rpz-ip" % number,
        "v6": "128.%d.zz.db8.2001.rpz-ip" % number, "client": "32.%d.9.0.127.rpz-client-ip" % number,
        "client6": "128.1.zz.rpz-client-ip", "chain": "%s.target.test" % action}[trigger]


def asked(trigger, action):
    """(name, type, client) that meet this rule and no other."""
    return ("%s.%s.test" % (action, trigger), "AAAA" if trigger == "v6" else "A", CLIENTS[action] if trigger == "client" else "127.0.9.99")


def zone_text(triggers, actions):
    numbers = {action: number for number, action in enumerate(ACTIONS, 1)}
    return RPZ_HEAD + "".join("%s %s\n" % (owner(trigger, numbers[action], action), ACTIONS[action]) for trigger in triggers for action in actions)


def world():
    """What the upstream knows: for each rule a name; those of chains lead to one that is listed."""
    table = {}
    for number, action in enumerate(ACTIONS, 1):
        for trigger in TRIGGERS:
            table["%s.%s.test" % (action, trigger)] = ["203.0.113.99", "2001:db8::99"]
        table["%s.v4.test" % action] = ["203.0.113.98", "203.0.113.%d" % number]
        table["%s.v6.test" % action] = ["2001:db8::98", "2001:db8::%d" % number]
    plain = addresses(table)

    def script(packet, question, tcp):
        if not question.qname.endswith(".chain.test."):
            return plain(packet, question, tcp)
        target = wire.name(question.qname.replace(".chain.", ".target."))
        middle = wire.name("middle.test")
        return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.CNAME, 60, middle), wire.rr(middle, wire.CNAME, 60, target),
            wire.rr(target, wire.A, 60, bytes([203, 0, 113, 99]))]))]
    return script


class Kdig:
    """One question, under way; `status` (None: no answer), whether it was truncated, the addresses in its answer."""

    def __init__(self, program, port, name, qtype, client, tcp, server="127.0.0.1"):
        self.process = subprocess.Popen([program, "@" + server, "-p", str(port), "-b", client, "+edns", "+ignore", "+retry=0", "+timeout=3",
            "+tcp" if tcp else "+notcp", name, qtype], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def wait(self):
        self.text = self.process.communicate(timeout=20)[0]
        self.status = self.text.split("status: ")[1].split(";")[0] if "status: " in self.text else None
        self.truncated = "Flags: qr" in self.text and " tc " in self.text.split("Flags:")[1].split(";")[0]
        lines = [line.split() for line in self.text.splitlines() if line and not line.startswith(";")]
        self.addresses = [words[4] for words in lines if len(words) > 4 and words[3] in ("A", "AAAA")]
        return self


def check(trigger, action, tcp, seen):
    told = "2001:db8:ffff::200" if trigger == "v6" else "192.0.2.200"
    expected = {"nxdomain": ("NXDOMAIN", False), "nodata": ("NOERROR", False), "passthru": ("NOERROR", False), "drop": (None, False),
        "tcp-only": ("NOERROR", not tcp), "local": ("NOERROR", False)}[action]
    assert (seen.status, seen.truncated) == expected, seen.text
    if action == "local":
        assert seen.addresses == [told], seen.text
    elif action == "passthru" or (action == "tcp-only" and tcp):
        assert seen.addresses and told not in seen.addresses, seen.text
    else:
        assert not seen.addresses, seen.text
    if action in ("nxdomain", "nodata"):
        assert "SOA" in seen.text and "Blocked" in seen.text, seen.text


def test_triggers_and_actions(teredown, upstream, folder, need):
    kdig = need("kdig")
    path = folder.write("all.rpz", zone_text([trigger for trigger in TRIGGERS if trigger != "client6"], ACTIONS))
    daemon = teredown(upstream(world()).endpoint, zones={"all": {"file": path, "mode": "block"}})
    for _ in range(2):
        under_way = [(trigger, action, tcp, Kdig(kdig, daemon.port, *asked(trigger, action), tcp))
            for trigger in TRIGGERS if trigger != "client6" for action in ACTIONS for tcp in (False, True)]
        for trigger, action, tcp, one in under_way:
            check(trigger, action, tcp, one.wait())
    status = daemon.status()
    received, accounted = harness.balance(status)
    assert received == accounted
    assert harness.number(status, "dropped_policy") == 2 * 2 * (len(TRIGGERS) - 1) and harness.number(status, "matches_left") == 0


def test_client_over_ipv6(teredown, upstream, folder, need):
    """A rule for ::1 is none for 127.0.0.1, and no other way round."""
    kdig = need("kdig")
    path = folder.write("six.rpz", RPZ_HEAD + "128.1.zz.rpz-client-ip CNAME .\n")
    daemon = teredown(upstream(world()).endpoint, zones={"six": {"file": path, "mode": "block"}})
    assert Kdig(kdig, daemon.port, "drop.v4.test", "A", "127.0.0.1", False).wait().status == "NOERROR"
    assert Kdig(kdig, daemon.port, "drop.v4.test", "A", "::1", False, "::1").wait().status == "NXDOMAIN"
    assert Kdig(kdig, daemon.port, "drop.v4.test", "A", "::1", True, "::1").wait().status == "NXDOMAIN"


def test_watched_and_recorded(teredown, upstream, folder):
    """A hit by address is recorded as the rule stands in the zone; the answer is the true one, until the mode is another."""
    path = folder.write("watched.rpz", RPZ_HEAD + "32.1.113.0.203.rpz-ip CNAME .\n24.0.9.0.127.rpz-client-ip CNAME .\n")
    daemon = teredown(upstream(world()).endpoint, zones={"watched": {"file": path}}, query_log="watched")
    assert addresses_of(daemon.ask("nxdomain.v4.test", source="127.0.0.1")) == ["203.0.113.1", "203.0.113.98"]
    assert addresses_of(daemon.ask("nodata.v4.test", source="127.0.9.8")) == ["203.0.113.2", "203.0.113.98"]
    harness.until(lambda: len(daemon.records()) == 2, "both are in the log")
    seen = {(record["action"], record["policy"], record["rule"]) for record in daemon.records()}
    assert seen == {("watch", "watched", "32.1.113.0.203.rpz-ip."), ("watch", "watched", "24.0.9.0.127.rpz-client-ip.")}
    daemon.run("mode", "block", "--zone", "watched")
    assert_blocked(daemon.ask("nxdomain.v4.test", source="127.0.0.1"))
    assert_blocked(daemon.ask("nodata.v4.test", source="127.0.9.8"))


def test_bad_addresses_cost_their_line_only(teredown, upstream, folder):
    path = folder.write("bad.rpz", RPZ_HEAD + "24.1.113.0.203.rpz-ip CNAME .\n33.1.113.0.203.rpz-ip CNAME .\nx.rpz-nsdname CNAME .\n"
        "32.1.113.0.203.rpz-nsip CNAME .\n32.2.113.0.203.rpz-ip CNAME .\n")
    daemon = teredown(upstream(world()).endpoint, zones={"bad": {"file": path, "mode": "block"}})
    for line, words in ((4, "bits behind the prefix"), (5, "length of the prefix"), (6, "name server"), (7, "name server")):
        assert any("bad.rpz:%d:" % line in text and words in text for text in daemon.log().splitlines())
    assert_blocked(daemon.ask("nodata.v4.test"))
    assert rcode_of(daemon.ask("nxdomain.v4.test")) == "NOERROR"


def test_override(teredown, upstream, folder):
    """A zone's own action in place of those of its rules, changed by a reload, also for what is cached."""
    path = folder.write("some.rpz", RPZ_HEAD + "nxdomain.question.test CNAME .\npassthru.question.test CNAME rpz-passthru.\n32.1.113.0.203.rpz-ip A 192.0.2.1\n")
    daemon = teredown(upstream(world()).endpoint, zones={"some": {"file": path, "mode": "block", "override": "nodata"}})

    def change(override):
        daemon.settings[("zone", "some")]["override"] = override
        daemon.configure()
        daemon.run("reload")
    for name in ("nxdomain.question.test", "passthru.question.test", "nxdomain.v4.test"):
        answer = daemon.ask(name)
        assert rcode_of(answer) == "NOERROR" and not answer.answer and ede_codes(answer) == [15]
    change("nxdomain")
    assert_blocked(daemon.ask("nxdomain.v4.test"))
    change("passthru")
    assert len(addresses_of(daemon.ask("nxdomain.v4.test"))) == 2 and addresses_of(daemon.ask("nxdomain.question.test"))
    change("cname walled.example")
    answer = daemon.ask("passthru.question.test", "CNAME")
    assert [str(record.target) for rrset in answer.answer for record in rrset if rrset.rdtype == dns.rdatatype.CNAME] == ["walled.example."]
    change("none")
    assert_blocked(daemon.ask("nxdomain.question.test"))
    assert addresses_of(daemon.ask("nxdomain.v4.test")) == ["192.0.2.1"]
    assert addresses_of(daemon.ask("passthru.question.test"))


@pytest.fixture(scope="module")
def signed_world():
    for program in signed.PROGRAMS + ("delv",):
        if harness.find(program) is None:
            harness.missing("%s is not installed" % program)
    folder = harness.Folder()
    nsd = signed.SignedNsd(folder.path).start()
    yield nsd
    nsd.stop()
    folder.remove()


def test_break_dnssec(teredown, signed_world, folder):
    """With break-dnssec = off a client that asks for signatures gets the signed answer, which validates; what is not signed is blocked for it too."""
    path = folder.write("signed.rpz", RPZ_HEAD + "www.example CNAME .\nwww.plain.example CNAME .\nnothing.example A 192.0.2.1\n24.0.2.0.192.rpz-ip CNAME *.\n")
    daemon = teredown(signed_world.endpoint, zones={"signed": {"file": path, "mode": "block"}}, break_dnssec="off")
    for _ in range(2):
        delv = subprocess.run([harness.find("delv"), "@127.0.0.1", "-p", str(daemon.port), "-a", signed_world.delv_file, "+root=.", "www.example", "A"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60).stdout
        assert "; fully validated" in delv and "192.0.2.1" in delv, delv
        assert_blocked(daemon.ask("www.example"))
        assert_blocked(daemon.ask("www.plain.example", want_dnssec=True))
        assert rcode_of(daemon.ask("nothing.example", want_dnssec=True)) == "NXDOMAIN"  # signed proof that there is none
        assert addresses_of(daemon.ask("nothing.example")) == ["192.0.2.1"]
        assert addresses_of(daemon.ask("srv-host.wild.example", want_dnssec=True)) == ["192.0.2.77"]  # by address: signed as well
        assert not addresses_of(daemon.ask("srv-host.wild.example"))
    daemon.configure(break_dnssec="on")
    daemon.run("reload")
    assert_blocked(daemon.ask("www.example", want_dnssec=True))
    assert not addresses_of(daemon.ask("srv-host.wild.example", want_dnssec=True))
