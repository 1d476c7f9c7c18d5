# SPDX-License-Identifier: BSD-3-Clause
"""DNS wire format by hand, for the parts of the live tests that must be fast or must send what no library would.

dnspython is the client wherever one question is asked and read with care. The audits ask 20,000 questions from
one process and answer them from another, where dnspython would be the slowest part of the chain; and a broken
packet cannot be made with a library that refuses to make it.
"""

import ipaddress
import struct

A, NS, CNAME, SOA, PTR, TXT, AAAA, OPT, IXFR, AXFR, ANY = 1, 2, 5, 6, 12, 16, 28, 41, 251, 252, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
TYPE_WORDS = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", TXT: "TXT", AAAA: "AAAA", ANY: "ANY"}


class Malformed(Exception):
    """The message ends early or loops."""


def name(text):
    """Presentation format (without escapes) to wire."""
    labels = [label for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in labels) + b"\0"


def header(ident, flags, questions=1, answers=0, authority=0, additional=0):
    return struct.pack("!6H", ident, flags, questions, answers, authority, additional)


def question(qname, qtype, qclass=1):
    return (qname if isinstance(qname, bytes) else name(qname)) + struct.pack("!HH", qtype, qclass)


def opt(payload=1232, version=0, options=b"", owner=b"\0", dnssec_ok=False, extended_rcode=0):
    ttl = extended_rcode << 24 | version << 16 | (0x8000 if dnssec_ok else 0)
    return owner + struct.pack("!HHIH", OPT, payload, ttl, len(options)) + options


def option(code, body):
    return struct.pack("!HH", code, len(body)) + body


def query(ident, qname, qtype=A, edns=None, flags=RD):
    """edns: None for no OPT record, else the payload size to offer."""
    extra = b"" if edns is None else opt(edns)
    return header(ident, flags, additional=0 if edns is None else 1) + question(qname, qtype) + extra


def rr(owner, rtype, ttl, rdata):
    owner = owner if isinstance(owner, bytes) else name(owner)
    return owner + struct.pack("!HHIH", rtype, 1, ttl, len(rdata)) + rdata


def soa(owner, ttl, minimum, serial=1):
    rdata = name("ns.example.net") + name("host.example.net") + struct.pack("!5I", serial, 3600, 600, 86400, minimum)
    return rr(owner, SOA, ttl, rdata)


def reply(packet, rcode=NOERROR, answers=(), authority=(), flags=AA | RA, edns=True):
    """A reply to the query in packet: its id, question, RD bit, and an OPT record where it had one."""
    asked = read_question(packet)
    with_opt = edns and packet[10:12] != b"\0\0"
    head = header(struct.unpack_from("!H", packet)[0], QR | (packet[2] & 1) << 8 | flags | rcode, 1, len(answers), len(authority), int(with_opt))
    return head + packet[12:asked.end] + b"".join(answers) + b"".join(authority) + (opt() if with_opt else b"")


def read_name(packet, at):
    """Returns (text in lower case with the final dot, offset behind it)."""
    labels, end, hops = [], None, 0
    while True:
        if at >= len(packet):
            raise Malformed("name runs out of the message")
        size = packet[at]
        if size >= 0xC0:
            if at + 1 >= len(packet) or hops > 64:
                raise Malformed("bad compression")
            end = at + 2 if end is None else end
            at = (size & 0x3F) << 8 | packet[at + 1]
            hops += 1
        elif size > 63:
            raise Malformed("bad label")
        elif size == 0:
            text = b".".join(labels).decode("latin-1").lower() + "."
            return text, at + 1 if end is None else end
        else:
            labels.append(packet[at + 1:at + 1 + size])
            at += 1 + size


class Question:
    __slots__ = ("qname", "qtype", "qclass", "end")


def read_question(packet):
    """The first question; Malformed when there is none."""
    asked = Question()
    if len(packet) < 12 or packet[4:6] == b"\0\0":
        raise Malformed("no question")
    asked.qname, at = read_name(packet, 12)
    if at + 4 > len(packet):
        raise Malformed("question cut short")
    asked.qtype, asked.qclass = struct.unpack_from("!HH", packet, at)
    asked.end = at + 4
    return asked


class Message:
    """A parsed reply. answers, authority: lists of (owner, type, ttl, text or bytes); options: list of (code, body)."""
    __slots__ = ("ident", "flags", "rcode", "question", "answers", "authority", "edns", "payload", "options")

    @property
    def truncated(self):
        return bool(self.flags & TC)

    @property
    def addresses(self):
        return [data for _, rtype, _, data in self.answers if rtype in (A, AAAA)]


def _rdata(packet, rtype, at, size):
    if rtype == A and size == 4:
        return "%d.%d.%d.%d" % tuple(packet[at:at + 4])
    if rtype == AAAA and size == 16:
        return ipaddress.IPv6Address(packet[at:at + 16]).compressed
    if rtype in (CNAME, NS, PTR):
        return read_name(packet, at)[0]
    return bytes(packet[at:at + size])


def parse(packet):
    message = Message()
    if len(packet) < 12:
        raise Malformed("shorter than a header")
    message.ident, message.flags, questions, answers, authority, additional = struct.unpack_from("!6H", packet)
    message.rcode = message.flags & 15
    message.question, message.edns, message.payload, message.options = None, False, 0, []
    at = 12
    if questions:
        message.question = read_question(packet)
        at = message.question.end
    message.answers, message.authority = [], []
    for section, count in ((message.answers, answers), (message.authority, authority), (None, additional)):
        for _ in range(count):
            owner, at = read_name(packet, at)
            if at + 10 > len(packet):
                raise Malformed("record cut short")
            rtype, rclass, ttl, size = struct.unpack_from("!HHIH", packet, at)
            at += 10
            if at + size > len(packet):
                raise Malformed("rdata cut short")
            if rtype == OPT:
                message.edns, message.payload = True, rclass
                message.rcode |= ttl >> 24 << 4
                message.options = list(_options(packet[at:at + size]))
            elif section is not None:
                section.append((owner, rtype, ttl, _rdata(packet, rtype, at, size)))
            at += size
    if at != len(packet):
        raise Malformed("%d octets behind the last record" % (len(packet) - at))
    return message


def _options(body):
    at = 0
    while at + 4 <= len(body):
        code, size = struct.unpack_from("!HH", body, at)
        yield code, body[at + 4:at + 4 + size]
        at += 4 + size
