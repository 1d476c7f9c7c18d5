# SPDX-License-Identifier: BSD-3-Clause
"""A DNS server over TCP or TLS that does to its connections what a test tells it to, and remembers what it saw of them.

    script(packet, question, connection) -> iterable of (delay in seconds, message), where a message is
        bytes      framed with their length,
        Raw(…)     as they are,
        CLOSE      the connection's end

A thread for each connection reads; answers leave by one more, in the order of their times, so that any order can be had. The server has a
UDP socket on the same port, which counts what should never come there.
"""

import collections
import contextlib
import heapq
import itertools
import socket
import ssl
import struct
import subprocess
import threading
import time

import harness
import redis_set
import wire

CLOSE = object()


class Raw(bytes):
    """Octets without a length before them."""


class Connection:
    def __init__(self, sock):
        self.sock, self.messages, self.lock = sock, [], threading.Lock()
        self.reused, self.protocol, self.version = False, None, None

    def send(self, message):
        try:
            with self.lock:
                if message is CLOSE:
                    self.sock.shutdown(socket.SHUT_RDWR)
                else:
                    self.sock.sendall(message if isinstance(message, Raw) else struct.pack("!H", len(message)) + message)
        except (OSError, ValueError):
            pass  # who asked is gone


class StreamServer:
    def __init__(self, script, context=None, host="127.0.0.1"):
        self.script, self.context = script, context
        self.connections, self.failures, self.first_octets = [], [], []
        self.udp_packets = 0  # known when it has stopped
        self.asked = collections.Counter()
        self.ended, self.lock = False, threading.Condition()
        self.due, self.serial = [], itertools.count()
        self._bind(host)
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._accept, self._answer)]
        for thread in self.threads:
            thread.start()

    def _bind(self, host):
        for _ in range(20):
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, 0))
            self.host, self.port = self.listener.getsockname()
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind((host, self.port))
                break
            except OSError:
                self.udp.close()
                self.listener.close()
        self.udp.setblocking(False)
        self.listener.listen(256)

    def stop(self):
        with self.lock:
            self.ended = True
            self.lock.notify_all()
        with socket.socket() as poke:
            poke.settimeout(2)
            poke.connect_ex((self.host, self.port))
        for connection in list(self.connections):
            connection.send(CLOSE)
        for thread in self.threads:
            thread.join(10)
        self.listener.close()
        self._count_udp()
        self.udp.close()

    # --- what it saw ---

    @property
    def endpoint(self):
        return "%s:%d" % (self.host, self.port)

    @property
    def messages(self):
        return [message for connection in list(self.connections) for message in list(connection.messages)]

    @property
    def reused(self):
        return sum(connection.reused for connection in list(self.connections))

    def _count_udp(self):
        with contextlib.suppress(BlockingIOError):
            while self.udp.recv(4096):
                self.udp_packets += 1

    # --- threads ---

    def _accept(self):
        while True:
            sock, _ = self.listener.accept()
            if self.ended:
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _secure(self, sock):
        first = sock.recv(1, socket.MSG_PEEK)
        self.first_octets.append(first)
        if self.context is None or not first:
            return sock
        return self.context.wrap_socket(sock, server_side=True)

    def _serve(self, sock):
        sock.settimeout(30)
        try:
            sock = self._secure(sock)
        except (OSError, ssl.SSLError) as fault:
            self.failures.append(str(fault))
            sock.close()
            return
        connection = Connection(sock)
        if isinstance(sock, ssl.SSLSocket):
            connection.reused, connection.protocol, connection.version = sock.session_reused, sock.selected_alpn_protocol(), sock.version()
        self.connections.append(connection)
        try:
            self._read(connection)
        except (OSError, ValueError, ssl.SSLError):
            pass
        sock.close()

    def _read(self, connection):
        buffer = b""
        while not self.ended:
            octets = connection.sock.recv(65536)
            if not octets:
                return
            buffer += octets
            while len(buffer) >= 2 and len(buffer) >= 2 + int.from_bytes(buffer[:2], "big"):
                size = int.from_bytes(buffer[:2], "big")
                packet, buffer = buffer[2:2 + size], buffer[2 + size:]
                self._take(connection, packet)

    def _take(self, connection, packet):
        asked = wire.read_question(packet)
        connection.messages.append(packet)
        with self.lock:
            self.asked[asked.qname] += 1
            now = time.monotonic()
            for delay, message in self.script(packet, asked, connection):
                heapq.heappush(self.due, (now + delay, next(self.serial), connection, message))
            self.lock.notify_all()

    def _answer(self):
        while True:
            with self.lock:
                while not self.ended and (not self.due or self.due[0][0] > time.monotonic()):
                    self.lock.wait(self.due[0][0] - time.monotonic() if self.due else None)
                if self.ended:
                    return
                _, _, connection, message = heapq.heappop(self.due)
            connection.send(message)


def answer(packet, last=1, ttl=60):
    return wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", wire.A, ttl, bytes([192, 0, 2, last]))])


def at_once(packet, asked, connection):
    """The last octet is the number in the name's first label: n7.example → 192.0.2.7."""
    digits = "".join(letter for letter in asked.qname.split(".")[0] if letter.isdigit())
    return [(0, answer(packet, int(digits or 1) % 256))]


# --- certificates ---

class Authority(redis_set.Authority):
    def issue_from(self, offset, name, alternatives=("DNS:dns.example",), days=2):
        """A certificate that begins at this offset from now, as faketime(1) says it: "+3d"."""
        return self.issue(name, alternatives, days, before=[harness.find("faketime"), "-f", offset])

    def context(self, certificate, key, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["dot"])
        if version:
            context.minimum_version = context.maximum_version = version
        return context


def pin_of(certificate):
    """What a person is told to run."""
    return subprocess.run("openssl x509 -in '%s' -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64" %
        certificate, shell=True, check=True, stdout=subprocess.PIPE).stdout.decode().strip()


# --- a client that asks many at once ---

def ask_all(daemon, names, deadline_s=10):
    """All names over UDP at once; {name: (rcode, addresses)} of those that were answered in time."""
    got = {}
    end = time.monotonic() + deadline_s
    with harness.udp_socket(daemon.port) as sock:
        for number, name in enumerate(names):
            sock.send(wire.query(number + 1, name, edns=1232))
        while len(got) < len(names) and time.monotonic() < end:
            sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                message = wire.parse(sock.recv(4096))
            except socket.timeout:
                break
            got[names[message.ident - 1]] = (message.rcode, message.addresses)
    return got
