#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The policy audit: do the same zones make of the same questions what they make of them in Unbound?

Zones, names and questions are drawn by a seed (rpz_rules.py): names and wildcards, addresses of clients and of answers, all actions, local data,
redirections, aliases of names with rules, four zones in order. Both servers read the same files and forward to the same NSD. Compared: rcode, the
answer section as a set, TC, and whether there is a reply at all. Where the two differ, the difference has to belong to one of CLASSES, which
were named before; the rest is *unexplained*, and is shown with the rule that the draft's text leads to.

With --explain the verdict of `teredown policy test` for each question is held against what the generator knows: zone, file and line.

    TEREDOWN_BUILD=build tests/live/audit_rpz.py [--questions 10000] [--seed 1] [--explain]
"""

import argparse
import collections
import os
import sys
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

import harness
import rpz_rules
import upstream

LIMIT_PERCENT = 0.5
THREADS = 4
SILENCE_S = 0.5 # where the rules say DROP; elsewhere silence has to last for PATIENCE_S
PATIENCE_S = 10.0

# What is done otherwise on purpose.
CLASSES = {
    "PASSTHRU of a client": "ends it (draft, 6); Unbound 1.17.1 goes on with rules on the question",
    "names before addresses": "at a chain's end zones count first (draft, 5.2); Unbound looks at the name in all zones, then at addresses",
    "several addresses": "the longest prefix of them all counts (draft, 5.6); Unbound takes the first address that has a rule",
    "wildcard past a name": "a rule for a name hides no wildcard above it from the names below; in Unbound it does (RFC 4592)",
    "TCP-only over TCP": "ends it, as PASSTHRU does; Unbound goes on with rules on the answer",
    "asterisk of a target": "is filled in for all questions; Unbound tells it as it stands to those for CNAME, on a chain, and of an address",
    "alias out of a cache": "later names count always; Unbound does not look at them where it has the alias from a moment ago, and does when asked again",
}


class OneAlias:
    """NSD's answers, but an alias without what it leads to: Unbound 1.17.1 behind a forwarder looks at no later name of a chain that comes whole."""

    def __init__(self, nsd_port):
        self.sock = harness.udp_socket(nsd_port)
        self.server = upstream.Upstream(self.answer)

    def answer(self, packet, asked, tcp):
        self.sock.send(packet)
        reply = self.sock.recv(65535)
        while reply[:2] != packet[:2]:
            reply = self.sock.recv(65535)
        message = dns.message.from_wire(reply)
        if len(message.answer) > 1 and message.answer[0].rdtype == dns.rdatatype.CNAME:
            del message.answer[1:]
        if message.answer and message.answer[0].rdtype == dns.rdatatype.CNAME:
            message.authority.clear()
            message.set_rcode(dns.rcode.NOERROR)
            reply = message.to_wire()
        return [(0, reply)]


class UnboundRpz(harness.Process):
    """Unbound with the zones, in front of the same server."""

    def __init__(self, folder, forward_port, rules):
        self.port = harness.free_port()
        config = os.path.join(folder, "unbound.conf")
        with open(config, "w") as out:
            out.write("""server:
	interface: 127.0.0.1@{port}
	interface: ::1@{port}
	port: {port}
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "{folder}"
	pidfile: ""
	use-syslog: no
	module-config: "respip iterator"
	do-not-query-localhost: no
	qname-minimisation: no
	cache-max-ttl: 0
	cache-max-negative-ttl: 0
	msg-cache-size: 0
	rrset-cache-size: 0
remote-control:
	control-enable: no
forward-zone:
	name: "."
	forward-addr: 127.0.0.1@{forward}
""".format(port=self.port, folder=folder, forward=forward_port))
            for zone in rules.zones:
                out.write('rpz:\n\tname: "%s.rpz."\n\tzonefile: "%s"\n' % (zone.name, zone_path(folder, zone)))
        super().__init__("unbound", [harness.find("unbound"), "-d", "-c", config], folder)

    def start(self):
        super().start()
        self.until(lambda: harness.ask(self.port, ".", "SOA", timeout_s=1.0), "unbound answers")
        return self


def zone_path(folder, zone):
    return os.path.join(folder, zone.name + ".rpz")


