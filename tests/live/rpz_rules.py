# SPDX-License-Identifier: BSD-3-Clause
"""Policy zones and questions drawn by a seed, with a world of names below them; and what the draft says of each question, found by going
through the rules one after the other. The generator knows the line of each rule, so whoever claims to know it too can be held to it."""

import collections
import ipaddress
import random

TOPS = ["com", "net", "org", "de", "co.uk", "example"]
WORDS = ["mail", "www", "cdn", "api", "ads", "t", "x-y", "_tcp", "a.b", "deep.er.still"]
HEAD = "$TTL 300\n$ORIGIN {origin}\n@ IN SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ IN NS localhost.\n"

ZONE = "$TTL 300\n{0} IN SOA ns.example. host.example. 1 3600 600 86400 60\n{0} IN NS ns.example."

Rule = collections.namedtuple("Rule", "zone line trigger match action data owner")
Question = collections.namedtuple("Question", "qname qtype client tcp payload")
Verdict = collections.namedtuple("Verdict", "rule name") # the name of the chain at which it applies

SINGLE = {"nxdomain": "CNAME .", "nodata": "CNAME *.", "passthru": "CNAME rpz-passthru.", "drop": "CNAME rpz-drop.", "tcp-only": "CNAME rpz-tcp-only."}
LOCAL_TYPES = ["A", "AAAA", "TXT", "MX", "SRV", "HTTPS", "TYPE65280"]
TYPES = ["A"] * 20 + ["AAAA"] * 12 + ["TXT", "MX", "HTTPS", "SRV", "CNAME", "TYPE65280", "SOA", "PTR"]
WALLED = ["walled.garden.example", "alias.garden.example", "nothing.garden.example"]

# Who asks. Rules by address are about some of them only, or nothing else would be seen.
PLAIN_CLIENTS = ["127.0.1.%d" % number for number in range(1, 9)] + ["::1"]
CLIENT_RULES = [("127.0.2.1/32", "nxdomain"), ("127.0.2.2/32", "passthru"), ("127.0.2.3/32", "nodata"), ("127.0.2.4/32", "tcp-only"),
    ("127.0.2.5/32", "drop"), ("127.0.2.6/32", "local"), ("127.0.3.0/24", "nxdomain"), ("127.0.3.8/29", "nodata"), ("127.0.3.9/32", "passthru")]
RULED_CLIENTS = ["127.0.2.%d" % number for number in range(1, 7)] + ["127.0.3.1", "127.0.3.9", "127.0.3.10"]
BAD_KINDS = (3, 7) # of sites: their addresses are in these
BAD_V4, BAD_V6 = "203.0.113.%d", "2001:db8:bad:%x::%x"


