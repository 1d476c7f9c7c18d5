# SPDX-License-Identifier: BSD-3-Clause
"""One master, two replicas, three sentinels: the daemon finds the master, and follows it without losing or doubling a count."""

import contextlib
import signal

import pytest

import harness
import redis_set
from asker import Asker, until_exact
from harness import key, number, until
from logs import Log, assert_counted, read_through

PASSWORD, SENTINEL_PASSWORD = "data secret", "sentinel-secret"


@pytest.fixture(scope="module")
def started():
    folder = harness.Folder()
    with redis_set.Sentinels(folder.path) as servers:
        yield servers
    folder.remove()


@pytest.fixture
def servers(started):
    """All of them run and follow one master, whatever the test before did."""
    for process in started.nodes + started.sentinels:
        if not process.running():
            process.start()
    until(lambda: started.settled(started.master()), "the set is whole", 60)
    return started


def test_unknown_name(servers, teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="sentinel://nobody@" + servers.sentinels[0].endpoint)
    until(lambda: "no master named nobody" in daemon.status()["redis_error"], "the name is said")


def test_follows_an_ordered_failover(servers, teredown, nsd):
    daemon = teredown(nsd.endpoint, redis=servers.url())
    before = servers.master()
    with Asker(daemon, "127.0.21.1") as asker:
        asker.until_answered(300)
        after = servers.fail_over(settle=False)
        asker.until_answered(300)
    until_exact(daemon, servers.client, asker.client, asker.answered)
    assert after is not before and after.endpoint in daemon.log()
    assert servers.client().smembers("teredown:resolvers") == {"live"}
    assert asker.client in daemon.run("top"), "the commands find the master too"


def test_master_killed_with_what_its_replicas_lack(servers, teredown, nsd):
    """What the dead master had acknowledged alone is sent again, what the new one has is not."""
    daemon = teredown(nsd.endpoint, redis=servers.url())
    with Asker(daemon, "127.0.21.2") as asker:
        asker.until_answered(500)
        until(lambda: number(daemon.status(), "queries_applied") >= 500, "500 queries counted")
        servers.pause_replication()
        asker.until_answered(500)
        applied = number(daemon.status(), "queries_applied")
        until(lambda: number(daemon.status(), "queries_applied") > applied + 200, "the master alone acknowledges more")
        servers.kill_master_before_replicas_resume()
        asker.until_answered(300)
    until_exact(daemon, servers.client, asker.client, asker.answered)
    assert "it lost" in daemon.log() and "sent again" in daemon.log()


def test_sentinels_die_one_by_one(servers, teredown, nsd):
    """One that answers is enough to start with; none is needed to go on."""
    for sentinel in servers.sentinels[:2]:
        sentinel.kill()
    daemon = teredown(nsd.endpoint, redis=servers.url())
    daemon.ask("www.example.org", source="127.0.21.3")
    daemon.until_counted(1)
    servers.sentinels[2].kill()
    daemon.ask("www.example.org", source="127.0.21.3")
    daemon.until_counted(2)
    assert servers.nodes and any(node.role() == "master" and node.client().hget(key("client", "127.0.21.3"), "queries") == "2"
        for node in servers.nodes)


def test_master_cut_off(servers, teredown, nsd):
    """A master that was stopped, and comes back as one for a moment: what it says is not taken for the truth."""
    daemon = teredown(nsd.endpoint, redis=servers.url())
    with Asker(daemon, "127.0.21.4") as asker:
        asker.until_answered(300)
        before = servers.master()
        before.send(signal.SIGSTOP)
        try:
            after = until(lambda: other_master(servers, before), "another master", 60)
            asker.until_answered(300)
        finally:
            before.send(signal.SIGCONT)
        asker.until_answered(300)
    until_exact(daemon, after.client, asker.client, asker.answered)


def other_master(servers, before):
    for node in servers.nodes:
        with contextlib.suppress(Exception):
            if node is not before and node.role() == "master":
                return node
    return None


def test_passwords(folder, teredown, nsd):
    """The data and the sentinels have a password each; neither is ever shown."""
    with redis_set.Sentinels(folder.path, requirepass='"%s"' % PASSWORD, masterauth='"%s"' % PASSWORD, sentinel_password=SENTINEL_PASSWORD) as servers:
        data = folder.write("data.pw", PASSWORD + "\n")
        daemon = teredown(nsd.endpoint, redis=servers.url(), redis_password_file=data, environment={"TEREDOWN_REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD})
        daemon.ask("www.example.org", source="127.0.21.5")
        daemon.until_counted(1)
        wrong = teredown(nsd.endpoint, redis=servers.url(), redis_password_file=folder.write("wrong.pw", "not it\n"), resolver_name="wrong",
            environment={"TEREDOWN_REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD})
        until(lambda: "WRONGPASS" in wrong.status()["redis_error"] or "invalid" in wrong.status()["redis_error"], "the login is refused")
        for text in (daemon.log(), wrong.log(), str(wrong.status())):
            assert PASSWORD not in text and SENTINEL_PASSWORD not in text and "not it" not in text
        assert wrong.log().count("redis-password-file") == 1, "said once"


def test_a_log_is_counted_once(servers, folder):
    """What a killed master alone had acknowledged is lost with the position of the log: running the command again counts it."""
    log = Log()
    servers.client().flushall()
    before = servers.failovers()

    def faults():
        until(lambda: servers.client().exists(key("ingest")), "a chunk is written")
        servers.pause_replication()
        servers.kill_master_before_replicas_resume()
    runs = read_through(folder.path, servers.url(), log, faults)
    assert_counted(servers.client(), log)
    assert runs <= 1 + servers.failovers() - before, "a run fails only if the master is lost again meanwhile"
