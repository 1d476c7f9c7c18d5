# SPDX-License-Identifier: BSD-3-Clause
"""The dashboard over a fleet of three resolvers: what it answers is what the commands print, member for member, for one resolver, another and
all of them; one that cannot be read is missing and hides nobody; and no name that a client chose gets anywhere but into a string."""

import contextlib
import json
import os
import re
import time
import urllib.parse

import dns.name
import jsonschema
import pytest

import dashboard
import harness
import week
from harness import until

TEREDO, SERVER = "teredo.ipv6.microsoft.com", "65.55.158.118"
NAMES = ("gw1", "gw2", "gw3")
CLIENTS = ("127.0.70.1", "127.0.70.2", "127.0.70.3")
HOSTILE = [b"<script>", b"=1+1", b'say "hi"', b"a\nb", b"\x1b[2J", b"\xff\xfe", "\u202etxt".encode(), b"a.b", b"*other", b" ", b"x" * 63]
WILD = "$TTL 60\n@ SOA localhost. root.localhost. 1 1 1 1 1\n@ NS localhost.\n*.wild.example.org CNAME .\n"
DESCRIPTION = json.load(open(os.path.join(harness.SOURCE, "resolver/control/dashboard/web/openapi.json")))


class Site:
    """Three daemons, their Redis, a dashboard beside the first, and a browser of its API that validates what it gets."""

    def __init__(self, folder, store, daemons, board):
        self.folder, self.store, self.daemons, self.board = folder, store, daemons, board

    def get(self, path, template=None, **parameters):
        reply = self.board.get(path + ("?" + urllib.parse.urlencode(parameters) if parameters else ""))
        described = DESCRIPTION["paths"]["/api/v1/" + (template or path)]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(reply, dict(described, components=DESCRIPTION["components"]), jsonschema.Draft202012Validator)
        return reply

    def problem(self, path, status, **parameters):
        reply = self.board.request("GET", "/api/v1/%s?%s" % (path, urllib.parse.urlencode(parameters)))
        assert reply.status == status, reply
        return reply.json()["detail"]

    def zone(self, name, **parameters):
        return next(zone for zone in self.get("watch", **parameters)["zones"] if zone["zone"] == name)


