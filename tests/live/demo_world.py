# SPDX-License-Identifier: BSD-3-Clause
"""The world of `./bootstrap demo`: the names there are, an office, and what its hosts ask for at which time of the week.

Nothing here is the internet: NSD answers for the root of it on loopback. Only names and addresses that the story is about are real ones.
Of Python's library this needs what Debian's python3-minimal has.
"""

import time

import week

# Who else tunnels, and by which name.
CONSOLE, WORKSHOP, LAPTOP, GUEST = "127.0.60.50", "127.0.60.78", "127.0.60.63", "127.0.60.95"
OFFICE = dict(zip(("127.0.60.%d" % host for host in range(10, 30)),
    "reception sales-1 sales-2 finance-1 finance-2 hr-1 design-1 design-2 design-3 dev-1 dev-2 dev-3 dev-4 support-1 support-2 support-3 "
    "board-1 lab-mac training-1 training-2".split()))
THINGS = {"127.0.60.200": "printer-2f", "127.0.60.201": "nas", "127.0.60.202": "camera-door", "127.0.60.203": "meeting-tv"}
OTHERS = {CONSOLE: "lounge-console", WORKSHOP: "workshop-2", LAPTOP: "laptop-7", GUEST: "guest-phone"}
NAMES = {**week.HOSTS, **OFFICE, **THINGS, **OTHERS}

SITES = ("www.example.org", "intranet.corp.example", "mail.corp.example", "wiki.corp.example", "git.corp.example", "calendar.corp.example",
    "news.example", "weather.example", "maps.example", "search.example", "video.example", "music.example", "shop.example", "bank.example",
    "travel.example", "forum.example", "docs.example", "cloud.example", "chat.example", "meet.example", "fonts.example.net",
    "static.example.net", "img.example.net", "api.example.net", "login.example.net", "time.example.net", "update.example.com",
    "telemetry.example.com", "store.example.com", "packages.example.com")
MISSPELT = ("wpad.corp.example", "serach.example", "intranet.corp.example.corp.example", "old-printer.corp.example")
ADS = ("ads.example.net", "tracker.example.com", "pixel.example.net")
TUNNELS = {CONSOLE: "xbox.ipv6.microsoft.com", WORKSHOP: "win10.ipv6.microsoft.com", LAPTOP: "6to4.ipv6.microsoft.com", GUEST: "teredo.remlab.net"}


def zone_text():
    lines = ["$TTL 300", ". IN SOA ns.example.net. host.example.net. 1 3600 600 86400 60", ". IN NS ns.example.net.", "ns.example.net. IN A 127.0.0.1"]
    for name, address in ((week.NAME, week.ADDRESS), (TUNNELS[WORKSHOP], "40.81.94.43"), (TUNNELS[CONSOLE], "203.0.113.77")):
        lines += ["%s. 60 IN CNAME %s.nsatc.net." % (name, name), "%s.nsatc.net. 60 IN A %s" % (name, address)]
    lines += ["%s. 60 IN A 192.88.99.1" % TUNNELS[LAPTOP], "%s. 60 IN A 203.0.113.78" % TUNNELS[GUEST], "*.cdn.example.net. 60 IN A 198.51.100.200"]
    for index, site in enumerate(SITES + ADS):
        lines += ["%s. IN A 198.51.100.%d" % (site, index + 1), "%s. IN AAAA 2001:db8::%x" % (site, index + 1)]
    return "\n".join(lines) + "\n"


def daemon_options(folder, zones, port, upstream_port, page_port, redis, workers):
    """The configuration, complete."""
    return """# Written by ./bootstrap demo.
resolver-name = "demo"
state-dir     = "{folder}/state"
zone-dir      = "{zones}"
listen        = {{ "127.0.0.1:{port}" }}
upstream      = {{ "127.0.0.1:{upstream}" }}
redis         = "{redis}"
workers       = {workers}
query-log     = off
dashboard-listen = {{ "127.0.0.1:{page}" }}
client-names  = {{ "hosts:{folder}/hosts" }}
zone "ads"     {{ file = "{folder}/ads.hosts" format = hosts mode = block }}
group "gaming" {{ clients = {{ "{console}" }} zone "teredo" {{ mode = watch }} }}
group "guests" {{ clients = {{ "{guest}" }} zone "teredo" {{ mode = block }} }}
""".format(folder=folder, zones=zones, port=port, page=page_port, upstream=upstream_port, redis=redis, workers=workers, console=CONSOLE, guest=GUEST)


def hosts_text():
    return "".join("%s %s.corp.example\n" % pair for pair in NAMES.items())


def ads_text():
    return "".join("0.0.0.0 %s\n" % name for name in ADS)


def _busy(when):
    """How busy the office is, 0 to 1, and how much is played."""
    at = time.localtime(when)
    working = at.tm_wday < 5 and 7 <= at.tm_hour < 19
    shape = {7: 0.3, 8: 0.8, 12: 0.6, 13: 0.7, 17: 0.5, 18: 0.2}
    return shape.get(at.tm_hour, 1.0) if working else 0.03, 1.0 if at.tm_hour >= 18 or at.tm_hour < 1 else 0.0


def anything(random, client):
    """What a host of the office asks for next: its own few sites mostly, now and then one that nobody had asked for."""
    dice = random.random()
    if dice < 0.05:
        return random.choice(ADS)
    if dice < 0.08:
        return random.choice(MISSPELT)
    if dice < 0.16:
        return "a%04x.cdn.example.net" % random.randrange(4000)
    own = (int(client.rsplit(".", 1)[1]) * 7) % len(SITES)
    return SITES[(own + int(random.expovariate(0.25))) % len(SITES)]


def hour(random, number, hours, when, part):
    """The (client, name) pairs of one hour of the week; part: how much of it has passed."""
    office, played = _busy(when)
    asked = [(client, week.NAME) for _ in range(int(3600 / week.PERIOD_S * part)) for client in week.HOSTS]
    for client in OFFICE:
        asked += [(client, anything(random, client)) for _ in range(int(random.uniform(20, 50) * office * part + random.random()))]
    for client in THINGS:
        asked += [(client, random.choice(("time.example.net", "update.example.com"))) for _ in range(1 + int(3 * part))]
    asked += [(CONSOLE, name) for name in [TUNNELS[CONSOLE]] * int(40 * played * part) + ["store.example.com"] * int(10 * played * part)]
    # Remediated after three days; quiet, until an hour ago.
    if number < 72 or number == hours - 1:
        asked += [(WORKSHOP, TUNNELS[WORKSHOP])] * (12 if number < 72 else 2) + [(WORKSHOP, "intranet.corp.example")] * 3
    if number % 24 == 9:
        asked += [(LAPTOP, TUNNELS[LAPTOP]), (LAPTOP, "isatap.corp.example")]
    if number > 100 and number % 5 == 0:
        asked += [(GUEST, TUNNELS[GUEST])] * 3 + [(GUEST, "video.example")] * 6
    random.shuffle(asked)
    return asked


# Afterwards, as time goes: (client, seconds between two, names to choose from or None for anything).
def live():
    rows = [(client, float(week.PERIOD_S), (week.NAME,)) for client in week.HOSTS]
    rows += [(client, 3.0, None) for client in OFFICE]
    rows += [(client, 20.0, ("time.example.net", "update.example.com")) for client in THINGS]
    rows += [(CONSOLE, 45.0, (TUNNELS[CONSOLE], "store.example.com")), (WORKSHOP, 100.0, (TUNNELS[WORKSHOP],)), (GUEST, 60.0, (TUNNELS[GUEST],))]
    return rows
