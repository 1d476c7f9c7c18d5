# SPDX-License-Identifier: BSD-3-Clause
"""`teredown remediate` and `verify` on a real daemon: scripts that run, marks, and a client that comes back, which is noticed once."""

import ctypes.util
import datetime
import json
import os
import stat
import subprocess
import sys

import pytest

import harness
import powershell
from batches import Batches
from harness import key, until

TEREDO = "teredo.ipv6.microsoft.com"
CLIENT, OTHER_CLIENT = "127.0.15.7", "127.0.15.8"
HOUR_MS = 3600000


def program(folder, name, text):
    path = folder.write(name, text)
    os.chmod(path, stat.S_IRWXU)
    return path


def events(store, kind):
    return [entry for entry in (json.loads(fields["json"]) for _, fields in store.xrange(key("events"))) if entry["kind"] == kind]


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as text:
        return text.read().splitlines()


def make_quiet(store, client, zone="teredo"):
    """As if its last hit were an hour ago."""
    store.zincrby(key("watch", zone, "last"), -HOUR_MS, client)


def test_who_comes_back(folder, teredown, nsd):
    names = folder.write("hosts", "%s pc-17.corp.example\n" % CLIENT)
    output = os.path.join(folder.path, "told")
    command = program(folder, "tell", '#!/bin/sh\necho "$TEREDOWN_EVENT $TEREDOWN_CLIENT $TEREDOWN_ZONE $*" >>"%s"\n' % output)
    daemon = teredown(nsd.endpoint, redis="embedded", client_names=["hosts:" + names], event_command=[command, "an argument", "an argument"])
    store = daemon.store()

    def ask(count):
        ask.total += count
        for _ in range(count):
            daemon.ask(TEREDO, source=CLIENT)
        return daemon.until_counted(ask.total)
    ask.total = 0

    ask(3)
    daemon.ask(TEREDO, source=OTHER_CLIENT)
    ask.total += 1
    daemon.until_counted(ask.total)
    assert daemon.command("verify").returncode == 3
    listed = {host["client"]: host for host in daemon.json("remediate")["hosts"]}
    assert listed[CLIENT]["host"] == "pc-17.corp.example" and listed[CLIENT]["hits"] == 3
    assert listed[OTHER_CLIENT]["host"] is None, "a loopback address leads to nobody else"
    assert daemon.json("remediate", "--powershell", "--mark")["marked"] == 1
    assert daemon.json("verify")["clients"][0]["state"] == "silent"
    assert "All 1 are quiet" in daemon.run("verify")

    # It goes on at once: that is no return, but verify sees it.
    ask(1)
    done = daemon.command("verify")
    assert done.returncode == 5 and "asking and answered" in done.stdout, done.stdout
    daemon.run("block", "on")
    ask(1)
    done = daemon.command("verify", "--json")
    assert done.returncode == 5 and json.loads(done.stdout)["clients"][0]["state"] == "blocked"
    assert events(store, "remediated-back") == [] and lines(output) == []

    # After an hour of silence it is, and told once.
    for back in (1, 2):
        make_quiet(store, CLIENT)
        assert daemon.json("verify", "--client", CLIENT)["silent"] == 1
        ask(5)
        until(lambda: len(lines(output)) == back, "the command ran")
        told = events(store, "remediated-back")
        assert len(told) == back and told[-1]["client"] == CLIENT and told[-1]["zone"] == "teredo"
        assert told[-1]["text"] == "%s (pc-17.corp.example) was remediated and asks again, in zone teredo" % CLIENT
        if back == 1:
            # Neither what follows nor a restart says it again.
            daemon.stop()
            daemon.start()
            ask.total = 0
            ask(2)
            assert len(events(daemon.store(), "remediated-back")) == 1
            store = daemon.store()
    assert lines(output) == ["remediated-back %s teredo an argument an argument" % CLIENT] * 2
    shown = daemon.run("tail", "--events", "--once", "-n", "100")
    assert shown.count("remediated-back") == 2 and "new-client" in shown
    # Who is not marked any more is nobody's business.
    daemon.run("remediate", "--mark", "--undo", "--client", CLIENT)
    make_quiet(store, CLIENT)
    ask(1)
    assert len(events(store, "remediated-back")) == 2


EVENT = """<Events><Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Iphlpsvc'/>
<EventID>%d</EventID><TimeCreated SystemTime='%s'/><Channel>System</Channel><Computer>%s</Computer></System>
<EventData><Data Name='ProtocolType'>Teredo</Data><Data Name='Interface'>Teredo Tunneling Pseudo-Interface</Data></EventData></Event></Events>
"""


