# SPDX-License-Identifier: BSD-3-Clause
"""Two resolvers over one Redis: the command line reads one or both, and exports what clients were really told, in every format."""

import collections
import csv
import io
import ipaddress
import json
import subprocess

import dns.message
import dns.name
import pytest

import harness
from harness import addresses_of, until

TEREDO = "teredo.ipv6.microsoft.com"
# What a spreadsheet, a shell, a terminal or a parser could take for something else.
HOSTILE = [b"=1+1", b"@sum", b"-2", b"+3", b"'quote", b'say "hi", you', b"a\nb", b"\x1b[2J", b"\xff\xfe", b"a.b", b"*other", b" "]


class Truth:
    """What the clients were told: (resolver, client, question) and the address, how often."""

    def __init__(self):
        self.told, self.asked = collections.Counter(), collections.Counter()

    def ask(self, daemon, qname, client, qtype="A"):
        name = dns.name.Name(tuple(qname) + (b"",)) if isinstance(qname, (list, tuple)) else dns.name.from_text(qname)
        answer = daemon.ask(name, qtype, source=client)
        resolver = daemon.settings["resolver-name"]
        self.asked[resolver, client] += 1
        for address in addresses_of(answer):
            self.told[resolver, client, name.to_digestable(), str(ipaddress.ip_address(address))] += 1


def wire_of(text):
    """A name as the export writes it, as octets; dnspython reads presentation format by itself."""
    return dns.name.from_text(text).to_digestable()


@pytest.fixture(scope="module")
def fleet(nsd):
    """Two daemons, one Redis, some clients; the truth about them."""
    from conftest import _Daemons
    folder = harness.Folder()
    store = harness.Redis(folder.path).start()
    daemons, truth = _Daemons(), Truth()
    try:
        both = [daemons(nsd.endpoint, redis=store.url, resolver_name=name) for name in ("live", "other")]
        for number, daemon in enumerate(both):
            for client in ("127.0.16.1", "127.0.16.2", "127.0.16.%d" % (3 + number)):
                for qname in ("www.example.org", "alias.example.org", "many.example.org", TEREDO, "nosuch.example.org"):
                    truth.ask(daemon, qname, client)
                truth.ask(daemon, "www.example.org", client, "AAAA")
            for _ in range(3 + number):
                truth.ask(daemon, "two.example.org", "127.0.16.1")
            for label in HOSTILE:
                truth.ask(daemon, [label, b"wild", b"example", b"org"], "127.0.16.2")
            truth.ask(daemon, "shared.example.org", "127.0.16.9")
        for daemon in both:
            daemon.until_counted(sum(count for (resolver, _), count in truth.asked.items() if resolver == daemon.settings["resolver-name"]))
        yield both, truth, store
    finally:
        daemons.end()
        store.stop()
        folder.remove()


# --- top, who, status, tail ---

def test_top(fleet):
    (first, _), truth, _ = fleet
    sums = collections.Counter()
    for (_, client), count in truth.asked.items():
        sums[client] += count
    rows = first.json("top", "--fleet")
    assert rows["resolvers"] == ["live", "other"] and rows["missing"] == [] and rows["exact"]
    assert {row["client"]: row["queries"] for row in rows["rows"] if row["client"].startswith("127.0.16.")} == sums
    for resolver in ("live", "other"):
        own = {client: count for (name, client), count in truth.asked.items() if name == resolver}
        rows = first.json("top", "--resolver", resolver)
        assert {row["client"]: row["queries"] for row in rows["rows"] if row["client"].startswith("127.0.16.")} == own
    names = {row["name"]: row["queries"] for row in first.json("top", "names", "--fleet", "--days", "2")["rows"]}
    assert names["two.example.org."] == 7 and names[TEREDO + "."] == 6
    watched = {row["client"]: row["hits"] for row in first.json("top", "watched", "--fleet")["rows"]}
    assert watched == {"127.0.16.1": 2, "127.0.16.2": 2, "127.0.16.3": 1, "127.0.16.4": 1}


