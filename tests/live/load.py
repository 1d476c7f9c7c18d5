# SPDX-License-Identifier: BSD-3-Clause
"""Many clients in one process: asks from many loopback addresses at once and keeps every answer with the question it belongs to.

Each client has UDP sockets and a TCP connection of its own and never uses an id twice on one socket, so
(client, port, id) names one transaction. Nothing is sent again: what is not answered within PATIENCE_S is lost, and is counted.
A truncated answer is asked again over TCP, as a client does: that is a transaction of its own.
"""

import collections
import itertools
import random
import selectors
import socket
import threading
import time

import wire

PATIENCE_S = 5.0


class Transaction:
    __slots__ = ("client", "port", "ident", "tcp", "qname", "qtype", "edns", "sent_s", "took_s", "reply", "given_up")

    @property
    def answered(self):
        return self.reply is not None

    @property
    def in_time(self):
        return self.reply is not None and self.took_s <= PATIENCE_S


class _Line:
    """One socket of one client: what is open on it, by id."""
    __slots__ = ("client", "sock", "port", "tcp", "next_id", "step", "open", "buffer")

    def __init__(self, client, sock, tcp, rng):
        self.client, self.sock, self.tcp = client, sock, tcp
        self.port = sock.getsockname()[1]
        self.next_id, self.step = rng.randrange(65536), rng.randrange(1, 65536, 2)
        self.open, self.buffer = {}, b""


