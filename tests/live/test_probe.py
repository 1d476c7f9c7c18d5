# SPDX-License-Identifier: BSD-3-Clause
"""teredown probe: against miredo-server, and against servers of our own that do what servers should not."""

import json
import os
import signal
import subprocess
import time

import pytest

import harness
from network import Network
from teredo_server import TeredoServers, advertisement, solicitation

pytestmark = pytest.mark.timed
UNMET = 5 # a host answers


def probe(*words, stdin=None, before=()):
    """The completed command, without a daemon, a configuration or a home."""
    done = subprocess.run([*before, harness.COMMAND, "probe", *words], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True, timeout=60)
    if harness.SANITIZER.search(done.stderr):
        raise harness.Failure("sanitizer report:\n" + done.stderr)
    return done


def probe_json(*words, code=None, **options):
    done = probe("--json", *words, **options)
    assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    assert answer["summary"]["hosts"] == len(answer["hosts"])
    return answer


def states(answer):
    return {row["host"]: row["state"] for row in answer["hosts"]}


# --- scripts ---

def silent(*_):
    return []


def right(address, second=None, after=0.0):
    """A server as RFC 4380 wants it."""
    return lambda nonce, cone, peer: [(after, second if cone and second else address, advertisement(nonce, cone, peer, address))]


def plain_only(address, make, after=0.0):
    """Answers what make(nonce, peer) says to solicitations without the cone bit."""
    return lambda nonce, cone, peer: [] if cone else [(after, address, make(nonce, peer))]


def at(place):
    return "127.0.50.%d" % place


def answer_with(place, **options):
    return plain_only(at(place), lambda nonce, peer: advertisement(nonce, False, peer, at(place), **options))


# host: script, state, reason, part of the words
BEHAVIOURS = {
    at(1): (right(at(1), at(2)), "answers", None, "second address " + at(2)),
    at(2): (right(at(2), at(1)), "answers", None, "second address " + at(1)),
    at(3): (right(at(3)), "answers", None, "no second address"),
    at(4): (answer_with(4), "answers", None, "nothing came from a second address"),
    at(5): (lambda nonce, cone, peer: [(0, at(2), advertisement(nonce, cone, peer, at(5)))], "answers", None, "came from " + at(2)),
    at(6): (right(at(6), after=1.3), "answers", None, "late"),
    at(7): (lambda nonce, cone, peer: [(0, at(7), advertisement(nonce, cone, peer, at(1)))], "answers", None, "names the server " + at(1)),
    at(8): (silent, "inconclusive", "silence", "silence after 3 packets"),
    at(9): (plain_only(at(9), lambda *_: b"HTTP/1.0 400 Bad Request\r\n\r\n" * 4), "inconclusive", "invalid", "no IPv6 packet"),
    at(10): (plain_only(at(10), lambda *_: b""), "inconclusive", "invalid", "less than its lengths say"),
    at(11): (plain_only(at(11), lambda _, peer: advertisement(b"ABCDEFGH", False, peer)), "inconclusive", "invalid", "a nonce that is not ours"),
    at(12): (plain_only(at(12), lambda _, peer: advertisement(None, False, peer)), "inconclusive", "invalid", "no authentication header"),
    at(13): (answer_with(13, spoil=1), "inconclusive", "invalid", "wrong checksum"),
    at(14): (plain_only(at(14), lambda nonce, peer: advertisement(nonce, False, peer)[:-9]), "inconclusive", "invalid", "less than its lengths say"),
}


def test_every_answer_in_one_call(folder):
    """A list of hosts, each of which does something else; also one where nobody listens."""
    port, closed = harness.free_port(), at(99)
    listed = folder.write("findings.txt",
        "# exported\r\n" + "".join("%s # %s\r\n" % (host, row[3]) for host, row in BEHAVIOURS.items()) + closed)
    with TeredoServers(port, {host: row[0] for host, row in BEHAVIOURS.items()}) as servers:
        answer = probe_json("-f", listed, "-p", str(port), "--wait", "1s", "--tries", "2", "--rate", "500", code=UNMET)
    rows = {row["host"]: row for row in answer["hosts"]}
    assert list(rows) == list(BEHAVIOURS) + [closed], "in the order of the list"
    for host, (_, state, reason, words) in BEHAVIOURS.items():
        row = rows[host]
        assert (row["state"], row["reason"]) == (state, reason) and words in row["words"], row
    assert answer["summary"] == {"hosts": 15, "answers": 7, "refused": 1, "inconclusive": 7, "untested": 0}
    first = rows[at(1)]
    assert first["prefix"] == "2001:0:7f00:3201::/64" and first["server"] == at(1) and first["mtu"] == 1280 and not first["late"]
    assert first["second"] == {"address": at(2), "port": port} and first["packets"] == 2 and 0 < first["rtt_us"] < 1000000
    assert first["origin"]["address"].startswith("127.") and first["origin"]["port"] > 0
    assert rows[at(6)]["late"] and rows[at(6)]["rtt_us"] >= 1300000
    refused = rows[closed]
    assert (refused["state"], refused["reason"], refused["icmp"]) == ("refused", "unreachable-port", {"type": 3, "code": 3, "from": closed})
    assert rows[at(8)]["source_ignored"] is True, "loopback is no address that servers answer"
    nonces = [solicitation(packet)[0] for _, _, packet in servers.asked]
    assert len(set(nonces)) == len(nonces), "a nonce of its own for each packet"


