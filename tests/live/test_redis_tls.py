# SPDX-License-Identifier: BSD-3-Clause
"""Redis behind TLS, with certificates of an authority made on the spot: what is right is taken, everything else is refused and said."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest

import harness
import redis_set
from asker import Asker, until_exact
from harness import until


@pytest.fixture(scope="module", autouse=True)
def built_with_tls():
    """The daemon says so itself: a build without refuses the URL."""
    done = subprocess.run([harness.DAEMON, "-c", "/dev/stdin", "-t"], input=b'redis = "rediss://h" upstream = { "127.0.0.1" }\n', stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    if b"this build has no TLS" in done.stdout:
        harness.missing("built without TLS")


@pytest.fixture(scope="module")
def authority():
    folder = harness.Folder()
    yield redis_set.Authority(folder.path)
    folder.remove()


@pytest.fixture
def serve(folder, authority):
    """serve(name, alternatives, …): a server that is ended with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *words, **options: stack.enter_context(redis_set.Tls(folder.path, *words, authority=authority, **options))


def refused(daemon, words):
    until(lambda: words in daemon.status()["redis_error"], "refused with: " + words)
    assert daemon.status()["redis"] == "away"
    until(lambda: words in daemon.log(), "the log says " + words)


def test_counts_over_tls(serve, teredown, nsd):
    """By address, and by name; killed and stopped, nothing is lost or doubled."""
    server = serve()
    for host, client in (("127.0.0.1", "127.0.22.1"), ("localhost", "127.0.22.2")):
        daemon = teredown(nsd.endpoint, redis=server.url(host), redis_ca_file=server.ca)
        with Asker(daemon, client) as asker:
            asker.until_answered(300)
            server.send(signal.SIGSTOP)
            asker.until_answered(300)
            server.send(signal.SIGCONT)
            asker.until_answered(100)
            server.kill()
            asker.until_answered(300)
            server.start()
        until_exact(daemon, server.client, client, asker.answered)
        assert client in daemon.run("top")
        daemon.stop()


def test_old_protocols(serve, teredown, nsd):
    """TLS 1.2 is spoken, 1.1 is not."""
    server = serve("tls12", tls_protocols='"TLSv1.2"')
    daemon = teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca)
    daemon.ask("www.example.org", source="127.0.22.3")
    daemon.until_counted(1)
    info = subprocess.run([harness.find("openssl"), "s_client", "-connect", server.endpoint, "-tls1_1"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    assert b"Cipher is (NONE)" in info.stdout


def test_another_name(serve, teredown, nsd):
    """The certificate is good and names another host: refused, unless the configuration expects that name."""
    server = serve("other", ["DNS:redis.example"])
    refused(teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca), "IP address mismatch")
    refused(teredown(nsd.endpoint, redis=server.url("localhost"), redis_ca_file=server.ca), "hostname mismatch")
    daemon = teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca, redis_tls_name="redis.example")
    daemon.ask("www.example.org", source="127.0.22.4")
    daemon.until_counted(1)
    done = teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca, resolver_name="reader").command("top")
    assert done.returncode != 0 and "IP address mismatch" in done.stderr


def test_words_of_the_address_that_tells_most(serve, teredown, upstream):
    """A host with several addresses, and somebody with another name behind the first one only: that is what has to be known."""
    server = serve("another", ["DNS:redis.example"])
    names = upstream({"redis.test.": ["127.0.0.1", "127.0.22.8", "::1"]})
    daemon = teredown(names.endpoint, redis=server.url("redis.test"), redis_ca_file=server.ca)
    refused(daemon, "hostname mismatch")
    server.kill()
    until(lambda: "Connection refused" in daemon.status()["redis_error"], "nobody is there any more")


def test_another_authority(folder, serve, teredown, nsd):
    server = serve("good")
    stranger = redis_set.Authority(os.path.join(folder.path, "stranger"))
    refused(teredown(nsd.endpoint, redis=server.url(), redis_ca_file=stranger.ca), "certificate")
    refused(teredown(nsd.endpoint, redis=server.url()), "certificate")


def test_expired(serve, teredown, nsd):
    server = serve("expired", days=-1)
    refused(teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca), "certificate has expired")


def test_own_certificate(folder, serve, authority, teredown, nsd):
    """A server that wants to know its clients."""
    server = serve("mutual", tls_auth_clients="no")
    certificate, private = authority.issue("client", None)
    with contextlib.closing(server.client()) as client:
        client.config_set("tls-auth-clients", "yes")
    daemon = teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca, redis_cert_file=certificate, redis_key_file=private)
    daemon.ask("www.example.org", source="127.0.22.5")
    daemon.until_counted(1)
    assert "127.0.22.5" in daemon.run("top")
    without = teredown(nsd.endpoint, redis=server.url(), redis_ca_file=server.ca, resolver_name="without")
    until(lambda: without.status()["redis_error"], "a client without a certificate is refused")


def test_plain_server(folder, teredown, nsd):
    """TLS towards a port that speaks none."""
    node = redis_set.Node(folder.path, "plain").start()
    try:
        daemon = teredown(nsd.endpoint, redis="rediss://" + node.endpoint)
        until(lambda: daemon.status()["redis_error"], "it is said")
        assert daemon.status()["redis"] == "away"
    finally:
        node.kill()


def test_handshake_never_ends(teredown, nsd):
    """A port that takes the connection and says nothing: given up within the time limit, again and again, and DNS does not notice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        daemon = teredown(nsd.endpoint, redis="rediss://127.0.0.1:%d" % listener.getsockname()[1])
        daemon.ask("www.example.org", source="127.0.22.6")
        until(lambda: "no connection within the time limit" in daemon.status()["redis_error"], "it is said")


def test_bad_files(folder, authority, teredown, nsd):
    """Said at the start and by its test, with the option's name."""
    certificate, private = authority.issue("a", None)
    _, other = authority.issue("b", None)
    broken = folder.write("broken.pem", "no certificate\n")
    for options, words in ((dict(redis_ca_file=broken), "redis-ca-file"), (dict(redis_ca_file="/nonexistent/ca"), "redis-ca-file"),
            (dict(redis_cert_file=certificate, redis_key_file=other), "redis-key-file"), (dict(redis_cert_file=certificate), "redis-key-file together")):
        daemon = harness.Teredown(folder.path, nsd.endpoint, redis="rediss://127.0.0.1:1", **options)
        checked = subprocess.run([harness.DAEMON, "-t", "-c", daemon.config], stderr=subprocess.PIPE, universal_newlines=True)
        assert checked.returncode == 1 and words in checked.stderr
        assert daemon.start(wait=False).wait() != 0
        assert words in daemon.log()
        os.unlink(daemon.log_path)
        shutil.rmtree(daemon.state, ignore_errors=True)


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
def test_sets_over_tls(folder, authority, teredown, nsd, kind):
    """Every server and sentinel behind TLS."""
    certificate, private = authority.issue(kind)
    options = dict(tls=(certificate, private, authority.ca))
    servers = redis_set.Sentinels(folder.path, **options) if kind == "sentinel" else redis_set.Cluster(folder.path, replicas=0, **options)
    with servers:
        daemon = teredown(nsd.endpoint, redis=servers.url(), redis_tls="on", redis_ca_file=authority.ca)
        daemon.ask("www.example.org", source="127.0.22.7")
        daemon.until_counted(1)
        assert "127.0.22.7" in daemon.run("top")