def ask(port, asked, silent):
    """A reply, or None: silence, which takes longer to believe where none is due."""
    options = {"payload": asked.payload} if asked.payload else {}
    try:
        return harness.ask(port, asked.qname, asked.qtype, tcp=asked.tcp, source=asked.client, host="::1" if ":" in asked.client else "127.0.0.1",
            timeout_s=SILENCE_S if silent else PATIENCE_S, use_edns=0 if options else False, **options)
    except (dns.exception.Timeout, EOFError):
        return None


def view(answer):
    """What is compared."""
    if answer is None:
        return "silence", frozenset()
    if answer.flags & dns.flags.TC:
        return "TC", frozenset()
    return dns.rcode.to_text(answer.rcode()), frozenset((rrset.name.to_text().lower(), rrset.rdtype, record.to_text().lower())
        for rrset in answer.answer for record in rrset)


def shape(seen):
    """Of a view what rpz_rules says of it: rcode, owner and type."""
    return seen[0], frozenset((owner.rstrip("."), dns.rdatatype.to_text(rdtype)) for owner, rdtype, _ in seen[1])


def class_of(rules, asked, verdict, ours, theirs, again):
    """The class that explains a difference; None: nothing does. In each of them our answer is what the rules lead to, and Unbound's what they would
    lead to in another order. again: asks Unbound once more, after a while."""
    if shape(ours) != rules.outcome(asked, verdict):
        return None
    rule = verdict.rule if verdict else None
    addresses = rules.world.chain(asked.qname.lower(), asked.qtype)[1]

    def theirs_by(**order):
        """Whether their answer is what the rules lead to in this order; of several addresses Unbound looks at the first with a rule."""
        return any(shape(theirs) == rules.outcome(asked, rules.verdict(asked, only_address=address, **order)) for address in [None] + addresses)
    if rule and rule.trigger == "client" and rule.action == "passthru" and theirs_by(skip=lambda rule: rule.trigger == "client"):
        return "PASSTHRU of a client"
    if rule and rule.action == "tcp-only" and asked.tcp and theirs_by(question=False):
        return "TCP-only over TCP"
    if rule and rule.trigger == "address" and theirs_by():
        return "several addresses"
    if rule and rule.trigger == "address" and theirs_by(names_first=True):
        return "names before addresses"
    if rule and rule.owner.startswith("*.") and theirs_by(encloser=True):
        return "wildcard past a name"
    filled = frozenset((owner.replace("*", verdict.name), rdtype, text.replace("*", verdict.name)) for owner, rdtype, text in theirs[1]) if rule else None
    if rule and rule.action == "redirect" and (theirs[0], filled) == ours:
        return "asterisk of a target"
    if verdict and verdict.name != asked.qname.lower() and any(again() == ours for _ in range(3)):
        return "alias out of a cache"
    return None