def test_exit_codes_before_and_after(folder):
    """The call of a script: while it answers, when it is gone, and what could not be asked."""
    port, host = harness.free_port(), "127.0.51.1"
    words = ("%s:%d" % (host, port), "--wait", "1s", "--tries", "1")
    with TeredoServers(port, {host: right(host)}):
        before = probe(*words)
    after = probe(*words)
    assert before.returncode == UNMET and "1 answers." in before.stdout and "a Teredo server listens there" in before.stdout, before
    assert after.returncode == 0 and "1 refused." in after.stdout and "port unreachable, says the host itself" in after.stdout, after
    with TeredoServers(port, {host: silent}):
        quiet = probe(words[0], "--wait", "200ms", "--tries", "1")
    assert quiet.returncode == 0 and "1 inconclusive." in quiet.stdout and "We ask from 127.0.0.1" in quiet.stdout, quiet
    unknown = probe("a" * 64 + ".example.net", words[0], *words[1:])
    assert unknown.returncode == 1 and "1 refused, 1 untested." in unknown.stdout, unknown
    assert not (before.stderr or after.stderr or quiet.stderr or unknown.stderr)


def test_lists_and_names(folder):
    """Standard input, a host twice, a name; a faulty list sends nothing at all."""
    port, host = harness.free_port(), "127.0.0.1"
    listed = "localhost\n%s\n%s:%d\n" % (host, host, port)
    with TeredoServers(port, {host: right(host)}) as servers:
        answer = probe_json("-f", "-", "-p", str(port), "--wait", "1s", stdin=listed, code=UNMET)
        assert states(answer) == {"localhost": "answers", host: "answers"} and len(answer["hosts"]) == 2
        assert [row["line"] for row in answer["hosts"]] == [1, 2]
        assert len(servers.asked) == 2, "asked once, and for its second address"
        bad = folder.write("bad.txt", "%s:%d\n10.0.0.0/24\n\n2001:db8::1 nonsense:x\n" % (host, port))
        done = probe("-f", bad)
        assert done.returncode == 2 and done.stdout == "" and len(servers.asked) == 2
        for part in (bad + ':2: "10.0.0.0/24" is a network', bad + ":4: ", "is an IPv6 address", '"nonsense:x" has a port', "nothing was sent"):
            assert part in done.stderr, (part, done.stderr)
    assert probe("-f", folder.write("empty.txt", "# none\n")).returncode == 3


