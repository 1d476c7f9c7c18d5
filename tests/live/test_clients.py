# SPDX-License-Identifier: BSD-3-Clause
"""Who a client is in what is stored and logged: anonymised, excluded, by prefix."""

import os
import re
import shutil
import stat
import subprocess
import sys

import pytest

from harness import DAEMON, key, until

TEREDO = "teredo.ipv6.microsoft.com"
SECRET = "127.0.77.77"


def dump(store):
    """Everything in Redis, as text."""
    read = {"string": store.get, "hash": store.hgetall, "set": store.smembers, "list": lambda k: store.lrange(k, 0, -1),
        "zset": lambda k: store.zrange(k, 0, -1, withscores=True), "stream": store.xrange}
    return "\n".join("%s %r" % (name, read[store.type(name)](name)) for name in store.scan_iter(count=1000))


def files_below(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    yield path, file.read()


def totals(store):
    """Answered queries by client, and in all hours."""
    clients = {name: int(score) for name, score in store.zrange(key("clients", "queries"), 0, -1, withscores=True)}
    hours = sum(int(store.hget(name, "queries")) for name in store.scan_iter(key("hour", "??????????")))
    return clients, hours


class TestAnonymize:
    @pytest.mark.parametrize("mode, shown", [("hash", r"anon-[0-9a-f]{16}"), ("prefix", r"127\.0\.77\.0/24")])
    def test_nothing_holds_the_address(self, teredown, nsd, mode, shown):
        daemon = teredown(nsd.endpoint, redis="embedded", anonymize=mode, query_log="all", journal_fsync="batch", log_level="debug")
        for name in ("www.example.org", TEREDO, "nosuch.example.org"):
            daemon.ask(name, source=SECRET)
        daemon.ask(TEREDO, source=SECRET, tcp=True)
        daemon.until_counted(4)
        records = [record for record in daemon.records() if record["query"] == TEREDO + "."]
        assert len(records) == 2 and len({record["client"] for record in records}) == 1
        client = records[0]["client"]
        assert re.fullmatch(shown, client) and "address" not in records[0]
        assert daemon.store().hget(key("client", client), "queries") == "4"
        assert daemon.json("who", client)["views"][0]["kind"] == "client"
        secret = SECRET.encode()
        assert secret.decode() not in dump(daemon.store())
        daemon.stop()
        assert [path for path, text in files_below(daemon.state) if secret in text] == []
        with open(daemon.query_log, "rb") as log:
            assert secret not in log.read()
        assert secret.decode() not in daemon.log()

    def test_pseudonym_lasts_over_a_restart(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, anonymize="hash", query_log="all")

        def client():
            daemon.ask("www.example.org", source=SECRET)
            found = until(lambda: [r["client"] for r in daemon.records() if r["query"] == "www.example.org."], "a record")
            os.unlink(daemon.query_log)
            daemon.stop()
            return found[0]

        first = client()
        assert stat.S_IMODE(os.stat(os.path.join(daemon.state, "anonymize.key")).st_mode) == 0o600
        daemon.start()
        assert client() == first
        os.unlink(os.path.join(daemon.state, "anonymize.key"))
        daemon.start()
        assert client() != first


class TestExclude:
    def test_excluded_are_counted_and_nothing_else(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded", query_log="all", exclude=["127.0.77.0/24", "shared.example.org"])
        daemon.ask(TEREDO, source=SECRET)
        daemon.ask("first.example.org", source=SECRET)
        daemon.ask("shared.example.org", source="127.0.5.1")
        daemon.ask("x.shared.example.org", source="127.0.5.1")
        daemon.ask("second.example.org", source="127.0.5.1")
        status = daemon.until_counted(5)
        store = daemon.store()
        clients, hours = totals(store)
        assert clients["*excluded"] == 4 and clients["127.0.5.1"] == 1
        assert sum(clients.values()) == hours == int(status["answered"])
        assert store.hget(key("client", "*excluded"), "watched") == "1"
        text = dump(store)
        for hidden in (SECRET, "first.example.org", "shared.example.org", TEREDO, "192.0.2.11"):
            assert hidden not in text
        assert "second.example.org" in text
        queries = {record["query"] for record in daemon.records()}
        assert "second.example.org." in queries and not queries & {"shared.example.org.", "first.example.org.", TEREDO + "."}

    def test_bad_entry_is_refused(self, teredown, nsd):
        daemon = teredown(nsd.endpoint)
        daemon.configure(exclude=["10.0.0.1/8"])
        done = subprocess.run([DAEMON, "-t", "-c", daemon.config], stderr=subprocess.PIPE, universal_newlines=True)
        assert done.returncode == 1 and 'exclude: "10.0.0.1/8" is none of these' in done.stderr


# Runs in a network of its own, where neighbours can be made up.
MAC_SCRIPT = """
import subprocess, sys
sys.path.insert(0, %r)
import harness
from harness import key, until
ip = lambda words: subprocess.run(["ip"] + words.split(), check=True)
for words in ("link set lo up", "link add d0 type veth peer name d1", "link set d0 up", "link set d1 up", "addr add 10.9.9.7/24 dev d0", "addr add 10.9.9.8/24 dev d0",
        "neigh replace 10.9.9.7 lladdr 02:00:00:00:99:07 dev d0 nud permanent"):
    ip(words)
folder = harness.Folder()
daemon = harness.Teredown(folder.path, "127.0.0.9", listen=["10.9.9.7"], redis="off", client_identity="mac", query_log="all")
daemon.start(wait=False)
ask = lambda source: harness.ask(53, "localhost", source=source, host="10.9.9.7", timeout_s=1)
try:
    until(lambda: ask("10.9.9.7"), "answers")
    until(lambda: [r for r in daemon.records() if (r["client"], r.get("address")) == ("02:00:00:00:99:07", "10.9.9.7")], "the MAC address of the dump")
    ask("10.9.9.8")
    until(lambda: [r for r in daemon.records() if r["client"] == "10.9.9.8"], "the address of an unknown neighbour")
    ip("neigh replace 10.9.9.8 lladdr 02:00:00:00:99:07 dev d0 nud permanent")
    until(lambda: ask("10.9.9.8") and [r for r in daemon.records() if r.get("address") == "10.9.9.8"], "the MAC address of a new neighbour")
    assert {r["client"] for r in daemon.records() if r.get("address") == "10.9.9.8"} == {"02:00:00:00:99:07"}
finally:
    daemon.stop()
    folder.remove()
print("seen")
"""


class TestIdentity:
    def test_mac_of_the_neighbour_table(self):
        alone = ["unshare", "--map-root-user", "--net"]
        if not shutil.which("ip") or subprocess.run(alone + ["ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1"], stderr=subprocess.DEVNULL).returncode != 0:
            pytest.skip("no network namespace with an interface can be had here")
        done = subprocess.run(alone + [sys.executable, "-c", MAC_SCRIPT % os.path.dirname(__file__)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
        assert done.stdout.endswith("seen\n"), done.stdout

    def test_prefix_of_ipv6(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded", query_log="all", client_identity="prefix")
        daemon.ask("www.example.org", host="::1")
        daemon.ask("www.example.org", source="127.0.5.1")
        daemon.until_counted(2)
        by_client = {record["client"]: record for record in daemon.records() if record["query"] == "www.example.org."}
        assert by_client["::/64"]["address"] == "::1"
        assert "address" not in by_client["127.0.5.1"]
        assert daemon.store().hget(key("client", "::/64"), "queries") == "1"
