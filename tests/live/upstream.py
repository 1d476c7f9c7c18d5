# SPDX-License-Identifier: BSD-3-Clause
"""A scripted upstream: a DNS server over UDP and TCP that answers what a test tells it to, when it tells it to.

NSD stands behind the tests that need a real server. This one stands behind those that need a bad or a strange one: it
delays and reorders answers, rotates addresses, truncates, sends wrong ids first, stays silent, and counts every
question. One thread, one poll loop, answers built by hand: an answer costs it some 60 us, so 20,000 of them
take less than two seconds. A script is a function

    script(packet, question, tcp) -> iterable of (delay in seconds, bytes)

In a test it runs as a thread of the test (start, stop); for the audits as a program of its own, so that
clients and upstream do not share an interpreter:  upstream.py --port P [--seed N] [--delay-ms LOW,HIGH]
"""

import argparse
import collections
import heapq
import ipaddress
import random
import selectors
import signal
import socket
import struct
import threading
import time

import wire

# By names below this one teredownd finds out whether a server leads back to it; no test counts them among what is asked.
LOOP = b"\4loop\x08internal\0"


def no_such_name(packet, asked, tcp):
    return [(0, wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa("", 300, 60)]))]


class Upstream:
    def __init__(self, script, host="127.0.0.1", port=0, tcp=True):
        """tcp false: the TCP port is closed."""
        self.script = script
        self.asked = collections.Counter()  # (qname in lower case, type) → questions, UDP and TCP
        self.udp_packets = self.tcp_queries = 0
        self.loop_names = []
        self.held = None  # a list while answers are held back
        self.sources = []  # (port, id) of each UDP question
        self._due, self._sequence, self._lock = [], 0, threading.Lock()
        self._open(host, port)
        self._wake_in, self._wake_out = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.udp, selectors.EVENT_READ, self._read_udp)
        if tcp:
            self._selector.register(self.tcp, selectors.EVENT_READ, self._accept)
        else:
            self.tcp.close()
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._thread, self._ended = None, False

    def _open(self, host, port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(20):
            self.tcp = socket.socket(family, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.tcp.bind((host, port))
            self.host, self.port = self.tcp.getsockname()[:2]
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            try:
                self.udp.bind((host, self.port))
                break
            except OSError:
                self.tcp.close()
                self.udp.close()
                if port:
                    raise
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.udp.setblocking(False)
        self.tcp.listen(512)
        self.tcp.setblocking(False)

    @property
    def endpoint(self):
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % (self.host, self.port)

    def count(self, qname, qtype=wire.A):
        return self.asked[(qname.lower().rstrip(".") + ".", qtype)]

    def start(self):
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._ended = True
        self._wake_out.send(b"x")
        if self._thread is not None:
            self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        self._wake_out.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def run(self):
        while not self._ended:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(wait):
                if key.data is not None:
                    key.data(key.fileobj)
                else:
                    key.fileobj.recv(64)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                self._send(*heapq.heappop(self._due)[2:])

    def _send(self, sock, address, packet):
        try:
            if address is not None:
                sock.sendto(packet, address)
            else:
                sock.setblocking(True)
                sock.sendall(struct.pack("!H", len(packet)) + packet)
                sock.setblocking(False)
        except OSError:
            pass  # who asked is gone

    def _schedule(self, sock, address, packet):
        try:
            asked = wire.read_question(packet)
        except wire.Malformed:
            return
        script = self.script
        if LOOP in packet.lower():
            self.loop_names.append(asked.qname)
            script = no_such_name
        else:
            self.asked[(asked.qname, asked.qtype)] += 1
        for delay, answer in script(packet, asked, address is None):
            with self._lock:
                if self.held is None or script is no_such_name:
                    self._push(delay, sock, address, answer)
                else:
                    self.held.append((delay, sock, address, answer))

    def _push(self, delay, *what):
        self._sequence += 1
        heapq.heappush(self._due, (time.monotonic() + delay, self._sequence, *what))

    def hold(self):
        """From now on no answer leaves, for tests in which something has to happen while a question is on its way."""
        with self._lock:
            self.held = []

    def release(self):
        with self._lock:
            for one in self.held:
                self._push(*one)
            self.held = None
        self._wake_out.send(b"x")

    def _read_udp(self, sock):
        for _ in range(64):
            try:
                packet, address = sock.recvfrom(4096)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier answer
            if LOOP not in packet.lower():
                self.udp_packets += 1
                self.sources.append((address[1], packet[:2]))
            self._schedule(sock, address, packet)

    def _accept(self, listener):
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, _Stream(self, self._selector))


class _Stream:
    """One TCP connection: collects octets, hands over whole messages."""

    def __init__(self, upstream, selector):
        self.upstream, self.selector, self.buffer = upstream, selector, b""

    def __call__(self, sock):
        try:
            octets = sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self.selector.unregister(sock)
            sock.close()
            return
        self.buffer += octets
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + int.from_bytes(self.buffer[:2], "big"):
            size = int.from_bytes(self.buffer[:2], "big")
            packet, self.buffer = self.buffer[2:2 + size], self.buffer[2 + size:]
            self.upstream.tcp_queries += 1
            self.upstream._schedule(sock, None, packet)


def addresses(table, ttl=60, delay=0.0):
    """A script from {name: address or list of addresses}; other names get NXDOMAIN with a SOA whose negative TTL is 60."""
    table = {key.lower().rstrip(".") + ".": [value] if isinstance(value, str) else value for key, value in table.items()}

    def script(packet, asked, tcp):
        if asked.qname not in table:
            return [(delay, wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa("", 300, 60)]))]
        records = []
        for text in table[asked.qname]:
            address = ipaddress.ip_address(text)
            if (wire.A if address.version == 4 else wire.AAAA) == asked.qtype:
                records.append(wire.rr(b"\xc0\x0c", asked.qtype, ttl, address.packed))
        return [(delay, wire.reply(packet, answers=records, authority=[] if records else [wire.soa("", 300, 60)]))]
    return script


