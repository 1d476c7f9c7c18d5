#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The latency audit: are answers slower while Redis does not answer?

One daemon under a steady load, in rounds: Redis running, and Redis stopped with SIGSTOP for as long. The two are interleaved, so that
whatever else the machine does meets both. Compared are the 99th percentiles of what the clients saw; the result is the median over
the rounds of stopped / running, which should be at most 1.1.

    TEREDOWN_BUILD=build tests/live/audit_latency.py [--rounds 5] [--seconds 30] [--rate 2000]
"""

import argparse
import signal
import statistics
import sys
import time

import chaos_site
import harness
from crowd import LATENCIES, Crowd

LIMIT = 1.1


def measure(crowd, options, seconds):
    crowd.go(options.rate)
    time.sleep(seconds)
    return crowd.pause().sums


def one_round(crowd, server, options):
    """The figures of Redis running and Redis stopped."""
    running = measure(crowd, options, options.seconds)
    server.send(signal.SIGSTOP)
    try:
        stopped = measure(crowd, options, options.seconds)
    finally:
        server.send(signal.SIGCONT)
    return running, stopped


def audit(options):
    """Returns the rounds, and how many questions were not answered."""
    folder = harness.Folder()
    nsd = harness.Nsd(folder.path, chaos_site.WORLD).start()
    server = harness.Redis(folder.path).start()
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=server.url)
    crowd = None
    try:
        daemon.start()
        harness.until(lambda: server.client().exists(harness.key("meta")), "teredownd has written to Redis")
        crowd = Crowd(folder.path, daemon.port, chaos_site.NAMES, clients=options.clients, tcp_clients=0)
        measure(crowd, options, min(3, options.seconds))
        rounds = []
        for _ in range(options.rounds):
            rounds.append(one_round(crowd, server, options))
            harness.until(lambda: harness.number(daemon.status(), "queries_waiting") == 0, "what waited is counted", 60)
            print("running: %s    stopped: %s" % tuple(" ".join("%s %d us" % (name, sums[name]) for name in LATENCIES) for sums in rounds[-1]),
                flush=True)
        unanswered = crowd.pause().sums["unanswered"]
        daemon.stop(deadline_s=30)
        return rounds, unanswered
    finally:
        if crowd:
            crowd.kill()
        daemon.kill()
        server.kill()
        nsd.stop()
        folder.remove()


def parse_options(words=None):
    parser = argparse.ArgumentParser(description="are answers slower while Redis does not answer?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30, help="Redis running, and Redis stopped, in each round")
    parser.add_argument("--rate", type=int, default=2000, help="questions a second")
    parser.add_argument("--clients", type=int, default=100)
    return parser.parse_args(words)


def main():
    rounds, unanswered = audit(parse_options())
    for name in ("p50", "p99"):
        ratios = sorted(stopped[name] / max(1, running[name]) for running, stopped in rounds)
        print("%s, Redis stopped / running: median %.3f, %s" % (name, statistics.median(ratios), " ".join("%.3f" % ratio for ratio in ratios)))
    print("not answered: %d" % unanswered)
    return 1 if statistics.median(ratios) > LIMIT or unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
