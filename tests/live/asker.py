# SPDX-License-Identifier: BSD-3-Clause
"""A client that asks without a pause and counts its answers, beside a test that does something to Redis meanwhile."""

import threading

import harness
import wire
from harness import key, number, udp_socket, until


class Asker:
    """with Asker(daemon, "127.0.20.1") as asker: …; asker.answered is exact behind it. Any answer that does not come is a failure."""

    def __init__(self, daemon, client):
        self.daemon, self.client = daemon, client
        self.answered, self.fault = 0, None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            with udp_socket(self.daemon.port, source=self.client) as sock:
                while not self._end.wait(0.001):
                    sock.send(wire.query(self.answered & 0xFFFF, "h%d.example.org" % (self.answered % 300)))
                    assert wire.parse(sock.recv(4096)).rcode == wire.NOERROR
                    self.answered += 1
        except Exception as fault:  # told where the test waits for it
            self.fault = fault

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._end.set()
        self._thread.join()
        if kind is None and self.fault:
            raise harness.Failure("the asker ended early: %r" % self.fault)

    def until_answered(self, more):
        goal = self.answered + more
        until(lambda: self.fault or self.answered >= goal, "%d more answers" % more, 30)


def counted(store, client):
    """Queries of a client, and the sum over its names: both come from batches, by different keys."""
    names = sum(int(score) for _, score in store.zrange(key("client", client, "names"), 0, -1, withscores=True))
    return int(store.hget(key("client", client), "queries") or 0), names


def until_exact(daemon, store, client, answered, deadline_s=40.0, names=True):
    """Waits until nothing is on its way, then demands that what was answered is what is counted: none lost, none doubled. store is a function
    that gives a client of the server that has the counts now. names=False: the server was short of memory, and names may have made room."""
    def settled():
        status = daemon.status()
        waiting = number(status, "queries_waiting") + number(status, "batches_waiting") + number(status, "journal_due")
        return status["redis"] == "connected" and waiting == 0
    until(settled, "everything is counted", deadline_s, 0.1)
    until(lambda: min(counted(store(), client)[:1 + names]) >= answered, "%d of %s counted" % (answered, client), deadline_s, 0.1)
    assert counted(store(), client)[:1 + names] == (answered, answered)[:1 + names]
