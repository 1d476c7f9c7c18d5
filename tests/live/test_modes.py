# SPDX-License-Identifier: BSD-3-Clause
"""Modes of groups, of the time of the week, and set by command: for whom they hold, since when, until when, and what a restart leaves of them."""

import json
import os
import signal
import subprocess
import sys
import time

import dns.edns
import pytest

import harness
import wire
from clock import Clock
from harness import addresses_of, key, rcode_of, until

TEREDO, ADDRESS = "teredo.ipv6.microsoft.com", "65.55.158.118"
CONSOLE, CHILD, OTHER = "127.0.40.1", "127.0.41.7", "127.0.42.1"
GROUPS = {
    "gaming": {"clients": [CONSOLE, "127.0.43.0/24", "mac:02:00:5e:10:00:01"], ("zone", "teredo"): {"mode": "watch"}},
    "kids": {"clients": ["127.0.41.0/24", "10.1.0.0/16"], ("zone", "teredo"): {"mode": "block"}},
}


def is_blocked(daemon, client, **options):
    answer = daemon.ask(TEREDO, source=client, **options)
    assert rcode_of(answer) == "NXDOMAIN" or addresses_of(answer) == [ADDRESS]
    return rcode_of(answer) == "NXDOMAIN"


def modes_of(daemon):
    """{(zone, group or None): (mode, from)}"""
    view = daemon.json("mode")
    found = {(zone["zone"], None): (zone["mode"], zone["from"]) for zone in view["zones"]}
    for group in view.get("groups", []):
        found.update({(zone["zone"], group["group"]): (zone["mode"], zone["from"]) for zone in group["zones"]})
    return found


def test_groups_on_one_cached_answer(teredown, nsd):
    daemon = teredown(nsd.endpoint, groups=GROUPS)
    for tcp in (False, True, False):
        assert not is_blocked(daemon, CONSOLE, tcp=tcp) and is_blocked(daemon, CHILD, tcp=tcp) and not is_blocked(daemon, OTHER, tcp=tcp)
    daemon.run("block", "on")
    for tcp in (False, True):
        assert not is_blocked(daemon, CONSOLE, tcp=tcp) and is_blocked(daemon, CHILD, tcp=tcp) and is_blocked(daemon, OTHER, tcp=tcp)
    assert harness.number(daemon.status(), "cache_hits") > 0


def mac_option(mac):
    return dns.edns.GenericOption(65001, bytes(int(part, 16) for part in mac.split(":")))


def test_client_behind_a_forwarder(teredown, nsd):
    """Whom a trusted forwarder names counts, and not the forwarder, which is in a group as well; from others such words count for nothing."""
    daemon = teredown(nsd.endpoint, groups=GROUPS, trust_forwarder=["127.0.43.0/24", "127.0.41.0/24"], mode="ignore")

    def asked(source, *options):
        return is_blocked(daemon, source, options=list(options))
    assert asked("127.0.43.1", dns.edns.ECSOption("10.1.2.3", 32)) and asked("127.0.43.1", dns.edns.ECSOption("10.1.2.0", 24))
    assert not asked("127.0.43.1", dns.edns.ECSOption("10.0.0.0", 8)) and not asked("127.0.43.1")
    assert not asked("127.0.41.1", dns.edns.ECSOption("10.2.2.3", 32)) and asked("127.0.41.1")
    assert not asked("127.0.41.1", mac_option("02:00:5e:10:00:01"), dns.edns.ECSOption("10.1.2.3", 32)), "the MAC address wins"
    assert asked("127.0.43.1", mac_option("02:00:5e:10:00:02"), dns.edns.ECSOption("10.1.2.3", 32))
    assert not asked("127.0.41.1", mac_option("02:00:5e:10:00:02"))
    assert not asked(OTHER, dns.edns.ECSOption("10.1.2.3", 32))