def test_event_log(folder, teredown, nsd):
    """A host that asks nobody any more, and whose own event log says otherwise."""
    if not harness.is_built_with("EXPAT"):
        pytest.skip("built without expat")
    names = folder.write("hosts", "%s pc-17.corp.example\n" % CLIENT)
    daemon = teredown(nsd.endpoint, redis="embedded", client_names=["hosts:" + names])
    daemon.ask(TEREDO, source=CLIENT)
    daemon.until_counted(1)
    daemon.run("remediate", "--mark")

    def ingest(name, event, minutes):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        path = folder.write(name, EVENT % (event, at.strftime("%Y-%m-%dT%H:%M:%S.0000000Z"), "PC-17.corp.example"))
        daemon.run("ingest", path)
        return daemon.command("verify", "--json")
    for name, event, minutes, state, code in (("old.xml", 4200, -60, "silent", 0), ("up.xml", 4200, 1, "active", 5), ("down.xml", 4201, 2, "silent", 0)):
        done = ingest(name, event, minutes)
        assert (json.loads(done.stdout)["clients"][0]["state"], done.returncode) == (state, code), name


def mark(store, client, at, *zones):
    store.hset(key("remediated"), client, json.dumps({"at": at, "by": "root", "method": "netsh", "zones": list(zones)}))


def test_returns_in_the_script(redis_server):
    """What a batch says of who came back: in whichever zone, once, and again when its answer was lost."""
    store = redis_server.client()
    batches = Batches(store)
    batches.send([batches.hit("teredo", "192.0.2.%d" % index) for index in range(1, 6)] + [batches.hit("ads", "192.0.2.1")])
    start = batches.now_ms
    for index in range(1, 5):
        mark(store, "192.0.2.%d" % index, start + 1000, "teredo", "6to4")
    store.hset(key("remediated"), mapping={"192.0.2.6": "nonsense", "192.0.2.7": '{"at":null,"zones":{}}', "192.0.2.8": '{"zones":[[]]}'})

    def after(minutes, *items):
        batches.now_s = (start + minutes * 60000) / 1000
        return batches.send([batches.hit(*item) for item in items])[6]

    assert after(5, ("teredo", "192.0.2.1")) == [], "it never stopped"
    back = after(60, ("ads", "192.0.2.1"), ("6to4", "192.0.2.1"), ("teredo", "192.0.2.1"), ("teredo", "192.0.2.5"), ("teredo", "192.0.2.6"),
        ("teredo", "192.0.2.7"), ("teredo", "192.0.2.8"))
    assert back == ["192.0.2.1", "6to4", str(batches.now_ms)], "one return, in the zone it was seen first"
    again = batches.call(*batches.words([]))
    assert again[0] == "duplicate" and again[6] == back, "an answer that was lost is told again"
    assert after(61, ("teredo", "192.0.2.1"), ("6to4", "192.0.2.1")) == []
    assert batches.call(*batches.words([]))[6] == []
    # A batch from before the mark, sent late.
    assert batches.send([batches.hit("teredo", "192.0.2.2", ms=start)])[6] == []
    assert after(70, ("teredo", "192.0.2.2"), ("6to4", "192.0.2.3"))[0::3] == ["192.0.2.2", "192.0.2.3"]
    kinds = [json.loads(fields["json"])["kind"] for _, fields in store.xrange(key("events"))]
    assert kinds.count("remediated-back") == 3


def test_returns_where_tables_are_full(redis_server):
    """A client that has no place anywhere is told once all the same."""
    store = redis_server.client()
    batches = Batches(store, clients=1)
    batches.send([batches.client("192.0.2.1"), batches.hit("teredo", "192.0.2.1")])
    mark(store, "192.0.2.9", 1, "teredo")
    back = [batches.send([batches.hit("teredo", "192.0.2.9")])[6] for _ in range(3)]
    assert [len(words) for words in back] == [3, 0, 0]


def test_forgotten(teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="embedded")
    daemon.ask(TEREDO, source=CLIENT)
    daemon.until_counted(1)
    assert daemon.json("remediate", "--mark", "--client", CLIENT)["marked"] == 1
    assert daemon.json("forget", CLIENT, "--yes")["rows"] > 0
    assert daemon.store().hgetall(key("remediated")) == {}


# --- scripts ---