def test_who(fleet):
    (first, _), truth, _ = fleet
    answer = first.json("who", "65.55.158.118", "--fleet")
    rows = {(row["resolver"], row["client"], row["name"], row["address"]): row["count"] for row in answer["views"][0]["pairs"]}
    expected = {(resolver, client, dns.name.from_wire(name, 0)[0].to_text(), address): count
        for (resolver, client, name, address), count in truth.told.items() if address == "65.55.158.118"}
    assert rows == expected
    text = first.run("who", "127.0.16.1", "--fleet")
    assert "RESOLVER" in text and "live " in text and "other " in text


def test_status_and_tail(fleet):
    (first, second), _, _ = fleet
    rows = {row["resolver"]: row for row in first.json("status", "--fleet")["resolvers"]}
    assert set(rows) == {"live", "other"} and {row["state"] for row in rows.values()} == {"writing"}
    records = first.json("tail", "--fleet", "--once", "-n", "100")
    assert {record["resolver"] for record in records} == {"live", "other"}
    assert [record["ts"] for record in records] == sorted(record["ts"] for record in records)
    second.stop()
    until(lambda: {row["resolver"]: row["state"] for row in first.json("status", "--fleet")["resolvers"]} == {"live": "writing", "other": "stopped"},
        "the second resolver has stopped")
    second.start()
    until(lambda: first.json("status", "--resolver", "other")["resolvers"][0]["state"] == "writing", "the second resolver writes again")


def test_one_is_unreadable(fleet):
    (first, _), truth, store = fleet
    client = store.client()
    name = "teredown:{broken}:clients:queries"
    client.sadd("teredown:resolvers", "broken")
    client.set(name, "no sorted set")
    try:
        done = first.command("top", "--fleet", "--json")
        assert done.returncode == 4 and "broken" in done.stderr
        answer = json.loads(done.stdout)
        assert answer["missing"] == ["broken"] and answer["resolvers"] == ["live", "other"]
        assert {row["client"] for row in answer["rows"]} >= {"127.0.16.1", "127.0.16.4"}
    finally:
        client.srem("teredown:resolvers", "broken")
        client.delete(name)


# --- export ---

def csv_of(daemon, *words):
    """The rows of an export; a pipe for text would hide how its lines end."""
    done = subprocess.run([harness.COMMAND, "-c", daemon.config, "export", *words, "--format", "csv"], stdout=subprocess.PIPE, check=True)
    return read_csv(done.stdout.decode("ascii"))


def pairs_of(rows):
    """(resolver, client, question, address) and the count, of exported rows."""
    return {(row["resolver"], row["client"], wire_of(row["name"]), row["address"]): int(row["count"]) for row in rows if row["client"].startswith("127.0.16.")}


def read_csv(text):
    """RFC 4180, strictly; the apostrophe that keeps a text from being a formula is taken off again."""
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    for row in rows:
        for value in row.values():
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return [{field: value[1:] if value.startswith("'") else value for field, value in row.items()} for row in rows]


def check_cof(text, clients=False):
    """Every line an object with the mandatory fields of the draft, of their types, and no field that we do not know."""
    seen, rows = set(), []
    for line in text.splitlines():
        row = json.loads(line)
        assert line.isascii() and isinstance(row, dict)
        known = {"rrname", "rrtype", "rdata", "time_first", "time_last", "count", "time_first_ms", "time_last_ms", "sensor_id"}
        assert set(row) - known == ({"client", "question"} if clients else set())
        assert {"rrname", "rrtype", "rdata", "time_first", "time_last"} <= set(row)
        assert row["rrname"].endswith(".") and wire_of(row["rrname"])
        assert row["rrtype"] == {4: "A", 6: "AAAA"}[ipaddress.ip_address(row["rdata"]).version] and row["rdata"] == str(ipaddress.ip_address(row["rdata"]))
        for field in ("time_first", "time_last", "count", "time_first_ms", "time_last_ms"):
            assert type(row[field]) is int and row[field] > 0
        assert row["time_first"] == row["time_first_ms"] // 1000 and row["time_last"] == row["time_last_ms"] // 1000
        assert row["time_first_ms"] <= row["time_last_ms"]
        if not clients:
            assert (row["rrname"], row["rrtype"], row["rdata"]) not in seen, "a record once"
            seen.add((row["rrname"], row["rrtype"], row["rdata"]))
        rows.append(row)
    return rows


