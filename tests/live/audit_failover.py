#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The failover audit: do clients notice that one of two upstream servers dies, and how soon is it in use again?

Two scripted upstreams, each a process of its own, answer questions of which none is in the cache. In the middle of an even load one of
them is stopped (silent, SIGSTOP) or killed (its port is closed), stays away, and comes back. Counted are questions that got no
answer (none may), answers later than 250 ms while it was away (at most 1 %), and the time until the server that came back
answers clients' questions again (at most a second), which `teredown status` tells. Both servers have their turn, so that the one in use
dies too. At last both do: names whose answers have expired are answered all the same, within 50 ms of the client timeout.

The machine has no say in that: beside the load a name is asked for all the time that needs no server, and the server that stays is asked
directly. Longer than a millisecond or two both take where a process does not get its turn; what they took at worst while an answer was
waited for is taken off its time. On a machine with nothing else to do that is nothing.

    TEREDOWN_BUILD=build tests/live/audit_failover.py [--rate 1000] [--seconds 10] [--fault stop|kill]
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import harness
import load as loads
import wire

LATE_S = 0.25
LATE_SHARE = 0.01
BACK_S = 1.0
CLIENT_TIMEOUT_S = 1.8
STALE_S = 0.05
HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """A scripted upstream as a process, which may die and come back on the same port."""

    def __init__(self, delay_ms):
        self.delay_ms, self.port, self.process = delay_ms, 0, None
        self.start()

    def start(self):
        """Tries again where somebody has its port: a question that the daemon sends may be just now."""
        argv = [sys.executable, os.path.join(HERE, "upstream.py"), "--port", str(self.port), "--delay-ms", self.delay_ms]
        for _ in range(20):
            self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            said = self.process.stdout.readline()
            if said:
                self.port = int(said)
                return
            self.end()
        raise harness.Failure("no upstream can be started on port %d" % self.port)

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port

    def fall(self, fault):
        if fault == "stop":
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.end()

    def rise(self, fault):
        if fault == "stop":
            self.process.send_signal(signal.SIGCONT)
        else:
            self.start()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def state_of(daemon, server):
    return next(one for one in daemon.json("status")["upstream"] if one["address"] == server.endpoint)


