# SPDX-License-Identifier: BSD-3-Clause
"""What one Redis can answer instead of taking a batch: each is said, the counts wait, and afterwards every one is there once."""

import os
import signal
import socket
import threading

import pytest
import redis

import harness
import redis_set
from asker import Asker, counted, until_exact
from harness import key, number, until

PASSWORD = "correct horse"


@pytest.fixture
def node(folder):
    server = redis_set.Node(folder.path, "server").start()
    yield server
    server.kill()


def url(node, login=""):
    return "redis://%s%s" % (login, node.endpoint)


def said(daemon, words):
    """The fault is in status, in words that a person can use, and in the log."""
    until(lambda: words in daemon.status()["redis_error"], "status says " + words, 30)
    assert daemon.status()["redis"] == "away"
    until(lambda: words in daemon.log(), "the log says " + words)


class Fault:
    """Asks before, during and after; with Fault(…) as fault: …break it… fault.said("…") …mend it…"""

    def __init__(self, teredown, nsd, node, client, names=True):
        self.names = names
        self.daemon, self.node = teredown(nsd.endpoint, redis=url(node)), node
        self.asker = Asker(self.daemon, client)

    def __enter__(self):
        self.asker.__enter__()
        self.asker.until_answered(200)
        until(lambda: counted(self.node.client(), self.asker.client)[0] > 0, "counting has begun")
        return self

    def said(self, words):
        said(self.daemon, words)
        self.asker.until_answered(200)

    def __exit__(self, kind, *rest):
        if kind is None:
            self.asker.until_answered(200)
        self.asker.__exit__(kind, *rest)
        if kind is None:
            until_exact(self.daemon, self.node.client, self.asker.client, self.asker.answered, names=self.names)


def test_readonly(node, teredown, nsd):
    """It became the replica of a server that is not there."""
    with Fault(teredown, nsd, node, "127.0.24.1") as fault:
        node.client().replicaof("127.0.0.1", harness.free_port())
        fault.said("READONLY")
        node.client().replicaof("NO", "ONE")


def test_masterdown(node, teredown, nsd):
    """The same, and it does not even let read."""
    with Fault(teredown, nsd, node, "127.0.24.2") as fault:
        node.client().config_set("replica-serve-stale-data", "no")
        node.client().replicaof("127.0.0.1", harness.free_port())
        fault.said("MASTERDOWN")
        node.client().replicaof("NO", "ONE")


def test_out_of_memory(node, teredown, nsd):
    with Fault(teredown, nsd, node, "127.0.24.3", names=False) as fault:
        node.client().config_set("maxmemory", "1mb")
        fault.said("OOM")
        node.client().config_set("maxmemory", "0")


