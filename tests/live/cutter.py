# SPDX-License-Identifier: BSD-3-Clause
"""A proxy between teredownd and redis-server that cuts the connection where it hurts most.

    before    a batch has arrived here, and Redis sees nothing of it
    within    Redis has got the first half of a batch
    between   Redis has applied a batch and replied, and the daemon never hears of it
"""

import select
import socket
import threading

import harness

CUTS = ("before", "within", "between")


class Cutter:
    """Listens on a port of 127.0.0.1, connects to a unix socket. One thread a connection; made and ended by the test's thread."""

    def __init__(self, target):
        self.target, self.port = target, harness.free_port()
        self.done = dict.fromkeys(CUTS, 0)
        self._wanted = None
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return "redis://127.0.0.1:%d" % self.port

    def cut(self, how):
        """Cuts at the next batch, and waits until that has happened."""
        count = self.done[how]
        with self._lock:
            self._wanted = how
        harness.until(lambda: self.done[how] > count, "a connection is cut %s" % how)

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _take_wish(self, *hows):
        with self._lock:
            how = self._wanted
            if how not in hows:
                return None
            self._wanted = None
            return how

    def _serve(self, near):
        with near, socket.socket(socket.AF_UNIX) as far:
            try:
                far.connect(self.target)
                self._pass(near, far)
            except OSError:
                pass

    def _pass(self, near, far):
        cut = None
        while True:
            ready, _, _ = select.select([near, far], [], [])
            if near in ready:
                octets = near.recv(65536)
                if not octets:
                    return
                # Only batches are so large: the lease's call is the same script without items.
                if cut is None and b"EVALSHA" in octets and len(octets) > 1000:
                    cut = self._take_wish(*CUTS)
                if cut == "within":
                    far.sendall(octets[:len(octets) // 2])
                if cut in ("before", "within"):
                    self.done[cut] += 1
                    return
                far.sendall(octets)
            if far in ready:
                octets = far.recv(65536)
                if not octets:
                    return
                if cut == "between":
                    self.done[cut] += 1
                    return
                near.sendall(octets)
