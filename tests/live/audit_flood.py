#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The flood audit: do millions of forged clients and random names stay within the bounds, and are the totals exact?

Every query of the flood comes from another address of 127.0.0.0/8 and asks for another name. Meanwhile a few real clients ask now and
then. The resident memory of the daemon and the memory of its embedded Redis are looked at all the time; at the end every total in
Redis must be the number of answers, and the real clients' counters what they were answered.

    TEREDOWN_BUILD=build tests/live/audit_flood.py [--queries 10000000] [--redis-memory 64M]
"""

import argparse
import collections
import os
import subprocess
import sys
import time

import harness
from harness import key

LATE = "127.0.77.99"
REAL = ["127.0.77.%d" % number for number in range(1, 6)]


def resident_mb(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


class Peaks:
    def __init__(self, daemon):
        self.daemon, self.resident_mb, self.redis_mb, self.asked = daemon, 0.0, 0.0, collections.Counter()

    def ask(self, client):
        self.daemon.ask("localhost", source=client)
        self.asked[client] += 1

    def look(self):
        self.resident_mb = max(self.resident_mb, resident_mb(self.daemon.pid))
        memory = self.daemon.store().info("memory")
        self.redis_mb = max(self.redis_mb, (memory["used_memory"] - memory.get("mem_not_counted_for_evict", 0)) / 2**20)


def sum_of(store, *parts):
    return int(sum(score for _, score in store.zscan_iter(key(*parts), count=5000)))


def totals(store):
    """label → what all members together say."""
    hours = sorted(name.split(":")[-1] for name in store.scan_iter(key("hour", "??????????"), count=5000))
    days = sorted(name.split(":")[-1] for name in store.scan_iter(key("top", "????????"), count=5000))
    clients = {client for client, _ in store.zscan_iter(key("clients"), count=5000)}
    pipe = store.pipeline(transaction=False)
    for client in clients:
        pipe.hget(key("client", client), "queries")
    return {
        "meta queries": int(store.hget(key("meta"), "queries")),
        "client:*": sum(int(count or 0) for count in pipe.execute()),
        "clients:queries": sum_of(store, "clients", "queries"),
        "hour:*": sum(int(store.hget(key("hour", hour), "queries") or 0) for hour in hours),
        "hour:*:queries": sum(sum_of(store, "hour", hour, "queries") for hour in hours),
        "top:*": sum(sum_of(store, "top", day) for day in days),
    }


def come_late(peaks):
    """A new client after the flood: it has its own counters as soon as the forged ones have been silent for a minute."""
    def known():
        peaks.ask(LATE)
        return peaks.daemon.store().exists(key("client", LATE))
    harness.until(known, "the late client is counted under its own name", 120, 2.0)


def audit(options):
    """Returns the words about what is wrong, and a line of figures.

    While a flood fills also what waits in the daemon, a real client is partly counted under *other: for half of its queries at most.
    """
    folder = harness.Folder()
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="embedded", redis_memory=options.redis_memory, clients_max=options.clients_max,
        names_max=options.names_max, workers=options.workers)
    try:
        daemon.start()
        harness.until(lambda: daemon.store().exists(key("meta")), "teredownd has written to Redis")
        peaks = Peaks(daemon)
        for client in REAL:
            peaks.ask(client)
        daemon.until_counted(len(REAL))
        begun = time.monotonic()
        flood = subprocess.Popen([os.path.join(harness.BUILD, "tests", "live", "flood"), str(daemon.port), str(options.queries),
            str(options.clients or options.queries), str(options.names or options.queries)], stdout=subprocess.PIPE, universal_newlines=True)
        while flood.poll() is None:
            peaks.look()
            peaks.ask(REAL[sum(peaks.asked.values()) % len(REAL)])
            time.sleep(0.1)
        took_s, sent = time.monotonic() - begun, flood.stdout.read().split()
        status = daemon.until_counted(options.queries, 120)
        peaks.look()
        if options.late:
            come_late(peaks)
            status = daemon.until_counted(options.queries, 60)
        store, words = daemon.store(), []
        answered, limit_mb = int(status["answered"]), harness.number(store.config_get("maxmemory"), "maxmemory") / 2**20
        if flood.returncode != 0 or int(sent[3]) != options.queries:
            words.append("the flood had %s" % " ".join(sent))
        words += ["%s has %d, answered %d" % (label, total, answered) for label, total in totals(store).items() if total != answered]
        if peaks.resident_mb > options.resident_mb:
            words.append("the daemon had %.0f MB resident" % peaks.resident_mb)
        if peaks.redis_mb >= limit_mb:
            words.append("Redis used %.1f of its %.0f MB" % (peaks.redis_mb, limit_mb))
        meta = store.hgetall(key("meta"))
        if "OOM" in daemon.log():
            words.append("Redis refused a write for memory")
        for client, asked in peaks.asked.items():
            counted = int(store.hget(key("client", client), "queries") or 0)
            # A few questions say nothing of a half.
            if counted > asked or (asked >= 20 and counted < asked // 2) or counted == 0:
                words.append("%s was answered %d times, counted %d under its own name" % (client, asked, counted))
        figures = "%d queries in %.0f s; daemon at most %.0f MB resident, Redis %.1f of %.0f MB; %d clients of their own, pressure %s; %s" % (answered, took_s,
            peaks.resident_mb, peaks.redis_mb, limit_mb, store.zcard(key("clients")), meta.get("pressure"),
            ", ".join("%s %s" % (name, meta[name]) for name in sorted(meta) if name.startswith(("dropped_", "folded_", "removed_", "trimmed"))))
        daemon.stop(deadline_s=30)
        return words, figures
    finally:
        daemon.kill()
        folder.remove()


def parse_options(words=None):
    parser = argparse.ArgumentParser(description="do floods stay within the bounds?")
    parser.add_argument("--queries", type=int, default=10000000)
    parser.add_argument("--clients", type=int, default=0, help="distinct ones; as many as queries if 0")
    parser.add_argument("--names", type=int, default=0, help="as above")
    parser.add_argument("--clients-max", type=int, default=100000)
    parser.add_argument("--names-max", type=int, default=100000)
    parser.add_argument("--redis-memory", default="64M")
    parser.add_argument("--resident-mb", type=float, default=192, help="of the daemon, at most")
    parser.add_argument("--late", action="store_true", help="wait until a client that comes after the flood is known: about a minute more")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args(words)


def main():
    words, figures = audit(parse_options())
    print(figures)
    for line in words:
        print("    " + line)
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
