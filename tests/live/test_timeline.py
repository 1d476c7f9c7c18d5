# SPDX-License-Identifier: BSD-3-Clause
"""`teredown drops` and `teredown timeline` over what a daemon recorded of real lookups, with drops put into Redis beside it."""

import csv
import io
import re
import time

import pytest

from harness import key, until
from test_ingest import Log

TEREDO = "teredo.ipv6.microsoft.com"
SERVER = "65.55.158.118"
HARD_CODED = "203.0.113.250"
CLIENTS = {"127.0.61.1": 2, "127.0.61.2": 3, "127.0.61.3": 5}
OTHER = "127.0.61.4"
DROPS = 9


@pytest.fixture
def daemon(teredown, nsd):
    """Three clients that look for Teredo, a fourth that asks another name of the same address, and nine drops for each lookup."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    until(lambda: daemon.store().exists(key("meta")), "teredownd has written to Redis")
    asked = 0
    for client, times in CLIENTS.items():
        for _ in range(times):
            daemon.ask(TEREDO, source=client)
            asked += 1
    daemon.ask("shared.example.org", source=OTHER)
    daemon.until_counted(asked + 1)
    hour = time.strftime("%Y%m%d%H", time.gmtime())
    store = daemon.store()
    for client, times in CLIENTS.items():
        store.zincrby(key("hour", hour, "drops"), DROPS * times, "%s %s udp3544" % (client, SERVER))
        store.hincrby(key("timeline", SERVER), hour + ":firewall-drop", DROPS * times)
    store.zincrby(key("hour", hour, "drops"), 4, "%s %s -" % (OTHER, HARD_CODED))
    store.hincrby(key("timeline", HARD_CODED), hour + ":firewall-drop", 4)
    return daemon


def test_drops(daemon):
    report = daemon.json("drops")
    first, second = report["destinations"]
    assert first["address"] == SERVER and first["drops"] == 90 == first["udp3544"] and not first["hard_coded"]
    assert first["lookups"] == 11 and first["ratio"] == 8.2  # the fourth client's lookup told it, too
    names = {client["client"]: client["names"] for client in first["clients"]}
    assert names == {client: [TEREDO + "."] for client in CLIENTS}
    assert second["address"] == HARD_CODED and second["hard_coded"] and second["ratio"] is None
    text = daemon.run("drops")
    assert text.index(SERVER) < text.index(HARD_CODED) and "UDP 3544" in text and "(no lookup here)" in text
    assert " until " not in text
    assert re.search(r"2 destinations since \S+ \S+ until \S+ \S+, ", daemon.run("drops", "--until", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))


def test_timeline(daemon):
    chart = daemon.json("timeline", TEREDO)
    assert chart["kind"] == "name" and chart["lookups"] == 10 and chart["drops"] == 90 and chart["ratio"] == 9.0
    assert [series["source"] for series in chart["series"]] == ["dns", "firewall-drop"]
    by_client = daemon.json("timeline", SERVER, "--by", "client")
    sums = {(series["group"], series["source"]): series["sum"] for series in by_client["series"]}
    assert sums == {(client, source): times * factor for client, times in CLIENTS.items() for source, factor in (("dns", 1), ("firewall-drop", DROPS))}
    client = daemon.json("timeline", "127.0.61.3", "--by", "name")
    assert {(series["group"], series["source"]): series["sum"] for series in client["series"]} \
        == {(TEREDO + ".", "dns"): 5, (TEREDO + ".", "firewall-drop"): 45}
    rows = list(csv.DictReader(io.StringIO(daemon.run("timeline", SERVER, "--csv"))))
    assert 168 <= len(rows) <= 170 and sum(int(row["dns"]) for row in rows) == 11 and sum(int(row["firewall-drop"]) for row in rows) == 90
    text = daemon.run("timeline", SERVER)
    assert re.search(r"\A%s \(address\)" % SERVER, text) and "Drops to lookups: 8.2 (90 drops, 11 lookups)." in text
    assert "Nothing of: firewall-pass, proxy, eventlog." in text


def test_blocked(daemon):
    """Blocked lookups tell no address, and are lookups of the name all the same."""
    daemon.run("block", "on")
    daemon.ask(TEREDO, source="127.0.61.1")
    daemon.until_counted(13)
    assert daemon.json("timeline", TEREDO)["lookups"] == 11
    assert daemon.json("timeline", SERVER)["lookups"] == 11


def test_after_ingest(teredown, nsd, folder):
    """The figures of the story: only one name, three clients, nine drops for each lookup, no proxy; then a proxy that was asked by name."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    log, asked = Log(), 0
    for client, times in CLIENTS.items():
        for _ in range(times):
            daemon.ask(TEREDO, source=client)
            asked += 1
    daemon.until_counted(asked)
    now = time.time()
    lines = "".join(log.drop(now, client) for client, times in CLIENTS.items() for _ in range(DROPS * times))
    lines += "".join(log.drop(now, "127.0.61.2", "192.88.99.1", "41", 0) for _ in range(7))
    path = folder.write("firewall.log", lines)
    daemon.run("ingest", path)
    first, second = daemon.json("drops")["destinations"]
    assert (first["address"], first["drops"], first["lookups"], first["ratio"]) == (SERVER, 90, 10, 9.0)
    assert first["names"] == [TEREDO + "."] and {client["client"]: client["drops"] for client in first["clients"]} == {c: DROPS * n for c, n in CLIENTS.items()}
    assert (second["address"], second["proto41"], second["hard_coded"]) == ("192.88.99.1", 7, True)
    chart = daemon.json("timeline", SERVER)
    assert chart["ratio"] == 9.0 and [series["source"] for series in chart["series"]] == ["dns", "firewall-drop"]
    assert "Nothing of: firewall-pass, proxy, eventlog." in daemon.run("timeline", SERVER)
    proxy = "".join("%.3f   1 192.0.2.%d TCP_TUNNEL/200 39 CONNECT %s:443 - HIER_NONE/- -\n" % (now, index, TEREDO) for index in range(1, 4))
    daemon.run("ingest", folder.write("access.log", proxy), "--as", "squid")
    for word in (SERVER, TEREDO):
        assert {series["source"]: series["sum"] for series in daemon.json("timeline", word)["series"]}["proxy"] == 3
