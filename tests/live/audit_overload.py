#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is still answered when there is too much.

One worker, pinned to one processor, and a client (overload.c) on the others.

overload   Names in the cache. Best: what is answered a second with so many questions open at once that the worker never waits. Then
           twice that rate is sent, whatever becomes of it, and what is answered a second is divided by the best.
pending    The best of the names in the cache again, while as many questions as may be pending are, and nobody upstream answers them;
           divided by the best without any.

Rounds of both are interleaved; the median and the best of their ratios are printed, and the same by the worker's processor time: answers for
each second that it ran, which other work on the machine hardly changes. It fails where the median is below --least, by time.

    tests/live/audit_overload.py [--rounds N] [--seconds S] [--least 0.9]
"""

import argparse
import os
import statistics
import subprocess
import sys

import harness
import wire
from upstream import Upstream

CLIENT = os.path.join(harness.BUILD, "tests", "live", "overload")
CACHED = 1000
UNANSWERED = 100000
ASK_RATE = 50000
WINDOW = 512


def script(packet, asked, tcp):
    """Names in k are known; the others are met with silence."""
    if not asked.qname.startswith("k"):
        return []
    return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 3600, bytes([192, 0, 2, 1]))]))]


class Load:
    def __init__(self, daemon, worker, processors):
        self.daemon, self.worker, self.processors = daemon, worker, processors

    def worker_s(self):
        """The processor time of the worker so far."""
        with open("/proc/%d/task/%d/schedstat" % (self.daemon.pid, self.worker)) as schedstat:
            return int(schedstat.read().split()[0]) / 1e9

    def __call__(self, kind, number, names, seconds, prefix="k"):
        """(sent, answered, answered otherwise) a second, and answered for a second that the worker ran."""
        before = self.worker_s()
        done = subprocess.run([CLIENT, str(self.daemon.port), kind, str(number), str(names), str(seconds), prefix], check=True,
            stdout=subprocess.PIPE, universal_newlines=True, preexec_fn=lambda: os.sched_setaffinity(0, self.processors))
        sent, answered, other, took = done.stdout.split()
        return tuple(int(count) / float(took) for count in (sent, answered, other)) + (int(answered) / (self.worker_s() - before),)


def pin_worker(daemon, processor):
    """The worker to one processor; whatever else the daemon does, to the others. Returns the worker's thread."""
    everywhere, thread = os.sched_getaffinity(0), 0
    for task in os.listdir("/proc/%d/task" % daemon.pid):
        with open("/proc/%d/task/%s/comm" % (daemon.pid, task)) as comm:
            worker = comm.read().startswith("worker-")
        os.sched_setaffinity(int(task), {processor} if worker else everywhere - {processor} or everywhere)
        thread = int(task) if worker else thread
    return thread


class Ratio:
    """Of two results of a Load."""

    def __init__(self, words, best, then, detail):
        self.by_time, self.by_processor, self.detail = then[1] / best[1], then[3] / best[3], detail
        print("  %s: best %.0f/s, then %.0f/s: %.3f; by the worker's processor time %.0f/s, %.0f/s: %.3f" % (words, best[1], then[1],
            self.by_time, best[3], then[3], self.by_processor), flush=True)


def overload_ratio(load, seconds):
    """detail: how many times the best was sent."""
    best = load("open", WINDOW, CACHED, seconds)
    then = load("rate", 2 * best[1], CACHED, seconds)
    return Ratio("overload", best, then, then[0] / best[1])


def pending_ratio(load, seconds, unanswered):
    """The questions that were asked last are pending while it is measured: each has been sent as often as it will be. detail: how many are."""
    before = load("open", WINDOW, CACHED, seconds)
    load("rate", ASK_RATE, unanswered, unanswered / ASK_RATE, "u")
    sent = [0]

    def settled():
        sent.append(harness.number(load.daemon.status(), "upstream_udp"))
        return sent[-1] - sent[-2] < 20  # probes of the server go on
    harness.until(settled, "questions are sent no more", interval_s=0.7)
    pending = harness.number(load.daemon.status(), "pending")
    return Ratio("%d pending" % pending, before, load("open", WINDOW, CACHED, seconds), pending)


def run(rounds, seconds, unanswered=UNANSWERED):
    """(overload, pending) of each round."""
    processors = sorted(os.sched_getaffinity(0))
    folder, results = harness.Folder(), []
    with Upstream(script) as server:
        for number in range(rounds):
            daemon = harness.Teredown(folder.path, server.endpoint, workers=1, upstream_timeout="60s", pending_per_client_max=1000000).start()
            try:
                load = Load(daemon, pin_worker(daemon, processors[0]), set(processors[1:]) or set(processors))
                harness.until(lambda: load("open", 64, CACHED, 0.5)[2] == 0, "all names are in the cache")
                print("round %d" % (number + 1), flush=True)
                results.append((overload_ratio(load, seconds), pending_ratio(load, seconds, unanswered)))
                if len(set(harness.balance(daemon.status()))) != 1:
                    raise harness.Failure("received %d, accounted %d" % harness.balance(daemon.status()))
            finally:
                daemon.kill()
    folder.remove()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--least", type=float, default=0.9)
    options = parser.parse_args()
    results = run(options.rounds, options.seconds)
    good = True
    for words, column in (("goodput at twice the best, over the best", 0), ("goodput with a silent upstream, over that without", 1)):
        by_time = [result[column].by_time for result in results]
        by_processor = [result[column].by_processor for result in results]
        median = statistics.median(by_time)
        good &= median >= options.least
        print("%s: median %.3f, best %.3f (at least %.2f); by the worker's processor time %.3f, %.3f" % (words, median, max(by_time),
            options.least, statistics.median(by_processor), max(by_processor)))
    if min(overload.detail for overload, _ in results) < 1.8:
        print("the client sent less than twice the best: it needs more processor time than the worker leaves it")
        good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
