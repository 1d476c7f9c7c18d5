# SPDX-License-Identifier: BSD-3-Clause
"""What a site says of names: sections forward, hosts files, resolv.conf; and that all of it changes without a restart."""

import os
import socket
import threading
import time

import dns.rdatatype
import pytest

import harness
import wire
from harness import addresses_of, rcode_of, until

pytestmark = pytest.mark.timed


def telling(address):
    """A script: every A has this address, every PTR names it, the rest has no data."""
    def script(packet, asked, tcp):
        if asked.qtype == wire.A:
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 300, socket.inet_aton(address))]))]
        if asked.qtype == 12:
            target = wire.name("by-%s.example." % address.replace(".", "-"))
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", 12, 300, target)]))]
        return [(0, wire.reply(packet, authority=[wire.soa("", 300, 60)]))]
    return script


def section(*servers):
    return {"upstream": [server if isinstance(server, str) else server.endpoint for server in servers]}


def who(daemon, qname, qtype="A"):
    """Which upstream answered: the last octet of what it tells, or the rcode."""
    reply = daemon.ask(qname, qtype)
    if qtype == "PTR" and reply.answer:
        return str(reply.answer[0][0].target).split(".")[0].rsplit("-", 1)[1]
    told = addresses_of(reply)
    return told[0].rsplit(".", 1)[1] if told else rcode_of(reply)


# --- sections forward ---

def test_names_go_to_the_servers_of_their_zone(upstream, teredown):
    default, corp, lab = upstream(telling("192.0.2.1")), upstream(telling("192.0.2.2")), upstream(telling("192.0.2.3"))
    daemon = teredown(default.endpoint, forwards={
        "corp.example": section(corp), "Lab.corp.example.": section(lab), "never.corp.example": section()})
    assert who(daemon, "www.example") == "1"
    assert who(daemon, "corp.example") == "2"
    assert who(daemon, "a.b.CORP.example") == "2"
    assert who(daemon, "xcorp.example") == "1"
    assert who(daemon, "x.lab.corp.example") == "3"
    assert rcode_of(daemon.ask("x.never.corp.example")) == "NXDOMAIN"
    assert rcode_of(daemon.ask("never.corp.example")) == "NOERROR"
    assert corp.count("a.b.corp.example") == corp.count("corp.example") == 1 and lab.count("x.lab.corp.example") == 1
    assert not [name for name, _ in default.asked if name.endswith(".corp.example.")] and not lab.count("x.never.corp.example")
    denied = daemon.ask("y.never.corp.example").authority[0]
    assert str(denied.name) == "never.corp.example." and denied.rdtype == dns.rdatatype.SOA


def test_networks_are_reverse_zones(upstream, teredown):
    """Also where a prefix ends within a label; private networks in no section stay here (RFC 6303)."""
    default, near, far = upstream(telling("192.0.2.1")), upstream(telling("192.0.2.2")), upstream(telling("192.0.2.3"))
    daemon = teredown(default.endpoint, forwards={
        "10.1.0.0/17": section(near), "10.1.2.0/24": section(far), "fd00::/9": section(near), "168.192.in-addr.arpa": section(far)})
    assert who(daemon, "9.127.1.10.in-addr.arpa", "PTR") == "2"
    assert who(daemon, "9.2.1.10.in-addr.arpa", "PTR") == "3"
    assert who(daemon, "9.128.1.10.in-addr.arpa", "PTR") == "NXDOMAIN"
    assert who(daemon, "1.1.168.192.in-addr.arpa", "PTR") == "3"
    assert who(daemon, "%s8.d.f.ip6.arpa" % ("0." * 29), "PTR") == "NXDOMAIN"
    assert who(daemon, "%s7.d.f.ip6.arpa" % ("0." * 29), "PTR") == "2"
    assert who(daemon, "9.8.7.6.in-addr.arpa", "PTR") == "1"
    assert [name for name, _ in default.asked if name.endswith(".arpa.")] == ["9.8.7.6.in-addr.arpa."]


def test_reload_changes_servers_and_forgets_what_others_said(upstream, teredown):
    one, two, three = upstream(telling("192.0.2.1")), upstream(telling("192.0.2.2")), upstream(telling("192.0.2.3"))
    daemon = teredown(one.endpoint)
    assert who(daemon, "www.corp.example") == who(daemon, "www.example.org") == "1"
    daemon.configure(forwards={"corp.example": section(two)})
    daemon.run("reload")
    assert who(daemon, "www.corp.example") == "2"
    daemon.configure(forwards={"corp.example": section(three)})
    daemon.run("reload")
    assert who(daemon, "www.corp.example") == "3"
    daemon.configure(forwards={"corp.example": section()})
    daemon.run("reload")
    assert who(daemon, "www.corp.example") == "NXDOMAIN"
    daemon.configure(forwards={}, upstream=[two.endpoint])
    daemon.run("reload")
    assert who(daemon, "www.corp.example") == "2"
    assert who(daemon, "www.example.org") == "1"  # no section: the answer stays
    assert who(daemon, "other.example.org") == "2"
    assert "restart" not in daemon.run("reload")
    # What is known of a server that stays is kept.
    sent = {row["address"]: row["sent"] for row in daemon.status()["upstream"]}
    daemon.configure(upstream=[three.endpoint, two.endpoint])
    daemon.run("reload")
    after = {row["address"]: row["sent"] for row in daemon.status()["upstream"]}
    assert int(after[two.endpoint]) >= int(sent[two.endpoint]) > 0


