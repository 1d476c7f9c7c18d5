#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The reload audit: do clients notice that a long list is read again, time after time, and does the daemon grow by it?

A list of a million names is touched and a small zone is replaced before each reload, so both are compiled anew. Meanwhile an even load
asks names that are cached, that are forwarded every time, that the list blocks; `teredown mode` and `teredown status` are called beside.
Counted are

- questions that got no answer: none may;
- answers by parts of two versions: none may. The zone has two versions, of which one stops names at the question and the other at the
  end of the CNAME chain that the upstream gives them; who gets through was judged by a part of each. Some of these names are
  forwarded each time, and the upstream takes its time, so many are on their way while the rules change;
- memory: after the tenth reload and after the last (the same within a megabyte), and at most while reloading (twice that);
- the 99th percentile of the answers that need no server, while nothing is reloaded, and while it is. Only printed: the machine has a say in it.

    TEREDOWN_BUILD=build tests/live/audit_reload.py [--names 1000000] [--reloads 100] [--rate 1000]
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import harness
import load as loads
import upstream
import wire

GROWTH_KB = 1024
SETTLED_AT = 10  # reloads after which memory is what it stays
HEAD = "$TTL 300\n@ SOA localhost. nobody.invalid. ( 1 3600 900 604800 300 )\n  NS localhost.\n"
VERSIONS = (HEAD + "*.begin.example CNAME .\n", HEAD + "*.end.example CNAME .\n")


def script(packet, asked, tcp):
    """x.begin.example is an alias of x.end.example; whatever else is asked for has an address. Both take up to 30 ms."""
    labels, delay_s = packet[12:asked.end - 4].lower(), (sum(packet[:2]) % 30) / 1000.0
    if b"\5begin\7example" not in labels:
        return [(delay_s, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, 60, bytes([192, 0, 2, 1]))]))]
    end = labels.replace(b"\5begin", b"\3end")
    return [(delay_s, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.CNAME, 60, end), wire.rr(end, wire.A, 60, bytes([192, 0, 2, 2]))]))]


class Memory:
    def __init__(self, pid):
        self.path = "/proc/%d/" % pid

    def read(self, key):
        with open(self.path + "status") as status:
            return int(next(line for line in status if line.startswith(key)).split()[1])

    def forget_peak(self):
        with open(self.path + "clear_refs", "w") as out:
            out.write("5")

    def settled_kb(self):
        """What the old rules took is given back a moment after a reload is answered."""
        least = self.read("VmRSS")
        for _ in range(10):
            time.sleep(0.02)
            least = min(least, self.read("VmRSS"))
        return least


class Beside:
    """Somebody who looks at the status and changes a mode all the time."""

    def __init__(self, daemon):
        self.daemon, self.worst_s, self.calls, self.fault = daemon, 0.0, 0, None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        modes = ("watch", "ignore")
        while not self._ended.wait(0.05):
            for words in (("status",), ("mode", modes[self.calls % 2], "--zone", "6to4")):
                began = time.monotonic()
                try:
                    self.daemon.run(*words)
                except (harness.Failure, subprocess.TimeoutExpired) as error:
                    self.fault = self.fault or str(error)
                self.worst_s = max(self.worst_s, time.monotonic() - began)
            self.calls += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(60)


class Figures:
    def __init__(self):
        self.asked = self.lost = self.mixed = self.judged = self.reloads = 0
        self.took_s, self.quiet_s, self.busy_s = [], [], []
        self.before_kb = self.after_kb = self.peak_kb = 0
        self.status_s, self.calls, self.fault, self.sanitized = 0.0, 0, None, False

    @property
    def words(self):
        words = []
        if self.lost:
            words.append("%d of %d questions were not answered" % (self.lost, self.asked))
        if self.mixed:
            words.append("%d of %d answers were judged by parts of two versions" % (self.mixed, self.judged))
        if not self.sanitized and self.after_kb > self.before_kb + GROWTH_KB:
            words.append("memory grew from %d to %d kB" % (self.before_kb, self.after_kb))
        if not self.sanitized and self.peak_kb > 2 * self.before_kb:
            words.append("%d kB while reloading, more than twice %d" % (self.peak_kb, self.before_kb))
        if self.fault:
            words.append("beside: " + self.fault)
        return words

    def __str__(self):
        def percentile(values, share):
            return 1000 * sorted(values)[int(share * (len(values) - 1))] if values else 0.0
        return ("%d reloads of %.0f ms (median): asked %d, lost %d; stopped in both versions %d, of which got through %d; resident %d kB after the tenth, "
            "%d kB after the last, %d kB at most; what needs no server answered in %.1f ms (p50), %.1f ms (p99) between reloads, %.1f ms, %.1f ms during one; %d calls of status and mode, worst %d ms") % (
            self.reloads, percentile(self.took_s, 0.5), self.asked, self.lost, self.judged, self.mixed, self.before_kb, self.after_kb, self.peak_kb,
            percentile(self.quiet_s, 0.5), percentile(self.quiet_s, 0.99), percentile(self.busy_s, 0.5), percentile(self.busy_s, 0.99), 2 * self.calls, self.status_s * 1000)


