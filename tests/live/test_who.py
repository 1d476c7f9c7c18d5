# SPDX-License-Identifier: BSD-3-Clause
"""Questions about one address, name or client, and what they are answered from: the rule that applies now, and what addresses have inside."""

import json
import os
import socket
import subprocess

import pytest

import harness

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
        length, end = 0, b""
        for piece in iter(lambda: child.stdout.read(1 << 20), b""):
            length, end = length + len(piece), (end + piece)[-200:]
        child.stdout.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        assert feed.wait(harness.DEADLINE_S) == 0 and status == 0
        assert end.decode().endswith("a %s %s" % (INSIDE, EXPLAINED)) and length == 100000000 + len(" %s %s" % (INSIDE, EXPLAINED))
        assert usage.ru_maxrss < 64 << 10, "KiB resident"

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
