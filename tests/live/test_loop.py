# SPDX-License-Identifier: BSD-3-Clause
"""Upstream servers that lead back to us are noticed, and make no storm."""

import socket
import threading

import pytest

import harness
import wire
from harness import rcode_of

pytestmark = pytest.mark.timed


def loops(daemon):
    return "loop" in harness.flatten(daemon.status()["upstream"])


def sent(daemon):
    return harness.number(daemon.status(), "upstream_udp")


class Relay:
    """Hands each datagram on, knowing nothing: a forwarder that keeps no state of questions. answer: says NXDOMAIN instead."""

    def __init__(self):
        self.inside, self.outside = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.inside.bind(("127.0.0.1", 0))
        self.outside.bind(("127.0.0.1", 0))
        self.port = self.inside.getsockname()[1]
        self.to, self.answer, self.count, self.ended = None, False, 0, False
        self.waiting = {}
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.forth, self.back)]

    def start(self, to):
        self.to = to
        for thread in self.threads:
            thread.start()

    def forth(self):
        while not self.ended:
            packet, client = self.inside.recvfrom(4096)
            if len(packet) < 12:
                continue
            self.count += 1
            if self.answer:
                self.inside.sendto(wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa("", 5, 5)]), client)
                continue
            self.waiting[packet[:2]] = client
            self.outside.sendto(packet, ("127.0.0.1", self.to))

    def back(self):
        while not self.ended:
            packet, _ = self.outside.recvfrom(4096)
            client = self.waiting.pop(packet[:2], None)
            if client:
                self.inside.sendto(packet, client)

    def stop(self):
        self.ended = True
        for sock in (self.inside, self.outside):
            port = sock.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
                wake.sendto(b"", ("127.0.0.1", port))
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive()
        self.inside.close()
        self.outside.close()


@pytest.fixture
def relay():
    relay = Relay()
    yield relay
    relay.stop()


def start_at(teredown, port, upstream, **options):
    daemon = teredown(upstream, wait=False, listen=["127.0.0.1:%d" % port], **options)
    daemon.port = port
    daemon.until(lambda: harness.ask(port, "localhost", source="127.9.9.9", timeout_s=0.5), "teredownd answers")
    return daemon


def start_behind(teredown, relay, upstream):
    """A daemon to which the relay leads."""
    port = harness.free_port()
    relay.start(port)
    return start_at(teredown, port, upstream)


def test_ourselves(teredown, relay):
    """By way of a relay that only changes the address: found at the start, and nothing is sent any more."""
    daemon = start_behind(teredown, relay, ["127.0.0.1:%d" % relay.port])
    harness.until(lambda: loops(daemon) and "leads back to this resolver" in daemon.log(), "the loop is found and told")
    before = relay.count
    for number in range(20):
        answer = daemon.ask("n%d.example.org" % number, want_dnssec=bool(number % 2))
        assert rcode_of(answer) == "SERVFAIL"
    assert relay.count - before <= 1 # a look whether it is still so
    received, accounted = harness.balance(daemon.status())
    assert received == accounted

    # What was a loop and is none any more is used again.
    relay.answer = True
    daemon.run("reload")
    harness.until(lambda: not loops(daemon), "the loop is gone")
    assert rcode_of(daemon.ask("again.example.org")) == "NXDOMAIN"


def test_each_other(teredown):
    """A asks B, B asks A: the later of the two finds out; a question is no storm, with or without."""
    port = harness.free_port()
    first = teredown("127.0.0.1:%d" % port)
    second = start_at(teredown, port, "127.0.0.1:%d" % first.port)
    harness.until(lambda: loops(second), "the loop is found")
    before = sent(first) + sent(second)
    for number in range(10):
        assert rcode_of(first.ask("n%d.example.org" % number, timeout_s=12)) == "SERVFAIL"
        assert rcode_of(second.ask("m%d.example.org" % number, timeout_s=12)) == "SERVFAIL"
    assert sent(first) + sent(second) - before <= 10 * 9


def test_by_way_of_unbound(teredown, need, folder):
    """A third server between, which composes questions of its own."""
    need("unbound")
    port = harness.free_port()
    unbound = harness.Unbound(folder.path, port).start()
    try:
        unbound.until(lambda: harness.ask(unbound.port, "localhost", timeout_s=0.5), "unbound answers")
        daemon = start_at(teredown, port, "127.0.0.1:%d" % unbound.port)
        harness.until(lambda: loops(daemon), "the loop is found")
        assert rcode_of(daemon.ask("www.example.org")) == "SERVFAIL"
    finally:
        unbound.stop()


def test_one_of_two(teredown, nsd, relay):
    """The other server is asked: nobody notices but the log."""
    daemon = start_behind(teredown, relay, ["127.0.0.1:%d" % relay.port, nsd.endpoint])
    harness.until(lambda: loops(daemon), "the loop is found")
    before = relay.count
    for number in range(20):
        assert rcode_of(daemon.ask("h%d.example.org" % number)) == "NOERROR"
    assert relay.count - before <= 1


def test_no_loop(teredown, upstream):
    """Each server is asked once for such a name, and what it says does not matter; a client that makes one up is answered like any other."""
    server = upstream({"www.example.org": "192.0.2.1"})
    daemon = teredown(server.endpoint)
    harness.until(lambda: server.loop_names, "the server is asked")
    name, = server.loop_names
    assert len(name) == 16 + len(".loop.internal.") and name.endswith(".loop.internal.")
    made_up = "0123456789abcdef.loop.internal"
    assert rcode_of(daemon.ask(made_up)) == "NXDOMAIN" and server.loop_names[1:] == [made_up + "."]
    assert not loops(daemon) and daemon.ask("www.example.org").answer


def test_forwarded_both_ways(teredown, nsd, folder):
    """The server of a section forward may ask us everything else: no loop."""
    port = harness.free_port()
    hosts = folder.write("hosts", "192.0.2.40 host.corp.example\n")
    outer = teredown(nsd.endpoint)
    outer.settings[("forward", "corp.example")] = {"upstream": ["127.0.0.1:%d" % port]}
    outer.configure()
    outer.run("reload")
    inner = start_at(teredown, port, "127.0.0.1:%d" % outer.port, hosts=[hosts])
    assert harness.addresses_of(outer.ask("host.corp.example")) == ["192.0.2.40"]
    assert harness.addresses_of(inner.ask("h1.example.org")) == harness.addresses_of(outer.ask("h1.example.org"))
    outer.run("reload")
    for daemon in (outer, inner):
        assert not loops(daemon)
    assert harness.addresses_of(outer.ask("host.corp.example")) == ["192.0.2.40"]
