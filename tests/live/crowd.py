# SPDX-License-Identifier: BSD-3-Clause
"""The crowd: many clients at a steady rate in a program of its own (crowd.c), whose tally of answers is exact.

    crowd = Crowd(folder, port, names, clients=100); crowd.go(2000); …; tally = crowd.pause()
"""

import collections
import os
import signal
import subprocess

import harness
import load

PROGRAM = os.path.join(harness.BUILD, "tests", "live", "crowd")
COUNTERS = ("queries", "watched", "blocked", "nxdomain", "tcp", "unanswered", "ambiguous")
LATENCIES = ("p50", "p90", "p99", "p999", "max")

Name = collections.namedtuple("Name", "weight kind qtype text")


def require():
    if not os.access(PROGRAM, os.X_OK):
        raise harness.Failure("%s is not there: make -C %s tests/live/crowd" % (PROGRAM, harness.BUILD))


class Tally:
    """rows: (client, hour) → Counter, since the start. hour is hours since 1970 by the clients' clock.
    sums: asked, answered, unanswered, strays, wrong since the start; latencies in microseconds, since the last pause."""

    def __init__(self, lines):
        self.rows = {}
        for line in lines:
            words = line.split()
            if words[0] == "row":
                self.rows[(words[1], int(words[2]))] = collections.Counter(dict(zip(COUNTERS, map(int, words[3:]))))
            else:
                names = ("asked", "answered", "unanswered", "strays", "wrong") + LATENCIES
                self.sums = dict(zip(names, map(int, words[1:])))

    def clients(self):
        """client → Counter over all hours."""
        total = collections.defaultdict(collections.Counter)
        for (client, _), counters in self.rows.items():
            total[client].update(counters)
        return total


class Crowd:
    WINDOW = 256

    def __init__(self, folder, port, names, clients=100, tcp_clients=20, seed=1, first="127.40.0.1"):
        require()
        path = os.path.join(folder, "names.txt")
        with open(path, "w") as out:
            out.writelines("%d %s %d %s\n" % name for name in names)
        self.addresses = load.loopback_clients(clients, first)
        self._child = subprocess.Popen([PROGRAM, str(port), first, str(clients), str(tcp_clients), str(seed), path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, universal_newlines=True, bufsize=1, start_new_session=True)

    def _tell(self, line):
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def _hear(self):
        line = self._child.stdout.readline()
        if not line:
            raise harness.Failure("the crowd ended with status %r" % self._child.wait())
        return line

    def go(self, rate, window=WINDOW):
        self._tell("go %g %d" % (rate, window))

    def answered(self):
        self._tell("count")
        return int(self._hear().split()[2])

    def pause(self):
        """Waits until nothing is open any more; the tally so far."""
        self._tell("pause")
        lines = []
        while True:
            line = self._hear()
            if line == "end\n":
                break
            lines.append(line)
        self._tell("forget")
        return Tally(lines)

    def set_offset(self, seconds):
        self._tell("offset %d" % seconds)

    def kill(self):
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()