def test_sections_may_tell_addresses_of_the_inside(upstream, teredown):
    """Rebinding protection is about names of the outside."""
    server = upstream(telling("10.0.0.2"))
    daemon = teredown(server.endpoint, rebinding_protection="on", forwards={"corp.example": section(server)})
    assert addresses_of(daemon.ask("www.corp.example")) == ["10.0.0.2"]
    assert addresses_of(daemon.ask("www.example")) == []


def test_reload_under_load_loses_nothing(upstream, teredown):
    """Questions on their way end with the servers they were put to, while those change twenty times."""
    def late(address):
        script = telling(address)
        return lambda packet, asked, tcp: [(0.03, answer) for _, answer in script(packet, asked, tcp)]
    one, two = upstream(late("192.0.2.1")), upstream(late("192.0.2.2"))
    daemon = teredown(one.endpoint)
    answers, stop = [], threading.Event()

    def asks(number):
        serial = 0
        while not stop.is_set():
            serial += 1
            answers.append(who(daemon, "n%d-%d.corp.example" % (number, serial)))
    threads = [threading.Thread(target=asks, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    turn = 0
    while turn < 20 or (len(answers) < 100 and turn < 100):
        turn += 1
        daemon.configure(upstream=[(one, two)[turn % 2].endpoint], forwards={"corp.example": section((two, one)[turn % 3 == 0])})
        daemon.run("reload")
    stop.set()
    for thread in threads:
        thread.join()
    assert len(answers) > 50 and set(answers) == {"1", "2"}
    status = daemon.status()
    assert harness.number(status, "upstream_timeouts") == 0
    assert harness.number(status, "received") == harness.number(status, "answered")


# --- resolv.conf ---

def replace(path, text):
    with open(path + ".new", "w") as out:
        out.write(text)
    os.rename(path + ".new", path)


def nameservers(*servers):
    return "# made by a test\nsearch example\n" + "".join("nameserver %s\n" % server for server in servers)


def within_a_second(change, seen, back):
    """The best of three: a busy machine makes some tries longer."""
    for left in (2, 1, 0):
        change()
        began = time.monotonic()
        until(seen, "the change is seen")
        if time.monotonic() - began < 1.0:
            return True
        if left:
            back()
    return False


def asked_anew(daemon, counter=[0]):
    counter[0] += 1
    return who(daemon, "anew%d.example" % counter[0])


def test_resolv_conf_is_watched(upstream, teredown, folder):
    one, two = upstream(telling("192.0.2.1")), upstream(telling("192.0.2.2"))
    path = folder.write("resolv.conf", nameservers(one.endpoint))
    daemon = teredown(None, resolv_conf=path)
    assert asked_anew(daemon) == "1"

    def back():
        replace(path, nameservers(one.endpoint))
        until(lambda: asked_anew(daemon) == "1", "the first server again")
    assert within_a_second(lambda: replace(path, nameservers(two.endpoint)), lambda: asked_anew(daemon) == "2", back)
    assert daemon.status()["upstream_from"] == path
    # Empty, gone, or naming ourselves alone: the last good servers stay, and it is said.
    for text, words in (("", "names no server"), (nameservers("127.0.0.1:%d" % daemon.port), "nobody but this resolver itself"), (None, "No such file")):
        if text is None:
            os.unlink(path)
        else:
            replace(path, text)
        until(lambda: words in daemon.log(), words)
        assert "the upstream servers stay as they were" in daemon.log().split(words)[1].split("\n")[0]
        assert asked_anew(daemon) == "2"
    daemon.run("reload")
    assert asked_anew(daemon) == "2" and daemon.status()["upstream_from"] == path
    # Back again, written in place.
    with open(path, "w") as out:
        out.write(nameservers("127.0.0.1:%d" % daemon.port, one.endpoint))
    until(lambda: asked_anew(daemon) == "1", "the first server is asked again")
    assert [row["address"] for row in daemon.status()["upstream"]] == [one.endpoint]


def test_resolv_conf_behind_links_that_appears_later(upstream, teredown, folder):
    """As resolvconf and systemd have it: a link to a link to a file in a folder that is made when a network comes up."""
    server = upstream(telling("192.0.2.1"))
    path, run = os.path.join(folder.path, "resolv.conf"), os.path.join(folder.path, "run")
    os.mkdir(run)
    os.symlink("run/current", path)
    os.symlink(os.path.join(run, "a", "resolv.conf"), os.path.join(run, "current"))
    os.mkdir(os.path.join(run, "a"))
    folder.write("run/a/resolv.conf", "")
    daemon = teredown(None, resolv_conf=path)
    assert rcode_of(daemon.ask("x.example")) == "SERVFAIL"
    os.unlink(os.path.join(run, "a", "resolv.conf"))
    replace(os.path.join(run, "a", "resolv.conf"), nameservers(server.endpoint))
    until(lambda: asked_anew(daemon) == "1", "the file behind the links is read")
    other = upstream(telling("192.0.2.2"))
    os.mkdir(os.path.join(run, "b"))
    folder.write("run/b/resolv.conf", nameservers(other.endpoint))
    os.symlink(os.path.join(run, "b", "resolv.conf"), os.path.join(run, "next"))
    os.rename(os.path.join(run, "next"), os.path.join(run, "current"))
    until(lambda: asked_anew(daemon) == "2", "the link was turned to another file")


def test_resolv_conf_that_names_only_us_is_no_start(folder, teredown):
    port = harness.free_port()
    path = folder.write("resolv.conf", nameservers("127.0.0.1:%d" % port))
    config = folder.write("t.conf", 'listen = { "127.0.0.1:%d" }\nresolv-conf = "%s"\nstate-dir = "%s"\n' % (port, path, folder.path))
    done = harness.subprocess.run([harness.DAEMON, "-t", "-c", config], stdout=harness.subprocess.PIPE, stderr=harness.subprocess.PIPE)
    assert done.returncode == 1
    assert b"names nobody but this resolver itself" in done.stderr and b"add upstream" in done.stderr


@pytest.mark.waits
def test_upstream_timeout_changes_by_reload(upstream, teredown):
    """Also for how long a client is waited with: an answer after what was the timeout at the start reaches it."""
    server = upstream(lambda packet, asked, tcp: [(1.6 + wait, answer) for wait, answer in telling("192.0.2.1")(packet, asked, tcp)])
    daemon = teredown(server.endpoint, upstream_timeout="500ms", serve_stale=0)
    daemon.configure(upstream_timeout="8s")
    daemon.run("reload")
    assert who(daemon, "late.example") == "1"


# --- hosts ---

HOSTS = """127.0.0.1 localhost
127.0.1.1 gw.lan gw
192.0.2.10 Desk.lan desk   # two names
2001:db8::10 desk.lan
192.0.2.11 desk.lan
192.0.2.12 printer.home.arpa
192.168.7.9 nas.lan
192.0.2.300 wrong
192.0.2.13 isatap.lan
"""


def test_hosts_are_answered_with_every_upstream_dead(teredown, folder):
    path = folder.write("hosts", HOSTS)
    daemon = teredown("127.0.0.1:%d" % harness.free_port(), hosts=[path], hosts_ttl="2m", query_log="all",
        forwards={"lan": {"upstream": []}})
    reply = daemon.ask("DESK.lan")
    assert addresses_of(reply) == ["192.0.2.10", "192.0.2.11"] and reply.answer[0].ttl == 120
    assert addresses_of(daemon.ask("desk.lan", "AAAA")) == ["2001:db8::10"]
    assert addresses_of(daemon.ask("desk")) == ["192.0.2.10"]
    assert addresses_of(daemon.ask("printer.home.arpa", tcp=True)) == ["192.0.2.12"]
    for qtype in ("MX", "HTTPS", "TXT"):
        reply = daemon.ask("desk.lan", qtype)
        assert rcode_of(reply) == "NOERROR" and not reply.answer and reply.authority[0].rdtype == dns.rdatatype.SOA
    assert str(daemon.ask("10.2.0.192.in-addr.arpa", "PTR").answer[0][0].target) == "Desk.lan."
    assert str(daemon.ask("9.7.168.192.in-addr.arpa", "PTR").answer[0][0].target) == "nas.lan."
    assert rcode_of(daemon.ask("8.7.168.192.in-addr.arpa", "PTR")) == "NXDOMAIN"
    # 127.0.1.1 is not told to others; what is no host of the zone that is never forwarded is not there.
    assert rcode_of(daemon.ask("gw.lan")) == "NXDOMAIN"
    assert rcode_of(daemon.ask("lan")) == "NOERROR"
    assert addresses_of(daemon.ask("localhost")) == ["127.0.0.1"]
    assert "%s:8: this is not an address" % path in daemon.log()
    until(lambda: any(record["query"].lower().rstrip(".") == "desk.lan" for record in daemon.records()), "it is recorded")
    record = [record for record in daemon.records() if record["query"].lower().rstrip(".") == "desk.lan" and record["type"] == "A"][0]
    assert record["source"] == "local" and record["addresses"] == ["192.0.2.10", "192.0.2.11"]


def test_hosts_are_watched_and_go_before_what_is_cached(upstream, teredown, folder):
    server = upstream(telling("192.0.2.99"))
    path = folder.write("hosts", "192.0.2.1 one.example\n")
    daemon = teredown(server.endpoint, hosts=[path, os.path.join(folder.path, "later")])
    assert addresses_of(daemon.ask("one.example")) == ["192.0.2.1"]
    assert addresses_of(daemon.ask("two.example")) == ["192.0.2.99"]

    def back():
        replace(path, "192.0.2.1 one.example\n")
        until(lambda: addresses_of(daemon.ask("one.example")) == ["192.0.2.1"], "the first name again")
    assert within_a_second(
        lambda: replace(path, "192.0.2.2 two.example\n"), lambda: addresses_of(daemon.ask("two.example")) == ["192.0.2.2"], back)
    assert addresses_of(daemon.ask("one.example")) == ["192.0.2.99"]
    folder.write("later", "192.0.2.3 two.example\n2001:db8::3 three.example\n")
    until(lambda: addresses_of(daemon.ask("two.example")) == ["192.0.2.2", "192.0.2.3"], "the second file came")
    assert addresses_of(daemon.ask("three.example", "AAAA")) == ["2001:db8::3"]
    os.unlink(path)
    until(lambda: addresses_of(daemon.ask("two.example")) == ["192.0.2.3"], "the first file went")
    assert "hosts: %s: No such file" % path in daemon.log()


def test_a_rule_that_blocks_a_host_blocks_it(teredown, folder):
    """Watching records the hit and answers from the file; blocking blocks."""
    path = folder.write("hosts", HOSTS)
    daemon = teredown([], hosts=[path], query_log="watched")
    assert addresses_of(daemon.ask("isatap.lan")) == ["192.0.2.13"]
    until(lambda: daemon.records(), "the hit is recorded")
    assert daemon.records()[0]["action"] == "watch"
    daemon.run("block", "on")
    assert rcode_of(daemon.ask("isatap.lan")) == "NXDOMAIN"
    daemon.run("block", "off")
    assert addresses_of(daemon.ask("isatap.lan")) == ["192.0.2.13"]


# --- what people are told ---

def test_status_and_explain_say_whom_a_name_is_asked_of(upstream, teredown, folder):
    default, corp = upstream(telling("192.0.2.1")), upstream(telling("192.0.2.2"))
    daemon = teredown(default.endpoint, hosts=[folder.write("hosts", HOSTS)], forwards={
        "corp.example": section(corp, "127.0.0.1:9"), "10.1.0.0/16": section(corp), "lan": section()})
    assert who(daemon, "www.corp.example") == "2"
    status = daemon.status()
    assert status["upstream_from"] == "configuration"
    rows = {(row["zone"], row["address"]): row for row in status["forward"]}
    assert set(rows) == {("corp.example", corp.endpoint), ("corp.example", "127.0.0.1:9"), ("10.1.0.0/16", corp.endpoint), ("lan", "never")}
    assert rows["corp.example", corp.endpoint]["state"] == "ok" and int(rows["corp.example", corp.endpoint]["answered"]) >= 1 and int(rows["10.1.0.0/16", corp.endpoint]["sent"]) == 0
    # Of ten pairs three are this machine's own.
    assert status["hosts_names"] == 7 and status["hosts_left_out"] == 3 and status["hosts_skipped"] == 1
    assert "corp.example" in daemon.run("status")

    def explain(name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.connect(os.path.join(daemon.state, "control.sock"))
            control.sendall(b"explain %s\n" % name.encode())
            text = b"".join(iter(lambda: control.recv(65536), b""))
        return text.decode().replace("\t", " ")
    for name, words in {
        "a.corp.example": ["forward corp.example", "servers %s 127.0.0.1:9" % corp.endpoint, "verdict none"],
        "4.3.1.10.in-addr.arpa": ["forward 10.1.0.0/16", "verdict none"],
        "gone.lan": ["forward lan never", "verdict local", "rule=*.lan."],
        "desk.lan": ["host desk.lan.", "verdict local", "decided hosts mode=always"],
        "isatap.lan": ["host isatap.lan.", "verdict watch"],
        "www.example": ["verdict none"],
    }.items():
        said = explain(name)
        for part in words:
            assert part in said, (name, part, said)
    assert "forward" not in explain("www.example")