HOSTS = {"192.0.2.1": "pc-17.corp.example.", "192.0.2.2": "", "192.0.2.3": "'; Stop-Computer #", "2001:db8::5": "$(reboot)",
    "192.0.2.4": "\u2019; Stop-Computer; \u2018", "192.0.2.5": "a\nStop-Computer\n", "'; Stop-Computer #": "x"}


@pytest.fixture
def network(redis_server, teredown, nsd):
    """A daemon over a Redis with hosts, some of them with a mind of their own."""
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    store = redis_server.client()
    for hits, (client, name) in enumerate(HOSTS.items()):
        store.zadd(key("watch", "teredo"), {client: 100 - hits})
        store.zadd(key("watch", "teredo", "last"), {client: 1795000000000})
        store.hset(key("client", client), mapping={"name": name, "queries": 5})
    return daemon


def expected_hosts():
    return ["pc-17.corp.example", "192.0.2.2", "192.0.2.3", "2001:db8::5", "192.0.2.4", "192.0.2.5"]


@pytest.mark.parametrize("undo", [(), ("--undo",)])
def test_powershell(network, folder, undo):
    script = network.run("remediate", "--powershell", *undo)
    powershell.check(script)
    literals, said = powershell.strings(script), powershell.comments(script)
    assert "Stop-Computer" not in script and "reboot" not in script and script.isascii()
    if not undo:
        at = literals.index(expected_hosts()[0])
        assert literals[at:at + 6] == expected_hosts()
        assert any(comment == "#  192.0.2.4, 96 hits, last 2026-11-18T11:06:40.000000Z" for comment in said), said
        assert "$answer.Before -ne 'Disabled'" in script, "what is off, by an earlier run or another name, is not kept as what it had"
        assert script.index("cannot be kept is not changed") < script.index("\n$table = Read-Kept")
        assert "Disabled" in literals and script.index("Export-Csv") < script.index("-Arguments @('Disabled')")
    else:
        assert not set(expected_hosts()) & set(literals), "the file knows them"
        one = network.run("remediate", "--powershell", "--undo", "--client", "pc-17.corp.example")
        assert "pc-17.corp.example" in powershell.strings(one)
        powershell.check(one)
    # The checker itself can fail.
    for wrong in (script.replace("-LiteralPath", "-Litteral"), script + "}", script.replace("$table = ", "$other = "), script + "'", script + '"x"'):
        with pytest.raises(powershell.Fault):
            powershell.check(wrong)
    try:
        from pygments.lexers import PowerShellLexer
        from pygments.token import Error
    except ImportError:
        pass
    else:
        assert not [text for kind, text in PowerShellLexer().get_tokens(script) if kind is Error]
    if powershell.find_pwsh():
        assert powershell.parse_with_pwsh(folder.write("script.ps1", script)) == ""


SSH = r"""#!/bin/sh
# Stands for ssh: runs the command here, with the state of that host.
while [ "$1" != -- ]; do shift; done
host=$2
shift 2
[ "$host" != 192.0.2.2 ] || exit 255
export STATE="%(folder)s/$host"
exec "$@"
"""
SYSTEMCTL = r"""#!/bin/sh
# Stands for systemctl: a unit is a file with two words.
verb=$1
shift
[ "$1" != --now ] || shift
[ -e "$STATE" ] && [ "$1" = miredo.service ] || { [ "$verb" = is-enabled ] && echo "Failed" >&2; exit 1; }
read -r enabled active <"$STATE"
case $verb in is-*) ;; *) [ ! -e "$STATE.stuck" ] || exit 1 ;; esac
case $verb in
is-enabled) echo "$enabled"; exit 0 ;;
is-active) echo "$active"; exit 0 ;;
disable) enabled=disabled active=inactive ;;
mask) enabled=masked ;;
unmask) enabled=disabled ;;
enable) enabled=enabled ;;
start) active=active ;;
esac
echo "$enabled $active" >"$STATE"
"""


