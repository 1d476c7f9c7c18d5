# SPDX-License-Identifier: BSD-3-Clause
"""The story of doc/from-drop-to-quiet.md, as data: three hosts that ask for a Teredo server, and the firewall's lines about what follows.

Of Python's library this needs what Debian's python3-minimal has, because the demo (tests/live/demo) tells it too.
"""

import random
import time

NAME, ADDRESS = "teredo.ipv6.microsoft.com", "65.55.158.118"
DROPS = 9  # of the firewall, behind each lookup
HOSTS = {"127.0.60.40": "sales-3", "127.0.60.41": "lab-pc", "127.0.60.77": "kiosk"}
STUBBORN = "127.0.60.77"
QUIET_HOST, OTHER_ADDRESS = "127.0.60.90", "203.0.113.9"
PERIOD_S = 30  # between two lookups of a host
HEAD = "%s fw kernel: [%d.000001] "
TAIL = ("DROP-EGRESS IN=eth1 OUT=eth0 MAC=00:16:3e:aa:bb:cc:00:16:3e:11:22:33:08:00 SRC=%s DST=%s LEN=89 TOS=0x00 PREC=0x00 TTL=127 ID=%d "
    "PROTO=UDP SPT=%d DPT=%d LEN=69\n")


class FirewallLog:
    """Lines as netfilter writes them."""
    VARIANTS = 500

    def __init__(self, begin):
        self.begin, self.lines = begin, 0
        self.random = random.Random(1)
        self.tails = {}

    def _tail(self, client, address, port):
        """One of some that were made before: half a million lines take a while."""
        key = (client, address, port)
        if key not in self.tails:
            number = self.random.randrange
            self.tails[key] = [TAIL % (client, address, number(65536), number(49152, 65536), port) for _ in range(self.VARIANTS)]
        return self.tails[key][self.lines % self.VARIANTS]

    def drops(self, when, client, address, port, count):
        head = HEAD % (time.strftime("%b %e %H:%M:%S", time.localtime(when)), when - self.begin)
        text = []
        for _ in range(count):
            text.append(head + self._tail(client, address, port))
            self.lines += 1
        return "".join(text)

    def span(self, start, lookups, seconds=3500):
        """Behind so many lookups of each host, evenly in so many seconds; by default in the hour in which they were counted."""
        for index in range(lookups):
            when = start + index * seconds // lookups
            for client in HOSTS:
                yield self.drops(when, client, ADDRESS, 3544, DROPS)
        # Other traffic that it dropped as well.
        yield self.drops(start, QUIET_HOST, OTHER_ADDRESS, 6881, 5)