# In a network of its own, where neighbours can be made up.
MAC_SCRIPT = """
import subprocess, sys
sys.path.insert(0, %r)
import harness
from harness import until
ip = lambda words: subprocess.run(["ip"] + words.split(), check=True)
for words in ("link set lo up", "link add d0 type veth peer name d1", "link set d0 up", "link set d1 up", "addr add 10.9.9.7/24 dev d0", "addr add 10.9.9.8/24 dev d0",
        "neigh replace 10.9.9.7 lladdr 02:00:00:00:99:07 dev d0 nud permanent"):
    ip(words)
folder = harness.Folder()
daemon = harness.Teredown(folder.path, "127.0.0.9", listen=["10.9.9.7"], redis="off", groups={
    "console": {"clients": ["02:00:00:00:99:07"], ("zone", "teredo"): {"mode": "block"}}})
daemon.start(wait=False)
rcode = lambda source: harness.rcode_of(harness.ask(53, "teredo.ipv6.microsoft.com", source=source, host="10.9.9.7", timeout_s=8))
try:
    until(lambda: harness.ask(53, "localhost", source="10.9.9.7", host="10.9.9.7", timeout_s=1), "answers")
    until(lambda: rcode("10.9.9.7") == "NXDOMAIN", "the group of the MAC address")
    assert rcode("10.9.9.8") == "SERVFAIL", "not blocked, and there is no upstream server"
    ip("neigh replace 10.9.9.8 lladdr 02:00:00:00:99:07 dev d0 nud permanent")
    until(lambda: rcode("10.9.9.8") == "NXDOMAIN", "the group of a new neighbour")
finally:
    daemon.stop()
    folder.remove()
print("seen")
"""


