#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The audit of what a forger would have to guess: source ports, ids and letter case of questions to upstream servers.

A scripted upstream notes port, id and spelling of each question, in two phases: one after the other, where each has a port of its own, and
many at once, where ports serve several questions and are retired. Clients have a socket each, which the kernel keeps with one
worker, so that what one client caused is what one worker chose. Each figure is a chi-square statistic or a count, turned into the
probability that honest randomness is as far off; the least of them, times their number, is the probability of a false alarm.

    TEREDOWN_BUILD=build tests/live/audit_ports.py [--queries 2000] [--workers 4]
"""

import argparse
import collections
import math
import sys

import harness
import wire
from upstream import Upstream

PORT_FIRST, PORT_USES_MAX = 1024, 8  # resolver/upstream/ports.h
FALSE_ALARM = 1e-6
NAME = "abcdefghijklmnopqrstuvwxyz.audit.example.org"
CLIENTS = 8


def chi_square_p(statistic, freedom):
    """The upper tail, by Wilson and Hilferty."""
    if freedom == 0:
        return 1.0
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


def uniform_p(values, low, high, bins):
    """How likely values, drawn evenly from low … high-1, fall that unevenly into so many bins."""
    counts = collections.Counter((value - low) * bins // (high - low) for value in values)
    shares = [math.ceil((index + 1) * (high - low) / bins) - math.ceil(index * (high - low) / bins) for index in range(bins)]
    expected = [len(values) * share / (high - low) for share in shares]
    return chi_square_p(sum((counts[index] - expected[index]) ** 2 / expected[index] for index in range(bins)), bins - 1)


def bits_p(rows):
    """rows: lists of as many bits, each a coin's. Each column for itself, and each with the row before: twice as many fair coins."""
    count, columns = len(rows), len(rows[0])
    heads = [sum(row[column] for row in rows) for column in range(columns)]
    changes = [sum(before[column] ^ after[column] for before, after in zip(rows, rows[1:])) for column in range(columns)]
    statistic = sum((2 * number - count) ** 2 / count for number in heads) + sum((2 * number - count + 1) ** 2 / (count - 1) for number in changes)
    return chi_square_p(statistic, 2 * columns)


def tail_p(count, trials, probability):
    """That an event of that probability happens count times or more; Poisson, with all terms that matter."""
    mean = trials * probability
    return min(1.0, sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count, count + 200))) if count else 1.0


def step_p(values, modulus):
    """The commonest difference of one value to the next, of all that there are."""
    steps = collections.Counter((after - before) % modulus for before, after in zip(values, values[1:]))
    most = steps.most_common(1)[0][1]
    return min(1.0, tail_p(most, len(values) - 1, 1 / modulus) * modulus)


class Asked:
    """What the upstream saw of one question."""
    __slots__ = ("port", "ident", "case", "client")

    def __init__(self, packet, port):
        self.port, self.ident = port, int.from_bytes(packet[:2], "big")
        end = wire.read_question(packet).end - 4
        text = packet[12:end].replace(b"\x1a", b"").decode("latin-1")
        self.client = int(wire.read_question(packet).qname.split(".")[0][1:].split("-")[0])
        letters = text[text.lower().index("abcdefghij"):]
        self.case = [int(letter.isupper()) for letter in letters if letter.isalpha()]


def ask_one_by_one(daemon, count):
    """count questions of CLIENTS clients, each when the one before is answered."""
    sockets = [harness.udp_socket(daemon.port, source="127.0.9.%d" % (client + 1)) for client in range(CLIENTS)]
    for index in range(count):
        sock = sockets[index % CLIENTS]
        sock.send(wire.query(index & 0xFFFF, "c%d-%d.%s" % (index % CLIENTS, index, NAME)))
        sock.recv(4096)
    for sock in sockets:
        sock.close()


def ask_at_once(daemon, count, window=100):
    """count questions, window of them under way: more than PORTS_FRESH_A_SECOND, so that ports serve again."""
    with harness.udp_socket(daemon.port, source="127.0.9.1") as sock:
        for index in range(count):
            sock.send(wire.query(index & 0xFFFF, "c0-r%d.%s" % (index, NAME)))
            if index >= window:
                sock.recv(4096)
        for _ in range(min(window, count)):
            sock.recv(4096)