class Load:
    def __init__(self, port, clients, sockets_each=3, seed=1, tcp_clients=None, strict_case=True):
        self.port, self.clients, self.strict_case = port, list(clients), strict_case
        self.random = random.Random(seed)
        self.tcp_clients = set(self.clients if tcp_clients is None else self.clients[:tcp_clients])
        self.transactions, self.strays = [], []
        self.retries = collections.deque()
        self.in_flight, self.in_flight_max, self.closed_by_server = 0, 0, 0
        self._in_flight_sum = 0
        self._queue = collections.deque()  # in the order sent, for giving up
        self._names = {}
        self._selector = selectors.DefaultSelector()
        self._udp = {client: [self._open(client, False) for _ in range(sockets_each)] for client in self.clients}
        self._tcp = {}

    def _open(self, client, tcp):
        inet6 = ":" in client
        sock = socket.socket(socket.AF_INET6 if inet6 else socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        sock.bind((client, 0))
        sock.settimeout(PATIENCE_S)
        sock.connect(("::1" if inet6 else "127.0.0.1", self.port))
        if not tcp:
            sock.setblocking(False)
        line = _Line(client, sock, tcp, self.random)
        self._selector.register(sock, selectors.EVENT_READ, line)
        return line

    @property
    def in_flight_mean(self):
        return self._in_flight_sum / max(1, len(self.transactions))

    @property
    def answered(self):
        return [transaction for transaction in self.transactions if transaction.answered]

    @property
    def unanswered(self):
        return [transaction for transaction in self.transactions if not transaction.in_time]

    def ask(self, client, qname, qtype=wire.A, tcp=False, edns=None):
        """Sends one question now. The case of qname is sent as given."""
        line = self.random.choice(self._udp[client])
        if tcp:
            line = self._tcp.get(client) or self._tcp.setdefault(client, self._open(client, True))
        one = Transaction()
        one.client, one.port, one.ident, one.tcp = client, line.port, line.next_id, tcp
        one.qname, one.qtype, one.edns, one.took_s, one.reply, one.given_up = qname, qtype, edns, None, None, False
        line.next_id = line.next_id + line.step & 0xFFFF
        wired = self._names.get(qname)
        if wired is None:
            wired = self._names[qname] = wire.name(qname)
        packet = wire.query(one.ident, wired, qtype, edns)
        one.sent_s = time.monotonic()
        self.transactions.append(one)
        self._queue.append(one)
        line.open[one.ident] = one
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self._in_flight_sum += self.in_flight
        try:
            if tcp:
                line.sock.sendall(len(packet).to_bytes(2, "big") + packet)
            else:
                line.sock.send(packet)
        except OSError:
            pass  # it stays unanswered, and is reported as that
        return one

    def _same_name(self, packet, asked):
        got = packet[12:12 + len(asked)]
        return got == asked or (not self.strict_case and got.lower() == asked.lower())

    def _answer(self, line, packet):
        one = line.open.get(int.from_bytes(packet[:2], "big"))
        if one is None or not self._same_name(packet, self._names[one.qname]):
            self.strays.append((line.client, line.port, bytes(packet)))
            return
        del line.open[one.ident]
        self.in_flight -= not one.given_up
        one.reply, one.took_s = packet, time.monotonic() - one.sent_s
        if packet[2] & 2 and not one.tcp and one.client in self.tcp_clients:
            self.retries.append((one.client, one.qname, one.qtype, True, one.edns))

    def _read_udp(self, line):
        for _ in range(16):
            try:
                packet = line.sock.recv(65535)
            except OSError:
                return
            self._answer(line, packet)

    def _read_tcp(self, line):
        try:
            octets = line.sock.recv(262144)
        except OSError:
            octets = b""
        if not octets:
            self.closed_by_server += 1
            self.in_flight -= sum(not one.given_up for one in line.open.values())
            for one in line.open.values():
                one.given_up = True
            self._selector.unregister(line.sock)
            line.sock.close()
            if self._tcp.get(line.client) is line:
                del self._tcp[line.client]
            return
        line.buffer += octets
        while len(line.buffer) >= 2 and len(line.buffer) >= 2 + int.from_bytes(line.buffer[:2], "big"):
            size = int.from_bytes(line.buffer[:2], "big")
            packet, line.buffer = line.buffer[2:2 + size], line.buffer[2 + size:]
            self._answer(line, packet)

    def receive(self, wait_s=0.0):
        """Takes what has arrived; True when there was anything."""
        ready = self._selector.select(wait_s)
        for key, _ in ready:
            (self._read_tcp if key.data.tcp else self._read_udp)(key.data)
        return bool(ready)

    def _retry(self):
        while self.retries:
            self.ask(*self.retries.popleft())

    def _give_up(self):
        now = time.monotonic()
        while self._queue and (self._queue[0].answered or now - self._queue[0].sent_s > PATIENCE_S):
            one = self._queue.popleft()
            if not one.answered and not one.given_up:
                one.given_up = True
                self.in_flight -= 1

    def run(self, plan, in_flight=600, rate=5000, between=None):
        """Asks all of plan, (client, qname, qtype, tcp, edns) each, with at most in_flight open; then waits for what is open.

        The rate is even, without bursts that would overflow a socket's buffer before anyone could read it.
        between(number of questions so far) is called before each group of 16, for a test that does something meanwhile.
        """
        due = time.monotonic()
        for index, item in enumerate(plan):
            if between is not None and index % 16 == 0:
                between(index)
            while self.in_flight >= in_flight:
                self.receive(0.01)
                self._give_up()
            while time.monotonic() < due:
                self.receive(0.0005)
            due = max(due, time.monotonic() - 0.005) + 1.0 / rate
            self.ask(*item)
            if index % 8 == 0:
                self.receive()
            self._retry()
        self.finish()

    def finish(self):
        """Waits until nothing is open, or until what was sent last had its PATIENCE_S."""
        end = time.monotonic() + PATIENCE_S
        while (self.in_flight > 0 or self.retries) and time.monotonic() < end:
            if self.retries:
                self._retry()
                end = time.monotonic() + PATIENCE_S
            self.receive(0.05)

    def close(self):
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()


def loopback_clients(count, first="127.0.1.1"):
    base = int.from_bytes(socket.inet_aton(first), "big")
    return [socket.inet_ntoa((base + index).to_bytes(4, "big")) for index in range(count)]


class Background:
    """A load that runs beside the test, until it is stopped: the questions of plan again and again at an even rate."""

    def __init__(self, load, plan, rate=400):
        self.load, self.plan, self.rate = load, plan, rate
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        due = time.monotonic()
        for item in itertools.cycle(self.plan):
            while time.monotonic() < due:
                self.load.receive(max(0.0, due - time.monotonic()))
            if self._ended.is_set():
                break
            due = max(due, time.monotonic() - 0.05) + 1.0 / self.rate
            self.load.ask(*item)
        self.load.finish()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(60)
        self.load.close()

    def asked(self):
        return len(self.load.transactions)