def test_mac_of_the_neighbour_table(need):
    alone = [need("unshare"), "--map-root-user", "--net"]
    if subprocess.run(alone + [need("ip"), "link", "add", "d0", "type", "veth", "peer", "name", "d1"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no network namespace with an interface can be had here")
    done = subprocess.run(alone + [sys.executable, "-c", MAC_SCRIPT % os.path.dirname(__file__)], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
    assert done.stdout.endswith("seen\n"), done.stdout


def test_every_worker_has_it_when_the_command_returns(teredown, nsd):
    """Forty sockets at once, which the system spreads over the workers: no answer by the old mode after the command."""
    daemon = teredown(nsd.endpoint, workers=4, groups=GROUPS)
    daemon.ask(TEREDO)
    sockets = [harness.udp_socket(daemon.port, source=CONSOLE) for _ in range(40)]
    try:
        for turn in range(6):
            blocked = turn % 2 == 0
            daemon.run("mode", "block" if blocked else "reset", "--zone", "teredo", "--group", "gaming")
            for sock in sockets:
                sock.send(wire.query(turn, TEREDO))
            for sock in sockets:
                assert (wire.parse(sock.recv(4096)).rcode == wire.NXDOMAIN) == blocked
    finally:
        for sock in sockets:
            sock.close()


class TestCommand:
    def test_for_whom_and_until_when(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        text = daemon.run("mode", "block", "--zone", "teredo")
        assert text == "teredo: watch -> block\nFor all clients but those of group gaming (teredo: watch), kids (teredo: block), " \
            "until the next change; a restart of teredownd is none.\n"
        text = daemon.run("mode", "ignore", "--zone", "teredo", "--group", "kids", "--for", "1h")
        assert text.startswith("teredo for group kids: block -> ignore\nFor the clients of group kids, until 20")
        assert not is_blocked(daemon, CHILD) and is_blocked(daemon, OTHER)
        view = daemon.json("mode", "block", "--zone", "teredo", "--group", "gaming", "--for", "2m")
        assert view["changed"] == [{"zone": "teredo", "group": "gaming", "from": "watch", "to": "block"}] and view["until"]
        seen = modes_of(daemon)
        assert seen["teredo", None] == ("block", "command") and seen["teredo", "kids"] == ("ignore", "command")
        assert seen["6to4", None] == ("watch", "configuration") and seen["6to4", "kids"] == ("watch", "zone")
        table = daemon.run("mode")
        user = "root" if os.getuid() == 0 else subprocess.run(["id", "-un"], stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
        assert "command of %s at " % user in table and ", until " in table and "\nGroups: gaming kids\n" in table
        assert daemon.run("mode", "reset", "--group", "kids") == "teredo for group kids: ignore -> block\n"
        assert set(daemon.run("mode", "reset").splitlines()) == {"teredo: block -> watch", "teredo for group gaming: block -> watch"}
        assert "Nothing to take back" in daemon.run("mode", "reset")
        assert not is_blocked(daemon, OTHER) and is_blocked(daemon, CHILD)

    def test_refused(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        for words, said in ((("--group", "guests"), "no group named guests; groups: gaming kids"), (("--zone", "special-use"), "outside all modes"),
                (("--for", "400d"), "at most 366d"), (("--for", "10"), "--for takes a time")):
            done = daemon.command("mode", "block", *words)
            assert done.returncode != 0 and said in done.stderr
        assert not os.path.exists(os.path.join(daemon.state, "modes"))

    def test_ends_by_itself(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded")
        daemon.run("block", "on", "--for", "6s") # longer than the command takes to end, and a question
        assert is_blocked(daemon, OTHER)
        until(lambda: not is_blocked(daemon, OTHER), "the end of the mode")
        assert modes_of(daemon)["teredo", None] == ("watch", "configuration")
        assert "mode of teredo: block to watch, what uid %d" % os.getuid() in daemon.log()
        assert not os.path.exists(os.path.join(daemon.state, "modes"))

    def test_pause_of_a_block(self, teredown, nsd):
        """What has an end covers what has none, which applies again afterwards."""
        daemon = teredown(nsd.endpoint, redis="embedded")
        daemon.run("block", "on")
        daemon.run("mode", "watch", "--for", "6s")
        assert not is_blocked(daemon, OTHER)
        until(lambda: is_blocked(daemon, OTHER), "the end of the pause")
        assert modes_of(daemon)["teredo", None] == ("block", "command")
        daemon.run("mode", "watch", "--for", "1h")
        daemon.run("mode", "reset")
        assert modes_of(daemon)["teredo", None] == ("watch", "configuration")

    def test_events_say_who_and_until_when(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded", groups=GROUPS)
        daemon.run("mode", "ignore", "--zone", "teredo", "--group", "kids", "--for", "1h")
        daemon.run("mode", "reset")

        def texts():
            events = [json.loads(fields["json"]) for _, fields in daemon.store().xrange(key("events"))]
            return [event["text"] for event in events if event["kind"] == "mode"]
        seen = until(lambda: len(texts()) >= 2 and texts(), "two events")
        who = "by uid %d (" % os.getuid()
        assert seen[0].startswith("teredo: block to ignore for group kids " + who) and ", until 20" in seen[0]
        assert seen[1].startswith("teredo: ignore to block for group kids " + who) and seen[1].endswith(", as configured")
        assert seen[0] in daemon.run("tail", "--events", "--once")


class TestOverARestart:
    def test_stays(self, teredown, nsd):
        """Also over a kill; what ended meanwhile is gone, what the configuration says anyway was never kept."""
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        daemon.run("mode", "block", "--zone", "teredo")
        daemon.run("mode", "ignore", "--zone", "teredo", "--group", "kids", "--for", "1h")
        daemon.run("mode", "block", "--zone", "isatap")
        daemon.run("mode", "watch", "--zone", "isatap")
        daemon.kill()
        path = os.path.join(daemon.state, "modes")
        with open(path) as file:
            lines = file.read().splitlines()
        assert lines[0] == "teredown modes 1" and lines[-1] == "end 2"
        with open(path, "w") as file:
            file.write("\n".join(lines[:-1] + ["6to4 * ignore 1700000000 1700000060 4711 eve", "end 3\n"]))
        daemon.start()
        assert is_blocked(daemon, OTHER) and not is_blocked(daemon, CHILD) and not is_blocked(daemon, CONSOLE)
        seen = modes_of(daemon)
        assert seen["teredo", None] == ("block", "command") and seen["teredo", "kids"] == ("ignore", "command")
        assert seen["6to4", None] == seen["isatap", None] == ("watch", "configuration")
        assert "mode of 6to4: ignore, set by uid 4711 (eve), has ended meanwhile" in daemon.log()

    def test_damaged_file_is_said(self, teredown, nsd):
        daemon = teredown(nsd.endpoint)
        path = os.path.join(daemon.state, "modes")
        daemon.run("block", "on")
        daemon.stop()
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text[:len(text) // 2])
        daemon.start()
        assert not is_blocked(daemon, OTHER)
        assert "/modes: its end is missing; the modes are those of the configuration" in daemon.log()
        daemon.run("block", "on")
        daemon.stop()
        daemon.start()
        assert is_blocked(daemon, OTHER)

    def test_file_that_cannot_be_written_is_said(self, teredown, nsd):
        daemon = teredown(nsd.endpoint)
        os.mkdir(os.path.join(daemon.state, "modes.new"))
        done = daemon.command("block", "on")
        assert done.returncode == 0 and "teredo: watch -> block" in done.stdout and "not outlive a restart" in done.stderr
        assert is_blocked(daemon, OTHER) and "modes cannot be written" in daemon.log()


class TestReload:
    def test_command_stays_and_configuration_changes_below_it(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        daemon.run("mode", "block", "--zone", "teredo")
        daemon.configure(mode="ignore", groups={"kids": {"clients": [CONSOLE], ("zone", "teredo"): {"mode": "watch"}}})
        daemon.run("reload")
        assert is_blocked(daemon, OTHER) and is_blocked(daemon, CHILD) and not is_blocked(daemon, CONSOLE)
        assert daemon.run("mode", "reset") == "teredo: block -> ignore\n"

    def test_zone_or_group_that_is_gone(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        daemon.run("mode", "ignore", "--zone", "teredo", "--group", "kids")
        daemon.run("mode", "ignore", "--zone", "teredo", "--group", "gaming")
        daemon.configure(groups={"gaming": GROUPS["gaming"]})
        daemon.run("reload")
        assert "teredo: stays ignore for group kids no more" in daemon.log()
        with open(os.path.join(daemon.state, "modes")) as file:
            text = file.read()
        assert "gaming" in text and "kids" not in text
        assert not is_blocked(daemon, CHILD) and modes_of(daemon)["teredo", "gaming"] == ("ignore", "command")

    def test_fault_in_a_group_leaves_everything(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        daemon.configure(groups={"gaming": dict(GROUPS["gaming"], clients=["10.0.0.1/8"])})
        assert "is no client" in daemon.command("reload").stderr
        daemon.send(signal.SIGHUP)
        until(lambda: "reload failed" in daemon.log(), "the fault is said")
        assert 'group "gaming": clients: "10.0.0.1/8" is no client' in daemon.log()
        assert is_blocked(daemon, CHILD) and not is_blocked(daemon, CONSOLE)

    def test_commands_while_zones_are_read(self, teredown, nsd):
        """Modes change, rules are compiled anew at the same time: in the end each mode is what was said last."""
        daemon = teredown(nsd.endpoint, groups=GROUPS)
        reloads = [subprocess.Popen([harness.COMMAND, "-c", daemon.config, "reload"], stdout=subprocess.DEVNULL) for _ in range(3)]
        for turn in range(4):
            daemon.run("block", "off" if turn % 2 else "on")
            assert is_blocked(daemon, OTHER) == (turn % 2 == 0)
            if turn == 2:
                daemon.send(signal.SIGHUP)
        daemon.run("mode", "block", "--zone", "teredo", "--group", "gaming")
        assert [one.wait(15) for one in reloads] == [0, 0, 0]
        daemon.run("reload")
        assert is_blocked(daemon, CONSOLE) and not is_blocked(daemon, OTHER)


def test_schedule_of_now(teredown, nsd):
    """Two groups with spans around and beside this moment, in a time zone of their own."""
    now = int(time.time()) + 9 * 3600

    def span(from_s, to_s, mode):
        return "%s-%s %s" % (time.strftime("%H:%M", time.gmtime(now + from_s)), time.strftime("%H:%M", time.gmtime(now + to_s)), mode)
    daemon = teredown(nsd.endpoint, environment={"TZ": "JST-9"}, groups={
        "kids": {"clients": [CHILD], ("zone", "teredo"): {"schedule": [span(-7200, 7200, "block")]}},
        "gaming": {"clients": [CONSOLE], ("zone", "teredo"): {"mode": "watch", "schedule": [span(7200, 14400, "block")]}}})
    assert is_blocked(daemon, CHILD) and not is_blocked(daemon, CONSOLE) and not is_blocked(daemon, OTHER)
    seen = modes_of(daemon)
    assert seen["teredo", "kids"] == ("block", "schedule") and seen["teredo", "gaming"] == ("watch", "configuration")
    daemon.run("mode", "ignore", "--zone", "teredo", "--group", "kids", "--for", "1m")
    assert not is_blocked(daemon, CHILD)


def test_schedule_begins(folder, nsd):
    """The daemon's clock stands two seconds before a span."""
    clock = Clock(folder.path)
    if not clock.library:
        harness.missing("libfaketime is not installed")
    clock.set(58 - int(time.time()) % 60 - 60)
    begins = time.gmtime(time.time() + clock.seconds + 5)
    schedule = [time.strftime("%H:%M-", begins) + time.strftime("%H:%M block", time.gmtime(time.mktime(begins) - time.timezone + 3600))]
    daemon = harness.Teredown(folder.path, nsd.endpoint, environment=dict(clock.environment, TZ="UTC0"), zones={"teredo": {"schedule": schedule}})
    try:
        daemon.start()
        until(lambda: is_blocked(daemon, OTHER), "the schedule's mode", 15)
        until(lambda: "mode of teredo: watch to block by schedule, until " in daemon.log(), "a line of the log")
        clock.set(clock.seconds + 3600)
        daemon.run("reload")
        assert not is_blocked(daemon, OTHER)
    finally:
        daemon.stop()


def test_completion_of_zones_and_groups(teredown, nsd):
    from test_completions import complete
    daemon = teredown(nsd.endpoint, groups=GROUPS)
    words = [harness.COMMAND, "-c", daemon.config, "mode", "block"]
    assert complete(*words, "--group", "") == {"gaming", "kids"}
    assert {"teredo", "6to4", "isatap"} <= complete(*words, "--zone", "") and "ZONE" not in complete(*words, "--zone", "")


def test_configuration_is_checked_and_printed(folder, nsd):
    daemon = harness.Teredown(folder.path, nsd.endpoint, groups=GROUPS)

    def teredownd(*words):
        return subprocess.run([harness.DAEMON, "-c", daemon.config, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=30)
    assert teredownd("-t").returncode == 0
    printed = teredownd("-p").stdout
    assert 'group "gaming" {\n\tclients = { "%s", "127.0.43.0/24", "02:00:5e:10:00:01" }\n\tzone "teredo" {\n\t\tmode = watch\n\t}\n}\n' % CONSOLE in printed
    daemon.configure(groups={"kids": {"clients": [CHILD, CHILD], ("zone", "teredo"): {"mode": "off"}, ("zone", "nowhere"): {"mode": "watch"}}})
    done = teredownd("-t")
    assert done.returncode == 1 and all(word in done.stderr for word in ("already (line", "there is no such zone", '"off" is not known'))
