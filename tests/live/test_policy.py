# SPDX-License-Identifier: BSD-3-Clause
"""Watch, block, ignore: what a client gets, when a change takes effect, and that nobody loses a query over it."""

import os
import signal
import subprocess
import time

import dns.name
import dns.rdatatype
import pytest

import harness
import wire
from harness import addresses_of, ede_codes, rcode_of, until
from load import Background, Load, loopback_clients

TEREDO = "teredo.ipv6.microsoft.com"
RPZ_HEAD = "$TTL 300\n@ SOA localhost. nobody.invalid. ( 1 3600 900 604800 300 )\n  NS localhost.\n"


def assert_blocked(answer):
    """NXDOMAIN that a client caches (RFC 2308), and why (RFC 8914)."""
    assert rcode_of(answer) == "NXDOMAIN" and not answer.answer
    soas = [rrset for rrset in answer.authority if rrset.rdtype == dns.rdatatype.SOA]
    assert len(soas) == 1 and answer.question[0].name.is_subdomain(soas[0].name)
    assert soas[0].ttl > 0 and soas[0][0].minimum > 0
    assert ede_codes(answer) == [15]


def test_watched_by_default(teredown, nsd):
    daemon = teredown(nsd.endpoint)
    answer = daemon.ask(TEREDO)
    assert rcode_of(answer) == "NOERROR" and addresses_of(answer) == ["65.55.158.118"] and not ede_codes(answer)


def test_block_on_and_off(teredown, nsd):
    """One command blocks, over UDP and TCP, with and without EDNS, in any letter case; another one ends it. No restart."""
    daemon = teredown(nsd.endpoint)
    pid = daemon.pid
    daemon.ask(TEREDO)
    daemon.run("block", "on")
    for tcp in (False, True):
        assert_blocked(daemon.ask(TEREDO, tcp=tcp))
        assert_blocked(daemon.ask(TEREDO, "AAAA", tcp=tcp))
        assert_blocked(daemon.ask("tErEdO.IPv6.MICROSOFT.com", tcp=tcp))
    plain = daemon.ask(TEREDO, use_edns=False)
    assert rcode_of(plain) == "NXDOMAIN" and plain.edns == -1 and plain.authority[0].rdtype == dns.rdatatype.SOA
    assert_blocked(daemon.ask("win1234.ipv6.microsoft.com"))
    assert_blocked(daemon.ask("6to4.ipv6.microsoft.com"))
    assert_blocked(daemon.ask("isatap.corp.example.org"))
    assert_blocked(daemon.ask(TEREDO, want_dnssec=True))
    assert addresses_of(daemon.ask("www.example.org")) == ["192.0.2.1"]
    assert rcode_of(daemon.ask("ipv6.microsoft.com")) == "NOERROR"
    daemon.run("block", "off")
    assert addresses_of(daemon.ask(TEREDO)) == ["65.55.158.118"]
    assert daemon.running() and daemon.pid == pid


def test_kdig_shows_the_block(teredown, nsd, need):
    kdig, daemon = need("kdig"), teredown(nsd.endpoint)
    daemon.run("block", "on")
    output = subprocess.run([kdig, "@127.0.0.1", "-p", str(daemon.port), "+edns", TEREDO], stdout=subprocess.PIPE,
        universal_newlines=True, timeout=20).stdout
    assert "NXDOMAIN" in output and "SOA" in output and "EDE" in output and "Blocked" in output


def test_blocked_by_the_alias(teredown, upstream):
    """A name of the answer's CNAME chain counts as well as the question, also when the answer was cached before."""
    def script(packet, asked, tcp):
        target = wire.name("win10.ipv6.microsoft.com")
        records = [wire.rr(b"\xc0\x0c", wire.CNAME, 60, target), wire.rr(target, wire.A, 60, bytes([192, 0, 2, 1]))]
        return [(0, wire.reply(packet, answers=records))]
    server = upstream(script)
    daemon = teredown(server.endpoint)
    assert addresses_of(daemon.ask("innocent.example.org")) == ["192.0.2.1"]
    daemon.run("block", "on")
    for name in ("innocent.example.org", "another.example.org"):
        answer = daemon.ask(name)
        assert rcode_of(answer) == "NXDOMAIN" and not addresses_of(answer)
        # The question itself is not denied by a rule: the alias is told, and the denial is its target's.
        target = answer.answer[0][0].target
        assert target == dns.name.from_text("win10.ipv6.microsoft.com") and target.is_subdomain(answer.authority[0].name)
    daemon.run("block", "off")
    assert addresses_of(daemon.ask("innocent.example.org")) == ["192.0.2.1"]