class World:
    """Names and their records; lines for NSD."""

    def __init__(self, draw, sites):
        self.records = {} # name -> {type: [text]}
        self.targets = set() # of aliases
        self.names = ["s%d.%s" % (number, draw.choice(TOPS[:5])) for number in range(sites)]
        for number, name in enumerate(self.names):
            self._site(draw, number, name)
        self._garden()

    def add(self, name, rdtype, text):
        self.records.setdefault(name, {}).setdefault(rdtype, []).append(text)

    def _address(self, draw, bad):
        number = draw.randrange(1, 255)
        if bad:
            return BAD_V4 % number, BAD_V6 % (number % 16, number)
        return "198.18.%d.%d" % (draw.randrange(256), number), "2001:db8:%x::%x" % (draw.randrange(1, 256), number)

    def _site(self, draw, number, name):
        kind = number % 10
        if kind in (6, 9) and number > 20: # an alias, of one that stands above: chains, and no circle
            target = draw.choice(self.names[:number - 10])
            while self.names.index(target) % 10 in BAD_KINDS and draw.random() < 0.7:
                target = draw.choice(self.names[:number - 10])
            self.targets.add(target)
            self.add(name, "CNAME", target + ".")
        elif kind != 5:
            for _ in range(1 + number % 2):
                four, six = self._address(draw, kind in BAD_KINDS)
                self.add(name, "A", four)
                self.add(name, "AAAA", six)
            self.add(name, "TXT", '"of %s"' % name)
            self.add(name, "MX", "10 mail.%s." % name)
        for word in draw.sample(WORDS, 3):
            four, six = self._address(draw, draw.random() < 0.2)
            self.add("%s.%s" % (word, name), "A", four)
            self.add("%s.%s" % (word, name), "AAAA", six)

    def _garden(self):
        self.add(WALLED[0], "A", "192.0.2.80")
        self.add(WALLED[0], "AAAA", "2001:db8::80")
        self.add(WALLED[0], "TXT", '"a garden"')
        self.add(WALLED[1], "CNAME", WALLED[0] + ".")
        self.add("*.below.garden.example", "A", "192.0.2.81")

    def _lines(self, names):
        return ["%s. IN %s %s" % (name, rdtype, text) for name in names for rdtype, texts in self.records[name].items()
            for text in dict.fromkeys(texts)]

    def zone(self):
        """All of it as one zone, so that a server gives chains with their ends, as a recursive one does."""
        return "\n".join([ZONE.format("."), "ns.example. IN A 127.0.0.1"] + self._lines(self.records)) + "\n"

    def chain(self, name, qtype):
        """The names from the question on that an answer has, and its addresses."""
        names, addresses = [name], []
        while qtype != "CNAME":
            types = self.records.get(names[-1], {})
            if "CNAME" not in types:
                addresses = types.get(qtype, []) if qtype in ("A", "AAAA") else []
                break
            names.append(types["CNAME"][0].rstrip("."))
        return names, [ipaddress.ip_address(address) for address in addresses]

    def exists(self, name):
        below = name.endswith(".below.garden.example")
        return below or name in self.records or any(other.endswith("." + name) for other in self.records)

    def outcome(self, name, qtype):
        """The truth, as rcode and owner and type of each record."""
        names, _ = self.chain(name, qtype)
        records = frozenset((link, "CNAME") for link in names[:-1])
        types = self.records.get("*.below.garden.example" if names[-1].endswith(".below.garden.example") else names[-1], {})
        return "NOERROR" if self.exists(names[-1]) else "NXDOMAIN", records | ({(names[-1], qtype)} if qtype in types else frozenset())


def owner_of_prefix(text):
    """24.0.113.0.203 for 203.0.113.0/24, and so on."""
    network = ipaddress.ip_network(text)
    if network.version == 4:
        return "%d.%s" % (network.prefixlen, ".".join(reversed(str(network.network_address).split("."))))
    words = network.network_address.compressed.split(":")
    if words[:1] == [""]:
        words = words[1:]
    if words[-1:] == [""]:
        words = words[:-1]
    return "%d.%s" % (network.prefixlen, ".".join(word or "zz" for word in reversed(words)))


class Zone:
    def __init__(self, number, name):
        self.number, self.name = number, name
        self.lines = HEAD.format(origin=name + ".rpz.").splitlines()
        self.rules, self.names, self.prefixes = [], {}, {"client": {}, "address": {}}

    def text(self):
        return "\n".join(self.lines) + "\n"

    def _append(self, trigger, match, action, data, owner):
        rule = Rule(self.number, len(self.lines) + 1, trigger, match, action, data, owner)
        self.lines += ["%s IN %s" % (owner, text) for text in data]
        self.rules.append(rule)
        return rule

    def add_name(self, name, action, data):
        if name not in self.names:
            self.names[name] = self._append("name", name, action, data, name)

    def add_prefix(self, kind, prefix, action, data):
        network = ipaddress.ip_network(prefix)
        if network not in self.prefixes[kind]:
            label = {"client": "rpz-client-ip", "address": "rpz-ip"}[kind]
            self.prefixes[kind][network] = self._append(kind, network, action, data, "%s.%s" % (owner_of_prefix(prefix), label))

    def by_name(self, name, encloser=False):
        """Exact before wildcard, a longer wildcard before a shorter. encloser: a name with a rule hides the wildcards above it (RFC 4592, 3.3.1)."""
        labels = name.split(".")
        if name in self.names:
            return self.names[name]
        for at in range(1, len(labels)):
            above = ".".join(labels[at:])
            if "*." + above in self.names:
                return self.names["*." + above]
            if encloser and above in self.names:
                break
        return None

    def by_address(self, kind, addresses):
        """The longest prefix."""
        fitting = [(network.prefixlen, rule) for network, rule in self.prefixes[kind].items() for address in addresses
            if address.version == network.version and address in network]
        return max(fitting, key=lambda item: (item[0], -item[1].line))[1] if fitting else None