def timeless(value):
    """Without what a second changes: how long ago something was, when it was looked at, the TTL of a record."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in ("until", "time", "gauge_at")}
    if isinstance(value, list):
        return [timeless(inner) for inner in value]
    return re.sub(r"just now|\d+ (s|min) ago|(?<=\. )\d+(?= (A|AAAA|CNAME) )", "then", value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def site(nsd):
    from conftest import _Daemons
    folder = harness.Folder()
    store = harness.Redis(folder.path).start()
    wild = folder.write("wild.rpz", WILD)
    daemons = _Daemons()
    board = None
    try:
        fleet = [daemons(nsd.endpoint, redis=store.url, resolver_name=name, zones={"wild": {"file": wild, "mode": "watch"}},
            groups={"lab": {"clients": [CLIENTS[2]], ("zone", "teredo"): {"mode": "watch"}}}) for name in NAMES]
        for number, daemon in enumerate(fleet):
            for client in CLIENTS[:number + 1]:
                for _ in range(number + 2):
                    daemon.ask(TEREDO, source=client)
                daemon.ask("www.example.org", source=client)
            for label in HOSTILE:
                daemon.ask(dns.name.Name((label, b"wild", b"example", b"org", b"")), source=CLIENTS[0])
        asked = [sum(number + 3 for _ in CLIENTS[:number + 1]) + len(HOSTILE) for number in range(3)]
        for daemon, count in zip(fleet, asked):
            daemon.until_counted(count)
        now = int(time.time())
        log = folder.write("firewall.log", week.FirewallLog(now - 60).drops(now, CLIENTS[0], SERVER, 3544, 9))
        fleet[0].run("ingest", log)
        fleet[0].run("remediate", "--mark")
        board = dashboard.Dashboard(folder.path, fleet[0], fleet=True, dashboard_reading="open").start()
        yield Site(folder, store, fleet, board)
    finally:
        if board:
            status = board.stop()
        daemons.end()
        store.stop()
        folder.remove()
        if board:
            assert status == 0 and not harness.SANITIZER.search(board.log()), board.log()


# --- the same as the commands ---

ASKED = [
    ("who", {"q": SERVER}, ["who", SERVER]),
    ("who", {"q": TEREDO}, ["who", TEREDO]),
    ("who", {"q": CLIENTS[0]}, ["who", CLIENTS[0]]),
    ("timeline", {"q": SERVER, "since": "2d", "span": "6h"}, ["timeline", SERVER, "--since", "2d", "--span", "6h"]),
    ("timeline", {"q": TEREDO, "by": "client"}, ["timeline", TEREDO, "--by", "client"]),
    ("policy/rules", {"zone": "teredo"}, ["policy", "list", "--rules", "--zone", "teredo"]),
    ("policy/rules", {}, ["policy", "list", "--rules"]),
]


def assert_same(page, command, words):
    """Both are asked again while they differ: gauges may come between the two, or the hour turn."""
    with contextlib.suppress(harness.Failure):
        until(lambda: timeless(page()) == timeless(command()), words)
    assert timeless(page()) == timeless(command()), words


@pytest.mark.parametrize("resolver", ["gw1", "gw2", "*"])
def test_same_as_the_commands(site, resolver):
    whose = ["--fleet"] if resolver == "*" else ["--resolver", resolver]
    for path, parameters, words in ASKED:
        assert_same(lambda: site.get(path, resolver=resolver, **parameters), lambda: site.daemons[0].json(*words, *whose), (path, parameters))
    assert_same(lambda: [dict(row, last_batch=None) for row in site.get("health", resolver=resolver)["fleet"]],
        lambda: [dict(row, last_batch=None) for row in site.daemons[0].json("status", *whose)["resolvers"]], "the fleet")


def test_same_as_the_commands_of_one(site):
    """What only the resolver beside the dashboard has, or its daemon says."""
    first = site.daemons[0]
    assert_same(lambda: site.get("drops", since="1d", resolver="gw1"), lambda: first.json("drops", "--since", "1d"), "drops")
    assert_same(lambda: site.get("verify", resolver="gw1"), lambda: first.json("verify"), "verify")
    for words in ([TEREDO], [TEREDO, "--type", "AAAA", "--client", CLIENTS[2]], ["www.example.org", "--no-ask"]):
        parameters = {"name": words[0], **dict(zip((word[2:] for word in words[1::2]), words[2::2]))}
        if "--no-ask" in words:
            parameters = {"name": words[0], "ask": "0"}
        # Whoever comes second finds the answer in the cache, unless it has just expired.
        until(lambda: timeless(site.get("policy/test", **parameters)) == timeless(first.json("policy", "test", *words)), "the same explanation")
    status, shown = first.json("status"), site.get("health")["daemon"]["status"]
    assert set(status) == set(shown) and status["zone"] == shown["zone"] and status["listen"] == shown["listen"]
    listed = {zone["name"]: zone for zone in first.json("policy", "list")["zones"]}
    for zone in site.get("policy", resolver="gw1")["zones"]:
        other = listed[zone["zone"]]
        assert all(zone[key] == other[key] for key in ("kind", "mode", "rules", "sources", "fault")), zone


def test_problems(site):
    assert "nothing is recorded of 203.0.113.77" in site.problem("who", 404, q="203.0.113.77")
    assert "6to4" in site.problem("who", 404, q="192.88.99.1", resolver="gw1")
    assert "--span takes" in site.problem("timeline", 400, q=SERVER, span="7h")
    assert "\"q\" is missing" in site.problem("who", 400)
    assert site.problem("drops", 404, resolver="gw2").startswith("no dropped packet")
    assert '"gw9"' in site.problem("who", 404, q=SERVER, resolver="gw9") and site.board.request("GET", "/metrics?resolver=gw9").status == 404
    assert "type of records" in site.problem("policy/test", 400, name=TEREDO, type="BANANA")
    site.problem("who", 400, q=SERVER, strange="1")
    for path in ("watch/nosuch", "watch/special-use"):
        assert site.board.request("GET", "/api/v1/" + path).status == 404


# --- sums ---

def test_sums_of_the_fleet(site):
    for resolver, whose in (("*", ["--fleet"]), ("gw3", ["--resolver", "gw3"])):
        rows = [row for row in site.daemons[0].json("top", "watched", *whose)["rows"] if row["zone"] == "teredo"]
        zone = site.zone("teredo", resolver=resolver)
        assert zone["hits"] == sum(row["hits"] for row in rows) and zone["clients"] == len(rows)
        assert sum(zone["trend"]["counts"]) == zone["hits"] == zone["hits_today"] + zone["hits_yesterday"]
        assert [(name["name"], name["hits"], name["clients"]) for name in zone["names"]] == [(TEREDO + ".", zone["hits"], len(rows))]
        one = site.get("watch/teredo", "watch/{zone}", resolver=resolver)
        assert {(row["client"], row["hits"], row["last"]) for row in one["clients"]} == {(row["client"], row["hits"], row["last"]) for row in rows}
        assert one["total"] == len(rows) and one["others"] == 0 and all(row["new"] for row in one["clients"])
        assert all(row["told_teredo"]["server"] == SERVER for row in one["clients"])
        assert {row["client"] for row in zone["new_clients"]} == {row["client"] for row in rows} and zone["new_count"] == len(rows)
    hits = [site.zone("teredo", resolver=name)["hits"] for name in NAMES]
    assert hits == [2, 6, 12] and site.zone("teredo")["hits"] == 20
    policy = {zone["zone"]: zone for zone in site.get("policy")["zones"]}
    assert policy["teredo"]["hits"] == 20 and policy["teredo"]["clients"] == 3


def test_streams(site):
    every = site.get("transactions", limit=1000)["rows"]
    assert [row["ts"] for row in every] == sorted((row["ts"] for row in every), reverse=True)
    assert {row["resolver"] for row in every} == set(NAMES) and len(every) == 20 + 3 * len(HOSTILE)
    assert len(site.get("transactions", client=CLIENTS[2], resolver="gw3")["rows"]) == 4
    events = site.get("events", kind="new-client")["rows"]
    assert {event["resolver"] for event in events} == set(NAMES)
    site.store.client().xadd("teredown:{gw1}:events", {"ts": 1, "json": "{\"kind\":"})
    assert site.get("events", limit=1000)["rows"] == site.get("events", limit=999)["rows"]
    assert site.get("events", client=CLIENTS[1], resolver="gw2")["rows"][0]["text"].startswith(CLIENTS[1] + " in zone")


# --- one of them cannot be read ---

def test_one_is_missing(site):
    client, key = site.store.client(), "teredown:{gw2}:watch:teredo"
    before = site.zone("teredo")["hits"]
    client.rename(key, key + ":aside")
    client.set(key, "no sorted set")
    try:
        answer = site.get("watch", resolver="*")
        assert answer["missing"] == ["gw2"] and answer["resolvers"] == ["gw1", "gw3"]
        assert next(zone for zone in answer["zones"] if zone["zone"] == "teredo")["hits"] == before - 6
        assert "WRONGTYPE" in site.problem("watch", 503, resolver="gw2")
        assert site.get("who", q=SERVER, resolver="gw2")["found"]
    finally:
        client.delete(key)
        client.rename(key + ":aside", key)
    assert site.zone("teredo", resolver="gw2")["hits"] == 6
    # Each thread that answers finds that out for itself.
    until(lambda: all(site.get("watch", resolver="*")["missing"] == [] for _ in range(12)), "the resolver is back", interval_s=0.5)
    assert site.zone("teredo")["hits"] == before


# --- modes, and a daemon that is away ---

def test_modes(site):
    first = site.daemons[0]
    first.run("mode", "block", "--zone", "teredo", "--for", "10m")
    first.run("mode", "ignore", "--zone", "isatap", "--group", "lab")
    try:
        answer = site.get("policy")
        zone = next(zone for zone in answer["zones"] if zone["zone"] == "teredo")
        assert (zone["mode"], zone["from"], zone["kind"], zone["state"]) == ("block", "command", "tunnel", "ok") and zone["user"]
        assert zone["since"] < zone["until"]
        (group,) = answer["groups"]
        assert group["group"] == "lab" and group["clients"] == [CLIENTS[2]]
        assert {(cell["zone"], cell["mode"], cell["from"]) for cell in group["zones"]} == \
            {("teredo", "watch", "configuration"), ("isatap", "ignore", "command")}
        assert site.zone("teredo")["mode"] == "block" and site.zone("teredo")["until"] == zone["until"]
        other = next(zone for zone in site.get("policy", resolver="gw2")["zones"] if zone["zone"] == "teredo")
        assert other["mode"] is None and other["state"] == "unknown" and other["hits"] == 6
    finally:
        first.run("mode", "reset")


def test_modes_of_a_client(site):
    """Beside a client stands what holds for it: of its group, where that has another mode than everybody else."""
    first = site.daemons[0]

    def modes():
        return {row["client"]: row["mode"] for row in site.get("overview")["tunnelling"] if row["zone"] == "teredo"}

    def of_page(client, **parameters):
        page = site.get("clients/" + client, "clients/{client}", **parameters)
        return page["group"], next(row["mode"] for row in page["zones"] if row["zone"] == "teredo")

    first.run("mode", "block", "--zone", "teredo")
    try:
        until(lambda: modes() == dict(zip(CLIENTS, ("block", "block", "watch"))), "the overview has the modes", deadline_s=10)
        assert of_page(CLIENTS[0]) == (None, "block") and of_page(CLIENTS[2]) == ("lab", "watch")
        assert of_page(CLIENTS[2], resolver="gw3") == ("lab", None)
        # A mode shows at once, long before the figures are looked up again.
        first.run("mode", "ignore", "--zone", "teredo", "--group", "lab")
        until(lambda: modes()[CLIENTS[2]] == "ignore", "the group's mode has changed", deadline_s=10)
    finally:
        first.run("mode", "reset")


def test_daemon_is_away(site):
    first = site.daemons[0]
    first.stop()
    try:
        health = site.get("health")
        assert health["daemon"]["state"] == "away" and "not running" in health["daemon"]["words"] and health["daemon"]["status"] is None
        assert health["redis"]["state"] == "ok" and {row["resolver"] for row in health["fleet"]} == set(NAMES)
        policy = site.get("policy")
        assert policy["daemon"]["state"] == "away" and {zone["state"] for zone in policy["zones"]} == {"unknown"}
        assert {zone["zone"]: zone["hits"] for zone in policy["zones"]}["teredo"] == 20
        assert site.zone("teredo")["mode"] is None and site.zone("teredo")["hits"] == 20
        assert "teredownd is not running" in site.problem("policy/test", 503, name=TEREDO)
    finally:
        first.start()
    until(lambda: site.get("health")["daemon"]["state"] == "ok", "the daemon is back")


# --- hostile names ---

def test_hostile_names(site):
    """Names that clients asked come back as the text they are, in plain ASCII; what is asked for is escaped as well."""
    wild = site.zone("wild")
    names = {dns.name.from_text(row["name"]).to_digestable() for row in wild["names"]}
    assert {dns.name.Name((label, b"wild", b"example", b"org", b"")).to_digestable() for label in HOSTILE} == names
    assert wild["hits"] == 3 * len(HOSTILE) and site.get("watch")["unplaced"] == 0
    paths = ["watch", "watch/wild", "events", "transactions?limit=1000", "policy/rules", "health", "policy"]
    for label in HOSTILE:
        name = dns.name.Name((label, b"wild", b"example", b"org", b"")).to_text()
        quoted = urllib.parse.quote(name, safe="")
        paths += ["who?q=" + quoted, "timeline?q=" + quoted, "policy/test?name=%s&ask=0" % quoted]
        assert dns.name.from_text(site.get("who", q=name)["query"]).to_digestable() == dns.name.from_text(name).to_digestable()
        raw = urllib.parse.quote(label)
        paths += ["watch/" + raw, "who?q=" + raw, "verify?client=" + raw, "policy/rules?zone=" + raw, "events?client=" + raw, "drops?since=" + raw,
            "health?resolver=" + raw]
    for path in paths:
        reply = site.board.request("GET", "/api/v1/" + path)
        assert reply.status in (200, 400, 404, 503), (path, reply)
        assert reply.body.isascii() and not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", reply.body), path
        assert reply.headers["content-type"] in ("application/json", "application/problem+json")
        reply.json()