class Pulse:
    """What the machine itself adds: how long a name that teredownd knows by itself and a question to a server that lives take."""
    EVERY_S = 0.02
    PATIENCE_S = 2.0
    NAME = "localhost"

    def __init__(self, ports):
        self.ports, self.taken, self.ended = ports, [], threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(port,), daemon=True) for port in ports]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _run(self, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            ident = 0
            while not self.ended.is_set():
                ident = ident + 1 & 0xFFFF
                began = time.monotonic()
                sock.send(wire.query(ident, wire.name(self.NAME), wire.A))
                sock.settimeout(self.PATIENCE_S)
                try:
                    while int.from_bytes(sock.recv(4096)[:2], "big") != ident:
                        pass
                except OSError:
                    pass
                ended = time.monotonic()
                self.taken.append((began, ended))
                self.ended.wait(max(0.0, began + self.EVERY_S - ended))

    def without(self, one):
        """What a transaction took but for that."""
        until_s = one.sent_s + one.took_s
        return one.took_s - max((ended - began for began, ended in self.taken if began <= until_s and ended >= one.sent_s), default=0.0)

    @property
    def worst_s(self):
        return max((ended - began for began, ended in self.taken), default=0.0)


class Figures:
    def __init__(self, fault, which):
        self.fault, self.which, self.machine_s = fault, which, 0.0
        self.away = self.late = self.lost = self.asked = 0
        self.worst_s = self.back_s = 0.0
        self.state, self.grave = "", False

    @property
    def words(self):
        words = []
        if self.lost:
            self.grave = True
            words.append("%d of %d questions were not answered" % (self.lost, self.asked))
        if self.late > LATE_SHARE * self.away:
            words.append("%d of %d answers were later than %d ms" % (self.late, self.away, LATE_S * 1000))
        if self.state != "backoff" and self.which == "the first":
            words.append("after a while away the server is said to be \"%s\"" % self.state)
        if self.back_s > BACK_S:
            words.append("in use %.2f s after its return" % self.back_s)
        return words

    def __str__(self):
        return "%s of %s: asked %d, lost %d; away: %d, later than 250 ms %d (%.2f %%), worst %d ms (machine %d ms); in use again after %d ms" % (
            self.fault, self.which, self.asked, self.lost, self.away, self.late, 100.0 * self.late / max(1, self.away),
            self.worst_s * 1000, self.machine_s * 1000, self.back_s * 1000)


def _fall_and_rise(daemon, server, fault, seconds, instants):
    time.sleep(1)
    instants["fell"] = time.monotonic()
    server.fall(fault)
    time.sleep(seconds)
    instants["state"] = state_of(daemon, server)["state"]
    server.rise(fault)
    instants["rose"] = time.monotonic()
    harness.until(lambda: state_of(daemon, server)["state"] in ("ok", "slow"), "the server is in use again", 10)
    instants["back"] = time.monotonic()


def one_round(daemon, server, other, which, fault, options):
    figures, instants = Figures(fault, which), {}
    watcher = threading.Thread(target=_fall_and_rise, args=(daemon, server, fault, options.seconds, instants), daemon=True)
    clients = loads.loopback_clients(8)
    load = loads.Load(daemon.port, clients)
    serial = 0
    with Pulse([daemon.port, other.port]) as pulse:
        watcher.start()
        due = time.monotonic()
        while watcher.is_alive():
            while time.monotonic() < due:
                load.receive(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 0.05) + 1.0 / options.rate
            load.ask(clients[serial % len(clients)], "p%x-%d.example.org" % (id(load), serial))
            serial += 1
            load.receive()
        watcher.join()
        load.finish()
    load.close()
    away = [one for one in load.transactions if instants["fell"] - LATE_S <= one.sent_s <= instants["rose"]]
    figures.asked, figures.lost = len(load.transactions), len(load.unanswered)
    figures.away, figures.late = len(away), sum(not one.answered or (one.took_s > LATE_S and pulse.without(one) > LATE_S) for one in away)
    figures.worst_s = max((one.took_s for one in away if one.answered), default=0.0)
    figures.machine_s = pulse.worst_s
    figures.state = instants["state"]
    figures.back_s = instants["back"] - instants["rose"]
    return figures


class StaleFigures:
    def __init__(self, fault, load, pulse):
        self.fault, self.asked = fault, len(load.transactions)
        self.wrong = sum(not one.answered or wire.parse(one.reply).rcode != wire.NXDOMAIN for one in load.transactions)
        self.worst_s = max((one.took_s for one in load.transactions if one.answered), default=0.0)
        self.late_s = max((pulse.without(one) for one in load.transactions if one.answered), default=0.0)
        self.machine_s, self.grave = pulse.worst_s, self.wrong > 0

    @property
    def words(self):
        words = []
        if self.wrong:
            words.append("%d of %d expired answers were not given" % (self.wrong, self.asked))
        if self.late_s > CLIENT_TIMEOUT_S + STALE_S:
            words.append("a stale answer came after %d ms, without what the machine took" % (self.late_s * 1000))
        return words

    def __str__(self):
        return "%s of both: %d expired answers asked for, not given %d, worst after %d ms (machine %d ms)" % (
            self.fault, self.asked, self.wrong, self.worst_s * 1000, self.machine_s * 1000)


def _ask_all(daemon, names, rate):
    clients = loads.loopback_clients(8)
    load = loads.Load(daemon.port, clients)
    load.run([(clients[index % len(clients)], name) for index, name in enumerate(names)], rate=rate)
    load.close()
    return load


def both_away(daemon, servers, fault, options):
    """Names that do not exist, whose denial has a second to live: learned, expired, asked for when nobody answers."""
    names = ["n%s-%d.example.net" % (fault, number) for number in range(options.rate // 2)]
    _ask_all(daemon, names, options.rate)
    time.sleep(1.2)
    for server in servers:
        server.fall(fault)
    try:
        with Pulse([daemon.port]) as pulse:
            load = _ask_all(daemon, names, options.rate)
        return StaleFigures(fault, load, pulse)
    finally:
        for server in servers:
            server.rise(fault)
        harness.until(lambda: all(state_of(daemon, server)["state"] != "backoff" for server in servers), "both are back", 10)


def audit(options):
    folder = harness.Folder()
    servers = [Server("1,8"), Server("1,8")]
    daemon = harness.Teredown(folder.path, [server.endpoint for server in servers])
    try:
        daemon.start()
        figures = []
        for fault in options.fault:
            for which, server in zip(("the first", "the second"), servers):
                figures.append(one_round(daemon, server, servers[1 - servers.index(server)], which, fault, options))
            figures.append(both_away(daemon, servers, fault, options))
        return figures
    finally:
        daemon.stop()
        for server in servers:
            server.end()
        folder.remove()


def parse_options(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a server is away")
    parser.add_argument("--fault", choices=["stop", "kill"], action="append")
    options = parser.parse_args(words)
    options.fault = options.fault or ["stop", "kill"]
    return options


def main():
    figures = audit(parse_options(sys.argv[1:]))
    for one in figures:
        print(one)
    words = [word for one in figures for word in one.words]
    for word in words:
        print("FAILED: " + word)
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
