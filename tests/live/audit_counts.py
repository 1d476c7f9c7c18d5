#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The count audit: is what clients had answered exactly what Redis counts, also when Redis dies in the middle?

The same load as in the mixing audit, a smaller one. redis-server (append-only file, fsync always: it has on disk what it
acknowledged) is killed with SIGKILL after a third of the questions and started again after two thirds; or stopped with SIGSTOP and
continued, which leaves batches sent and not acknowledged. At the end the tally of the clients and the hashes in Redis must be equal,
for each client and in total, and received = answered + dropped + pending.

    TEREDOWN_BUILD=build tests/live/audit_counts.py [--queries 9000] [--fault kill|stop|none]
"""

import argparse
import collections
import signal
import sys

import audit_mixing
import harness
import wire


def tally(load):
    """client → counters, from the replies that it received."""
    clients = collections.defaultdict(collections.Counter)
    for one in load.answered:
        message, counters = wire.parse(one.reply), clients[one.client]
        counters["queries"] += 1
        counters["tcp"] += one.tcp
        counters["truncated"] += message.truncated
        counters["nxdomain"] += message.rcode == wire.NXDOMAIN
        counters["servfail"] += message.rcode == wire.SERVFAIL
        counters["noerror or nodata"] += message.rcode == wire.NOERROR
    return {client: {name: count for name, count in counters.items() if count} for client, counters in clients.items()}


def stored(store, clients):
    """The same from Redis."""
    found = {}
    for client in clients:
        fields = store.hgetall(harness.key("client", client))
        counters = {name: int(fields.get(name, 0)) for name in ("queries", "tcp", "truncated", "nxdomain", "servfail")}
        counters["noerror or nodata"] = int(fields.get("noerror", 0)) + int(fields.get("nodata", 0))
        if counters["queries"]:
            found[client] = {name: count for name, count in counters.items() if count}
    return found


def differences(load, store):
    """Words for everything in Redis that is not what the clients say."""
    told, found, words = tally(load), stored(store, load.clients), []
    for client in load.clients:
        if told.get(client) != found.get(client):
            words.append("%s: answered %r, Redis has %r" % (client, told.get(client), found.get(client)))
    ranked = {client: int(score) for client, score in store.zrange(harness.key("clients", "queries"), 0, -1, withscores=True)}
    hourly = collections.Counter()
    for hour in store.scan_iter(match=harness.key("hour", "*", "queries"), count=1000):
        for client, score in store.zrange(hour, 0, -1, withscores=True):
            hourly[client] += int(score)
    for client, counters in told.items():
        for label, value in (("clients:queries", ranked.get(client)), ("hour:*:queries", hourly.get(client))):
            if value != counters["queries"]:
                words.append("%s: answered %d, %s has %r" % (client, counters["queries"], label, value))
    return words


class Fault:
    """Takes redis-server away after one third of the questions, and gives it back after two thirds."""

    def __init__(self, server, kind, queries):
        self.server, self.kind, self.queries, self.step = server, kind, queries, 0

    def __call__(self, asked):
        if self.kind == "none" or self.step == 2 or asked < self.queries * (self.step + 1) // 3:
            return
        self.step += 1
        if self.kind == "stop":
            self.server.send(signal.SIGSTOP if self.step == 1 else signal.SIGCONT)
        elif self.step == 1:
            self.server.kill()
        else:
            self.server.launch()


def audit(options):
    """Returns the words about differences, the status at the end, and the load."""
    folder = harness.Folder()
    upstream = audit_mixing.start_upstream(options)
    server = harness.Redis(folder.path).start()
    daemon = harness.Teredown(folder.path, "127.0.0.1:%d" % upstream.port, redis=server.url, workers=options.workers)
    try:
        daemon.start()
        harness.until(lambda: server.client().exists(harness.key("meta")), "teredownd has written to Redis")
        load = audit_mixing.run_load(daemon.port, options, between=Fault(server, options.fault, options.queries))
        status = daemon.until_counted(len(load.answered), 60)
        words = differences(load, server.client())
        received, accounted = harness.balance(status)
        if received != accounted:
            words.append("received %d, answered + dropped + pending %d" % (received, accounted))
        words += ["%s: asked %s, not answered" % (one.client, one.qname) for one in load.unanswered[:5]]
        daemon.stop(deadline_s=30)
        return words, status, load
    finally:
        daemon.kill()
        server.kill()
        upstream.kill()
        folder.remove()


def parse_options(words=None):
    parser = argparse.ArgumentParser(description="is what clients had answered what Redis counts?")
    parser.add_argument("--queries", type=int, default=9000)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--in-flight", type=int, default=300)
    parser.add_argument("--rate", type=int, default=1500, help="questions a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--delay-ms", default="5,60")
    parser.add_argument("--fault", choices=("kill", "stop", "none"), default="kill")
    return parser.parse_args(words)


def main():
    options = parse_options()
    words, status, load = audit(options)
    print(audit_mixing.describe(load))
    print("redis-server: %s; received %s, answered %s, counted %s; differences %d" % (options.fault, status["received"],
        status["answered"], status["queries_applied"], len(words)))
    for line in words[:20]:
        print("    " + line)
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