@pytest.mark.parametrize("workers", [1, 3])
def test_block_under_load_loses_nothing(teredown, nsd, workers):
    """From the moment the command returns every answer follows the new mode; none is lost, no other name notices."""
    daemon = teredown(nsd.endpoint, workers=workers)
    clients = loopback_clients(8, "127.0.10.1")
    load = Load(daemon.port, clients)
    plan = [(client, name, wire.A, index % 7 == 0, 1232 if index % 2 else None)
        for index, (client, name) in enumerate((client, name) for name in (TEREDO, "www.example.org", "first.example.org") for client in clients)]
    spans = []  # (from, to, blocked): what was sent and answered within must be so
    with Background(load, plan) as background:
        began, blocked = time.monotonic(), False
        for turn in range(6):
            seen = background.asked()
            until(lambda: background.asked() > seen + 100, "a hundred more questions")
            spans.append((began, time.monotonic(), blocked))
            blocked = not blocked
            daemon.run("block", "on" if blocked else "off")
            began = time.monotonic()
    assert not load.unanswered and not load.strays
    checked = {False: 0, True: 0}
    for one in load.transactions:
        message = wire.parse(one.reply)
        if one.qname != TEREDO:
            assert message.rcode == wire.NOERROR and message.addresses
            continue
        assert message.rcode == (wire.NOERROR if message.addresses else wire.NXDOMAIN)
        for start, end, is_blocked in spans:
            if start <= one.sent_s and one.sent_s + one.took_s <= end:
                assert (message.rcode == wire.NXDOMAIN) == is_blocked
                checked[is_blocked] += 1
    assert min(checked.values()) > 20