def test_export_is_what_was_told(fleet):
    (first, _), truth, _ = fleet
    rows = first.json("export", "pairs", "--fleet")
    assert pairs_of(rows) == truth.told
    for resolver in ("live", "other"):
        own = {pair: count for pair, count in truth.told.items() if pair[0] == resolver}
        assert pairs_of(first.json("export", "pairs", "--resolver", resolver)) == own
    alias = [row for row in rows if row["name"] == "alias.example.org."]
    assert {row["owner"] for row in alias} == {"www.example.org."} and {row["type"] for row in alias} == {"A"}


def test_export_csv(fleet):
    (first, _), truth, _ = fleet
    rows = csv_of(first, "pairs", "--fleet")
    assert pairs_of(rows) == truth.told
    as_json = first.json("export", "pairs", "--fleet")
    assert [{field: str(value) for field, value in row.items() if field not in ("first", "last")} for row in as_json] == \
        [{field: value for field, value in row.items() if field not in ("first", "last")} for row in rows]


def test_export_cof(fleet):
    (first, _), truth, _ = fleet
    as_json = first.json("export", "pairs", "--fleet")
    counts = collections.Counter()
    for row in as_json:
        counts[row["owner"], row["type"], row["address"]] += row["count"]
    text = first.run("export", "pairs", "--fleet", "--format", "cof")
    rows = check_cof(text)
    assert {(row["rrname"], row["rrtype"], row["rdata"]): row["count"] for row in rows} == counts
    assert "127.0.16." not in text and "sensor_id" not in text
    assert {row["sensor_id"] for row in check_cof(first.run("export", "pairs", "--format", "cof"))} == {"live"}
    detailed = check_cof(first.run("export", "pairs", "--fleet", "--format", "cof", "--with-clients"), clients=True)
    assert {(row["sensor_id"], row["client"], wire_of(row["question"]), row["rdata"]): row["count"] for row in detailed
        if row["client"].startswith("127.0.16.")} == truth.told


@pytest.mark.parametrize("options, wanted", [
    (["--client", "127.0.16.2"], lambda client, name, address: client == "127.0.16.2"),
    (["--name", "WWW.example.org"], lambda client, name, address: name == "www.example.org."),
    (["--name", "*.wild.example.org"], lambda client, name, address: name.endswith(".wild.example.org.")),
    (["--address", "65.55.158.118"], lambda client, name, address: address == "65.55.158.118"),
    (["--address", "2001:db8:0::1", "--client", "127.0.16.1"], lambda client, name, address: client == "127.0.16.1" and address == "2001:db8::1"),
    (["--since", "1h"], lambda client, name, address: True),
    (["--until", "2026-01-01T00:00:00Z"], lambda client, name, address: False),
    (["--since", "2000-01-01", "--until", "1s"], lambda client, name, address: True),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_export_filters(fleet, options, wanted):
    (first, _), truth, _ = fleet
    expected = {pair: count for pair, count in truth.told.items() if wanted(pair[1], dns.name.from_wire(pair[2], 0)[0].to_text(), pair[3])}

    def exported():
        done = first.command("export", "pairs", "--fleet", *options)
        assert done.returncode in (0, 3), done.stderr
        pairs = pairs_of([json.loads(line) for line in done.stdout.splitlines()])
        return done.returncode if pairs == expected else None
    # What was told within the last second is not there for "--until 1s".
    until(lambda: exported() == (0 if expected else 3), "these pairs alone")


def test_export_transactions(fleet):
    (first, _), truth, _ = fleet
    records = first.json("export", "transactions", "--fleet")
    assert len(records) == 6 and {record["query"] for record in records} == {TEREDO + "."}
    rows = csv_of(first, "transactions", "--fleet")
    assert [(row["client"], row["query"], row["action"], row["addresses"]) for row in rows] == \
        [(record["client"], record["query"], record["action"], " ".join(record["addresses"])) for record in records]
    assert len(first.json("export", "transactions", "--fleet", "--client", "127.0.16.2", "--address", "65.55.158.118")) == 2
    assert first.command("export", "transactions", "--until", "1d").returncode == 3
    done = first.command("export", "transactions", "--format", "cof")
    assert done.returncode == 2 and "pairs" in done.stderr