def local_data(draw, name):
    rdtype = draw.choice(LOCAL_TYPES)
    number = draw.randrange(1, 255)
    texts = {"A": ["A 192.0.2.%d" % number, "A 192.0.2.%d" % (256 - number)], "AAAA": ["AAAA 2001:db8:1::%x" % number],
        "TXT": ['TXT "told by a rule" "%d"' % number], "MX": ["MX 5 mx.%s." % name], "SRV": ["SRV 1 2 5060 sip.%s." % name],
        "HTTPS": ["HTTPS 1 . alpn=h2"], "TYPE65280": ["TYPE65280 \\# 4 010203%02x" % number]}
    data = texts[rdtype]
    if rdtype != "A" and draw.random() < 0.5:
        data = data + ["A 192.0.2.%d" % number]
    return list(dict.fromkeys(data))


def draw_action(draw, name):
    """Action and the data that says it."""
    action = draw.choices(["nxdomain", "nodata", "passthru", "tcp-only", "drop", "local", "redirect", "wildcard"],
        [34, 14, 12, 6, 2, 16, 12, 4])[0]
    if action in SINGLE:
        return action, [SINGLE[action]]
    if action == "local":
        return action, local_data(draw, name)
    if action == "redirect":
        return action, ["CNAME %s." % draw.choice(WALLED)]
    return "redirect", ["CNAME *.below.garden.example."]