class Reuse:
    """How often ports served again. A port may be drawn twice, so the questions of one port are no measure by themselves: with
    PORT_USES_MAX questions a socket there are at least so many sockets, and no more of them share a port than chance allows."""

    def __init__(self, ports):
        counts = collections.Counter(ports)
        sockets = len(ports) / PORT_USES_MAX
        shared = sockets * sockets / 2 / (65536 - PORT_FIRST)
        self.asked, self.ports, self.most = len(ports), len(counts), max(counts.values())
        self.ports_least = math.floor(sockets - shared - 6 * math.sqrt(shared) - 1)

    @property
    def good(self):
        return self.ports >= self.ports_least and self.most <= 6 * PORT_USES_MAX

    def __str__(self):
        return "%d questions at once: %d ports (at least %d), one for at most %d questions" % (self.asked, self.ports, self.ports_least, self.most)


def judge(asked):
    """{what: probability} of the phase in which each question has a port of its own."""
    ports, idents = [one.port for one in asked], [one.ident for one in asked]
    result = {"ports over the range": uniform_p(ports, PORT_FIRST, 65536, 64), "steps of ports": step_p(ports, 65536),
        "low bits of ports": bits_p([[port >> bit & 1 for bit in range(10)] for port in ports]),
        "ids over the range": uniform_p(idents, 0, 65536, 64), "steps of ids": step_p(idents, 65536),
        "bits of ids": bits_p([[ident >> bit & 1 for bit in range(16)] for ident in idents]),
        "bits of case": bits_p([one.case for one in asked]),
        "ids and ports apart": uniform_p([(one.ident ^ one.port) & 0xFF for one in asked], 0, 256, 64)}
    pairs = sum(count * (count - 1) // 2 for count in collections.Counter(ports).values())
    result["ports drawn twice"] = tail_p(pairs, len(ports) * (len(ports) - 1) / 2, 1 / (65536 - PORT_FIRST))
    for client in range(CLIENTS):
        own = [one.port for one in asked if one.client == client]
        result["ports of client %d" % client] = uniform_p(own, PORT_FIRST, 65536, 16)
    return result


def audit(options):
    """Returns ({what: probability}, questions seen in the first phase, the Reuse of the second)."""
    asked = []

    def script(packet, question, tcp):
        if question.qname.endswith(NAME + "."):  # the daemon has questions of its own, too
            asked.append(Asked(packet, upstream.sources[-1][0]))
        return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, b"\xc0\0\2\1")]))]
    folder = harness.Folder()
    upstream = Upstream(script)
    with upstream:
        daemon = harness.Teredown(folder.path, upstream.endpoint, workers=options.workers)
        try:
            daemon.start()
            listened = daemon.port
            ask_one_by_one(daemon, options.queries)
            first = list(asked)
            ask_at_once(daemon, options.burst)
            second = asked[len(first):]
        finally:
            daemon.stop()
            folder.remove()
    assert listened not in {one.port for one in asked}, "a port on which we listen"
    return judge(first), len(first), Reuse([one.port for one in second])


def parse_options(words):
    parser = argparse.ArgumentParser(description="the audit of ports, ids and letter case")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--burst", type=int, default=20000)
    parser.add_argument("--workers", type=int, default=4)
    return parser.parse_args(words)


def describe(result):
    figures, seen, reuse = result
    lines = ["%-24s p = %.2g" % (what, p) for what, p in figures.items()]
    lines.append("%d questions; least p times their number: %.2g (below %g: not random)" % (seen, min(figures.values()) * len(figures), FALSE_ALARM))
    return "\n".join(lines + [str(reuse)])


def is_good(result):
    figures, _, reuse = result
    return min(figures.values()) * len(figures) >= FALSE_ALARM and reuse.good


def main():
    result = audit(parse_options(sys.argv[1:]))
    print(describe(result))
    sys.exit(0 if is_good(result) else 1)


if __name__ == "__main__":
    main()
