# SPDX-License-Identifier: BSD-3-Clause
"""The story of doc/from-drop-to-quiet.md, as data: a week in which three hosts ask for a Teredo server, and a firewall that drops what follows.

The lookups go the ordinary way, through a daemon whose clock is shifted (libfaketime) from block to block; in each block as many are asked
as the hosts would have asked in it. The firewall's log has nine drops behind each lookup.
"""

import random
import time

import chaos_faults
import harness
from harness import number, until

NAME, ADDRESS = "teredo.ipv6.microsoft.com", "65.55.158.118"
DROPS = 9
HOSTS = {"127.0.60.40": "sales-3", "127.0.60.41": "lab-pc", "127.0.60.77": "kiosk"}
STUBBORN = "127.0.60.77"
QUIET_HOST, OTHER_ADDRESS = "127.0.60.90", "203.0.113.9"
LINE = ("%s fw kernel: [%d.000001] DROP-EGRESS IN=eth1 OUT=eth0 MAC=00:16:3e:aa:bb:cc:00:16:3e:11:22:33:08:00 SRC=%s DST=%s LEN=89 TOS=0x00 "
    "PREC=0x00 TTL=127 ID=%d PROTO=UDP SPT=%d DPT=%d LEN=69\n")


class Story:
    """A week of lookups and drops, then three blocks of six hours behind `block on`."""
    BLOCK_S, PERIOD_S = 6 * 3600, 30  # how long the clock stands before it is set on; between two lookups of a host
    BLOCKS, QUIET_BLOCKS = 28, 3
    STEPS = 40  # so many lookups of the last block come one by one, as the clock goes

    def __init__(self, folder, upstream, redis_url):
        self.begin = (int(time.time()) // 3600) * 3600 - (self.BLOCKS + self.QUIET_BLOCKS) * self.BLOCK_S
        self.clock = chaos_faults.Clock(folder.path)
        if not self.clock.library:
            harness.missing("libfaketime is not installed")
        hosts = folder.write("hosts", "".join("%s %s.corp.example\n" % pair for pair in HOSTS.items()))
        self.set_clock(self.begin)
        self.daemon = harness.Teredown(folder.path, upstream, redis=redis_url, query_log="watched", environment=self.clock.environment,
            client_names=["hosts:" + hosts])
        self.per_block = self.BLOCK_S // self.PERIOD_S
        self.lookups = 0

    def set_clock(self, wall_s):
        self.clock.set(int(wall_s - time.time()))

    def start_of(self, block):
        return self.begin + block * self.BLOCK_S

    def ask(self, client, name, count):
        with harness.udp_socket(self.daemon.port, source=client) as sock:
            query = harness.make_query(name).to_wire()
            for ident in range(count):
                sock.send(ident.to_bytes(2, "big") + query[2:])
                assert sock.recv(4096)[:2] == ident.to_bytes(2, "big")

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
                self.set_clock(self.start_of(block) + (step + 1) * self.PERIOD_S)
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
        rng, lines = random.Random(1), 0
        with open(path, "w") as log:
            for block in range(self.BLOCKS):
                start = self.start_of(block)
                for index in range(self.per_block):
                    # In the hour in which the lookup was counted.
                    when = start + index * 3500 // self.per_block
                    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(when))
                    for client in HOSTS:
                        for _ in range(DROPS):
                            log.write(LINE % (stamp, when - self.begin, client, ADDRESS, rng.randrange(65536), rng.randrange(49152, 65536), 3544))
                            lines += 1
                stamp = time.strftime("%b %e %H:%M:%S", time.localtime(start))
                for _ in range(5):
                    log.write(LINE % (stamp, start - self.begin, QUIET_HOST, OTHER_ADDRESS, rng.randrange(65536), 6881, 6881))
                    lines += 1
        return lines