class Asking(loads.Background):
    """Names of each kind; those that are forwarded are new ones every time."""
    KINDS = ("c%d.cached.example", "n%d.list.example", "k%d.begin.example", "f%d.cached.example", "q%d.begin.example")

    def __init__(self, load, rate):
        super().__init__(load, self._plan(), rate)

    def _plan(self):
        number = 0
        while True:
            for kind, form in enumerate(self.KINDS):
                number += 1
                known = kind < 3
                yield (self.load.clients[number % len(self.load.clients)], form % (number % 50 if known else number), wire.A, False, 1232)

    def _run(self):
        due = time.monotonic()
        for item in self.plan:
            while time.monotonic() < due:
                self.load.receive(max(0.0, due - time.monotonic()))
            if self._ended.is_set():
                break
            due = max(due, time.monotonic() - 0.05) + 1.0 / self.rate
            self.load.ask(*item)
        self.load.finish()


def replace(path, text):
    with open(path + ".new", "w") as out:
        out.write(text)
    os.rename(path + ".new", path)


def write_list(path, names):
    with open(path, "w") as out:
        out.write(HEAD)
        out.writelines("n%d.list.example CNAME .\n*.n%d.list.example CNAME .\n" % (number, number) for number in range(names))


def reload(daemon, figures, paths, number):
    replace(paths[1], VERSIONS[number % 2])
    os.utime(paths[0])
    began = time.monotonic()
    said = daemon.json("reload")
    ended = time.monotonic()
    if said["read"] < 2 or said["faults"]:
        raise harness.Failure("a reload read %d zones: %r" % (said["read"], said))
    figures.reloads += 1
    figures.took_s.append(ended - began)
    return began, ended


def judge(figures, load, spans):
    for one in load.transactions:
        if not one.answered:
            continue
        during = any(began <= one.sent_s + one.took_s and one.sent_s <= ended for began, ended in spans)
        if one.qname[0] in "cn":
            (figures.busy_s if during else figures.quiet_s).append(one.took_s)
        if "begin" in one.qname:
            figures.judged += 1
            figures.mixed += wire.parse(one.reply).rcode != wire.NXDOMAIN
    figures.asked, figures.lost = len(load.transactions), len(load.unanswered)


def run(daemon, paths, options):
    figures, memory, spans = Figures(), Memory(daemon.pid), []
    figures.sanitized = daemon.sanitized()
    load = loads.Load(daemon.port, loads.loopback_clients(8, "127.0.21.1"))
    settled = min(SETTLED_AT, options.reloads // 2)
    with Asking(load, options.rate) as asking, Beside(daemon) as beside:
        for number in range(options.reloads):
            seen = asking.asked()
            harness.until(lambda: asking.asked() > seen + options.rate // 10, "questions between two reloads")
            spans.append(reload(daemon, figures, paths, number))
            if number + 1 == settled:
                figures.before_kb = memory.settled_kb()
                memory.forget_peak()
    figures.after_kb, figures.peak_kb = memory.settled_kb(), memory.read("VmHWM")
    figures.status_s, figures.calls, figures.fault = beside.worst_s, beside.calls, beside.fault
    judge(figures, load, spans)
    received, accounted = harness.balance(daemon.status())
    if received != accounted:
        figures.fault = "received %d, accounted for %d" % (received, accounted)
    return figures


def audit(options):
    folder = harness.Folder()
    paths = [os.path.join(folder.path, name) for name in ("list.rpz", "version.rpz")]
    write_list(paths[0], options.names)
    replace(paths[1], VERSIONS[1])
    server = upstream.Upstream(script)
    process = multiprocessing.get_context("fork").Process(target=server.run, daemon=True)  # clients and server do not share an interpreter
    process.start()
    # The cache is full long before the tenth reload.
    daemon = harness.Teredown(folder.path, "127.0.0.1:%d" % server.port, zone_watch="off", randomize_case="off", cache_size="1M",
        zones={"list": {"file": paths[0], "mode": "block"}, "version": {"file": paths[1], "mode": "block"}})
    try:
        daemon.start()
        return run(daemon, paths, options)
    finally:
        daemon.stop()
        process.kill()
        process.join()
        folder.remove()


def parse_options(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--names", type=int, default=1000000)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--rate", type=int, default=1000)
    return parser.parse_args(words)


def main():
    figures = audit(parse_options(sys.argv[1:]))
    print(figures)
    for word in figures.words:
        print("FAILED: " + word)
    return 1 if figures.words else 0


if __name__ == "__main__":
    sys.exit(main())
