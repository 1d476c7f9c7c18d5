# SPDX-License-Identifier: BSD-3-Clause
"""Logs for `teredown ingest`, and what has to be in Redis after it: the expected counts are made with the lines themselves."""

import collections
import os
import random
import subprocess
import time

import harness
from harness import key

SERVER = "65.55.158.118"
HOUR_S = 3600


def hour_text(second):
    return time.strftime("%Y%m%d%H", time.gmtime(second))


class Log:
    """Lines of a Linux firewall, and what they come to."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.drops, self.timeline = collections.Counter(), collections.Counter()
        self.lines = 0

    def stamp(self, second):
        return time.strftime("%Y-%m-%dT%H:%M:%S.123456+00:00", time.gmtime(second))

    def drop(self, second, client="192.168.1.40", address=SERVER, protocol="UDP", port=3544):
        kind = "udp3544" if (protocol, port) == ("UDP", 3544) else "proto41" if protocol == "41" else "-"
        self.drops[hour_text(second), "%s %s %s" % (client, address, kind)] += 1
        self.timeline[address, hour_text(second) + ":firewall-drop"] += 1
        self.lines += 1
        ports = "SPT=51413 DPT=%d LEN=52 " % port if protocol in ("UDP", "TCP") else ""
        return ("%s gw kernel: [812345.678901] [UFW BLOCK] IN=eth1 OUT=eth0 MAC=02:00:5e:10:00:01:02:00:5e:10:00:02:08:00 SRC=%s DST=%s LEN=72 TOS=0x00 "
            "PREC=0x00 TTL=127 ID=%d PROTO=%s %s\n" % (self.stamp(second), client, address, self.lines % 65536, protocol, ports))

    def some(self, count, begin=None, clients=40, addresses=6):
        """Drops of the last two days, in order."""
        begin = time.time() - 2 * 24 * HOUR_S if begin is None else begin
        step = min(40.0, (time.time() - begin) / (count + 1))
        return "".join(self.drop(begin + index * step, "192.168.1.%d" % self.random.randrange(1, clients + 1),
            "203.0.113.%d" % self.random.randrange(1, addresses + 1), *self.random.choice([("UDP", 3544), ("41", 0), ("TCP", 443)])) for index in range(count))


def drops_of(store):
    return {(name.split(":")[-2], member): int(score) for name in store.scan_iter(match=key("hour", "*", "drops"), count=1000)
        for member, score in store.zrange(name, 0, -1, withscores=True)}


def timeline_of(store):
    return {(name[len(key("timeline", "")):], field): int(value) for name in store.scan_iter(match=key("timeline", "*"), count=1000)
        for field, value in store.hgetall(name).items()}


def assert_counted(store, *logs):
    drops, timeline = collections.Counter(), collections.Counter()
    for log in logs:
        drops.update(log.drops)
        timeline.update(log.timeline)
    assert drops_of(store) == dict(drops)
    assert timeline_of(store) == dict(timeline)


def is_counted(store, *logs):
    return sum(drops_of(store).values()) == sum(sum(log.drops.values()) for log in logs)


def read_through(folder, url, log, faults, lines=60000):
    """A log is read from a store while faults() happen, which it begins once a chunk is written, and again until it comes through. Returns how
    often it had to be."""
    daemon = harness.Teredown(folder, "127.0.0.1", redis=url)
    path = os.path.join(folder, "fw.log")
    with open(path, "w") as out:
        out.write(log.some(lines, clients=200, addresses=100))
    for runs in range(1, 10):
        process = subprocess.Popen([harness.COMMAND, "-c", daemon.config, "ingest", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if runs == 1:
            faults()
        _, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            return runs
    raise harness.Failure(errors.decode())
