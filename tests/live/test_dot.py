# SPDX-License-Identifier: BSD-3-Clause
"""Servers of TLS: who is believed, what is said of those who are not, and that nothing ever leaves without."""

import collections
import os
import ssl
import subprocess
import time

import pytest

import harness
import stream_server
import wire
from clock import Clock
from harness import addresses_of, rcode_of, until
from stream_server import StreamServer, ask_all, at_once

pytestmark = pytest.mark.timed

NAME = "dns.example"
EDNS_PADDING, EDNS_KEEPALIVE = 12, 11


@pytest.fixture(scope="module", autouse=True)
def built_with_tls():
    done = subprocess.run([harness.DAEMON, "-c", "/dev/stdin", "-t"], input=b'upstream = { "tls://192.0.2.1#x" } tls-ca-file = "/dev/null"\n',
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if b"this build has no TLS" in done.stdout:
        harness.missing("built without TLS")


@pytest.fixture(scope="module")
def authority():
    folder = harness.Folder()
    yield stream_server.Authority(folder.path)
    folder.remove()


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("right", ["DNS:" + NAME, "IP:127.0.0.1"])


@pytest.fixture
def serve(authority, certificate):
    """serve(script, certificate=(file, key), version=…): a server that is stopped with the test."""
    started = []

    def start(script=at_once, issued=None, version=None, context=None):
        server = StreamServer(script, context or authority.context(*(issued or certificate), version))
        started.append(server)
        return server
    yield start
    for server in started:
        server.stop()
    for server in started:
        assert server.udp_packets == 0, "asked over UDP"
        assert set(server.first_octets) <= {b"\x16", b""}, "something other than a TLS handshake came first"


def tls(server, *parts):
    return "tls://%s%s" % (server.endpoint, "".join("#" + part for part in parts))


def pin(issued):
    return "pin-sha256=" + stream_server.pin_of(issued[0])


def good(daemon, name="n7.example"):
    answer = daemon.ask(name)
    return rcode_of(answer) == "NOERROR" and addresses_of(answer)


def trouble(daemon):
    """What `status` says of the servers that cannot be connected."""
    said = daemon.status().get("upstream_error", [])
    return said if isinstance(said, list) else [said]


def assert_refused(daemon, server, words):
    """SERVFAIL, no question seen, and the reason in status and log."""
    assert rcode_of(daemon.ask("n1.example", timeout_s=8)) == "SERVFAIL"
    until(lambda: any(words in line for line in trouble(daemon)), "status says: " + words)
    until(lambda: "upstream tls://%s: " % server.endpoint in daemon.log() and words in daemon.log(), "the log says: " + words)
    assert not server.messages


def test_name_is_verified(serve, teredown, authority):
    """The right one, by host name and by address; SNI, ALPN, padding, one connection."""
    server = serve()
    for word in (NAME, "127.0.0.1"):
        daemon = teredown(tls(server, word), tls_ca_file=authority.ca, workers=1)
        before = len(server.connections)
        assert good(daemon) == ["192.0.2.7"]
        got = ask_all(daemon, ["n%d.%s.example" % (number, word.replace(".", "-")) for number in range(1, 51)])
        assert [addresses for _, addresses in got.values()] and all(rcode == 0 for rcode, _ in got.values()) and len(got) == 50
        assert len(server.connections) == before + 1 and server.connections[-1].protocol == "dot"
        status = daemon.status()
        assert harness.number(status, "upstream_tls") == 51 and harness.number(status, "upstream_tcp") == harness.number(status, "upstream_udp") == 0
        assert status["upstream"][0]["address"] == tls(server) and not trouble(daemon)


def test_queries_are_padded(serve, teredown, authority):
    """To multiples of 128 octets (RFC 8467), whatever their names' length; ids differ on a connection."""
    server = serve()
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca, workers=1)
    names = ["n%d.%s.example" % (size, "x" * size) for size in range(1, 60)]
    assert len(ask_all(daemon, names)) == len(names)
    assert {len(message) % 128 for message in server.messages} == {0}
    assert all(EDNS_PADDING in dict(wire.parse(message).options) for message in server.messages)
    assert EDNS_KEEPALIVE in dict(wire.parse(server.connections[0].messages[0]).options)
    assert len({message[:2] for message in server.connections[0].messages}) == len(server.connections[0].messages)


def test_another_name(serve, teredown, authority):
    server = serve()
    assert_refused(teredown(tls(server, "other.example"), tls_ca_file=authority.ca), server, "the certificate is not for other.example")
    assert_refused(teredown(tls(server, "127.0.0.9"), tls_ca_file=authority.ca), server, "the certificate is not for 127.0.0.9")


def test_expired(serve, teredown, authority):
    server = serve(issued=authority.issue("expired", ["DNS:" + NAME], days=-1))
    assert_refused(teredown(tls(server, NAME), tls_ca_file=authority.ca), server, "the certificate has expired on 20")


