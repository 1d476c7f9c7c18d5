# SPDX-License-Identifier: BSD-3-Clause
"""The story of doc/from-drop-to-quiet.md, as data: a week in which three hosts ask for a Teredo server, and a firewall that drops what follows.

The lookups go the ordinary way, through a daemon whose clock is shifted (libfaketime) from block to block; in each block as many are asked
as the hosts would have asked in it. The firewall's log has nine drops behind each lookup.
"""

import time

import harness
from clock import Clock
from harness import number, until
from week import HOSTS, NAME, PERIOD_S, QUIET_HOST, STUBBORN, FirewallLog


class Story:
    """A week of lookups and drops, then three blocks of six hours behind `block on`."""
    BLOCK_S = 6 * 3600  # how long the clock stands before it is set on
    BLOCKS, QUIET_BLOCKS = 28, 3
    STEPS = 40  # so many lookups of the last block come one by one, as the clock goes

    def __init__(self, folder, upstream, redis_url):
        self.begin = (int(time.time()) // 3600) * 3600 - (self.BLOCKS + self.QUIET_BLOCKS) * self.BLOCK_S
        self.clock = Clock(folder.path)
        if not self.clock.library:
            harness.missing("libfaketime is not installed")
        hosts = folder.write("hosts", "".join("%s %s.corp.example\n" % pair for pair in HOSTS.items()))
        self.set_clock(self.begin)
        self.daemon = harness.Teredown(folder.path, upstream, redis=redis_url, query_log="watched", environment=self.clock.environment,
            client_names=["hosts:" + hosts])
        self.per_block = self.BLOCK_S // PERIOD_S
        self.lookups = 0

    def set_clock(self, wall_s):
        self.clock.set(int(wall_s - time.time()))

    def start_of(self, block):
        return self.begin + block * self.BLOCK_S

    def ask(self, client, name, count):
        harness.ask_often(self.daemon.port, client, name, count)

    def until_counted(self):
        def counted():
            status = self.daemon.status()
            return number(status, "queries_waiting") == 0 and number(status, "queries_applied") == number(status, "answered")
        until(counted, "all is counted", interval_s=0.05)

    def live_through(self):
        self.daemon.start()
        for block in range(self.BLOCKS):
            self.set_clock(self.start_of(block))
            steps = self.STEPS if block == self.BLOCKS - 1 else 0
            for client in HOSTS:
                self.ask(client, NAME, self.per_block - steps)
            for step in range(steps):
                self.set_clock(self.start_of(block) + (step + 1) * PERIOD_S)
                for client in HOSTS:
                    self.ask(client, NAME, 1)
            self.lookups += self.per_block * len(HOSTS)
            self.ask(QUIET_HOST, "www.example.org", 3)
            self.until_counted()

    def live_on_blocked(self):
        """All ask for some more hours, one host to the end; afterwards the clock is right again."""
        for block in range(self.QUIET_BLOCKS):
            self.set_clock(self.start_of(self.BLOCKS + block))
            for client in HOSTS if block == 0 else [STUBBORN]:
                self.ask(client, NAME, 20)
            self.until_counted()
        self.clock.set(0)

    def firewall_log(self, path):
        """What the firewall wrote meanwhile; other traffic it dropped as well. Returns the number of lines."""
        written = FirewallLog(self.begin)
        with open(path, "w") as log:
            for block in range(self.BLOCKS):
                log.writelines(written.span(self.start_of(block), self.per_block))
        return written.lines