class Audit:
    def __init__(self, count, seed, triggers=("name", "client", "address")):
        self.folder = harness.Folder()
        self.world, self.rules, self.asked = rpz_rules.build(seed, count, triggers)
        self.count, self.actions = collections.Counter(), collections.Counter()
        self.differing, self.examples = collections.Counter(), []
        self.beside = 0 # answers of ours that are not what the rules lead to
        self.explained = self.misled = 0
        self.lock = threading.Lock()

    def open(self):
        path = self.folder.path
        for zone in self.rules.zones:
            with open(zone_path(path, zone), "w") as out:
                out.write(zone.text())
        self.nsd = harness.Nsd(path, self.world.zone()).start()
        self.one_alias = OneAlias(self.nsd.port)
        self.one_alias.server.start()
        self.unbound = UnboundRpz(path, self.one_alias.server.port, self.rules).start()
        zones = {zone.name: {"file": zone_path(path, zone), "mode": "block"} for zone in self.rules.zones}
        self.daemon = harness.Teredown(path, self.nsd.endpoint, zones=zones, query_log="watched").start()

    def close(self):
        try:
            for server in (self.daemon, self.unbound, self.one_alias.server, self.nsd):
                server.stop()
        finally:
            self.folder.remove()

    def compare(self, asked):
        verdict = self.rules.verdict(asked)
        silent = bool(verdict) and verdict.rule.action == "drop"
        ours, theirs = (view(ask(port, asked, silent)) for port in (self.daemon.port, self.unbound.port))
        kind = None
        if ours != theirs:
            kind = class_of(self.rules, asked, verdict, ours, theirs, lambda: self.ask_unbound_again(asked)) or "unexplained"
        with self.lock:
            self.count[ours[0]] += 1
            self.actions[describe_rule(verdict, asked)] += 1
            if shape(ours) != self.rules.outcome(asked, verdict):
                self.beside += 1
                self.examples.append("not what the rules lead to: %s\n  rule   %s, %s\n  ours   %s" % (asked, verdict,
                    self.rules.outcome(asked, verdict), ours))
            if kind is None:
                return
            self.differing[kind] += 1
            if kind == "unexplained" and len(self.examples) < 20:
                self.examples.append("%s\n  rule   %s\n  ours   %s %s\n  theirs %s %s" % (asked, verdict, ours[0], sorted(ours[1] - theirs[1]),
                    theirs[0], sorted(theirs[1] - ours[1])))

    def ask_unbound_again(self, asked):
        """When what it has by a TTL of 0 is gone."""
        time.sleep(1.2)
        return view(ask(self.unbound.port, asked, False))

    def explain(self, asked):
        """Holds `teredown policy test` against what the generator knows of this question: zone, file and line of the rule that decides."""
        verdict = self.rules.verdict(asked)
        told = self.daemon.json("policy", "test", asked.qname, "--type", asked.qtype, "--client", asked.client)
        won = [(step["zone"], step["source"], step["line"]) for step in told["steps"] if step["outcome"] == "won"]
        zone = self.rules.zones[verdict.rule.zone] if verdict else None
        known = [(zone.name, zone_path(self.folder.path, zone), verdict.rule.line)] if verdict else []
        with self.lock:
            self.explained += 1
            if won != known:
                self.misled += 1
                self.examples.append("policy test %s: says %s, the rule is %s" % (asked, won, known))

    def run(self, explained=0):
        """explained: for so many of the questions the verdict is explained as well, afterwards."""
        self._each(self.compare, self.asked)
        self._each(self.explain, self.asked[:explained])

    def _each(self, action, questions):
        faults = []

        def work(part):
            try:
                for asked in questions[part::THREADS]:
                    action(asked)
            except Exception as fault: # the first of them is told by the main thread
                faults.append(fault)
        threads = [threading.Thread(target=work, args=(part,)) for part in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    @property
    def percent(self):
        return 100.0 * sum(self.differing.values()) / max(1, len(self.asked))

    def describe(self):
        lines = ["%d questions, %d rules (%s): %.2f %% differ, at most %.1f %%" % (len(self.asked), sum(len(zone.rules) for zone in self.rules.zones),
            ", ".join("%s %d" % pair for pair in self.count.most_common()), self.percent, LIMIT_PERCENT)]
        lines.append("  by rule: " + ", ".join("%s %d" % pair for pair in sorted(self.actions.items())))
        lines += ["  %-28s %5d  %s" % (kind, self.differing[kind], text) for kind, text in CLASSES.items() if self.differing[kind]]
        if self.explained:
            lines.append("  policy test: %d verdicts, %d with another zone, file or line than the rule's" % (self.explained, self.misled))
        if self.examples:
            lines += ["  %-28s %5d" % ("unexplained", self.differing["unexplained"]), "  %-28s %5d" % ("not what the rules say", self.beside)]
            lines += self.examples[:20]
        return "\n".join(lines)

    @property
    def clean(self):
        return self.percent <= LIMIT_PERCENT and not self.differing["unexplained"] and not self.beside and not self.misled


def describe_rule(verdict, asked):
    """How the answer came about, in two words."""
    if verdict is None:
        return "none"
    trigger = verdict.rule.trigger
    if trigger == "name" and verdict.name != asked.qname.lower():
        trigger = "chain"
    return "%s %s" % (trigger, verdict.rule.action)


def main():
    parser = argparse.ArgumentParser(description="whether policy zones do what they do in Unbound")
    parser.add_argument("--questions", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--explain", action="store_true", help="hold `teredown policy test` against the rules, for each question")
    parser.add_argument("--triggers", default="name,client,address")
    options = parser.parse_args()
    audit = Audit(options.questions, options.seed, options.triggers.split(","))
    audit.open()
    try:
        audit.run(len(audit.asked) if options.explain else 0)
    finally:
        audit.close()
    print(audit.describe())
    return 0 if audit.clean else 1


if __name__ == "__main__":
    sys.exit(main())
