#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What Redis needs for a client, a name, a pair: measured on a redis-server of its own, by the script itself.

Members are added in large numbers, each family by itself, and the growth of used_memory is divided by their number. The names
are 31 octets long, clients IPv4 addresses; doc/redis-schema.md quotes the figures.

    tests/bench/redis_memory.py [--members 50000]
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "live"))

import harness
from batches import Batches

COUNTERS = dict(queries=123, cached=100, forwarded=23, noerror=110, nodata=9, nxdomain=4)


def address(number, first=10):
    return "%d.%d.%d.%d" % (first, number >> 16 & 255, number >> 8 & 255, number & 255)


def name(number):
    return "host-%08x.region.example.org." % number


# What one member is, and the items that make it.
FAMILIES = [
    ("client", "its counters and totals, and its place in one hour", lambda b, i: [b.client(address(i), **COUNTERS)]),
    ("hour of a known client", "its place in another hour", lambda b, i: [b.client(address(i), hour=b.hour - 1, **COUNTERS)]),
    ("name, asked by one client", "with its place in that client's names", lambda b, i: [b.query("10.0.0.1" if i % 1000 else address(i), name(i))]),
    ("further client of a name", "both directions", lambda b, i: [b.query(address(i), name(i - i % 100))]),
    ("address, with one pair and one hour", "and its place under the name", lambda b, i: [b.pair(address(i, 192), "10.0.0.1", name(i)), b.timeline(address(i, 192))]),
    ("further pair of an address", "", lambda b, i: [b.pair(address(i - i % 100, 192), address(i), name(i - i % 100))]),
    ("hour of a known address", "", lambda b, i: [["t", address(i, 192), b.hour - 1, "dns", 1]]),
    ("client of a zone", "its hits and the last of them", lambda b, i: [b.hit("teredo", address(i))]),
    ("top name of a day", "count and estimate", lambda b, i: [b.top(name(i))]),
    ("line of a stream", "a record of 500 octets", lambda b, i: [b.line("x", '{"record":"%s"}' % ("x" * 487))]),
]


def measure(members):
    """Yields (what, note, bytes a member)."""
    folder = harness.Folder()
    server = harness.Redis(folder.path).start()
    try:
        store = server.client()
        store.config_set("appendfsync", "no")
        batches = Batches(store, client_names=10**6, name_clients=10**6, clients=10**6, names=10**6, addresses=10**6, pairs=10**6, top=10**6,
            stream=10**6, hour_names=10**6)
        batches.send([])
        for what, note, make in FAMILIES:
            before = store.info("memory")["used_memory"]
            for start in range(0, members, 100):
                batches.send([item for i in range(start, start + 100) for item in make(batches, i)])
            yield what, note, (store.info("memory")["used_memory"] - before) / members
    finally:
        server.kill()
        folder.remove()


def main():
    parser = argparse.ArgumentParser(description="bytes in Redis for each member of a family")
    parser.add_argument("--members", type=int, default=50000)
    for what, note, size in measure(parser.parse_args().members):
        print("%-40s %6.0f bytes  %s" % (what, size, note))
    return 0


if __name__ == "__main__":
    sys.exit(main())
