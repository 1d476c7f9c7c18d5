# SPDX-License-Identifier: BSD-3-Clause
"""Names like those of block lists, the same ones every time, in the forms that resolvers read.

As in the lists people use: six of ten stand directly below a top-level domain, the others below a domain that has several, or
that only the list knows: 1.25 nodes a name, 10 octets a label, 19 a name.
"""

import os
import random

TOP = ["com"] * 50 + ["net"] * 10 + ["org"] * 7 + ["de"] * 5 + ["ru"] * 5 + ["info"] * 3 + ["xyz"] * 3 + ["top"] * 3 + \
    ["io"] * 2 + ["co.uk", "com.br", "fr", "cn", "online", "site", "shop", "click", "live", "pro", "biz", "eu"]
HOSTS = ["ads", "track", "www", "pixel", "metrics", "cdn", "stats", "click", "a", "s2s", "log", "api", "t", "static"]
SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we", "xi", "yo",
    "za", "st", "tr", "an", "el", "in", "or", "us", "ad", "net", "web", "shop", "click", "media", "play", "go", "my", "data"]


def domain(generator):
    return "".join(generator.choice(SYLLABLES) for _ in range(generator.randint(3, 6))) + \
        (str(generator.randint(1, 99)) if generator.random() < 0.25 else "") + "." + generator.choice(TOP)


def block_names(count, seed=1):
    """A list of so many names, none twice."""
    generator = random.Random(seed)
    parents = [domain(generator) for _ in range(max(1, count // 12))]
    names = {}
    while len(names) < count:
        kind = generator.random()
        if kind < 0.55:
            name = domain(generator)
        elif kind < 0.8:
            name = "%s%d.%s" % (generator.choice(HOSTS), generator.randint(1, 999), generator.choice(parents))
        else:
            name = "%s.%s" % (generator.choice(HOSTS), domain(generator))
        names[name] = None
    return list(names)


def asked_names(names, count, seed=2):
    """(names with a rule, names without one): so many of each, as clients ask; pairs of rules cover what is below a name."""
    generator = random.Random(seed)
    listed = set(names)
    hits = [generator.choice(names) for _ in range(count)]
    hits = [name if generator.random() < 0.8 else "www." + name for name in hits]
    misses = []
    while len(misses) < count:
        name = domain(generator)
        below = generator.random()
        if below < 0.6:
            name = generator.choice(["www", "api", "cdn", "mail", "img"]) + "." + name
        if below < 0.1:
            name = "eu-%d.%s" % (generator.randint(1, 9), name)
        labels = name.split(".")
        if not any(".".join(labels[i:]) in listed for i in range(len(labels))):
            misses.append(name)
    return hits, misses


def write_lines(path, lines):
    with open(path, "w") as out:
        out.writelines(line + "\n" for line in lines)
    return path


def write_rpz(folder, names):
    """What every resolver with RPZ reads: the name, and all below it."""
    head = ["$TTL 60", "@ SOA localhost. root.localhost. 1 3600 600 86400 60", "@ NS localhost."]
    path = os.path.join(folder, "list.rpz")
    with open(path, "w") as out:
        out.writelines(line + "\n" for line in head)
        for name in names:
            out.write("%s CNAME .\n*.%s CNAME .\n" % (name, name))
    return path


def write_domains(folder, names):
    return write_lines(os.path.join(folder, "list.domains"), names)


def write_dnsmasq(folder, names):
    """An address without an address is NXDOMAIN for the name and all below it."""
    return write_lines(os.path.join(folder, "list.dnsmasq"), ("address=/%s/" % name for name in names))


def write_asked(folder, hits, misses):
    return write_lines(os.path.join(folder, "asked"), ["+" + name for name in hits] + ["-" + name for name in misses])