def test_changes_under_full_load(teredown, nsd, folder, need):
    """dnsperf as fast as it can, modes and rules change meanwhile: no query lost, each counted once; each logged once, or counted as dropped."""
    daemon = teredown(nsd.endpoint, redis="embedded", query_log="all")
    questions = folder.write("questions", "".join("h%d.example.org A\n" % index for index in range(500)) + (TEREDO + " A\n") * 50)
    load = subprocess.Popen([need("dnsperf"), "-s", "127.0.0.1", "-p", str(daemon.port), "-d", questions, "-l", "12" if daemon.sanitized() else "4", "-q", "100", "-c", "8", "-t", "5"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    turns = 0
    while load.poll() is None:
        daemon.run("block", "off" if turns % 2 else "on")
        if turns % 3 == 0:
            daemon.run("reload")
        turns += 1
    output = load.communicate()[0]
    lines = dict(line.strip().split(":", 1) for line in output.splitlines() if ":" in line)
    assert turns > 3 and lines["Queries lost"].split()[0] == "0", output
    assert set(lines["Response codes"].replace(",", "").split()[::3]) == {"NOERROR", "NXDOMAIN"}, output
    completed = int(lines["Queries completed"].split()[0])
    status = daemon.until_counted(completed, 60)
    received, accounted = harness.balance(status)
    assert received == accounted
    daemon.stop(deadline_s=60)
    with open(daemon.query_log, "rb") as log:
        logged = sum(1 for _ in log)
    # At least one more than dnsperf asked: the question by which the start was noticed.
    answered = harness.number(status, "answered")
    assert answered >= completed + 1 and logged == answered - harness.number(status, "records_dropped")


def test_mode_of_one_zone(teredown, nsd):
    daemon = teredown(nsd.endpoint)
    daemon.run("mode", "block", "--zone", "teredo")
    assert_blocked(daemon.ask(TEREDO))
    assert addresses_of(daemon.ask("6to4.ipv6.microsoft.com")) == ["192.88.99.1"]
    daemon.run("mode", "ignore", "--zone", "teredo")
    assert addresses_of(daemon.ask(TEREDO)) == ["65.55.158.118"]
    daemon.run("mode", "watch")
    assert daemon.command("mode", "watch", "--zone", "nosuchzone").returncode != 0
    assert daemon.command("mode", "sideways").returncode != 0


def test_status_shows_modes(teredown, nsd):
    daemon = teredown(nsd.endpoint)

    def mode_of(zone):
        return harness.zones_of(daemon.status())[zone]["mode"]
    assert mode_of("teredo") == "watch"
    daemon.run("block", "on")
    assert mode_of("teredo") == "block" and mode_of("6to4") == "block"
    daemon.run("mode", "ignore", "--zone", "teredo")
    assert mode_of("teredo") == "ignore" and mode_of("6to4") == "block"


def test_block_from_the_start(teredown, nsd):
    daemon = teredown(nsd.endpoint, mode="block")
    assert_blocked(daemon.ask(TEREDO))


@pytest.fixture
def zone(folder):
    def write(text, name="mine.rpz"):
        return folder.write(name, RPZ_HEAD + text)
    return write


def test_actions(teredown, nsd, zone):
    path = zone("""first.example.org CNAME .
second.example.org CNAME *.
two.example.org A 192.0.2.200
*.wild.example.org CNAME .
free.wild.example.org CNAME rpz-passthru.
h1.example.org CNAME rpz-drop.
h2.example.org CNAME rpz-tcp-only.
""")
    daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}})
    assert_blocked(daemon.ask("first.example.org"))
    answer = daemon.ask("second.example.org")
    assert rcode_of(answer) == "NOERROR" and not answer.answer and answer.authority[0].rdtype == dns.rdatatype.SOA
    assert addresses_of(daemon.ask("two.example.org")) == ["192.0.2.200"]
    answer = daemon.ask("two.example.org", "AAAA")
    assert rcode_of(answer) == "NOERROR" and not answer.answer
    assert_blocked(daemon.ask("a.b.wild.example.org"))
    assert addresses_of(daemon.ask("free.wild.example.org")) == ["192.0.2.77"]
    assert rcode_of(daemon.ask("wild.example.org")) == "NOERROR", "a wildcard does not match its own apex"
    with pytest.raises(Exception):
        daemon.ask("h1.example.org", timeout_s=0.5)
    assert harness.number(daemon.status(), "dropped_policy") == 1
    answer = daemon.ask("h2.example.org")
    assert answer.flags & wire.TC and not answer.answer
    assert addresses_of(daemon.ask("h2.example.org", tcp=True)) == ["203.0.113.3"]


@pytest.mark.parametrize("how", ["command", "SIGHUP"])
def test_reload_of_a_zone_file(teredown, nsd, zone, how):
    """A changed file counts after the reload, for names answered from the cache too; no query is lost meanwhile."""
    daemon = teredown(nsd.endpoint, zones={"mine": {"file": zone("first.example.org CNAME .\n"), "mode": "block"}})

    def reload():
        if how == "command":
            daemon.run("reload")
        else:
            daemon.send(signal.SIGHUP)
    assert_blocked(daemon.ask("first.example.org"))
    assert addresses_of(daemon.ask("second.example.org")) == ["192.0.2.12"]
    load = Load(daemon.port, loopback_clients(4, "127.0.11.1"))
    with Background(load, [(client, "h%d.example.org" % index, wire.A, False, None) for index in range(50) for client in load.clients]):
        zone("second.example.org CNAME .\n")
        reload()
        until(lambda: rcode_of(daemon.ask("second.example.org")) == "NXDOMAIN", "the new rule is in force")
        assert addresses_of(daemon.ask("first.example.org")) == ["192.0.2.11"]
        for turn in range(5):
            zone("second.example.org CNAME .\nextra%d.example.org CNAME .\n" % turn)
            reload()
            until(lambda: ede_codes(daemon.ask("extra%d.example.org" % turn)) == [15], "reload %d" % turn)
    assert not load.unanswered and not load.strays
    assert all(wire.parse(one.reply).addresses for one in load.transactions)


def test_modes_survive_a_reload_of_rules(teredown, nsd):
    """`block on` is a decision of a person; reading the files again does not undo it."""
    daemon = teredown(nsd.endpoint)
    daemon.run("block", "on")
    daemon.run("reload")
    assert_blocked(daemon.ask(TEREDO))