def test_rate_and_many_refusals():
    """All ICMP errors of a burst are heard; a rate is kept."""
    port = harness.free_port()
    hosts = ["127.0.%d.%d" % (52 + place // 250, place % 250 + 1) for place in range(500)]
    answer = probe_json("-f", "-", "-p", str(port), "--rate", "1000", "--wait", "2s", stdin="\n".join(hosts), code=0)
    assert answer["summary"]["refused"] == 500, answer["summary"]
    start = time.monotonic()
    probe_json("-f", "-", "-p", str(port), "--rate", "20", stdin="\n".join(hosts[:11]), code=0)
    assert time.monotonic() - start >= 0.5, "eleven packets at 20 a second"


def test_ends_when_told():
    """A deadline, and Ctrl-C: what was found is printed, the rest is said to be untested."""
    port = harness.free_port()
    hosts = ["127.0.54.%d" % place for place in range(1, 61)]
    scripts = {host: silent for host in hosts}
    scripts[hosts[0]] = right(hosts[0])
    words = ["-f", "-", "-p", str(port), "--rate", "20", "--wait", "5s"]
    with TeredoServers(port, scripts) as servers:
        answer = probe_json(*words, "--deadline", "1s", stdin="\n".join(hosts), code=UNMET)
        summary = answer["summary"]
        assert summary["answers"] == 1 and summary["untested"] >= 35 and summary["inconclusive"] >= 1 and not answer["interrupted"], summary
        assert {row["reason"] for row in answer["hosts"] if row["state"] == "untested"} == {"not-asked"}

        asked = len(servers.asked)
        child = subprocess.Popen([harness.COMMAND, "probe", "--json", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            universal_newlines=True)
        child.stdin.write("\n".join(hosts[1:]))
        child.stdin.close()
        harness.until(lambda: len(servers.asked) > asked + 1, "it has begun")
        child.send_signal(signal.SIGINT)
        answer = json.loads(child.stdout.read())
        child.stdout.close()
        assert child.wait() == 1 and answer["interrupted"] and answer["summary"]["untested"] >= 1


# --- namespaces ---

SERVER, SECOND, CLIENT, PRIVATE = "65.55.158.118", "65.55.158.119", "198.41.0.7", "10.20.30.40"


@pytest.fixture
def network():
    network = Network([CLIENT, PRIVATE], [SERVER, SECOND])
    if network.why:
        pytest.skip(network.why)
    yield network
    network.close()


class Miredo(harness.Process):
    """The real thing. It wants to be root first and somebody else then."""

    def __init__(self, folder, network):
        config = os.path.join(folder, "miredo-server.conf")
        with open(config, "w") as out:
            out.write("ServerBindAddress %s\nServerBindAddress2 %s\n" % (SERVER, SECOND))
        super().__init__("miredo-server", network.enter("far") + [harness.find("miredo-server"), "-f", "-c", config, "-u", "nobody",
            "-p", os.path.join(folder, "miredo.pid")], folder)


def ask_from(network, *words, **options):
    return probe_json(*words, before=network.enter("near"), **options)["hosts"][0]


def test_miredo_server(network, folder, need):
    """The story of a finding: it answers, also at its second address; not to a private address; it is stopped; it is filtered."""
    need("miredo-server")
    if network.user:
        pytest.skip("miredo-server wants to be root first and somebody else then")
    server = Miredo(folder.path, network).start()
    try:
        row = server.until(lambda: _answering(network), "miredo-server answers")
        assert row["prefix"] == "2001:0:4137:9e76::/64" and row["server"] == SERVER and row["mtu"] == 1280
        assert row["origin"]["address"] == CLIENT and row["second"] == {"address": SECOND, "port": 3544} and row["from"]["address"] == SERVER
        assert 0 < row["rtt_us"] < 1000000 and row["packets"] == 2 and not row["late"]
        row = ask_from(network, SECOND, "--wait", "1s", code=UNMET)
        assert row["second"]["address"] == SERVER and "names the server " + SERVER in row["words"]

        network.run("near", "ip", "route", "change", SERVER, "dev", "wire", "src", PRIVATE)
        row = ask_from(network, SERVER, "--wait", "200ms", code=0)
        assert (row["state"], row["reason"], row["source"], row["source_ignored"]) == ("inconclusive", "silence", PRIVATE, True), row
        text = probe(SERVER, "--wait", "100ms", "--tries", "1", before=network.enter("near")).stdout
        assert "private addresses (RFC 4380, 5.3.1)" in text and "We ask from " + PRIVATE in text
        network.run("near", "ip", "route", "change", SERVER, "dev", "wire", "src", CLIENT)
    finally:
        server.stop()
    row = ask_from(network, SERVER, "--wait", "1s", code=0)
    assert (row["state"], row["reason"]) == ("refused", "unreachable-port") and row["icmp"]["from"] == SERVER


def _answering(network):
    row = ask_from(network, SERVER, "--wait", "300ms", "--tries", "1")
    return row if row["state"] == "answers" and row["second"] else None


def test_routers_say_no(network):
    """ICMP of a router on the way, and of our own host: prohibited is a refusal, unreachable proves nothing, no way is untested."""
    network.run("far", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    for kind, place in (("prohibit", "203.0.113.1"), ("unreachable", "203.0.113.2"), ("blackhole", "203.0.113.3")):
        network.run("far", "ip", "route", "add", kind, place)
        network.run("near", "ip", "route", "add", place, "via", SERVER, "dev", "wire")
    network.run("near", "ip", "route", "add", "unreachable", "203.0.113.4")
    answer = probe_json(*("203.0.113.%d" % place for place in range(1, 6)), "--wait", "300ms", "--tries", "2", code=1,
        before=network.enter("near"))
    rows = {row["host"]: row for row in answer["hosts"]}
    assert [(row["state"], row["reason"]) for row in rows.values()] == [("refused", "prohibited"), ("inconclusive", "unreachable"),
        ("inconclusive", "silence"), ("untested", "not-sent"), ("untested", "not-sent")]
    assert rows["203.0.113.1"]["icmp"] == {"type": 3, "code": 13, "from": SERVER}
    assert rows["203.0.113.2"]["icmp"] == {"type": 3, "code": 1, "from": SERVER}
    assert rows["203.0.113.3"]["source"] == CLIENT and rows["203.0.113.3"]["source_ignored"] is False
    assert "No route" in rows["203.0.113.4"]["words"] and "unreachable" in rows["203.0.113.5"]["words"]