def test_linux(network, folder):
    """The shell script runs, over a stand-in for ssh: it keeps what there was, stops miredo, and its inverse brings all of it back."""
    program(folder, "ssh", SSH % {"folder": folder.path})
    program(folder, "systemctl", SYSTEMCTL)
    program(folder, "sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    environment = {"PATH": folder.path + ":/usr/bin:/bin", "HOME": folder.path}

    def state(host):
        with open(os.path.join(folder.path, host)) as text:
            return text.read().strip()

    def run(script, *hosts):
        path = folder.write("script.sh", script)
        done = subprocess.run(["sh", path, *hosts], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
        return done.returncode, done.stdout

    before = {"pc-17.corp.example": "enabled active", "192.0.2.3": "disabled active", "192.0.2.4": "masked inactive"}
    for host, words in before.items():
        folder.write(host, words + "\n")
    off = network.run("remediate", "--linux")
    for _ in range(2):
        code, said = run(off)
        assert code == 1 and "192.0.2.2: no answer" in said and "192.0.2.5: no miredo" in said, said
        assert {host: state(host) for host in before} == dict.fromkeys(before, "masked inactive"), said
    kept = lines(os.path.join(folder.path, "teredown-miredo-live"))
    assert sorted(kept) == sorted("%s %s" % pair for pair in before.items() if pair[1] != "masked inactive"), "what was off is nothing to give back"
    folder.write("stopped", "enabled failed\n")
    folder.write("stuck", "enabled inactive\n")
    folder.write("stuck.stuck", "")
    code, said = run(off, "stopped", "stuck")
    assert code == 1 and "stopped: miredo is stopped" in said and "stuck: enabled inactive (before: enabled inactive)" in said, said
    with open(os.path.join(folder.path, "teredown-miredo-live"), "a") as out:
        out.write("192.0.2.9 $(reboot) active")
    undo = network.run("remediate", "--linux", "--undo")
    code, said = run(undo, "pc-17.corp.example")
    assert code == 0 and state("pc-17.corp.example") == "enabled active" and state("192.0.2.3") == "masked inactive", said
    code, said = run(undo)
    assert code == 0 and {host: state(host) for host in before} == before and state("stopped") == "enabled inactive", said
    assert lines(os.path.join(folder.path, "teredown-miredo-live")) == ["192.0.2.9 $(reboot) active"]
    for script in (off, undo):
        assert "Stop-Computer" not in script and "reboot" not in script
        path = folder.write("script.sh", script)
        assert subprocess.run(["sh", "-n", path]).returncode == 0
        if harness.find("shellcheck"):
            checked = subprocess.run([harness.find("shellcheck"), "-s", "sh", "-S", "warning", path], stdout=subprocess.PIPE, universal_newlines=True)
            assert checked.returncode == 0, checked.stdout


LIBNFTABLES = """
import ctypes, sys
library = ctypes.CDLL("libnftables.so.1")
library.nft_ctx_new.restype, library.nft_ctx_get_error_buffer.restype = ctypes.c_void_p, ctypes.c_char_p
context = ctypes.c_void_p(library.nft_ctx_new(0))
library.nft_ctx_buffer_error(context)
library.nft_ctx_set_dry_run(context, True)
failed = library.nft_run_cmd_from_buffer(context, sys.stdin.buffer.read())
sys.exit(library.nft_ctx_get_error_buffer(context).decode() if failed else 0)
"""


def test_firewall(network, redis_server):
    """Where there are libnftables and a network of one's own, nft itself reads its part."""
    def nft(rules):
        return subprocess.run(["unshare", "-rn", sys.executable, "-c", LIBNFTABLES], input=rules, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True)
    texts = [network.run("remediate", "--firewall", *client) for client in ((), ("--client", "192.0.2.2"))]
    assert ["elements = { 192.0.2.2 }" in text for text in texts] == [False, True]
    # A name with several addresses: all that are of IPv4 keep it, whichever asks most; without one it is said.
    store = redis_server.client()
    for client in ("192.0.2.2", "192.0.2.3", "2001:db8::5"):
        store.hset(key("client", client), "name", "keeper.example")
    store.zadd(key("watch", "teredo"), {"2001:db8::5": 1000})
    texts.append(network.run("remediate", "--firewall", "--client", "keeper.example"))
    assert "elements = { 192.0.2.2, 192.0.2.3 }" in texts[-1] and texts[-1].count(" -j RETURN") == 2 and "2001:db8::5" not in texts[-1], texts[-1]
    texts.append(network.run("remediate", "--firewall", "--client", "2001:db8::5"))
    assert "elements" not in texts[-1] and "no IPv4 address is known" in texts[-1]
    if not ctypes.util.find_library("nftables") or not harness.find("unshare") or nft("list ruleset\n").returncode != 0:
        return
    for text in texts:
        rules = text[text.index("table ip teredown"):text.index("# iptables")]
        assert nft(rules + rules).returncode == 0, nft(rules).stdout
        assert nft(rules.replace("dport", "dprt")).returncode != 0
