# SPDX-License-Identifier: BSD-3-Clause
"""What the dashboard says of clients and hours, against what the ordinary script wrote and what a daemon counted: a thousand clients.

Two walks, because to fill Redis takes longer than to ask.
"""

import contextlib

import big_site
import dashboard
import harness
from harness import number, until

NAMES_EACH = 4


class Place:
    """redis-server filled for two resolvers, a daemon of one of them, a dashboard."""

    def __init__(self, clients):
        self.folder = harness.Folder()
        self.server = harness.Redis(self.folder.path).start()
        self.store = self.server.client()
        self.store.config_set("appendfsync", "no")
        harness.before_the_hour_turns(45)
        self.site = big_site.BigSite(self.store, clients, NAMES_EACH * clients).fill().add_busy(clients + clients // 2, hour_rows=20, entries=100)
        self.other = big_site.BigSite(self.store, 50, 50, resolver="far", seed=2).fill()
        self.nsd = harness.Nsd(self.folder.path, "$ORIGIN .\n@ 60 SOA a. b. 1 2 3 4 5\n@ 60 NS a.\na. 60 A 192.0.2.1\n"
            "%s 60 A %s\n" % (big_site.TUNNEL, big_site.SERVER)).start()
        self.daemon = harness.Teredown(self.folder.path, self.nsd.endpoint, redis=self.server.url, redis_memory="512M",
            groups={"lab": {"clients": ["10.0.0.0/24"]}}).start()
        self.board = dashboard.Dashboard(self.folder.path, self.daemon, dashboard_reading="open").start()

    def end(self):
        self.board.stop()
        self.daemon.stop()
        self.nsd.kill()
        self.server.kill()
        self.folder.remove()


@contextlib.contextmanager
def make_place(clients):
    place = Place(clients)
    try:
        yield place
    finally:
        place.end()


def test_what_was_written():
    with make_place(1000) as place:
        every_client_once(place)
        like_the_command(place)
        one_client(place)
        many_pairs(place)
        hours(place)


def test_what_happens():
    with make_place(80) as place:
        what_is_asked_now(place)
        forgotten(place)
        daemon_restarts(place)
        redis_goes(place)


def many_pairs(place):
    """The first rows are those of the whole answer, and what is left out is said; the command has the same."""
    ask = "who?q=" + big_site.BUSY
    (whole,), (part,) = place.board.get(ask)["views"], place.board.get(ask + "&limit=10")["views"]
    assert len({(row["client"], row["name"]) for row in whole["pairs"]}) == len(whole["pairs"]) == 1500 and not whole["cut"] and part["cut"]
    assert [row["count"] for row in whole["pairs"]] == sorted((1 + number % 997 for number in range(1500)), reverse=True)
    for one in ("pairs", "clients", "names"):
        assert part[one] == whole[one][:10], one
    assert whole["totals"] == part["totals"] == {"clients": 1000, "names": 5, "drops": 0, "history": 0, "pairs": 1500}
    for one in ("count", "first", "last", "summary", "hosts", "policy"):
        assert part[one] == whole[one], one
    command, = place.daemon.json("who", big_site.BUSY, "-n", "10")["views"]
    assert command["pairs"] == part["pairs"] and command["totals"] == part["totals"]
    assert len(place.daemon.json("who", big_site.BUSY)["views"][0]["pairs"]) == 1500


def every_client_once(place):
    """Pages of every order hold all clients, each once, and their sums are what was written."""
    rows = {}
    for column in ("queries", "client", "name", "last"):
        seen, offset = [], 0
        while True:
            page = place.board.get("clients?sort=%s&offset=%d&limit=300" % (column, offset))
            if not page["rows"]:
                break
            seen += page["rows"]
            offset += len(page["rows"])
        rows = {row["client"]: row for row in seen}
        assert len(seen) == len(rows) == page["total"] == page["matching"] and page["exact"], column
    for client, queries in place.site.queries.items():
        assert rows[client]["queries"] == queries
    assert rows[big_site.client_of(20)]["told_teredo"]["server"] == big_site.SERVER
    assert rows[big_site.client_of(30)]["name"] == "pc-00030.corp.example" and rows[big_site.client_of(31)]["name"] is None
    found = place.board.get("clients?search=PC-0003&sort=name&order=asc")
    assert [row["name"] for row in found["rows"]] == ["pc-00030.corp.example"] and found["matching"] == 1


def like_the_command(place):
    """The head of the table is that of `top clients`, for a fleet too."""
    for extra, flags in (("", []), ("&resolver=*", ["--fleet"])):
        top = place.daemon.json("top", "clients", "-n", "30", *flags)
        page = place.board.get("clients?limit=30" + extra)
        names = place.daemon.json("top", "names", "-n", "5", *flags)
        assert place.board.get("names?limit=5" + extra)["rows"] == names["rows"] and len(names["rows"]) == 5
        for mine, theirs in zip(page["rows"], top["rows"]):
            assert mine["client"] == theirs["client"] and all(mine[key] == theirs[key] for key in ("queries", "watched", "nxdomain", "last"))


def one_client(place):
    client = place.board.get("clients/" + big_site.client_of(20))
    assert client["group"] == "lab" and client["zones"] == [dict(client["zones"][0], zone="teredo", hits=40)]
    watched = {row["name"]: row["watched"] for row in client["names"]}
    assert watched.pop(big_site.TUNNEL) and not any(watched.values()) and len(watched) == NAMES_EACH
    assert sum(client["hours"]["queries"]) == client["queries"] == place.site.queries[big_site.client_of(20)]
    assert place.board.get("clients/10.0.1.20")["group"] is None
    assert place.board.request("GET", "/api/v1/clients/192.0.2.250").status == 404


def hours(place):
    rows = place.board.get("hours?days=7")["hours"]
    assert len(rows) == 168 and rows[-1]["partial"] and sum("partial" in row for row in rows) == 1
    assert sum(row["queries"] for row in rows[:-1]) == 167000
    far = place.board.get("hours?days=1&resolver=*")["hours"]
    assert far[3]["watched"] == 80


def what_is_asked_now(place):
    """A query that a client asks is in the table and in the rates, without a reload; so is blocking."""
    board, daemon = place.board, place.daemon
    assert board.get("overview")["state"] == dict(board.get("overview")["state"], redis="ok", daemon="ok")

    def asked():
        daemon.ask(big_site.TUNNEL, source="127.0.60.41")
        now = board.get("overview")
        row = next((row for row in now["tunnelling"] if row["client"] == "127.0.60.41"), None)
        return now if row and now["now"]["queries_per_s"] and now["now"]["watched_per_s"] else None
    now = until(asked, "the overview shows who tunnels", interval_s=0.1)
    assert now["tunnelling"][0]["client"] == "127.0.60.41" and now["tunnelling"][0]["since"] and now["tunnelling"][0]["zone"] == "teredo"
    assert now["latency"]["forwarded"]["count"] >= 1 and now["latency"]["forwarded"]["p50_us"] <= now["latency"]["forwarded"]["p99_us"]
    assert 0 <= now["now"]["cache_hit_rate"] <= 1 and now["upstreams"][0]["state"] == "ok" and now["upstreams"][0]["resolver"] == harness.RESOLVER
    assert {zone["zone"]: zone["mode"] for zone in now["zones"]}["teredo"] == "watch"
    daemon.run("block", "on", "--for", "10m")
    blocked = until(lambda: next((zone for zone in board.get("overview")["zones"] if zone["zone"] == "teredo" and zone["mode"] == "block"), None),
        "the overview shows that it is blocked", interval_s=0.2)
    assert blocked["until"] and blocked["hits"] >= 40 * len(place.site.tunnellers)
    daemon.until_counted(0)
    until(lambda: board.get("clients?search=127.0.60.41")["matching"] == 1, "the table has the new client", interval_s=0.2)


def forgotten(place):
    """Who was forgotten leaves the table."""
    client = big_site.client_of(77)
    assert place.board.get("clients?search=%s" % client)["rows"][0]["client"] == client
    place.daemon.run("forget", client, "--yes")
    until(lambda: client not in [row["client"] for row in place.board.get("clients?search=%s" % client)["rows"]], "it is gone", interval_s=0.3)
    assert place.board.request("GET", "/api/v1/clients/" + client).status == 404


def daemon_restarts(place):
    """Rates over a restart are not negative; a daemon that is away is said to be, and what Redis knows stays."""
    board, daemon = place.board, place.daemon
    daemon.stop()
    away = until(lambda: next((now for now in [board.get("overview")] if now["state"]["daemon"] == "away"), None), "it is away")
    assert "not running" in away["state"]["daemon_words"] and away["state"]["redis"] == "ok" and away["day"]["queries"] > 20000
    daemon.start()
    daemon.ask("a", source="127.0.60.42")

    def back():
        now = board.get("overview")
        rates = [value for value in now["now"].values() if value is not None]
        assert all(rate >= 0 for rate in rates)
        return now["state"]["daemon"] == "ok" and now["now"]["queries_per_s"] is not None
    until(back, "it is back", interval_s=0.2)
    assert number(daemon.status(), "received") >= 1


def redis_goes(place):
    board = place.board
    before = board.get("overview")
    clients = board.get("clients")
    place.server.stop()
    now = until(lambda: next((now for now in [board.get("overview")] if now["state"]["redis"] == "away"), None), "Redis is away")
    assert now["day"] == before["day"] or now["day"]["queries"] >= before["day"]["queries"]
    assert now["state"]["redis_words"] and now["state"]["as_of"] and now["state"]["daemon"] == "ok" and now["now"]["queries_per_s"] is not None
    stale = until(lambda: next((page for page in [board.get("clients")] if page["stale"]), None), "the table is stale", interval_s=0.3)
    assert stale["total"] == clients["total"] and stale["as_of"] and len(stale["rows"]) == len(clients["rows"])
    place.server.start()
    until(lambda: board.get("overview")["state"]["redis"] == "ok" and not board.get("clients")["stale"], "Redis is back", interval_s=0.3)
