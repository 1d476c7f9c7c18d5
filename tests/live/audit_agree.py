#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The agreement audit: is an answer of teredownd the answer of Unbound, where both forward to the same server?

NSD serves a root of the test's own, signed, with everything below it: the names asked (of ../shared/data/lists where they are there, else made
up) with records of many types, wildcards, chains of CNAMEs, empty non-terminals, delegations, a zone with NSEC3. Each question, with its type,
EDNS size, DO and CD bits and transport drawn by the seed, is put to both. Compared: rcode, the answer section as a set, whether there is an SOA
to cache a denial by, AA, AD, TC, RA. The order of records is no difference, nor is a TTL, nor what stands in an answer with TC, which nobody
may use (RFC 2181, 9).

What differs has to belong to one of CLASSES, which were named before; the rest is *unexplained*, and is shown.

    TEREDOWN_BUILD=build tests/live/audit_agree.py [--questions 10000] [--seed 1] [--names FILE]
"""

import argparse
import collections
import hashlib
import os
import random
import sys
import threading
import time

import dns.flags
import dns.rcode
import dns.rdatatype

import harness
import signed

LISTS = os.path.join(harness.SOURCE, "..", "shared", "data", "lists")
LIMIT_PERCENT = 0.3
THREADS = 4

# What is done otherwise on purpose.
CLASSES = {
    "minimal ANY": "one HINFO record (RFC 8482); Unbound passes on what upstream says",
    "special-use names": "answered here; Unbound has other ones, or other records for them",
    "NSEC, RRSIG of alias": "stand beside a CNAME (RFC 4034, 3 and 4) and are the answer; Unbound follows the alias",
    "over 1232 octets": "never over UDP (RFC 9715); Unbound sends what the client offers room for",
}

ADDRESS_TYPES = ["A"] * 10 + ["AAAA"] * 6
OTHER_TYPES = ["MX", "TXT", "SRV", "HTTPS", "SVCB", "NAPTR", "CAA", "PTR", "NS", "SOA", "DS", "DNSKEY", "CNAME", "DNAME", "TLSA", "SSHFP", "LOC", "RP",
    "HINFO", "SPF", "URI", "CERT", "OPENPGPKEY", "TYPE65280", "NSEC", "NSEC3PARAM", "RRSIG"]
SPECIAL = ["localhost", "a.localhost", "nothing.invalid", "hidden.onion", "1.0.0.10.in-addr.arpa", "1.0.168.192.in-addr.arpa",
    "1.0.0.127.in-addr.arpa", "printer.home.arpa", "_dns.resolver.arpa"]


def made_up_names(count):
    """Names like those that people ask for, where the lists are not at hand."""
    draw = random.Random(7)
    words = ["mail", "www", "cdn", "api", "news", "shop", "img", "static", "login", "blog", "video", "ads", "data", "cloud", "media"]
    tops = ["com", "net", "org", "de", "co.uk", "fr", "info", "io", "com.br", "edu"]
    return ["%s.%s%d.%s" % (draw.choice(words), draw.choice(words), number, draw.choice(tops)) if number % 3
        else "%s%d.%s" % (draw.choice(words), number, draw.choice(tops)) for number in range(count)]


def read_names(path, count):
    if path is None:
        path = os.path.join(LISTS, "opendns-random-domains.txt")
        if not os.path.exists(path):
            return made_up_names(count)
    with open(path, encoding="ascii", errors="ignore") as lines:
        names = [line.strip().lower().rstrip(".") for line in lines]
    return [name for name in names if name and all(0 < len(label) < 64 for label in name.split(".")) and "\\" not in name][:count]


def address(name, family=4):
    octets = hashlib.sha256(name.encode()).digest()
    if family == 4:
        return "198.%d.%d.%d" % (18 + octets[0] % 2, octets[1], octets[2])
    return "2001:db8:%x:%x::%x" % (octets[0], octets[1], octets[2] + 1)


def records_of(number, name):
    """What stands at a name of the list, by its number; nothing at every seventh."""
    kind, lines = number % 14, []
    add = lambda owner, text: lines.append("%s. IN %s" % (owner, text))
    if kind in (6, 13):
        return lines
    if kind == 1:
        add(name, "CNAME a.%s.cdn.example." % name if len(name) < 200 else "CNAME www.example.")
        return lines
    if kind == 2:
        add(name, "CNAME c1.%s.cdn.example." % name)
        add("c1.%s.cdn.example" % name, "CNAME c2.%s.cdn.example." % name)
        add("c2.%s.cdn.example" % name, "A " + address(name))
        add("c2.%s.cdn.example" % name, "AAAA " + address(name, 6))
        return lines
    if kind == 3:
        add("*." + name, "A " + address(name))
    if kind == 4:
        add("a.b.c." + name, "TXT \"below empty ones\"")
        return lines
    for index in range(1 + kind % 3):
        add(name, "A " + address(name + str(index)))
    if kind % 2:
        add(name, "AAAA " + address(name, 6))
    add(name, "MX %d mail.%s." % (kind * 10, name))
    add(name, 'TXT "v=spf1 include:%s -all"' % name)
    if kind == 5:
        add(name, "HTTPS 1 . alpn=h2,h3 ipv4hint=%s" % address(name))
        add(name, "SVCB 1 svc.%s. port=8443" % name)
        add(name, 'CAA 0 issue "ca.example"')
        add(name, 'NAPTR 10 20 "S" "SIP+D2U" "" _sip._udp.%s.' % name)
    if kind == 7:
        add(name, "SRV 1 2 5060 sip.%s." % name)
        add(name, "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m")
        add(name, "TLSA 3 1 1 " + hashlib.sha256(name.encode()).hexdigest())
        add(name, "SSHFP 4 2 " + hashlib.sha256(name.encode()).hexdigest())
    if kind == 8:
        add(name, "PTR host.%s." % name)
        add(name, 'HINFO "PC" "OS"')
        add(name, "RP host.%s. txt.%s." % (name, name))
        add(name, "TYPE65280 \\# 4 01020304")
    if kind == 9:
        for index in range(40):
            add(name, "A 198.51.100.%d" % (index + 1))
    if kind == 10:
        add(name, 'TXT "%s"' % ("y" * 250))
        for index in range(8):
            add(name, 'TXT "%03d %s"' % (index, "x" * 200))
    return lines


def root_zone(names):
    seen, lines = set(), []
    for number, name in enumerate(names):
        if name in seen or any(name.endswith("." + other) for other in ("example", "localhost", "invalid", "onion")):
            continue
        seen.add(name)
        lines += records_of(number, name)
    aliases = {line.split(". IN ")[0] for line in lines if ". IN CNAME " in line}
    # A list may have a name and one below it: beside a CNAME stands nothing else.
    lines = [line for line in lines if ". IN CNAME " in line or line.split(". IN ")[0] not in aliases]
    return signed.ROOT + "\n".join(dict.fromkeys(lines)) + "\n"


Question = collections.namedtuple("Question", "qname qtype payload do cd ad tcp")


def questions(names, count, seed):
    """Drawn by the seed; a fifth of the names is asked for once more in another way, so that both answer out of what they have."""
    draw = random.Random(seed)
    others = ["www.three.example", "no.three.example", "a.wild.three.example", "alias.three.example", "www.plain.example", "plain.example",
        "three.example", "nothing.example", "x.wild.example", "a.old.example", "alias.example", "dangling.example", "big.example",
        "%s.%s.%s.%s.wild.example" % ("a" * 63, "b" * 63, "c" * 63, "d" * 40), "1.2.0.192.in-addr.arpa.example", "."]
    for number in range(count):
        name = names[number % len(names)] if draw.random() < 0.9 else draw.choice(others)
        roll = draw.random()
        if roll < 0.08:
            name = "%s.%s" % (draw.choice(["www", "x", "b.c", "c", "_sip._udp", "mail"]), name) if name != "." else name
        qtype = draw.choice(ADDRESS_TYPES if draw.random() < 0.6 else OTHER_TYPES)
        if number % 1250 == 700:
            name, qtype = draw.choice(SPECIAL), "A"
        elif number % 1250 == 1100:
            qtype = "ANY"
        name = "".join(draw.choice((c.lower(), c.upper())) for c in name)
        if len(name) > 250:
            continue
        yield Question(name, qtype, draw.choice([None, 512, 1232, 1232, 4096]), draw.random() < 0.3, draw.random() < 0.15,
            draw.random() < 0.2, draw.random() < 0.1)


def ask(port, asked):
    options = {} if asked.payload is None and not asked.do else {"payload": asked.payload or 1232, "want_dnssec": asked.do}
    flags = dns.flags.RD | (dns.flags.CD if asked.cd else 0) | (dns.flags.AD if asked.ad else 0)
    return harness.ask(port, asked.qname, asked.qtype, tcp=asked.tcp, timeout_s=10, flags=flags, use_edns=0 if options else False, **options)


def view(answer):
    """What is compared."""
    if answer.flags & dns.flags.TC:
        return dns.rcode.to_text(answer.rcode()), frozenset(), False, dns.flags.to_text(answer.flags)
    records = frozenset((rrset.name.to_text().lower(), rrset.rdtype, rrset.covers, record.to_text().lower())
        for rrset in answer.answer for record in rrset)
    soa = any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.authority)
    flags = answer.flags & (dns.flags.AA | dns.flags.AD | dns.flags.TC | dns.flags.RA | dns.flags.CD | dns.flags.RD)
    return dns.rcode.to_text(answer.rcode()), records, soa, dns.flags.to_text(flags)


def class_of(asked, ours, theirs):
    """The class that explains a difference; None: nothing does."""
    name = asked.qname.lower()
    if asked.qtype == "ANY":
        return "minimal ANY"
    if any(name == special or name.endswith("." + special) for special in SPECIAL):
        return "special-use names"
    if asked.qtype in ("NSEC", "RRSIG") and any(rdtype == dns.rdatatype.CNAME for _, rdtype, _, _ in theirs[1]):
        return "NSEC, RRSIG of alias"
    if "TC" in ours[3] and (asked.payload or 0) > 1232 and not asked.tcp and ours[0] == theirs[0]:
        return "over 1232 octets"
    return None


class Audit:
    def __init__(self, count, seed, path=None):
        self.folder = harness.Folder()
        self.names = read_names(path, count)
        self.asked = list(questions(self.names, count, seed))
        self.count, self.differing, self.examples = collections.Counter(), collections.Counter(), []
        self.lock = threading.Lock()

    def open(self):
        started = time.monotonic()
        self.nsd = signed.SignedNsd(self.folder.path, root_zone(self.names)).start()
        self.signing_s = time.monotonic() - started
        self.unbound = harness.Unbound(self.folder.path, self.nsd.port).start()
        self.unbound.until(lambda: harness.ask(self.unbound.port, ".", "SOA", timeout_s=1.0), "unbound answers")
        self.daemon = harness.Teredown(self.folder.path, self.nsd.endpoint).start()

    def close(self):
        try:
            for server in (self.daemon, self.unbound, self.nsd):
                server.stop()
        finally:
            self.folder.remove()

    def compare(self, asked):
        ours, theirs = view(ask(self.daemon.port, asked)), view(ask(self.unbound.port, asked))
        with self.lock:
            self.count[ours[0]] += 1
            if ours == theirs:
                return
            kind = class_of(asked, ours, theirs) or "unexplained"
            self.differing[kind] += 1
            if kind == "unexplained" and len(self.examples) < 20:
                self.examples.append("%s\n  ours   %s %s soa=%s %s\n  theirs %s %s soa=%s %s" % (asked,
                    ours[0], sorted(ours[1] - theirs[1]), ours[2], ours[3], theirs[0], sorted(theirs[1] - ours[1]), theirs[2], theirs[3]))

    def run(self):
        faults = []

        def work(part):
            try:
                for asked in self.asked[part::THREADS]:
                    self.compare(asked)
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
        lines = ["%d questions for %d names (%s): %.2f %% differ, at most %.1f %%" % (len(self.asked), len(self.names),
            ", ".join("%s %d" % pair for pair in self.count.most_common()), self.percent, LIMIT_PERCENT)]
        lines += ["  %-20s %5d  %s" % (kind, self.differing[kind], text) for kind, text in CLASSES.items() if self.differing[kind]]
        if self.differing["unexplained"]:
            lines += ["  %-20s %5d" % ("unexplained", self.differing["unexplained"])] + self.examples
        return "\n".join(lines)

    @property
    def clean(self):
        return self.percent <= LIMIT_PERCENT and not self.differing["unexplained"]


def main():
    parser = argparse.ArgumentParser(description="whether answers are those of Unbound over the same upstream")
    parser.add_argument("--questions", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", help="a file of names, one a line")
    options = parser.parse_args()
    audit = Audit(options.questions, options.seed, options.names)
    audit.open()
    try:
        audit.run()
    finally:
        audit.close()
    print("signed and served within %.1f s" % audit.signing_s)
    print(audit.describe())
    return 0 if audit.clean else 1


if __name__ == "__main__":
    sys.exit(main())
