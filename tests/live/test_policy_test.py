# SPDX-License-Identifier: BSD-3-Clause
"""`teredown policy test` and `policy list`: what they say is what a client is told, with the file and line that made it so."""

import os

import pytest

import harness
import wire
from harness import addresses_of, number, rcode_of
from test_lists import LISTS, TOLD

TEREDO = "teredo.ipv6.microsoft.com"
SOA = "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 900 604800 300\n"


def steps_of(verdict):
    """The rules that match, in order, as (zone, trigger, outcome)."""
    return [(step["zone"], step["trigger"], step["outcome"]) for step in verdict["steps"] if step["rule"]]


def test_says_what_a_client_is_told(teredown, nsd, folder):
    """For each name of a zone a format: blocked where a client gets NXDOMAIN or data of a list, by the line that has the name."""
    zones = {name: {"file": folder.write(name + ".list", text), "format": name, "mode": "block"} for name, text in LISTS.items()}
    daemon = teredown(nsd.endpoint, zones=zones)
    for name in TOLD:
        verdict = daemon.json("policy", "test", name)
        answer = daemon.ask(name)
        truth = name in ("h4.example.org", "h10.example.org", "www.example.org")
        exception = "good.wild" in name
        assert verdict["verdict"] == ("none" if truth else "pass" if exception else "block"), name
        won = [step for step in verdict["steps"] if step["outcome"] == "won"]
        assert len(won) == (0 if truth else 1)
        if rcode_of(answer) == "NXDOMAIN":
            assert verdict["reply"] == "NXDOMAIN" and won[0]["action"] == "nxdomain"
        if not won:
            assert verdict["answer"]["rcode"] == "NOERROR" and addresses_of(answer)[0] in verdict["answer"]["records"][0]
            continue
        with open(won[0]["source"]) as source:
            line = source.read().splitlines()[won[0]["line"] - 1]
        label = "wild" if "wild" in name else next(part for part in name.split(".") if part not in ("a", "x"))
        assert (label if label not in ("h80", "h90") else label[:2]) in line, (name, line)
        if addresses_of(answer) and not exception:
            assert addresses_of(answer)[0] in verdict["data"][0] and won[0]["action"] == "local-data"


def test_every_step_in_order(teredown, nsd, folder):
    """Ignored, watched, recorded, decides, behind: each zone's rule has its place and its effect."""
    modes = ["ignore", "watch", "watch", "block", "block", "watch"]
    path = folder.write("x.rpz", SOA + "www.example.org CNAME .\n")
    daemon = teredown(nsd.endpoint, zones={"z%d" % index: {"file": path, "mode": mode} for index, mode in enumerate(modes)})
    verdict = daemon.json("policy", "test", "WWW.example.org")
    assert steps_of(verdict) == [("z0", "question", "ignored"), ("z1", "question", "watched"), ("z2", "question", "watched"),
        ("z3", "question", "won"), ("z4", "question", "behind"), ("z5", "question", "behind")]
    assert [step["zone"] for step in verdict["steps"]] == list(harness.zones_of(daemon.status()))
    assert verdict["name"] == "www.example.org." and verdict["answer"]["why"] == "not-needed"
    assert all(step["source"] == path and step["line"] == 3 for step in verdict["steps"] if step["rule"])
    daemon.run("mode", "watch", "--zone", "z3")
    daemon.run("mode", "watch", "--zone", "z4")
    verdict = daemon.json("policy", "test", "www.example.org")
    assert verdict["verdict"] == "watch" and verdict["decided"].startswith("z1 ")
    assert [outcome for _, _, outcome in steps_of(verdict)] == ["ignored", "recorded", "watched", "watched", "watched", "watched"]
    text = daemon.run("policy", "test", "www.example.org")
    assert "is watched" in text and path + ":3" in text and "recorded, the search goes on" in text