class Rules:
    """Zones in their order, and what they say."""

    def __init__(self, draw, world, zones, per_zone, triggers):
        self.world = world
        self.zones = [Zone(number, "z%d" % (number + 1)) for number in range(zones)]
        for zone in self.zones:
            for _ in range(per_zone):
                self._name_rule(draw, zone)
        if "client" in triggers:
            for number, (prefix, action) in enumerate(CLIENT_RULES):
                data = ["A 192.0.2.66"] if action == "local" else [SINGLE[action]]
                self.zones[number % zones].add_prefix("client", prefix, action, data)
        if "address" in triggers:
            self._address_rules(draw)

    def _name_rule(self, draw, zone):
        name = draw.choice(self.world.names)
        shape = draw.random()
        if shape < 0.3:
            name = "*." + name
        elif shape < 0.45:
            name = "%s.%s" % (draw.choice(WORDS), name)
        elif shape < 0.5:
            name = "*.%s.%s" % (draw.choice(WORDS), name)
        action, data = draw_action(draw, name.lstrip("*."))
        if name in self.world.targets and data[0].startswith("CNAME *.b"): # on a chain Unbound tells the asterisk
            data = ["CNAME %s." % draw.choice(WALLED)]
        zone.add_name(name, action, data)

    def _address_rules(self, draw):
        for zone in self.zones:
            prefixes = [(BAD_V4 % draw.randrange(1, 255)) + "/32" for _ in range(12)]
            prefixes += ["203.0.113.%d/%d" % (draw.randrange(0, 256 >> (32 - length)) << (32 - length) & 255, length) for length in (28, 29, 30)]
            for _ in range(8):
                number = draw.randrange(1, 255)
                prefixes.append(BAD_V6 % (number % 16, number) + "/128")
            prefixes += ["2001:db8:bad:%x::/64" % number for number in draw.sample(range(16), 3)]
            for prefix in prefixes:
                action, data = draw_action(draw, "address.example")
                if data[0].startswith("CNAME *.b"): # Unbound tells the asterisk
                    data = ["CNAME %s." % draw.choice(WALLED)]
                zone.add_prefix("address", str(ipaddress.ip_network(prefix, strict=False)), action, data)

    def would_crash(self, asked):
        """Unbound 1.17.1 dereferences NULL where "TCP only" is the rule of a later name of the chain: it is not asked that."""
        names, _ = self.world.chain(asked.qname.lower(), asked.qtype)
        rules = [zone.by_name(link) for zone in self.zones for link in names[1:]]
        return any(rule and rule.action == "tcp-only" for rule in rules)

    def verdict(self, asked, skip=lambda rule: False, names_first=False, only_address=None, encloser=False, question=True):
        """Questions first, then the chain from its start (draft, 5.1), at each name the zones in their order (5.2), in a zone the name before
        addresses (5.4). The rule that makes the answer, or says PASSTHRU, and where in the chain; None: no rule.
        The other arguments: how others see it, see the audit's classes."""
        name, client = asked.qname.lower(), ipaddress.ip_address(asked.client)
        for zone in self.zones:
            for rule in (zone.by_address("client", [client]), zone.by_name(name, encloser)):
                if rule and question and not skip(rule):
                    return Verdict(rule, name)
        names, addresses = self.world.chain(name, asked.qtype)
        if only_address is not None:
            addresses = [only_address]
        for place, link in enumerate(names):
            last = place == len(names) - 1
            found = [(zone.by_name(link, encloser) if place else None, zone.by_address("address", addresses) if last else None) for zone in self.zones]
            rules = [rule for pair in found for rule in pair] if not names_first else [pair[0] for pair in found] + [pair[1] for pair in found]
            for rule in filter(None, rules):
                return Verdict(rule, link)
        return None

    def outcome(self, asked, verdict):
        """What a reply to that looks like: rcode, TC or silence, and owner and type of each record."""
        action = verdict.rule.action if verdict else "passthru"
        if action == "drop":
            return "silence", frozenset()
        if action == "tcp-only" and not asked.tcp:
            return "TC", frozenset()
        if action in ("passthru", "tcp-only"):
            return self.world.outcome(asked.qname.lower(), asked.qtype)
        names, _ = self.world.chain(asked.qname.lower(), asked.qtype)
        before = frozenset((link, "CNAME") for link in names[:names.index(verdict.name)])
        if action == "redirect":
            return self._redirected(asked, verdict, before)
        data = {text.split()[0] for text in verdict.rule.data if action == "local"}
        return "NXDOMAIN" if action == "nxdomain" else "NOERROR", before | {(verdict.name, rdtype) for rdtype in data if rdtype == asked.qtype}

    def _redirected(self, asked, verdict, before):
        target = verdict.rule.data[0].split()[1].rstrip(".").replace("*", verdict.name)
        rcode, records = ("NOERROR", frozenset()) if asked.qtype == "CNAME" else self.world.outcome(target, asked.qtype)
        return rcode, before | {(verdict.name, "CNAME")} | records


def questions(draw, world, rules, count, ruled_clients):
    """Names with rules and beside them, aliases of such names, names of none; types, spelling, clients, transports."""
    owners = [name for zone in rules.zones for name in zone.names]
    aliases = [name for name in world.names if "CNAME" in world.records.get(name, {})]
    for _ in range(count):
        roll = draw.random()
        if roll < 0.5:
            name = draw.choice(owners)
            name = name.replace("*", draw.choice(WORDS), 1) if name.startswith("*") and draw.random() < 0.8 else name.lstrip("*.")
        elif roll < 0.6:
            name = draw.choice(aliases)
        elif roll < 0.9:
            name = draw.choice(list(world.records)).replace("*", "any")
        else:
            name = draw.choice(world.names)
        roll = draw.random()
        if roll < 0.06:
            name = "%s.%s" % (draw.choice(WORDS), name)
        elif roll < 0.1:
            name = draw.choice(["x", "xx-"]) + name # ends with the same letters, and is another name
        client = draw.choice(RULED_CLIENTS) if ruled_clients and draw.random() < 0.03 else draw.choice(PLAIN_CLIENTS)
        asked = Question("".join(draw.choice((c.lower(), c.upper())) for c in name), draw.choice(TYPES), client, draw.random() < 0.1,
            draw.choice([None, 1232, 4096]))
        if not rules.would_crash(asked):
            yield asked


def build(seed, count, triggers, zones=4, per_zone=150, sites=400):
    draw = random.Random(seed)
    world = World(draw, sites)
    rules = Rules(draw, world, zones, per_zone, triggers)
    return world, rules, list(questions(draw, world, rules, count, "client" in triggers))