class AuditScript:
    """What the audits ask: the first letter of a name says what its answer looks like.

    p  one to three addresses            c  a chain of one to three CNAMEs before them
    t  over UDP only TC, all over TCP     b  34 addresses: more than 512 octets
    n  NXDOMAIN                           o  no data

    No address is ever given twice, so an address says by itself to which answer it belongs. Each record has a TTL of its own, 0 to 2.
    """
    V4_BASE = int(ipaddress.ip_address("240.0.0.1"))  # class E: 2^28 addresses nobody owns

    def __init__(self, seed=1, low_s=0.002, high_s=0.060):
        self.random = random.Random(seed)
        self.low_s, self.high_s = low_s, high_s
        self.serial = 0

    def _address(self, qtype):
        self.serial += 1
        if qtype == wire.A:
            return (self.V4_BASE + self.serial).to_bytes(4, "big")
        prefix = (b"\x20\x01\x0d\xb8", b"\x20\x01\x00\x00", b"\x20\x02\xc0\x00")[self.serial % 3]
        return prefix + b"\x41\x37\x9e\x76" + self.serial.to_bytes(8, "big")

    def _records(self, asked, kind):
        ttl = lambda: self.random.randrange(3)
        owner, records = b"\xc0\x0c", []
        if kind == "c":
            for step in range(self.random.randint(1, 3)):
                target = wire.name("%s%d.chain.example.org" % (asked.qname.split(".")[0], step))
                records.append(wire.rr(owner, wire.CNAME, ttl(), target))
                owner = target
        for _ in range(34 if kind == "b" else self.random.randint(1, 3)):
            records.append(wire.rr(owner, asked.qtype, ttl(), self._address(asked.qtype)))
        return records

    def __call__(self, packet, asked, tcp):
        kind = asked.qname[0]
        delay = self.random.uniform(self.low_s, self.high_s)
        if kind == "n":
            return [(delay, wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa("example.net", 1, 1)]))]
        if kind == "o" or asked.qtype not in (wire.A, wire.AAAA):
            return [(delay, wire.reply(packet, authority=[wire.soa("example.net", 1, 1)]))]
        if kind == "t" and not tcp:
            return [(delay, wire.reply(packet, flags=wire.AA | wire.RA | wire.TC))]
        return [(delay, wire.reply(packet, answers=self._records(asked, kind)))]


def main():
    parser = argparse.ArgumentParser(description="the scripted upstream of the audits")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delay-ms", default="2,60")
    options = parser.parse_args()
    low, high = (float(part) / 1000 for part in options.delay_ms.split(","))
    server = Upstream(AuditScript(options.seed, low, high), port=options.port)
    signal.signal(signal.SIGTERM, lambda *_: exit(0))
    print(server.port, flush=True)
    server.run()


if __name__ == "__main__":
    main()