def test_rules_on_the_answer(teredown, upstream):
    """A name of the CNAME chain is judged: asked for once, for no client; then cached. With --no-ask nobody is asked."""
    def script(packet, asked, tcp):
        target = wire.name("win10.ipv6.microsoft.com")
        records = [wire.rr(b"\xc0\x0c", wire.CNAME, 60, target), wire.rr(target, wire.A, 60, bytes([192, 0, 2, 1]))]
        return [(0, wire.reply(packet, answers=records))]
    server = upstream(script)
    daemon = teredown(server.endpoint)
    before = daemon.status()
    blind = daemon.json("policy", "test", "innocent.example.org", "--no-ask")
    assert blind["verdict"] == "none" and blind["answer"] == {"from": "none", "why": "not-cached", "rcode": "-", "records": []}
    first = daemon.json("policy", "test", "innocent.example.org")
    assert first["verdict"] == "watch" and steps_of(first) == [("teredo", "chain", "recorded")]
    assert first["answer"]["from"] == "upstream" and len(first["answer"]["records"]) == 2
    again = daemon.json("policy", "test", "innocent.example.org", "--no-ask")
    assert again["answer"]["from"] == "cache" and again["steps"] == first["steps"]
    after = daemon.status()
    assert number(after, "received") == number(before, "received") and number(after, "answered") == number(before, "answered")
    assert number(after, "upstream_udp") - number(before, "upstream_udp") == 1
    daemon.run("block", "on")
    blocked = daemon.json("policy", "test", "innocent.example.org")
    assert blocked["verdict"] == "block" and blocked["reply"] == "NXDOMAIN"
    assert rcode_of(daemon.ask("innocent.example.org")) == "NXDOMAIN"


def test_answers_that_do_not_come(teredown, upstream):
    """A server that fails, one that is silent, an answer that may not be kept: the question is judged, and why no more."""
    def script(packet, asked, tcp):
        if b"zero" in packet.lower():
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 0, bytes([192, 0, 2, 1]))]))]
        return []
    daemon = teredown(upstream(script).endpoint, upstream_timeout=500)
    assert daemon.json("policy", "test", "zero.example.org")["answer"]["why"] == "not-kept"
    assert daemon.json("policy", "test", "silent.example.org")["answer"]["why"] == "failed"
    assert "only the question is judged" in daemon.run("policy", "test", "silent2.example.org")


def test_what_is_known_here(teredown, nsd, folder):
    """Hosts files, names that never leave, special-use names: answered from here, and nobody is asked."""
    path = folder.write("hosts", "192.0.2.5 printer.example.org\n")
    daemon = teredown(nsd.endpoint, hosts=[path], forwards={"inside.example": {"upstream": []}})
    host = daemon.json("policy", "test", "printer.example.org")
    assert host["verdict"] == "local" and host["reply"] == "the data of a hosts file" and host["decided"].startswith("hosts ")
    never = daemon.json("policy", "test", "x.inside.example")
    assert never["verdict"] == "local" and "never forwarded" in never["reply"]
    special = daemon.json("policy", "test", "localhost", "--type", "AAAA")
    assert special["verdict"] == "local" and special["data"] == ["localhost. 300 AAAA ::1"] and steps_of(special)[0][0] == "special-use"
    refused = daemon.json("policy", "test", TEREDO, "--client", "203.0.113.9")
    assert refused["access"] == "refused" and refused["verdict"] == "watch"
    assert "refused before any rule" in daemon.run("policy", "test", TEREDO, "--client", "203.0.113.9")


def test_types_that_are_not_asked(teredown, nsd):
    """ANY is answered from here, so no answer is judged; a transfer is refused before any rule is looked at."""
    daemon = teredown(nsd.endpoint)
    before = daemon.status()
    verdict = daemon.json("policy", "test", "www.example.org", "--type", "ANY")
    assert verdict["verdict"] == "none" and "minimal" in verdict["reply"] and verdict["answer"]["why"] == "not-needed"
    transfer = daemon.command("policy", "test", "www.example.org", "--type", "AXFR")
    assert transfer.returncode != 0 and "refused" in transfer.stderr
    after = daemon.status()
    assert [number(after, key) for key in ("upstream_udp", "upstream_tcp")] == [number(before, key) for key in ("upstream_udp", "upstream_tcp")]


def test_special_use_below_what_never_leaves(teredown, nsd):
    """The longer of the two answers, and is the one that is named."""
    daemon = teredown(nsd.endpoint, forwards={"arpa": {"upstream": []}})
    verdict = daemon.json("policy", "test", "1.0.0.10.in-addr.arpa", "--type", "PTR")
    assert verdict["verdict"] == "local" and verdict["decided"].startswith("special-use "), verdict
    verdict = daemon.json("policy", "test", "1.0.0.11.in-addr.arpa", "--type", "PTR")
    assert verdict["verdict"] == "local" and verdict["decided"].startswith("forward ")


