# SPDX-License-Identifier: BSD-3-Clause
"""Teredo servers that answer as a test says: rightly, late, wrongly, from another address, or not at all (RFC 4380, 5.3.1)."""

import ipaddress
import select
import socket
import struct
import threading
import time

NONCE = slice(4, 12)
CONE_OCTET = 13 + 8 + 8


def checksum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(">%dH" % (len(octets) // 2), octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return 0xffff - total


def solicitation(packet):
    """(nonce, cone) of a router solicitation; it is checked octet by octet. An AssertionError says what is wrong with it."""
    assert len(packet) == 61, "61 octets"
    assert packet[:4] == b"\0\1\0\0" and packet[12] == 0, "authentication header"
    version, length, following, hops = struct.unpack(">IHBB", packet[13:21])
    source, destination, message = packet[21:37], packet[37:53], packet[53:]
    assert (version, length, following, hops) == (6 << 28, 8, 58, 255), "IPv6 header"
    assert ipaddress.IPv6Address(source).is_link_local and ipaddress.IPv6Address(destination) == ipaddress.IPv6Address("ff02::2")
    assert message[:2] == b"\x85\0" and message[4:] == b"\0\0\0\0", "router solicitation"
    assert checksum(source + destination + struct.pack(">II", 8, 58) + message) == 0, "checksum"
    return packet[NONCE], bool(source[8] & 0x80)


def advertisement(nonce, cone, peer, server="127.0.0.1", spoil=0):
    """What a server answers to peer. nonce None: without authentication header."""
    source = ipaddress.IPv6Address("fe80::8000:f227:0:0").packed[:12] + bytes(octet ^ 0xff for octet in socket.inet_aton(server))
    destination = ipaddress.IPv6Address("fe80::8000:ffff:ffff:ffff" if cone else "fe80::ffff:ffff:ffff").packed
    prefix = b"\x20\x01\0\0" + socket.inet_aton(server) + bytes(8)
    message = struct.pack(">BBHIII", 134, 0, 0, 0, 0, 2000) + struct.pack(">BBBBIII", 3, 4, 64, 0x40, 0xffffffff, 0xffffffff, 0) + prefix
    message += struct.pack(">BBHI", 5, 1, 0, 1280)
    total = checksum(source + destination + struct.pack(">II", len(message), 58) + message)
    message = message[:2] + struct.pack(">H", total ^ spoil) + message[4:]
    packet = b"" if nonce is None else b"\0\1\0\0" + nonce + b"\0"
    packet += b"\0\0" + struct.pack(">H", peer[1] ^ 0xffff) + bytes(octet ^ 0xff for octet in socket.inet_aton(peer[0]))
    return packet + struct.pack(">IHBB", 6 << 28, len(message), 58, 255) + source + destination + message


class TeredoServers:
    """Many addresses of loopback on one port, each with a script: script(nonce, cone, peer) gives [(seconds, address to answer from, packet)]."""

    def __init__(self, port, scripts):
        self.port, self.scripts, self.asked, self.faults = port, scripts, [], []
        self._sockets, self._ended = {}, threading.Event()
        for address in scripts:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, port))
            sock.setblocking(False)
            self._sockets[address] = sock
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        waiting = []
        addresses = {sock: address for address, sock in self._sockets.items()}
        while not self._ended.is_set():
            for sock in select.select(list(addresses), [], [], 0.01)[0]:
                packet, peer = sock.recvfrom(2048)
                now = time.monotonic()
                self.asked.append((now, addresses[sock], packet))
                try:
                    nonce, cone = solicitation(packet)
                except AssertionError as fault:
                    self.faults.append("%s: %s" % (fault, packet.hex()))
                    continue
                script = self.scripts[addresses[sock]]
                waiting += [(now + after, source, answer, peer) for after, source, answer in script(nonce, cone, peer)]
            due = [item for item in waiting if item[0] <= time.monotonic()]
            waiting = [item for item in waiting if item not in due]
            for _, source, answer, peer in due:
                self._sockets[source].sendto(answer, peer)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        for sock in self._sockets.values():
            sock.close()
        assert not self.faults, self.faults
