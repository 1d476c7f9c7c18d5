#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mixing audit: does the record say exactly what each client was told?

Clients on many loopback addresses ask, hundreds at once, identical questions among them, over UDP and TCP, with and
without EDNS, for A and AAAA. The upstream (upstream.py) delays and reorders its answers, sends CNAME chains, and never gives
an address twice. What each client received is then held against the query log and against the pairs in Redis:

    mispaired   told to nobody, or not to this client by this question, but recorded
    missing     told, but not recorded
    unanswered  asked, and no answer within five seconds; nothing is asked twice

The unit is (client, port, id, question, type, address, TTL), plus one entry for each transaction as a whole, so that answers
without an address count too. For Redis it is (client, question, address) with its count. With --peer dnsmasq the same load goes
to dnsmasq, and its log is read as an administrator would read it; it knows neither ids nor TTLs, so it is held
against (client, question, address) only, the easier measure.

    TEREDOWN_BUILD=build tests/live/audit_mixing.py [--queries 20000] [--clients 40] [--peer dnsmasq]
"""

import argparse
import collections
import random
import re
import subprocess
import sys
import time

import dns.rcode

import harness
import wire
from load import Load, loopback_clients

HOT_NAMES, ALL_NAMES = 60, 3000
# Of a hundred names: chains, plain ones, large answers, truncating ones, denials.
KINDS = "c" * 45 + "p" * 37 + "b" * 4 + "t" * 6 + "n" * 5 + "o" * 3


class Figures:
    def __init__(self, label, told=0, recorded=0, mispaired=0, missing=0, unanswered=0):
        self.label, self.told, self.recorded = label, told, recorded
        self.mispaired, self.missing, self.unanswered = mispaired, missing, unanswered
        self.examples = []

    @property
    def clean(self):
        return self.told > 0 and not (self.mispaired or self.missing or self.unanswered)

    def __str__(self):
        share = lambda part: "%d (%.1f %%)" % (part, 100.0 * part / self.told) if self.told and part else "%d" % part
        return "%-32s told %7d  recorded %7d  mispaired %-15s missing %-15s unanswered %d" % (self.label, self.told, self.recorded,
            share(self.mispaired), share(self.missing), self.unanswered)


def compare(label, told, recorded, unanswered):
    figures = Figures(label, sum(told.values()), sum(recorded.values()), unanswered=unanswered)
    wrong, lost = recorded - told, told - recorded
    figures.mispaired, figures.missing = sum(wrong.values()), sum(lost.values())
    figures.examples = ["recorded, not told: %r" % (entry,) for entry in list(wrong)[:5]]
    figures.examples += ["told, not recorded: %r" % (entry,) for entry in list(lost)[:5]]
    return figures


# --- what is asked ---

def plan(queries, clients, rng):
    """Questions in groups: half of them by one client, half by two to six clients at the same moment."""
    names = ["%s%d.example.net" % (rng.choice(KINDS), index) for index in range(ALL_NAMES)]
    made = 0
    while made < queries:
        qname = names[rng.randrange(HOT_NAMES if rng.random() < 0.5 else ALL_NAMES)]
        qtype = wire.A if rng.random() < 0.7 else wire.AAAA
        group = 1 if rng.random() < 0.5 else rng.randint(2, 6)
        for client in rng.sample(clients, min(group, queries - made)):
            spelled = qname if rng.random() < 0.8 else "".join(rng.choice((c.upper(), c)) for c in qname)
            yield client, spelled, qtype, rng.random() < 0.1, rng.choice((None, None, 512, 1232, 1232, 4096))
            made += 1


def run_load(port, options, tcp_clients=None, strict_case=True, between=None):
    clients = loopback_clients(options.clients) + ["::1"]
    load = Load(port, clients, seed=options.seed, tcp_clients=tcp_clients, strict_case=strict_case)
    rng = random.Random(options.seed)
    questions = plan(options.queries, clients, rng)
    if tcp_clients is not None:
        questions = ((client, qname, qtype, tcp and client in load.tcp_clients, edns) for client, qname, qtype, tcp, edns in questions)
    started = time.monotonic()
    load.run(questions, options.in_flight, options.rate, between)
    load.seconds = time.monotonic() - started
    load.close()
    return load


# --- what was told ---

def told_records(load):
    """Counter of (client, port, id, question, type, item); item is a record of the answer, or the transaction as a whole."""
    told = collections.Counter()
    for one in load.answered:
        message = wire.parse(one.reply)
        head = (one.client, one.port, one.ident, one.qname.lower() + ".", wire.TYPE_WORDS[one.qtype])
        told[head + (("transaction", "tcp" if one.tcp else "udp", dns.rcode.to_text(message.rcode)),)] += 1
        for owner, rtype, ttl, data in message.answers:
            told[head + ((owner, wire.TYPE_WORDS[rtype], data, ttl),)] += 1
    return told


def told_pairs(load, with_port=False):
    """Counter of (client, question, address), and the owner of each address."""
    told, owners = collections.Counter(), {}
    for one in load.answered:
        for owner, rtype, _, data in wire.parse(one.reply).answers:
            if rtype in (wire.A, wire.AAAA):
                told[((one.client, one.port) if with_port else (one.client,)) + (one.qname.lower() + ".", data)] += 1
                owners[data] = owner
    return told, owners


# --- what was recorded ---

def logged_records(records, clients):
    logged = collections.Counter()
    for record in records:
        if record["client"] not in clients:
            continue
        head = (record["client"], record["port"], record["id"], record["query"].lower(), record["type"])
        logged[head + (("transaction", record["proto"], record["rcode"]),)] += 1
        answers = record.get("answers", [])
        for answer in answers:
            logged[head + ((answer["name"].lower(), answer["type"], answer["data"].lower(), answer["ttl"]),)] += 1
        listed = [answer["data"] for answer in answers if answer["type"] in ("A", "AAAA")]
        if collections.Counter(record.get("addresses", [])) != collections.Counter(listed):
            logged[head + (("addresses differ from answers", tuple(record.get("addresses", []))),)] += 1
    return logged


def stored_pairs(store, clients, owners):
    """What Redis holds of these clients: Counter of (client, question, address). A wrong owner is an entry of its own."""
    prefix, counted = harness.key("pair", ""), collections.Counter()
    keys = list(store.scan_iter(match=prefix.replace("[", "\\[") + "*", count=2000))
    for start in range(0, len(keys), 1000):
        chunk, pipe = keys[start:start + 1000], store.pipeline(transaction=False)
        for one in chunk:
            pipe.hgetall(one)
        for one, fields in zip(chunk, pipe.execute()):
            address = one[len(prefix):]
            for field, value in fields.items():
                client, qname = field.split(" ", 1)
                if client not in clients:
                    continue
                count, owner = value.split(" ")[2:4]
                counted[(client, qname, address)] += int(count)
                if owner.lower() != owners.get(address, owner.lower()):
                    counted[(client, qname, address, "owner " + owner)] += 1
    return counted


def audit_teredown(options):
    """Figures for the query log and for Redis, and the load itself."""
    folder = harness.Folder()
    upstream = start_upstream(options)
    daemon = harness.Teredown(folder.path, "127.0.0.1:%d" % upstream.port, redis="embedded", query_log="all", workers=options.workers)
    try:
        daemon.start()
        harness.until(lambda: daemon.store().ping(), "embedded Redis answers")
        load = run_load(daemon.port, options)
        clients = set(load.clients)
        daemon.until_counted(len(load.answered), 60)
        pairs, owners = told_pairs(load)
        stored = stored_pairs(daemon.store(), clients, owners)
        load.status = daemon.status()
        daemon.stop(deadline_s=30)
        lost = len(load.unanswered)
        return [compare("teredownd query-log = all", told_records(load), logged_records(daemon.records(), clients), lost),
            compare("teredownd pairs in Redis", pairs, stored, lost)], load
    finally:
        daemon.kill()
        upstream.kill()
        folder.remove()


def start_upstream(options):
    """upstream.py as a process of its own, so that clients and upstream do not share an interpreter."""
    program = [sys.executable, harness.SOURCE + "/tests/live/upstream.py", "--seed", str(options.seed), "--delay-ms", options.delay_ms]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
    child.port = int(child.stdout.readline())
    return child


# --- dnsmasq ---

LINE = re.compile(r"dnsmasq\[\d+\]: (?:(\d+) (\S+)/(\d+) )?(query\[\w+\]|reply|cached|forwarded) (\S+) (?:is|from|to) (\S+)")

ADDRESS = re.compile(r"[0-9a-f]*[.:][0-9a-f.:]*$")


def read_extra(lines):
    """log-queries=extra: a number ties a reply to the line of its question."""
    asked, told = {}, collections.Counter()
    for line in lines:
        match = LINE.search(line)
        if match is None or match.group(1) is None:
            continue
        serial, client, port, verb, name, data = match.groups()
        if verb.startswith("query"):
            asked[serial] = (client, int(port), name.lower() + ".")
        elif verb in ("reply", "cached") and serial in asked and ADDRESS.match(data):
            told[asked[serial] + (data,)] += 1
    return told


def read_plain(lines):
    """log-queries: reply lines that follow each other down a chain are one answer, and it is that of the client who has been
    waiting longest for its name and family. An answer that nobody waits for any more is not given to anyone."""
    waiting, told = collections.defaultdict(collections.deque), collections.Counter()
    name = following = None
    addresses = []

    def close():
        if name is not None and addresses:
            queue = waiting[(name, "AAAA" if ":" in addresses[0] else "A")]
            if queue:
                told.update((queue[0], name + ".", address) for address in addresses)
                queue.popleft()
        addresses.clear()

    for line in lines:
        match = LINE.search(line)
        if match is None:
            continue
        verb, owner, data = match.group(4), match.group(5).lower(), match.group(6)
        if verb not in ("reply", "cached"):
            close()
            name = following = None
            if verb.startswith("query"):
                waiting[(owner, verb[6:-1])].append(data)
            continue
        if following not in (owner, "<any>"):
            close()
            name = owner
        # The line of an alias does not say its target: the next line is taken to go on, whatever its name.
        following = "<any>" if data == "<CNAME>" else owner
        if ADDRESS.match(data):
            addresses.append(data)
    close()
    return told


def audit_dnsmasq(options, extra):
    folder = harness.Folder()
    upstream = start_upstream(options)
    daemon = harness.Dnsmasq(folder.path, upstream.port, extra)
    try:
        daemon.start()
        # Its TCP service is twenty processes: twelve clients keep a connection. It gives coalesced queries one spelling.
        load = run_load(daemon.port, options, tcp_clients=12, strict_case=False)
        daemon.stop()
        with open(daemon.query_log, errors="replace") as log:
            recorded = (read_extra if extra else read_plain)(log)
        clients = set(load.clients)
        recorded = collections.Counter({entry: count for entry, count in recorded.items() if entry[0] in clients})
        told, _ = told_pairs(load, with_port=extra)
        return compare("dnsmasq log-queries" + ("=extra" if extra else ""), told, recorded, len(load.unanswered))
    finally:
        daemon.kill()
        upstream.kill()
        folder.remove()


def parse_options(words=None):
    parser = argparse.ArgumentParser(description="does the record say exactly what each client was told?")
    parser.add_argument("--queries", type=int, default=20000)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--in-flight", type=int, default=600)
    parser.add_argument("--rate", type=int, default=5000, help="questions a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delay-ms", default="50,300", help="of the upstream, low,high")
    parser.add_argument("--peer", choices=("dnsmasq",))
    return parser.parse_args(words)


def describe(load):
    return "%d queries (%d of them over TCP) of %d clients in %.1f s; in flight at most %d, %.0f in the mean; answered %d, strays %d" % (
        len(load.transactions), sum(one.tcp for one in load.transactions), len(load.clients), load.seconds, load.in_flight_max,
        load.in_flight_mean, len(load.answered), len(load.strays))


def main():
    options = parse_options()
    figures, load = audit_teredown(options)
    print(describe(load))
    good = all(one.clean for one in figures) and not load.strays
    if options.peer:
        figures += [audit_dnsmasq(options, extra) for extra in (False, True)]
    for one in figures:
        print(one)
        for example in [] if one.label.startswith("dnsmasq") else one.examples:
            print("    " + example)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
