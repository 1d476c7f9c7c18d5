# SPDX-License-Identifier: BSD-3-Clause
"""Tunnels by what is answered: each class has its zone and its mode; what an address has inside is shown."""

import json

import dns.reversename
import pytest

from harness import ede_codes, rcode_of, until

PTR = "PTR"
# Of each class: the zone, and an address whose name is asked for, with what it has inside.
REVERSE = [
    ("teredo", "2001:0:4137:9e76:2c3d:63bf:3fff:fdd2", {"teredo": {"server": "65.55.158.118", "client": "192.0.2.45", "port": 40000}}),
    ("6to4", "2002:c000:204::1", {"sixtofour": "192.0.2.4"}),
    ("6to4", "192.88.99.1", {}),
    ("isatap", "2001:db9:1:2:0:5efe:c000:204", {"isatap": "192.0.2.4"}),
    ("isatap", "2001:db9:1:2:200:5efe:c000:204", {"isatap": "192.0.2.4"}),
]
INSIDE = ("teredo", "sixtofour", "isatap")


def name_of(address):
    return dns.reversename.from_address(address).to_text()


def records_of(daemon, count):
    return until(lambda: (lambda found: found if len(found) == count else None)(daemon.records()), "%d records" % count)


def test_names_of_tunnel_addresses_are_watched(teredown, nsd):
    """Who asks for the name of a tunnel's address is seen, with what that address has inside; a neighbour of the range is not."""
    daemon = teredown(nsd.endpoint, query_log="watched")
    for _, address, _ in REVERSE:
        assert rcode_of(daemon.ask(name_of(address), PTR)) == "NXDOMAIN"
    for address in ("2001:1::1", "2003::1", "192.88.98.1", "192.88.100.1", "2001:db9::5efe"):
        daemon.ask(name_of(address), PTR)
    records = sorted(records_of(daemon, len(REVERSE)), key=lambda record: record["txn"])
    for (zone, address, inside), record in zip(REVERSE, records):
        assert (record["policy"], record["action"], record["query"]) == (zone, "watch", name_of(address))
        assert {key: record[key] for key in INSIDE if key in record} == inside


@pytest.mark.parametrize("blocked", ["teredo", "6to4", "isatap"])
def test_names_of_one_class_are_blocked(teredown, nsd, blocked):
    daemon = teredown(nsd.endpoint)
    daemon.run("mode", "block", "--zone", blocked)
    for zone, address, _ in REVERSE:
        answer = daemon.ask(name_of(address), PTR)
        assert rcode_of(answer) == "NXDOMAIN" and ede_codes(answer) == ([15] if zone == blocked else [])


def test_a_person_sees_the_host_behind(teredown, nsd):
    """tail and who say what is inside, of an address in a question too."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    teredo = REVERSE[0][1]
    daemon.ask(name_of(teredo), PTR)
    daemon.until_counted(1)
    line = until(lambda: daemon.run("tail", "--once"), "a line")
    assert " [Teredo: server 65.55.158.118, client 192.0.2.45 port 40000, flags 0x2c3d]" in line
    text = daemon.run("who", name_of(teredo))
    assert "server 65.55.158.118, client 192.0.2.45 port 40000" in text
    view = json.loads(daemon.run("who", name_of(teredo), "--json"))["views"][0]
    assert view["tunnel"] == {"kind": "teredo", "server": "65.55.158.118", "client": "192.0.2.45", "port": 40000, "flags": 0x2c3d}