def test_by_client(teredown, nsd, folder):
    """A client's group has its own mode, a rule on its address comes first, an override stands in place of the rule's action."""
    path = folder.write("x.rpz", SOA + "www.example.org CNAME .\n32.9.0.0.127.rpz-client-ip CNAME rpz-drop.\n24.0.2.0.192.rpz-ip CNAME .\n")
    daemon = teredown(nsd.endpoint, zones={"x": {"file": path, "mode": "block"}})
    daemon.write_config(harness.render(daemon.settings) + 'group "free" { clients = { "127.0.0.8" } zone "x" { mode = ignore } }\n')
    daemon.run("reload")
    ask = lambda name, client: daemon.json("policy", "test", name, "--client", client)
    assert ask("www.example.org", "127.0.0.7")["verdict"] == "block"
    free = ask("www.example.org", "127.0.0.8")
    assert free["group"] == "free" and free["verdict"] == "none" and steps_of(free)[0] == ("x", "question", "ignored")
    dropped = ask("two.example.org", "127.0.0.9")
    assert dropped["reply"] == "no reply" and steps_of(dropped) == [("x", "client", "won")]
    assert [step["line"] for step in dropped["steps"] if step["rule"]] == [4]
    told = ask("two.example.org", "127.0.0.7")
    assert steps_of(told) == [("x", "address", "won")] and told["reply"] == "NXDOMAIN"
    assert rcode_of(daemon.ask("two.example.org", source="127.0.0.7")) == "NXDOMAIN"
    daemon.settings[("zone", "x")]["override"] = "cname walled.example.org"
    daemon.configure()
    daemon.run("reload")
    walled = daemon.json("policy", "test", "www.example.org")
    assert "alias" in walled["reply"] and "CNAME walled.example.org." in walled["data"][0] and walled["steps"][-1]["action"] == "local-data"


@pytest.mark.parametrize("words, says", [
    (["policy"], "needs test, list or refresh"),
    (["policy", "test"], "takes a name"),
    (["policy", "test", "a..b"], "needs a name"),
    (["policy", "test", "a", "--type", "NOPE"], "does not know this type"),
    (["policy", "test", "a", "--client", "nobody"], "--client takes"),
    (["policy", "test", "a", "--zone", "teredo"], "test takes a name"),
    (["policy", "list", "--type", "A"], "takes nothing but --zone"),
])
def test_wrong_usage(words, says):
    done = harness.subprocess.run([harness.COMMAND, *words], stdout=harness.subprocess.PIPE, stderr=harness.subprocess.STDOUT,
        universal_newlines=True, timeout=30)
    assert done.returncode == 2 and says in done.stdout


def test_list(teredown, nsd, folder):
    """The zones in order; for each file its lines, and what became of those that were not used."""
    first = folder.write("first", "||a.example^\n||a.example^\n@@||free.example^\n||x.free.example^\nexample.org##.ad\n||a..b^\n")
    second = folder.write("second", "||b.example^\n")
    daemon = teredown(nsd.endpoint, zones={"ads": {"file": [first, second], "format": "adblock", "mode": "block"}})
    zones = daemon.json("policy", "list")["zones"]
    assert [zone["name"] for zone in zones] == list(harness.zones_of(daemon.status()))
    ads = daemon.json("policy", "list", "--zone", "ads")["zones"]
    assert len(ads) == 1 and ads[0] == zones[-1] and ads[0]["mode"] == "block" and ads[0]["format"] == "adblock" and ads[0]["fault"] is None
    assert ads[0]["sources"] == [
        {"path": first, "format": "adblock", "read": 6, "used": 2, "skipped": 1, "repeated": 1, "foreign": 1, "overruled": 1},
        {"path": second, "format": "adblock", "read": 1, "used": 1, "skipped": 0, "repeated": 0, "foreign": 0, "overruled": 0}]
    text = daemon.run("policy", "list", "--zone", "ads")
    assert "6 lines, 2 rules; 1 repeated, 1 not for DNS, 1 overruled by exceptions, 1 skipped: 1 no domain name." in text
    os.remove(second)
    daemon.command("reload")
    faulty = daemon.json("policy", "list", "--zone", "ads")["zones"][0]
    assert second in faulty["fault"] and "of an earlier reading" in daemon.run("policy", "list", "--zone", "ads")
    assert daemon.command("policy", "list", "--zone", "nowhere").returncode == 1