def test_not_yet_valid(serve, teredown, authority):
    server = serve(issued=authority.issue_from("+3d", "early", ["DNS:" + NAME]))
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca)
    assert_refused(daemon, server, "the certificate is valid only from 20")
    assert "clock" not in trouble(daemon)[0]


def test_clock_is_not_set(serve, teredown, authority, folder):
    """A machine that boots without a clock is told that this is why; once it is set, it works without a restart."""
    clock = Clock(folder.path)
    if not clock.library:
        harness.missing("libfaketime is not installed")
    clock.set(int(1000000000 - time.time()))
    server = serve()
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca, environment=clock.environment)
    assert_refused(daemon, server, "the clock of this machine says 2001-09-09, which is wrong: set it")
    clock.set(0)
    until(lambda: good(daemon), "answers once the clock is right", 20)


def test_unknown_authority(serve, teredown, folder):
    server = serve()
    other = stream_server.Authority(folder.path)
    assert_refused(teredown(tls(server, NAME), tls_ca_file=other.ca), server, "the certificate comes from an unknown authority")
    assert_refused(teredown(tls(server, NAME)), server, "the certificate comes from an unknown authority")


def test_self_signed(serve, teredown, authority, folder):
    own = stream_server.Authority(folder.path)
    server = serve(issued=(own.ca, own._key))
    assert_refused(teredown(tls(server, NAME), tls_ca_file=authority.ca), server, "the certificate comes from an unknown authority")


def test_pins(serve, teredown, authority, certificate, folder):
    """A pin is enough without an authority or a valid date; one of several has to hold; with a name, both."""
    expired = authority.issue("pinned", ["DNS:" + NAME], days=-1)
    server = serve(issued=expired)
    daemon = teredown(tls(server, pin(certificate), pin(expired)))
    assert good(daemon) == ["192.0.2.7"]
    other = serve(issued=expired)
    assert_refused(teredown(tls(other, pin(certificate))), other, "the server's key is none of those pinned")
    third = serve()
    assert_refused(teredown(tls(third, NAME, pin(expired)), tls_ca_file=authority.ca), third, "the server's key is none of those pinned")
    assert_refused(teredown(tls(third, "other.example", pin(certificate)), tls_ca_file=authority.ca), third, "the certificate is not for other.example")
    assert good(teredown(tls(third, NAME, pin(certificate)), tls_ca_file=authority.ca)) == ["192.0.2.7"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
def test_sessions_are_resumed(serve, teredown, authority, version):
    """Each question a connection of its own: all but the first resume; a ticket of TLS 1.3 serves once."""
    server = serve(version=version)
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca, workers=1, upstream_idle_timeout=0)
    for number in range(1, 8):
        assert good(daemon, "n%d.example" % number) == ["192.0.2.%d" % number]
        until(lambda: harness.number(daemon.status(), "upstream_connections") == number, "a connection each")
    assert {connection.version for connection in server.connections} == {version.name.replace("_", ".")}
    assert server.reused == 6 and harness.number(daemon.status(), "upstream_resumed") == 6


def test_old_protocols(serve, teredown, authority, certificate):
    """TLS 1.1 is not spoken."""
    context = authority.context(*certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve(context=context)
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca)
    assert rcode_of(daemon.ask("n1.example", timeout_s=8)) == "SERVFAIL"
    until(lambda: any("TLS failed: " in line for line in trouble(daemon)), "the version is refused")
    assert not server.messages


class Plain(StreamServer):
    """Speaks DNS over TCP where TLS is wanted."""

    def _secure(self, sock):
        sock.sendall(b"\0\x0c" + wire.header(0, wire.QR, 0))
        return super()._secure(sock)


def test_never_in_the_clear(teredown, authority, upstream):
    """A server that speaks no TLS gets a handshake and nothing else, over and over; a plain one beside it, named as such, is asked."""
    server = Plain(at_once)
    try:
        daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca)
        for number in range(3):
            assert rcode_of(daemon.ask("n%d.example" % number, timeout_s=8)) == "SERVFAIL"
        until(lambda: any("TLS failed: wrong version number" in line for line in trouble(daemon)), "the reason is said")
        plain = upstream({"name.example.org": "192.0.2.1"})
        daemon = teredown([tls(server, NAME), plain.endpoint], tls_ca_file=authority.ca)
        assert addresses_of(daemon.ask("name.example.org")) == ["192.0.2.1"]
    finally:
        server.stop()
    assert server.udp_packets == 0 and not server.messages
    assert server.first_octets and set(server.first_octets) <= {b"\x16", b""}


def test_names_of_clients_go_the_same_way(serve, teredown, authority):
    """Reverse look-ups of our own are no exception."""
    def script(packet, asked, connection):
        if asked.qtype == wire.PTR:
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.PTR, 60, wire.name("pc.example"))]))]
        return at_once(packet, asked, connection)
    server = serve(script)
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca, client_names=["ptr"], redis="embedded")
    assert good(daemon)
    until(lambda: server.asked["1.0.0.127.in-addr.arpa."], "the client's name is asked for")


