# SPDX-License-Identifier: BSD-3-Clause
"""Questions about one address, name or client, and what they are answered from: the rule that applies now, and what addresses have inside."""

import json
import os
import re
import socket
import subprocess
import time

import pytest

import harness
from harness import key, until

SERVER = "65.55.158.118"
TEREDO = "teredo.ipv6.microsoft.com"
INSIDE = "2001:0:4137:9e76:2c3d:63bf:3fff:fdd2"
EXPLAINED = "[Teredo: server 65.55.158.118, client 192.0.2.45 port 40000, flags 0x2c3d]"


def control(daemon, *words):
    """The raw reply of the control socket: its first line, and the values by key."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(harness.DEADLINE_S)
        sock.connect(os.path.join(daemon.state, "control.sock"))
        sock.sendall(" ".join(words).encode() + b"\n")
        reply = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    first, *lines = reply.splitlines()
    values = {}
    for line in lines:
        key, value = line.split("\t")
        values.setdefault(key, []).append(value)
    return first, values


class TestExplain:
    @pytest.fixture
    def daemon(self, teredown, nsd):
        return teredown(nsd.endpoint, allow=["127.0.0.0/8"])

    def test_modes(self, daemon):
        for mode, verdict in (("watch", "watch"), ("block", "block"), ("ignore", "none")):
            daemon.run("mode", mode)
            first, values = control(daemon, "explain", "TEREDO.ipv6.Microsoft.com")
            assert first == "ok" and values["verdict"] == [verdict] and values["resolver"] == [harness.RESOLVER]
            decided = "teredo mode=%s action=nxdomain rule=%s." % (mode, TEREDO)
            assert values["match"][0] == decided
            assert values.get("decided") == (None if mode == "ignore" else [decided])
        assert harness.number(daemon.status(), "received") <= 1, "asking for an explanation is no query"

    def test_names(self, daemon):
        assert control(daemon, "explain", "www.example.org")[1]["verdict"] == ["none"]
        _, values = control(daemon, "explain", "localhost")
        assert values["verdict"] == ["local"] and values["decided"][0].startswith("special-use mode=always ")
        _, values = control(daemon, "explain", "win99.ipv6.microsoft.com")
        assert values["verdict"] == ["watch"] and values["decided"][0].endswith(" rule=win*.ipv6.microsoft.com.")

    def test_clients(self, daemon):
        assert control(daemon, "explain", TEREDO, "127.0.0.9")[1]["access"] == ["allowed"]
        assert control(daemon, "explain", TEREDO, "192.0.2.1")[1]["access"] == ["refused"]
        assert "access" not in control(daemon, "explain", TEREDO, "id-gw1")[1]

    @pytest.mark.parametrize("words", [(), ("a..b",), ("x" * 64,), (TEREDO, "no client"), (TEREDO, "::::"), (TEREDO, "127.0.0.1", "more")])
    def test_wrong(self, daemon, words):
        assert control(daemon, "explain", *words)[0].startswith("error ")
        assert control(daemon, "explain", TEREDO)[0] == "ok"


class TestDecodeFilter:
    def run(self, data, *words, **options):
        return subprocess.run([harness.COMMAND, "decode", *words], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=harness.DEADLINE_S, **options)

    @pytest.mark.parametrize("words", [(), ("-",)])
    def test_log(self, words):
        log = b"Nov 21 20:52:11 gw kernel: \xff\x00SRC=%s DST=2002:c000:204::1\n\nno end" % INSIDE.encode()
        done = self.run(log, *words)
        assert done.returncode == 0 and not done.stderr
        assert done.stdout == (b"Nov 21 20:52:11 gw kernel: \xff\x00SRC=%s %s DST=2002:c000:204::1 [6to4: 192.0.2.4]\n\nno end"
            % (INSIDE.encode(), EXPLAINED.encode()))

    def test_nothing(self):
        done = self.run(b"65.55.158.118 and 2001:db8::1\n")
        assert done.returncode == 3 and done.stdout == b"65.55.158.118 and 2001:db8::1\n"
        assert self.run(b"").returncode == 3

    def test_json(self):
        done = self.run(b"\n%s\n" % INSIDE.encode(), "--json")
        (found,) = [json.loads(line) for line in done.stdout.splitlines()]
        assert found["line"] == 2 and found["address"] == INSIDE and found["tunnel"]["server"] == "65.55.158.118"

    def test_one_line_without_end(self):
        """100 MB in one line: nothing of it is collected."""
        feed = subprocess.Popen(["sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' 'a'; printf ' %s'" % INSIDE], stdout=subprocess.PIPE)
        child = subprocess.Popen([harness.COMMAND, "decode"], stdin=feed.stdout, stdout=subprocess.PIPE)
        feed.stdout.close()
        length, end, peak_kib = 0, b"", 0
        for piece in iter(lambda: child.stdout.read(1 << 20), b""):
            length, end = length + len(piece), (end + piece)[-200:]
            if length > 90000000 and not peak_kib: # it is still at it; what wait4 says counts the memory of this process, too, before exec
                with open("/proc/%d/status" % child.pid) as about:
                    peak_kib = int(re.search(r"VmHWM:\s+(\d+)", about.read()).group(1))
        child.stdout.close()
        assert feed.wait(harness.DEADLINE_S) == 0 and child.wait(harness.DEADLINE_S) == 0
        assert end.decode().endswith("a %s %s" % (INSIDE, EXPLAINED)) and length == 100000000 + len(" %s %s" % (INSIDE, EXPLAINED))
        assert 0 < peak_kib < 64 << 10

    def test_follows(self):
        """What came is written before more is waited for."""
        child = subprocess.Popen([harness.COMMAND, "decode"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        try:
            for _ in range(3):
                child.stdin.write(b"x %s\n" % INSIDE.encode())
                assert child.stdout.read(1000).decode() == "x %s %s\n" % (INSIDE, EXPLAINED)
        finally:
            child.stdin.close()
            child.wait(harness.DEADLINE_S)
            child.stdout.close()

    def test_terminal(self):
        """On a terminal no byte of a stranger is obeyed."""
        script = harness.find("script")
        if not script:
            harness.missing("script(1) is not installed")
        done = subprocess.run([script, "-qec", "printf 'a\\033[2J%s' | %s decode" % (INSIDE, harness.COMMAND), "/dev/null"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=harness.DEADLINE_S)
        assert b"a\\027[2J" + INSIDE.encode() in done.stdout and b"\x1b" not in done.stdout


HOSTS = ["127.0.21.1", "127.0.21.2", "127.0.21.3"]
HOUR = 3600


def hour_text(hour):
    return time.strftime("%Y%m%d%H", time.gmtime(hour * HOUR))


def put_week(store, now):
    """What a week leaves in Redis: three hosts that ask every 30 seconds, nine dropped packets for each lookup."""
    last = int(now) // HOUR
    store.zadd(key("addresses"), {SERVER: int(now * 1000)})
    pipe = store.pipeline(transaction=False)
    for hour in range(last - 168, last):
        pipe.hincrby(key("timeline", SERVER), hour_text(hour) + ":dns", 360)
        pipe.hincrby(key("timeline", SERVER), hour_text(hour) + ":firewall-drop", 3240)
        for host in HOSTS:
            pipe.zincrby(key("hour", hour_text(hour), "watched-names"), 120, "%s %s." % (host, TEREDO))
            pipe.zincrby(key("hour", hour_text(hour), "drops"), 1080, "%s %s udp3544" % (host, SERVER))
    first, end = (last - 168) * HOUR * 1000, last * HOUR * 1000 - 30000
    for host in HOSTS:
        pipe.hset(key("pair", SERVER), "%s %s." % (host, TEREDO), "%d %d 20160 %s." % (first, end, TEREDO))
        pipe.hset(key("client", host), mapping={"queries": 20160, "watched": 20160, "first_seen": first, "last_seen": end})
        pipe.zadd(key("client", host, "names"), {TEREDO + ".": 20160})
        pipe.zadd(key("name", TEREDO + ".", "clients"), {host: 20160})
        pipe.zadd(key("watch", "teredo"), {host: 20160})
        pipe.zadd(key("watch", "teredo", "last"), {host: end})
    pipe.zadd(key("name", TEREDO + "."), {SERVER: end})
    pipe.execute()
    return first, end


def put_logs(store, first, end):
    """Which logs were read, and what they brought along."""
    for number, kind in enumerate(("netfilter", "squid", "dnsmasq")):
        store.hset(key("ingest"), "source%d" % number, json.dumps({"path": "/var/log/%d" % number, "format": kind, "offset": 1, "lines": 9,
            "used": 9, "skipped": 0, "first": first, "last": end, "at": end}))
    store.hset(key("history", SERVER), mapping={
        "%s %s." % (HOSTS[0], TEREDO): "1000000000000 1000000600000 21 certain",
        "192.0.2.200 old\x1b[31m.example.": "1000000000000 1000000600000 3 ambiguous", "no history": "at all"})
    store.hset(key("client", HOSTS[0]), "name", "Desk.lan.example.")
    store.hset(key("eventlog"), "desk", json.dumps({"at": end, "state": "active", "event": "4100", "text": "Teredo is \x1b[31m active"}))
    store.hset(key("remediated"), HOSTS[1], json.dumps({"at": end, "by": "root", "method": "powershell"}))


class TestStory:
    @pytest.fixture
    def daemon(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded")
        harness.before_the_hour_turns()
        until(lambda: daemon.store().exists(key("meta")), "teredownd has written to Redis")
        return daemon

    def test_address(self, daemon):
        first, end = put_week(daemon.store(), time.time())
        text = daemon.run("who", SERVER)
        assert "No log of a firewall" not in text and "(no log of a proxy was read)" in text
        put_logs(daemon.store(), first, end)
        text = daemon.run("who", SERVER)
        paragraph = text.splitlines()[0]
        assert paragraph.startswith("%s: %s, and only that name. Asked by three hosts (%s, %s and %s), each about every 30 seconds, for seven days ("
            "60480 answers, " % (SERVER, TEREDO, *HOSTS))
        assert " Nine drops for each lookup (544320 packets dropped, 60480 lookups in the same hours), no proxy hits. " in paragraph
        assert paragraph.endswith(" The name is watched now: answered truthfully and recorded (rule %s. of zone teredo)." % TEREDO)
        assert [SERVER, "60480", "544320", "9.0", "0", "0"] in [line.split() for line in text.splitlines()]
        assert "~30 s" in text and "ambiguous" in text and "\x1b" not in text and "old\\027[31m.example." in text
        assert "Desk.lan.example." in text and "active" in text and "powershell" in text
        view, = daemon.json("who", SERVER)["views"]
        assert view["summary"] == paragraph
        assert view["logs"]["firewall_drop"] == 544320 and view["logs"]["drops_per_lookup"] == 9.0 and view["logs"]["proxy"] == 0
        assert view["logs"]["read"]["proxy"]["files"] == 1
        assert view["logs"]["addresses"] == [{"address": SERVER, "dns": 60480, "firewall_drop": 544320, "firewall_pass": 0, "proxy": 0,
            "lookups": 60480, "drops_per_lookup": 9.0}]
        assert [(row["client"], row["name"], row["packets"], row["udp3544"]) for row in view["logs"]["drops"]] == [
            (host, TEREDO + ".", 181440, 181440) for host in HOSTS]
        assert [(row["client"], row["count"], row["certain"]) for row in view["history"]] == [(HOSTS[0], 21, True), ("192.0.2.200", 3, False)]
        assert view["hosts"][HOSTS[0]]["eventlog"]["state"] == "active" and view["hosts"][HOSTS[1]]["remediated"]["by"] == "root"
        assert {row["period_ms"] for row in view["pairs"]} == {30000} and {row["period_of"] for row in view["pairs"]} == {"hours"}
        assert view["policy"] == [{"name": TEREDO + ".", "verdict": "watch", "mode": "watch", "zone": "teredo", "rule": TEREDO + ".", "action": "nxdomain", "hits": 0}]

    def test_name_and_client(self, daemon):
        store = daemon.store()
        put_logs(store, *put_week(store, time.time()))
        assert "To answer NXDOMAIN to all tunnel names: " in daemon.run("who", SERVER)
        daemon.run("block", "on")
        assert "To answer NXDOMAIN" not in daemon.run("who", SERVER), "that is so already"
        paragraph = daemon.run("who", TEREDO).splitlines()[0]
        assert paragraph.startswith("%s was asked by three hosts (" % TEREDO) and "each about every 30 seconds, for seven days (60480 queries" in paragraph
        assert "It led to one address: %s. Nine drops for each lookup (544320 " % SERVER in paragraph
        assert paragraph.endswith("The name is blocked now: answered NXDOMAIN (rule %s. of zone teredo)." % TEREDO)
        view, = daemon.json("who", TEREDO)["views"]
        assert [(row["client"], row["certain"]) for row in view["history"]] == [(HOSTS[0], True)]
        text = daemon.run("who", HOSTS[0])
        assert "It asked for one name that a rule watches or blocks: %s, about every 30 seconds, for seven days (20160 queries" % TEREDO in text
        assert "Nine drops for each lookup (181440 packets dropped, 20160 lookups in the same hours)." in text
        view = daemon.json("who", HOSTS[0])["views"][0]
        assert view["watched_names"] == [TEREDO + "."] and view["policy"][0]["verdict"] == "block"
        assert len(view["history"]) == 1 and view["hosts"][HOSTS[0]]["host"] == "Desk.lan.example."

    def test_no_lookup(self, daemon):
        """Dropped packets to an address that nobody looked up: it is built in somewhere."""
        store, hour = daemon.store(), hour_text(int(time.time()) // HOUR - 1)
        store.hset(key("timeline", "192.0.2.66"), hour + ":firewall-drop", 7)
        store.zadd(key("hour", hour, "drops"), {"127.0.21.9 192.0.2.66 proto41": 7, "*other *other -": 3, "not a member": 1})
        text = daemon.run("who", "192.0.2.66")
        assert "was told to no client" in text and "Drops without any lookup (7 packets dropped, no lookup in the same hours)" in text
        view, = daemon.json("who", "192.0.2.66")["views"]
        assert view["logs"]["drops"][0]["proto41"] == 7 and view["logs"]["drops_per_lookup"] is None and view["policy"] is None

        text = daemon.run("who", "127.0.21.9")
        assert text.startswith("127.0.21.9 asked nothing here, but is known otherwise.\n") and "Drops without any lookup (7 packets" in text
        assert daemon.command("who", "127.0.21.8").returncode == 3

    def test_ingested(self, daemon, folder):
        """By the ordinary way: two lookups, a firewall's log with nine lines for each, and no proxy's log."""
        stamps = [time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())]
        for host in HOSTS[:2]:
            daemon.ask(TEREDO, source=host)
        daemon.until_counted(2)
        # The hour may end between: drops before and after the lookups, in whose hours they are.
        stamps += [time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())] * 8
        line = "%s gw kernel: [1.5] [UFW BLOCK] IN=eth1 OUT=eth0 SRC=%s DST=%s LEN=72 TTL=63 ID=1 DF PROTO=UDP SPT=50000 DPT=3544 LEN=52\n"
        daemon.run("ingest", folder.write("kern.log", "".join(line % (stamp, host, SERVER) for stamp in stamps for host in HOSTS[:2])))
        text = daemon.run("who", SERVER)
        assert "Nine drops for each lookup (18 packets dropped, 2 lookups in the same hours), no proxy hits (no log of a proxy was read)." in text
        assert "1 log of a firewall read, with lines from " in text
        view, = daemon.json("who", SERVER)["views"]
        assert {(row["client"], row["name"], row["udp3544"]) for row in view["logs"]["drops"]} == {(host, TEREDO + ".", 9) for host in HOSTS[:2]}
        assert view["logs"]["drops_per_lookup"] == 9.0 and view["logs"]["read"]["firewall"]["files"] == 1

    def test_measured(self, daemon):
        """The stream of transactions has a time for each question."""
        store, now = daemon.store(), int(time.time())
        for number in range(40):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - 4000 + 100 * number))
            store.xadd(key("transactions"), {"ts": "0", "json": json.dumps({"ts": stamp + ".250000Z", "client": "127.0.21.5", "query": TEREDO + ".",
                "type": "A", "action": "block"})})
        store.zadd(key("name", TEREDO + ".", "clients"), {"127.0.21.5": 40})
        text = daemon.run("who", TEREDO)
        assert "was asked by one host (127.0.21.5), about every 100 seconds, for 65 minutes (40 queries, " in text.splitlines()[0]
        assert "No address was told for it." in text

    def test_without_daemon(self, teredown, nsd, redis_server):
        """Redis tells what it holds while the daemon is away; what applies now is not made up."""
        daemon = teredown(nsd.endpoint, redis=redis_server.url)
        store = redis_server.client()
        until(lambda: store.exists(key("meta")), "teredownd has written to Redis")
        put_week(store, time.time())
        daemon.stop()
        text = daemon.run("who", SERVER)
        assert "and only that name" in text and "now" not in text.splitlines()[0]
        assert daemon.json("who", SERVER)["views"][0]["policy"] is None