def test_disk_full(folder, teredown, nsd):
    """The last snapshot could not be written, and Redis takes no writes until one can."""
    node = redis_set.Node(folder.path, "server", save='"3600 1000000"', appendonly="no").start()
    try:
        obstacle = os.path.join(folder.path, "server", "dump.rdb")
        with Fault(teredown, nsd, node, "127.0.24.4") as fault:
            os.mkdir(obstacle)
            node.client().bgsave()
            until(lambda: node.client().info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot fails")
            fault.said("MISCONF")
            os.rmdir(obstacle)
            node.client().bgsave()
    finally:
        node.kill()


def test_busy(node, teredown, nsd):
    """Somebody's script does not end."""
    with Fault(teredown, nsd, node, "127.0.24.5") as fault:
        node.client().config_set("busy-reply-threshold", 100)

        def hog():
            with pytest.raises(redis.exceptions.ResponseError):
                node.client(socket_timeout=60).eval("while true do end", 0)
        thread = threading.Thread(target=hog)
        thread.start()
        try:
            fault.said("BUSY")
        finally:
            node.client().script_kill()
            thread.join()


@pytest.mark.alone
@pytest.mark.waits
def test_loading(folder, node, teredown, nsd):
    """It starts, and needs its time to read its data."""
    with Fault(teredown, nsd, node, "127.0.24.6") as fault:
        node.client().mset({"much:%d" % n: "x" * 100 for n in range(500)})
        node.client().bgrewriteaof()
        until(lambda: not node.client().info("persistence")["aof_rewrite_in_progress"], "the file is rewritten")
        node.kill()
        with open(node.config, "a") as out:
            out.write("key-load-delay 10000\nloading-process-events-interval-bytes 1024\n")
        node.launch()
        # Too short, perhaps, for the log, which is quiet about what mends itself at once.
        until(lambda: "LOADING" in fault.daemon.status()["redis_error"], "status says LOADING", 30)
        until(node.ready, "it has read its data", 60)


def test_script_flush(node, teredown, nsd):
    """The script is gone now and then: loaded again on the spot, nobody hears of it."""
    with Fault(teredown, nsd, node, "127.0.24.7") as fault:
        for _ in range(10):
            node.client().script_flush()
            fault.asker.until_answered(50)
    assert "NOSCRIPT" not in fault.daemon.log() and "trying again" not in fault.daemon.log()


def test_stopped(node, teredown, nsd):
    """SIGSTOP: the connection stands and nothing comes."""
    with Fault(teredown, nsd, node, "127.0.24.8") as fault:
        node.send(signal.SIGSTOP)
        fault.said("within the time limit")
        node.send(signal.SIGCONT)


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"*2147483647\r\n"])
def test_not_redis(teredown, nsd, words):
    """A port that speaks something else, or announces more than any reply has: that is not waited for, and takes no memory."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            try:
                while True:
                    connection, _ = listener.accept()
                    connection.recv(4096)
                    connection.sendall(words)
                    connection.close()
            except OSError:
                pass
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        daemon = teredown(nsd.endpoint, redis="redis://127.0.0.1:%d" % listener.getsockname()[1])
        said(daemon, "not the Redis protocol")
        listener.shutdown(socket.SHUT_RDWR)


# --- who may what ---

def test_password(folder, teredown, nsd):
    """None, a wrong one, the right one; each wrong one is said once, with the option that would mend it, and never repeated."""
    node = redis_set.Node(folder.path, "server", requirepass='"%s"' % PASSWORD).start()
    try:
        none = teredown(nsd.endpoint, redis=url(node), resolver_name="none")
        said(none, "NOAUTH")
        wrong = teredown(nsd.endpoint, redis=url(node, ":incorrect%20horse@"), resolver_name="wrong")
        said(wrong, "WRONGPASS")
        for daemon, option in ((none, "redis-password-file"), (wrong, "redis-password-file")):
            assert daemon.log().count(option) == 1
            assert "horse" not in daemon.log() and "horse" not in str(daemon.status())
            done = daemon.command("top")
            assert done.returncode != 0 and ("NOAUTH" in done.stderr or "WRONGPASS" in done.stderr) and "horse" not in done.stdout + done.stderr
        right = teredown(nsd.endpoint, redis=url(node), environment={"TEREDOWN_REDIS_PASSWORD": PASSWORD})
        right.ask("www.example.org", source="127.0.25.1")
        right.until_counted(1)
    finally:
        node.kill()


def test_no_auth_command(folder, teredown, nsd):
    """A Redis that does not know AUTH repeats its arguments: our password is in no word of ours all the same."""
    node = redis_set.Node(folder.path, "server", rename_command="AUTH NOTHING").start()
    try:
        daemon = teredown(nsd.endpoint, redis=url(node, ":hunter2@"))
        until(lambda: daemon.status()["redis_error"], "it is said")
        until(lambda: "trying again" in daemon.log(), "it is logged")
        done = daemon.command("top")
        for text in (daemon.log(), str(daemon.status()), done.stdout, done.stderr):
            assert "hunter2" not in text
    finally:
        node.kill()


def documented_rule(name):
    """The line of doc/redis-schema.md that begins with ACL SETUSER name, as words."""
    with open(os.path.join(harness.SOURCE, "doc", "redis-schema.md")) as text:
        line = next(line for line in text if line.strip().startswith("ACL SETUSER %s " % name))
    return line.replace("PASSWORD", PASSWORD.replace(" ", "")).replace("{gw1}", "{%s}" % harness.RESOLVER).split()


def test_least_privilege(node, teredown, nsd):
    """The users that the documentation shows can do what they need, and nothing beside."""
    secret = PASSWORD.replace(" ", "")
    for user in ("teredown", "dashboard"):
        node.client().execute_command(*documented_rule(user))
    daemon = teredown(nsd.endpoint, redis=url(node, "teredown:%s@" % secret))
    with Asker(daemon, "127.0.25.2") as asker:
        asker.until_answered(400)
    daemon.ask("teredo.ipv6.microsoft.com", source="127.0.25.2")
    until_exact(daemon, node.client, asker.client, asker.answered + 1)
    assert "NOPERM" not in daemon.log() and "failed" not in daemon.log()
    reader = teredown(nsd.endpoint, redis=url(node, "dashboard:%s@" % secret), resolver_name="reader", state_dir=daemon.state + "-r")
    assert "127.0.25.2" in reader.run("top", "--resolver", harness.RESOLVER)
    assert "127.0.25.2" in reader.run("who", "65.55.158.118", "--resolver", harness.RESOLVER)
    assert "127.0.25.2" in reader.run("top", "--fleet")
    said(reader, "NOPERM")
    assert daemon.json("forget", "127.0.25.2", "--yes")["keys"] == 2
    for user, commands in {"teredown": (["FLUSHALL"], ["KEYS", "*"], ["GET", "other"], ["SET", "teredown:{other}:meta", "1"], ["CONFIG", "GET", "*"]),
            "dashboard": (["FLUSHALL"], ["DEL", key("meta")], ["HSET", key("meta"), "a", "1"], ["EVAL", "return 1", "0"], ["GET", "other"])}.items():
        client = node.client(username=user, password=secret)
        for words in commands:
            with pytest.raises((redis.exceptions.NoPermissionError, redis.exceptions.ResponseError), match="(?i)permission|NOPERM"):
                client.execute_command(*words)


# --- names ---

class TestNames:
    def test_by_name(self, folder, node, teredown, upstream):
        """A name that only the configured upstream knows: resolved by the daemon's own loop, and counted as nobody's query."""
        server = upstream({"redis.test.": "127.0.0.1", "www.example.org.": "192.0.2.1"})
        daemon = teredown(server.endpoint, redis="redis://redis.test:%d" % node.port)
        daemon.ask("www.example.org", source="127.0.25.3")
        daemon.until_counted(1)
        assert "redis.test" in daemon.log()
        node.kill()
        daemon.ask("www.example.org", source="127.0.25.3")
        node.start()
        daemon.until_counted(2)
        assert counted(node.client(), "127.0.25.3") == (2, 2)

    def test_name_that_is_not_there(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="redis://nosuch.example.org")
        said(daemon, "no address of nosuch.example.org was found")

    def test_silent_upstream(self, teredown):
        """Nobody answers: given up, tried again, and the collector does its work meanwhile."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            daemon = teredown("127.0.0.1:%d" % silent.getsockname()[1], redis="redis://redis.test", query_log="all")
            daemon.ask("localhost", source="127.0.25.4")
            until(lambda: daemon.records(), "the query log is written")
            assert "no address of redis.test" not in daemon.log(), "while the name is looked up"
            said(daemon, "no address of redis.test was found")
            daemon.stop()

    def test_ended_while_looking_up(self, teredown):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            silent.settimeout(10)
            daemon = teredown("127.0.0.1:%d" % silent.getsockname()[1], redis="redis://redis.test")
            silent.recv(512)
            daemon.stop()