def test_store_is_found_through_ourselves(serve, teredown, authority):
    """Its host's name is asked over UDP by a part that speaks no TLS: it asks our own listener, which does."""
    server = serve()
    daemon = teredown(tls(server, NAME), tls_ca_file=authority.ca, redis="redis://store9.example:1")
    until(lambda: server.asked["store9.example."], "the address is asked for")
    until(lambda: "192.0.2.9" in daemon.log() or harness.number(daemon.status(), "answered") > 2, "and answered")


def test_store_is_found_by_servers_of_a_reload(upstream, teredown, serve, authority):
    """By other servers than at the start, and no longer in the clear when they are ones of TLS."""
    nobody, found = upstream({}), upstream({"store9.example": "127.0.0.1"})
    daemon = teredown(nobody.endpoint, tls_ca_file=authority.ca, redis="redis://store9.example:1")
    until(lambda: nobody.count("store9.example"), "the name is asked for")
    daemon.configure(upstream=[found.endpoint])
    daemon.run("reload")
    until(lambda: found.count("store9.example"), "the name is asked of the new server")
    server = serve()
    lost = teredown(nobody.endpoint, tls_ca_file=authority.ca, redis="redis://store8.example:1")
    until(lambda: nobody.count("store8.example"), "the name is asked for")
    lost.configure(upstream=[tls(server, NAME)])
    lost.run("reload")
    until(lambda: server.asked["store8.example."], "the name is asked for over TLS")


def test_server_is_back(serve, teredown, authority, certificate):
    """Restarted with new keys: tickets of before are no hindrance, and nobody restarts anything."""
    first = serve()
    daemon = teredown(tls(first, NAME), tls_ca_file=authority.ca)
    assert good(daemon) == ["192.0.2.7"]
    first.context = authority.context(*certificate)
    for connection in list(first.connections):
        connection.send(stream_server.CLOSE)
    until(lambda: good(daemon, "n8.example") == ["192.0.2.8"], "answers again")


def test_reload_brings_tls(serve, teredown, authority, upstream):
    """From a plain server to one of TLS, and for one zone, without a restart; from then on nothing is asked in the clear."""
    server, plain = serve(), upstream({"n1.example": "192.0.2.99"})
    daemon = teredown(plain.endpoint, tls_ca_file=authority.ca)
    assert good(daemon, "n1.example") == ["192.0.2.99"]
    daemon.configure(upstream=[tls(server, NAME)])
    daemon.run("reload")
    before = plain.udp_packets
    for number in range(2, 9):
        assert good(daemon, "n%d.example" % number) == ["192.0.2.%d" % number]
    assert plain.udp_packets == before
    daemon.configure(upstream=[plain.endpoint])
    daemon.write_config(harness.render(daemon.settings) + 'forward "corp.example" { upstream = { "%s" } }\n' % tls(server, NAME))
    daemon.run("reload")
    assert good(daemon, "n9.corp.example") == ["192.0.2.9"] and server.asked["n9.corp.example."] == 1


def test_faults_of_the_configuration(folder):
    def check(text):
        path = os.path.join(folder.path, "faulty.conf")
        with open(path, "w") as out:
            out.write(text)
        done = subprocess.run([harness.DAEMON, "-t", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        return done.returncode, done.stdout
    status, said = check('upstream = { "tls://192.0.2.1" }\n')
    assert status == 1 and "expected tls://ADDRESS#NAME" in said
    status, said = check('upstream = { "tls://192.0.2.1#x" } tls-ca-file = "/nonexistent/ca.pem"\n')
    assert status == 1 and "tls-ca-file: /nonexistent/ca.pem cannot be read: No such file or directory" in said


def test_unbound_over_tls(teredown, authority, folder, need):
    """A server of the real world, under load, and its limits on a connection's questions."""
    issued = authority.issue("unbound", ["DNS:" + NAME])
    port = harness.free_port()
    config = os.path.join(folder.path, "unbound.conf")
    with open(config, "w") as out:
        out.write("""server:
    directory: "%s"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: 127.0.0.1@%d
    tls-port: %d
    tls-service-key: "%s"
    tls-service-pem: "%s"
    do-not-query-localhost: no
    local-zone: "example." redirect
    local-data: "example. 60 IN A 192.0.2.77"
remote-control:
    control-enable: no
""" % (folder.path, port, port, issued[1], issued[0]))
    server = harness.Process("unbound", [need("unbound"), "-c", config], folder.path).start()
    try:
        daemon = teredown("tls://127.0.0.1:%d#%s" % (port, NAME), tls_ca_file=authority.ca)
        until(lambda: good(daemon, "first.example"), "unbound answers")
        for turn in range(4):
            got = ask_all(daemon, ["n%d.t%d.example" % (number, turn) for number in range(200)])
            assert len(got) == 200 and collections.Counter(got[name][0] for name in got) == {0: 200}
        assert harness.number(daemon.status(), "upstream_tls") >= 801
    finally:
        server.stop()
