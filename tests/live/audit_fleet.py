#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The fleet audit: three resolvers record in one Redis Cluster, each on a master of its own, and the same clients ask all three.

One master is killed under load; its replica takes over. At the end every resolver's counts must be what its clients were answered, for
each client and hour, and `teredown top --fleet` must show the sums over the three.

    TEREDOWN_BUILD=build tests/live/audit_fleet.py [--rate 1000] [--seconds 10]
"""

import argparse
import collections
import sys
import time

import chaos_site
import harness
import redis_set
from chaos_site import HOURLY
from crowd import Crowd
from harness import until

FIRST = "127.46.0.1"


def names_apart(cluster, count):
    """Resolver names whose keys live on as many masters."""
    taken, names = set(), []
    for number in range(1, 100):
        name = "gw%d" % number
        owner = cluster.owner_of_resolver(name)
        if owner not in taken and len(names) < count:
            taken.add(owner)
            names.append(name)
    return names


class Resolver:
    def __init__(self, name, nsd, cluster, options):
        self.name, self.cluster = name, cluster
        self.folder = harness.Folder()
        blocked = self.folder.write("blocked.rpz", chaos_site.BLOCKED)
        self.daemon = harness.Teredown(self.folder.path, nsd.endpoint, redis=cluster.url(), resolver_name=name,
            zones={"ads": {"file": blocked, "mode": "block"}})
        self.crowd, self.options = None, options

    def start(self):
        self.daemon.start()
        self.crowd = Crowd(self.folder.path, self.daemon.port, chaos_site.NAMES, clients=self.options.clients, tcp_clients=5, first=FIRST)

    def settle(self):
        self.tally = self.crowd.pause()
        self.status = self.daemon.until_counted(self.tally.sums["answered"], 60)

    def differences(self):
        truth = chaos_site.told(self.tally)
        found = chaos_site.counted(self.cluster.resolver_client(self.name), self.crowd.addresses, self.name)
        words = ["%s: %s: answered %d, counted %d" % (self.name, place, truth[place], found[place]) for place in set(truth) | set(found)
            if truth[place] != found[place]]
        received, accounted = harness.balance(self.status)
        if received != accounted or self.tally.sums["unanswered"]:
            words.append("%s: received %d, accounted for %d; %d questions without an answer" % (self.name, received, accounted,
                self.tally.sums["unanswered"]))
        return words

    def close(self):
        if self.crowd:
            self.crowd.kill()
        try:
            self.daemon.stop(deadline_s=30)
        finally:
            self.daemon.kill()
            self.folder.remove()


def fleet_differences(resolvers):
    """`top --fleet` as each resolver's own command shows it, against the sums of the clients' tallies."""
    truth = collections.defaultdict(collections.Counter)
    for resolver in resolvers:
        for client, counters in resolver.tally.clients().items():
            truth[client].update({name: counters[name] for name in HOURLY})
    words = []
    for resolver in resolvers:
        answer = resolver.daemon.json("top", "clients", "--fleet", "--once", "-n", "1000")
        shown = {row["client"]: collections.Counter({name: row.get(name, 0) for name in HOURLY}) for row in answer["rows"]}
        words += ["%s: top --fleet: %s: answered %s, shown %s" % (resolver.name, client, dict(counters), dict(shown.get(client, {})))
            for client, counters in truth.items() if shown.get(client) != counters]
    return words


def audit(options):
    """Returns the words about differences, and how many questions were answered."""
    folder = harness.Folder()
    nsd = harness.Nsd(folder.path, chaos_site.WORLD).start()
    resolvers = []
    try:
        with redis_set.Cluster(folder.path) as cluster:
            try:
                for name in names_apart(cluster, 3):
                    resolvers.append(Resolver(name, nsd, cluster, options))
                    resolvers[-1].start()
                for resolver in resolvers:
                    resolver.crowd.go(options.rate)
                time.sleep(options.seconds / 2)
                dead, _ = cluster.kill_owner(redis_set.slot_of("{%s}" % resolvers[0].name))
                time.sleep(options.seconds / 2)
                dead.start()
                until(cluster.healthy, "the cluster is whole", 60)
                for resolver in resolvers:
                    resolver.settle()
                words = [line for resolver in resolvers for line in resolver.differences()] + fleet_differences(resolvers)
                return words, sum(resolver.tally.sums["answered"] for resolver in resolvers)
            finally:
                for resolver in resolvers:
                    resolver.close()
    finally:
        nsd.stop()
        folder.remove()


def parse_options(words=None):
    parser = argparse.ArgumentParser(description="three resolvers on one Redis Cluster: are the fleet's sums right?")
    parser.add_argument("--rate", type=int, default=700, help="questions a second and resolver")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--clients", type=int, default=50)
    return parser.parse_args(words)


def main():
    words, answered = audit(parse_options())
    print("three resolvers, one master killed: %d answered, differences %d" % (answered, len(words)))
    for line in words[:20]:
        print("    " + line)
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