def test_broken_zone_at_reload_keeps_the_old_one(teredown, nsd, zone, folder):
    path = zone("first.example.org CNAME .\n")
    daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}})
    folder.write("mine.rpz", "this is no zone\n")
    daemon.command("reload")
    assert_blocked(daemon.ask("first.example.org"))
    os.unlink(path)
    daemon.command("reload")
    assert_blocked(daemon.ask("first.example.org"))
    zone("second.example.org CNAME .\n")
    daemon.run("reload")
    assert_blocked(daemon.ask("second.example.org"))
    assert addresses_of(daemon.ask("first.example.org")) == ["192.0.2.11"]


def test_bad_line_costs_that_line_only(teredown, nsd, zone):
    path = zone("first.example.org CNAME .\nsecond.example.org CNAME\n%s CNAME .\nh3.example.org A 1.2.3\nh4.example.org CNAME .\n" % ("a" * 64))
    daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}})
    assert_blocked(daemon.ask("first.example.org"))
    assert_blocked(daemon.ask("h4.example.org"))
    assert addresses_of(daemon.ask("second.example.org")) == ["192.0.2.12"]
    for line in (5, 6, 7):
        assert "mine.rpz:%d" % line in daemon.log()


def test_missing_zone_at_the_start_is_an_error(folder):
    daemon = harness.Teredown(folder.path, "127.0.0.1:1", zones={"mine": {"file": folder.path + "/nowhere.rpz", "mode": "block"}})
    daemon.start(wait=False)
    assert daemon.wait() == 1 and "nowhere.rpz" in daemon.log()


class TestCachingStub:
    """The symptom that started this project: a host asks ALL THE TIME. Behind a caching stub it goes quiet for the negative TTL."""

    @staticmethod
    def hammer(stub, seconds, least=0):
        """Asks the stub without a pause; returns how often."""
        asked, end = 0, time.monotonic() + seconds
        with harness.udp_socket(stub.port) as sock:
            while time.monotonic() < end or asked <= least:
                sock.send(wire.query(asked & 0xFFFF, TEREDO))
                assert wire.parse(sock.recv(4096)).rcode == wire.NXDOMAIN
                asked += 1
        return asked

    @pytest.fixture
    def stub(self, need, folder):
        started = []

        def start(daemon):
            need("unbound")
            stub = harness.Unbound(folder.path, daemon.port).start()
            started.append(stub)
            stub.until(lambda: rcode_of(harness.ask(stub.port, "www.example.org", timeout_s=1)) == "NOERROR", "unbound answers")
            return stub
        yield start
        for stub in started:
            stub.stop()

    def test_quiet(self, teredown, nsd, stub):
        daemon = teredown(nsd.endpoint, block_ttl="60s", mode="block")
        unbound = stub(daemon)
        before = harness.number(daemon.status(), "received")
        asked = self.hammer(unbound, 1, 200)
        arrived = harness.number(daemon.status(), "received") - before
        assert asked > 200 and arrived <= 2, "the stub was asked %d times and asked %d times itself" % (asked, arrived)

    @pytest.mark.timed
    def test_comes_back_after_the_ttl(self, teredown, nsd, stub):
        """Quiet for the negative TTL and not longer: with one second, two and a half seconds of asking bring two to four questions."""
        daemon = teredown(nsd.endpoint, block_ttl="1s", mode="block")
        unbound = stub(daemon)
        before = harness.number(daemon.status(), "received")
        asked = self.hammer(unbound, 2.5)
        arrived = harness.number(daemon.status(), "received") - before
        assert asked > 500 and 2 <= arrived <= 4, "the stub was asked %d times and asked %d times itself" % (asked, arrived)

    def test_after_the_block_it_resolves(self, teredown, nsd, stub):
        daemon = teredown(nsd.endpoint, block_ttl="1s", mode="block")
        unbound = stub(daemon)
        self.hammer(unbound, 0.2)
        daemon.run("block", "off")
        until(lambda: addresses_of(harness.ask(unbound.port, TEREDO)) == ["65.55.158.118"], "the stub resolves it again")
