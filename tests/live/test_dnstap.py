# SPDX-License-Identifier: BSD-3-Clause
"""dnstap, read by programs that are not ours: fstrm_capture at the other end of sockets, dnstap-ldns and kdig for what is in a file."""

import os
import re
import signal
import socket
import subprocess
import time

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

import harness
from harness import number, until

READERS = [harness.find(program) for program in ("fstrm_capture", "dnstap-ldns", "kdig")]


@pytest.fixture(scope="module", autouse=True)
def parts():
    if not all(READERS):
        harness.missing("fstrm_capture, dnstap-ldns or kdig is not installed")
    done = subprocess.run([harness.DAEMON, "-t", "-c", "/dev/stdin"], input=b'dnstap = "file:/tmp/x"\nupstream = { "127.0.0.1:5300" }\n',
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if b"without dnstap" in done.stderr:
        harness.missing("built without dnstap")


CONTENT_TYPE = "protobuf:dnstap.Dnstap"
STOP_FRAME = bytes.fromhex("00000000" "00000004" "00000003")
ALL = ["client-query", "client-response", "forwarder-query", "forwarder-response"]


class Capture(harness.Process):
    """fstrm_capture at a unix socket, or at a TCP port when there is one."""

    def __init__(self, folder, port=None, name="capture"):
        self.socket_path, self.port = os.path.join(folder, "tap.sock"), port
        self.file = os.path.join(folder, name + ".dnstap")
        where = ["-a", "127.0.0.1", "-p", str(port)] if port else ["-u", self.socket_path]
        super().__init__(name, [READERS[0], "-t", CONTENT_TYPE, *where, "-w", self.file], folder)

    @property
    def target(self):
        return "tcp://127.0.0.1:%d" % self.port if self.port else "unix:" + self.socket_path

    def finish(self):
        """It writes what it has in memory when it ends."""
        self.stop()
        return decode(self.file)


def decode(path):
    """The messages in a file, as dnstap-ldns tells them."""
    done = subprocess.run([READERS[1], "-y", "-r", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        errors="replace", timeout=60)
    assert done.returncode == 0, done.stderr
    return [_message(text) for text in done.stdout.split("---\n") if text.strip()]


def _message(text):
    def field(pattern):
        found = re.search(pattern, text, re.M)
        return found.group(1) if found else None
    return {
        "type": field(r"^  type: (\S+)"), "identity": field(r'^identity: "(.*)"'), "version": field(r'^version: "(.*)"'),
        "protocol": field(r"socket_protocol: (\S+)"), "client": field(r'query_address: "(.*)"'), "port": int(field(r"query_port: (\d+)") or 0),
        "server": field(r'response_address: "(.*)"'), "server_port": int(field(r"response_port: (\d+)") or 0),
        "id": int(field(r" id: (\d+)") or -1), "rcode": field(r"rcode: (\S+),"), "flags": (field(r";; flags: ([a-z ]*);") or "").split(),
        "name": field(r"QUESTION SECTION:\n\s*;(\S+)\t"), "rrtype": field(r"QUESTION SECTION:\n\s*;\S+\t\S+\t(\S+)"),
    }


def types(messages, kind):
    return [message for message in messages if message["type"] == kind]


def sink(daemon):
    return next(line for line in daemon.status()["sink"] if line["sink"] == "dnstap")


# --- what a client sees ---

class Client:
    """Asks, and keeps what it saw: (port, id, protocol, name, type, rcode, truncated)."""

    def __init__(self, port):
        self.daemon_port, self.seen = port, []

    def _note(self, protocol, local_port, reply):
        message = dns.message.from_wire(reply)
        question = message.question[0]
        self.seen.append((local_port, message.id, protocol, question.name.to_text(), dns.rdatatype.to_text(question.rdtype),
            dns.rcode.to_text(message.rcode()), bool(message.flags & 0x0200)))

    def udp(self, questions):
        with harness.udp_socket(self.daemon_port) as sock:
            for qname, qtype in questions:
                sock.send(harness.make_query(qname, qtype).to_wire())
                self._note("UDP", sock.getsockname()[1], sock.recv(65535))

    def tcp(self, questions):
        with harness.tcp_socket(self.daemon_port) as sock:
            for qname, qtype in questions:
                harness.send_framed(sock, harness.make_query(qname, qtype).to_wire())
                self._note("TCP", sock.getsockname()[1], harness.read_framed(sock))


QUESTIONS = [("www.example.org", "A"), ("www.example.org", "AAAA"), ("WWW.Example.ORG", "A"), ("big.example.org", "TXT"),
    ("alias.example.org", "A"), ("nowhere.example.org", "A"), ("teredo.ipv6.microsoft.com", "A"), ("localhost", "A"),
    ("many.example.org", "A")] + [("h%d.example.org" % index, "A") for index in range(60)]


def ask_all(daemon):
    client = Client(daemon.port)
    for _ in range(2):  # forwarded, then cached
        client.udp(QUESTIONS)
        client.tcp(QUESTIONS[:30])
    assert {"NOERROR", "NXDOMAIN"} <= {seen[5] for seen in client.seen} and any(seen[6] for seen in client.seen)
    return client.seen


def as_seen(message):
    return (message["port"], message["id"], message["protocol"], message["name"], message["rrtype"], message["rcode"], "tc" in message["flags"])


def check_answers(messages, seen, answered):
    responses = types(messages, "CLIENT_RESPONSE")
    assert len(responses) == answered
    mine = [message for message in responses if message["client"] == "127.0.0.1"]
    assert sorted(map(as_seen, mine)) == sorted(seen)
    assert {(message["identity"], message["server"]) for message in responses} == {(harness.RESOLVER, "127.0.0.1")}
    assert all(message["version"].startswith("teredown ") for message in responses)


# --- tests ---

@pytest.mark.parametrize("way", ["file", "unix", "tcp"])
def test_as_many_messages_as_answers_each_as_the_client_saw_it(teredown, nsd, folder, way):
    capture = None
    path = os.path.join(folder.path, "tap.dnstap")
    if way != "file":
        capture = Capture(folder.path, harness.free_port() if way == "tcp" else None).start()
    daemon = teredown(nsd.endpoint, mode="block", dnstap=capture.target if capture else "file:" + path)
    seen = ask_all(daemon)
    answered = number(daemon.status(), "answered")
    until(lambda: sink(daemon)["written"] == answered, "all messages written")
    assert sink(daemon)["dropped"] == 0 and sink(daemon)["state"] == "writing"
    daemon.stop()
    check_answers(capture.finish() if capture else decode(path), seen, answered)
    with open(capture.file if capture else path, "rb") as file:
        assert file.read().endswith(STOP_FRAME)


def test_kdig_reads_it_too(teredown, nsd, folder):
    path = os.path.join(folder.path, "tap.dnstap")
    daemon = teredown(nsd.endpoint, dnstap="file:" + path)
    seen = ask_all(daemon)
    answered = number(daemon.status(), "answered")
    daemon.stop()
    done = subprocess.run([READERS[2], "-G", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        errors="replace", timeout=60)
    assert done.returncode == 0 and len(re.findall("->>HEADER<<-", done.stdout)) == answered
    assert set(re.findall(r"id: (\d+)", done.stdout)) >= {str(transaction[1]) for transaction in seen}


def test_all_four_kinds(teredown, nsd, folder):
    path = os.path.join(folder.path, "tap.dnstap")
    daemon = teredown(nsd.endpoint, dnstap="file:" + path, dnstap_messages=ALL)
    seen = ask_all(daemon)
    status = daemon.status()
    daemon.stop()
    messages = decode(path)
    check_answers(messages, seen, number(status, "answered"))
    queries = types(messages, "CLIENT_QUERY")
    assert len(queries) == number(status, "answered")
    assert sorted((message["port"], message["id"], message["name"], message["rrtype"]) for message in queries if message["client"] == "127.0.0.1") \
        == sorted((port, ident, name, rrtype) for port, ident, _, name, rrtype, _, _ in seen)
    asked, told = types(messages, "FORWARDER_QUERY"), types(messages, "FORWARDER_RESPONSE")
    assert len(asked) == number(status, "upstream_udp") + number(status, "upstream_tcp") and len(told) == number(status, "upstream_answers")
    assert {(message["server"], message["server_port"]) for message in asked + told} == {("127.0.0.1", nsd.port)}
    assert {message["id"] for message in told} <= {message["id"] for message in asked}
    assert {"UDP", "TCP"} == {message["protocol"] for message in told}


def test_who_is_not_to_be_known_is_in_no_message(teredown, nsd, folder):
    path = os.path.join(folder.path, "tap.dnstap")
    daemon = teredown(nsd.endpoint, dnstap="file:" + path, dnstap_messages=ALL, anonymize="hash", exclude=["127.0.0.77", "secret.wild.example.org"])
    daemon.ask("www.example.org", source="127.0.0.78")
    daemon.ask("two.example.org", source="127.0.0.77")
    daemon.ask("a.secret.wild.example.org", source="127.0.0.78")
    daemon.stop()
    messages = decode(path)
    assert {message["client"] for message in messages} == {None}
    assert {(message["type"], message["name"] and message["name"].lower()) for message in messages if message["name"] != "localhost."} == {
        ("CLIENT_RESPONSE", "www.example.org."), ("CLIENT_QUERY", None), ("FORWARDER_QUERY", "www.example.org."),
        ("FORWARDER_RESPONSE", "www.example.org."), ("FORWARDER_QUERY", "two.example.org."), ("FORWARDER_RESPONSE", "two.example.org.")}


def test_a_file_ends_where_it_is_renamed_or_full(teredown, nsd, folder):
    path = os.path.join(folder.path, "tap.dnstap")
    with open(path, "w") as file:
        file.write("an older capture")
    daemon = teredown(nsd.endpoint, dnstap="file:" + path, query_log_size="64K", query_log_keep=50)
    with open(path + ".1") as file:
        assert file.read() == "an older capture"
    seen = sum((ask_all(daemon) for _ in range(5)), [])
    until(lambda: sink(daemon)["written"] == number(daemon.status(), "answered"), "all messages written")
    os.rename(path, path + "-moved")
    daemon.send(signal.SIGHUP)
    until(lambda: os.path.exists(path), "a new file")
    seen += sum((ask_all(daemon) for _ in range(5)), [])
    answered = number(daemon.status(), "answered")
    daemon.stop()
    old = sorted(name for name in os.listdir(folder.path) if re.match(r"tap\.dnstap\.\d+$", name))
    paths = [os.path.join(folder.path, name) for name in old] + [path + "-moved", path]
    assert len(old) >= 3
    messages = []
    for each in paths:
        with open(each, "rb") as file:
            octets = file.read()
        if octets == b"an older capture":
            continue
        assert octets.endswith(STOP_FRAME) and len(octets) <= (64 << 10) + len(STOP_FRAME)
        messages += decode(each)
    check_answers(messages, seen, answered)


def test_a_sighup_alone_leaves_the_file(teredown, nsd, folder):
    path = os.path.join(folder.path, "tap.dnstap")
    daemon = teredown(nsd.endpoint, dnstap="file:" + path)
    seen = ask_all(daemon)
    daemon.send(signal.SIGHUP)
    until(lambda: "reloaded" in daemon.log(), "a reload")
    seen += ask_all(daemon)
    answered = number(daemon.status(), "answered")
    daemon.stop()
    assert not os.path.exists(path + ".1")
    check_answers(decode(path), seen, answered)


def test_a_reader_that_comes_late_goes_and_comes_back(teredown, nsd, folder):
    first = Capture(folder.path, name="first")
    daemon = teredown(nsd.endpoint, dnstap=first.target)
    seen = ask_all(daemon)
    assert sink(daemon)["state"] == "away" and sink(daemon)["dropped"] == 0
    first.start()
    answered = number(daemon.status(), "answered")
    until(lambda: sink(daemon)["written"] == answered, "what waited is written")
    messages = first.finish()
    until(lambda: sink(daemon)["state"] == "away", "its end is seen")
    seen += ask_all(daemon)
    second = Capture(folder.path, name="second").start()
    answered = number(daemon.status(), "answered")
    until(lambda: sink(daemon)["written"] + sink(daemon)["dropped"] == answered, "the rest is written")
    dropped = sink(daemon)["dropped"]
    daemon.stop()
    messages += second.finish()
    check_answers(messages, seen, answered)
    assert dropped == 0


def big_answers(daemon, count):
    """So many answers of 4 kB, and the longest any of them took."""
    query, longest = harness.make_query("big.example.org", "TXT").to_wire(), 0.0
    with harness.tcp_socket(daemon.port) as sock:
        for _ in range(count):
            began = time.monotonic()
            harness.send_framed(sock, query)
            harness.read_framed(sock)
            longest = max(longest, time.monotonic() - began)
    return longest


def test_a_folder_that_is_not_there(folder):
    daemon = harness.Teredown(folder.path, "127.0.0.1:53", dnstap="file:%s/nowhere/dns.tap" % folder.path)
    done = subprocess.run([harness.DAEMON, "-t", "-c", daemon.config], stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1 and "dnstap: no file can be made in %s/nowhere/: No such file" % folder.path in done.stderr


@pytest.mark.timed
@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_reader_that_stops_reading_delays_nobody(teredown, nsd, folder, way):
    capture = Capture(folder.path, harness.free_port() if way == "tcp" else None).start()
    daemon = teredown(nsd.endpoint, dnstap=capture.target)
    big_answers(daemon, 100)
    until(lambda: sink(daemon)["written"] == number(daemon.status(), "answered"), "the first messages")
    capture.send(signal.SIGSTOP)
    longest = big_answers(daemon, 6000)  # 26 MB, more than the queue and any socket buffer hold
    assert longest < 1.0
    until(lambda: sink(daemon)["dropped"] > 0 and sink(daemon)["state"] == "slow", "loss is counted")
    capture.send(signal.SIGCONT)
    answered = number(daemon.status(), "answered")
    until(lambda: sink(daemon)["written"] + sink(daemon)["dropped"] == answered, "what waited is read")
    dropped = sink(daemon)["dropped"]
    daemon.stop()
    assert len(types(capture.finish(), "CLIENT_RESPONSE")) == answered - dropped


@pytest.mark.timed
def test_a_stop_does_not_wait_for_a_reader_that_never_reads(teredown, nsd, folder):
    capture = Capture(folder.path).start()
    daemon = teredown(nsd.endpoint, dnstap=capture.target)
    ask_all(daemon)
    capture.send(signal.SIGSTOP)
    big_answers(daemon, 1000)
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 8
    capture.kill()


def test_a_peer_that_talks_nonsense_is_let_go(teredown, nsd, folder):
    path = os.path.join(folder.path, "tap.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(5)
        listener.settimeout(10)
        daemon = teredown(nsd.endpoint, dnstap="unix:" + path)
        for nonsense in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\0\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\4\0\0\0\5", b"\0" * 8):
            with listener.accept()[0] as peer:
                peer.settimeout(10)
                assert peer.recv(4096)[:4] == b"\0\0\0\0"  # READY
                peer.sendall(nonsense)
                assert peer.recv(4096) == b""
        assert harness.addresses_of(daemon.ask("www.example.org")) == ["192.0.2.1"]
        assert "does not speak Frame Streams" in daemon.log()
