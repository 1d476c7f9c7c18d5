# SPDX-License-Identifier: BSD-3-Clause
"""Who a client is in what is stored and logged: by prefix or MAC address, behind forwarders and proxies, anonymised, excluded."""

import os
import re
import socket
import stat
import struct
import subprocess
import sys
import time

import dns.edns
import dns.message
import pytest

import harness
from harness import DAEMON, addresses_of, key, make_query, rcode_of, read_framed, send_framed, tcp_socket, udp_socket, until
import wire
from upstream import addresses

TEREDO = "teredo.ipv6.microsoft.com"
SECRET = "127.0.77.77"


def dump(store):
    """Everything in Redis, as text."""
    read = {"string": store.get, "hash": store.hgetall, "set": store.smembers, "list": lambda k: store.lrange(k, 0, -1),
        "zset": lambda k: store.zrange(k, 0, -1, withscores=True), "stream": store.xrange}
    return "\n".join("%s %r" % (name, read[store.type(name)](name)) for name in store.scan_iter(count=1000))


def files_below(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    yield path, file.read()


def totals(store):
    """Answered queries by client, and in all hours."""
    clients = {name: int(score) for name, score in store.zrange(key("clients", "queries"), 0, -1, withscores=True)}
    hours = sum(int(store.hget(name, "queries")) for name in store.scan_iter(key("hour", "??????????")))
    return clients, hours


class TestAnonymize:
    @pytest.mark.parametrize("mode, shown", [("hash", r"anon-[0-9a-f]{16}"), ("prefix", r"127\.0\.77\.0/24")])
    def test_nothing_holds_the_address(self, teredown, nsd, mode, shown):
        daemon = teredown(nsd.endpoint, redis="embedded", anonymize=mode, query_log="all", journal_fsync="batch", log_level="debug")
        for name in ("www.example.org", TEREDO, "nosuch.example.org"):
            daemon.ask(name, source=SECRET)
        daemon.ask(TEREDO, source=SECRET, tcp=True)
        daemon.until_counted(4)
        records = [record for record in daemon.records() if record["query"] == TEREDO + "."]
        assert len(records) == 2 and len({record["client"] for record in records}) == 1
        client = records[0]["client"]
        assert re.fullmatch(shown, client) and "address" not in records[0]
        assert daemon.store().hget(key("client", client), "queries") == "4"
        assert daemon.json("who", client)["views"][0]["kind"] == "client"
        secret = SECRET.encode()
        assert secret.decode() not in dump(daemon.store())
        daemon.stop()
        assert [path for path, text in files_below(daemon.state) if secret in text] == []
        with open(daemon.query_log, "rb") as log:
            assert secret not in log.read()
        assert secret.decode() not in daemon.log()

    def test_pseudonym_lasts_over_a_restart(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, anonymize="hash", query_log="all")

        def client():
            daemon.ask("www.example.org", source=SECRET)
            found = until(lambda: [r["client"] for r in daemon.records() if r["query"] == "www.example.org."], "a record")
            os.unlink(daemon.query_log)
            daemon.stop()
            return found[0]

        first = client()
        assert stat.S_IMODE(os.stat(os.path.join(daemon.state, "anonymize.key")).st_mode) == 0o600
        daemon.start()
        assert client() == first
        os.unlink(os.path.join(daemon.state, "anonymize.key"))
        daemon.start()
        assert client() != first


class TestExclude:
    def test_excluded_are_counted_and_nothing_else(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded", query_log="all", exclude=["127.0.77.0/24", "shared.example.org"])
        daemon.ask(TEREDO, source=SECRET)
        daemon.ask("first.example.org", source=SECRET)
        daemon.ask("shared.example.org", source="127.0.5.1")
        daemon.ask("x.shared.example.org", source="127.0.5.1")
        daemon.ask("second.example.org", source="127.0.5.1")
        status = daemon.until_counted(5)
        store = daemon.store()
        clients, hours = totals(store)
        assert clients["*excluded"] == 4 and clients["127.0.5.1"] == 1
        assert sum(clients.values()) == hours == int(status["answered"])
        assert store.hget(key("client", "*excluded"), "watched") == "1"
        text = dump(store)
        for hidden in (SECRET, "first.example.org", "shared.example.org", TEREDO, "192.0.2.11"):
            assert hidden not in text
        assert "second.example.org" in text
        queries = {record["query"] for record in daemon.records()}
        assert "second.example.org." in queries and not queries & {"shared.example.org.", "first.example.org.", TEREDO + "."}

    def test_reload(self, teredown, nsd):
        """An exclusion is in force for every worker when `teredown reload` returns, and one that is taken away is not any more."""
        daemon = teredown(nsd.endpoint, redis="embedded", query_log="all")

        def asked(name, clients=("127.0.77.1", "127.0.5.1")):
            for client in clients:
                for _ in range(8): # sockets of all workers
                    daemon.ask(name, source=client)
        asked("before.example.org")
        daemon.configure(exclude=["127.0.77.0/24", "clinic.example.org"])
        assert "restart" not in daemon.run("reload")
        asked("during.example.org")
        asked("x.clinic.example.org")
        daemon.configure(exclude=[])
        daemon.run("reload")
        asked("after.example.org")
        daemon.until_counted(64)
        clients, _ = totals(daemon.store())
        assert (clients["127.0.77.1"], clients["127.0.5.1"], clients["*excluded"]) == (16, 24, 24)
        records = {(record["client"], record["query"]) for record in daemon.records()}
        assert ("127.0.77.1", "after.example.org.") in records and ("127.0.5.1", "during.example.org.") in records
        assert ("127.0.77.1", "during.example.org.") not in records and not [name for _, name in records if "clinic" in name]
        daemon.configure(anonymize="hash")
        assert "anonymize" in daemon.run("reload")

    def test_bad_entry_is_refused(self, teredown, nsd):
        daemon = teredown(nsd.endpoint)
        daemon.configure(exclude=["10.0.0.1/8"])
        done = subprocess.run([DAEMON, "-t", "-c", daemon.config], stderr=subprocess.PIPE, universal_newlines=True)
        assert done.returncode == 1 and 'exclude: "10.0.0.1/8" is none of these' in done.stderr


# Runs in a network of its own, where neighbours can be made up.
MAC_SCRIPT = """
import os, subprocess, sys
sys.path.insert(0, %r)
import harness
from harness import key, until
ip = lambda words: subprocess.run(["ip"] + words.split(), check=True)
for words in ("link set lo up", "link add d0 type veth peer name d1", "link set d0 up", "link set d1 up", "addr add 10.9.9.7/24 dev d0", "addr add 10.9.9.8/24 dev d0",
        "neigh replace 10.9.9.7 lladdr 02:00:00:00:99:07 dev d0 nud permanent"):
    ip(words)
folder = harness.Folder()
daemon = harness.Teredown(folder.path, "127.0.0.9", listen=["10.9.9.7"], redis="off", client_identity="mac", query_log="all")
daemon.start(wait=False)
ask = lambda source: harness.ask(53, "localhost", source=source, host="10.9.9.7", timeout_s=1)
try:
    until(lambda: ask("10.9.9.7"), "answers")
    until(lambda: ask("10.9.9.7") and [r for r in daemon.records() if (r["client"], r.get("address")) == ("02:00:00:00:99:07", "10.9.9.7")], "the MAC address of the dump")
    ask("10.9.9.8")
    until(lambda: [r for r in daemon.records() if r["client"] == "10.9.9.8"], "the address of an unknown neighbour")
    ip("neigh replace 10.9.9.8 lladdr 02:00:00:00:99:07 dev d0 nud permanent")
    until(lambda: ask("10.9.9.8") and [r for r in daemon.records() if r.get("address") == "10.9.9.8"], "the MAC address of a new neighbour")
    assert {r["client"] for r in daemon.records() if r.get("address") == "10.9.9.8"} == {"02:00:00:00:99:07"}
    daemon.stop()
    ip("addr add 10.9.9.6/24 dev d0")
    os.unlink(daemon.query_log)
    daemon.configure(client_identity="address")
    daemon.start(wait=False)
    until(lambda: ask("10.9.9.6"), "answers")
    daemon.configure(exclude=["02:00:00:00:99:07"])
    daemon.run("reload")
    def is_left_out():
        before = len(daemon.records())
        ask("10.9.9.8")
        ask("10.9.9.6")
        return "10.9.9.8" not in {r["client"] for r in until(lambda: len(daemon.records()) > before and daemon.records(), "a record")[before:]}
    until(is_left_out, "an excluded MAC address leaves no record")
finally:
    daemon.stop()
    folder.remove()
print("seen")
"""


class TestIdentity:
    def test_mac_of_the_neighbour_table(self, need):
        alone = [need("unshare"), "--map-root-user", "--net"]
        if subprocess.run(alone + [need("ip"), "link", "add", "d0", "type", "veth", "peer", "name", "d1"], stderr=subprocess.DEVNULL).returncode != 0:
            pytest.skip("no network namespace with an interface can be had here")
        done = subprocess.run(alone + [sys.executable, "-c", MAC_SCRIPT % os.path.dirname(__file__)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
        assert done.stdout.endswith("seen\n"), done.stdout

    def test_prefix_of_ipv6(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, redis="embedded", query_log="all", client_identity="prefix")
        daemon.ask("www.example.org", host="::1")
        daemon.ask("www.example.org", source="127.0.5.1")
        daemon.until_counted(2)
        by_client = {record["client"]: record for record in daemon.records() if record["query"] == "www.example.org."}
        assert by_client["::/64"]["address"] == "::1"
        assert "address" not in by_client["127.0.5.1"]
        assert daemon.store().hget(key("client", "::/64"), "queries") == "1"


def mac_option(mac):
    return dns.edns.GenericOption(65001, bytes(int(part, 16) for part in mac.split(":")))


def proxied(source, packet, port=4242, command=0x21, transport=0x12):
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", port, 53)
    body = addresses + b"\xe0\x00\x03xyz"
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, transport, len(body)) + body + packet


def clients_of(daemon, qname):
    return {(record["client"], record.get("address")) for record in daemon.records() if record["query"] == qname + "."}


class TestForwarder:
    def test_options_of_a_trusted_one(self, teredown, nsd):
        daemon = teredown(nsd.endpoint, query_log="all", trust_forwarder=["127.0.6.0/24"])
        ecs, mac = dns.edns.ECSOption("10.1.2.3", 32), mac_option("02:00:5e:10:00:01")
        daemon.ask("h1.example.org", source="127.0.6.1", options=[ecs])
        daemon.ask("h2.example.org", source="127.0.6.1", options=[dns.edns.ECSOption("10.1.2.0", 24)])
        daemon.ask("h3.example.org", source="127.0.6.1", options=[mac])
        daemon.ask("h4.example.org", source="127.0.6.1", options=[dns.edns.GenericOption(65074, b"branch7")], tcp=True)
        daemon.ask("h5.example.org", source="127.0.6.1")
        daemon.ask("h6.example.org", source="127.0.5.1", options=[ecs, mac])
        for name, expected in (("h1", ("10.1.2.3", "127.0.6.1")), ("h2", ("10.1.2.0/24", "127.0.6.1")), ("h3", ("02:00:5e:10:00:01", "127.0.6.1")),
                ("h4", ("id-branch7", "127.0.6.1")), ("h5", ("127.0.6.1", None)), ("h6", ("127.0.5.1", None))):
            until(lambda: clients_of(daemon, name + ".example.org"), "a record of " + name)
            assert clients_of(daemon, name + ".example.org") == {expected}

    def test_coalesced_clients_stay_apart(self, teredown, upstream):
        server = upstream({"held.example.org": "192.0.2.9"}, delay=0.3)
        daemon = teredown(server.endpoint, query_log="all", trust_forwarder=["127.0.0.1"])
        with udp_socket(daemon.port) as sock:
            for number in range(1, 21):
                sock.send(make_query("held.example.org", options=[dns.edns.ECSOption("10.0.0.%d" % number, 32)]).to_wire())
            for _ in range(20):
                sock.recv(4096)
        expected = {("10.0.0.%d" % number, "127.0.0.1") for number in range(1, 21)}
        until(lambda: clients_of(daemon, "held.example.org") == expected, "a record for each of 20 clients")

    def test_nothing_of_it_goes_upstream(self, teredown, upstream):
        packets, script = [], addresses({"plain.example.org": "192.0.2.9"})
        server = upstream(lambda packet, asked, tcp: packets.append(bytes(packet)) or script(packet, asked, tcp))
        daemon = teredown(server.endpoint, trust_forwarder=["127.0.0.0/8"])
        daemon.ask("plain.example.org", options=[dns.edns.ECSOption("10.1.2.3", 32), mac_option("02:00:5e:10:00:01")])
        assert packets and not any(b"\x0a\x01\x02\x03" in packet or b"\x02\x00\x5e\x10" in packet for packet in packets)

    def test_dnsmasq(self, teredown, nsd, need, folder):
        need("dnsmasq")
        daemon = teredown(nsd.endpoint, query_log="all", trust_forwarder=["127.0.0.1"])
        forwarder = harness.Dnsmasq(folder.path, daemon.port, extra=False)
        forwarder.argv.append("--add-subnet=32,128")
        forwarder.argv.append("--add-cpe-id=branch7")
        forwarder.start()
        try:
            harness.ask(forwarder.port, "h7.example.org", source="127.0.8.7")
            until(lambda: clients_of(daemon, "h7.example.org"), "a record")
            assert clients_of(daemon, "h7.example.org") == {("127.0.8.7", "127.0.0.1")}
        finally:
            forwarder.stop()


class TestProxy:
    @pytest.fixture
    def daemon(self, teredown, nsd):
        return teredown(nsd.endpoint, query_log="all", proxy_protocol=["127.0.7.0/24"], allow=["127.0.0.0/8", "10.0.0.0/8"])

    def test_udp(self, daemon):
        query = make_query("h8.example.org")
        with udp_socket(daemon.port, source="127.0.7.1") as sock:
            sock.send(proxied("10.1.2.3", query.to_wire()))
            assert addresses_of(dns.message.from_wire(sock.recv(4096)))
            sock.send(proxied("192.0.2.1", make_query("h9.example.org").to_wire()))
            assert rcode_of(dns.message.from_wire(sock.recv(4096))) == "REFUSED"
            sock.send(proxied("10.9.9.9", make_query("h10.example.org").to_wire(), command=0x20))
            sock.recv(4096)
        until(lambda: clients_of(daemon, "h10.example.org"), "the last record")
        (record,) = [r for r in daemon.records() if r["query"] == "h8.example.org."]
        assert (record["client"], record["port"], record.get("address")) == ("10.1.2.3", 4242, None)
        assert clients_of(daemon, "h9.example.org") == {("192.0.2.1", None)}
        assert clients_of(daemon, "h10.example.org") == {("127.0.7.1", None)}

    def test_without_a_header_it_is_dropped(self, daemon):
        with udp_socket(daemon.port, source="127.0.7.1") as sock:
            sock.send(make_query("h8.example.org").to_wire())
            sock.send(proxied("10.1.2.3", b"")[:20])
            until(lambda: harness.number(daemon.status(), "dropped_proxy") == 2, "two datagrams dropped")
        with tcp_socket(daemon.port, source="127.0.7.1") as sock:
            send_framed(sock, make_query("h8.example.org").to_wire())
            assert sock.recv(10) == b""
        status = daemon.status()
        assert harness.number(status, "dropped_proxy") == 3
        received, accounted = harness.balance(status)
        assert received == accounted
        # From elsewhere a header is no query that can be read: its octets read as another opcode.
        with udp_socket(daemon.port, source="127.0.5.1") as sock:
            sock.send(proxied("10.1.2.3", make_query("h11.example.org").to_wire()))
            assert wire.parse(sock.recv(4096)).rcode == wire.NOTIMP
        daemon.ask("h12.example.org", source="127.0.5.1")
        until(lambda: clients_of(daemon, "h12.example.org"), "a later record")
        assert not clients_of(daemon, "h11.example.org")

    def test_tcp_in_pieces(self, daemon):
        query = make_query("h12.example.org").to_wire()
        octets = proxied("10.1.2.4", struct.pack("!H", len(query)) + query, transport=0x11)
        with tcp_socket(daemon.port, source="127.0.7.1") as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(octets), 7):
                sock.send(octets[at:at + 7])
            assert addresses_of(dns.message.from_wire(read_framed(sock)))
            send_framed(sock, query)
            assert addresses_of(dns.message.from_wire(read_framed(sock)))
        until(lambda: clients_of(daemon, "h12.example.org") == {("10.1.2.4", None)}, "its record")

    def test_dnsdist(self, daemon, need, folder):
        program, port = need("dnsdist"), harness.free_port()
        config = folder.write("dnsdist.conf", "setLocal('127.0.0.1:%d')\nsetACL('127.0.0.0/8')\nsetSecurityPollSuffix('')\n"
            "newServer({address='127.0.0.1:%d', source='127.0.7.2', useProxyProtocol=true, checkType='A', checkName='localhost.'})\n" % (port, daemon.port))
        process = harness.Process("dnsdist", [program, "--supervised", "--disable-syslog", "-C", config], folder.path)
        process.start()
        try:
            process.until(lambda: addresses_of(harness.ask(port, "h13.example.org", source="127.0.8.8", timeout_s=1.0)), "dnsdist answers")
            harness.ask(port, "h14.example.org", source="127.0.8.9", tcp=True)
            until(lambda: clients_of(daemon, "h14.example.org") == {("127.0.8.9", None)}, "the proxied client over TCP")
            assert clients_of(daemon, "h13.example.org") == {("127.0.8.8", None)}
        finally:
            process.stop()


class TestNames:
    def test_files_are_followed(self, teredown, nsd, folder):
        hosts = folder.write("hosts", "127.0.9.1 desk.example desk\n127.0.9.2 evil\x1b[31mname\n")
        leases = folder.write("leases", "%d 02:00:5e:10:00:03 127.0.9.3 phone *\n" % (time.time() + 1000))
        daemon = teredown(nsd.endpoint, redis="embedded", client_names=["hosts:" + hosts, "dnsmasq:" + leases])
        for last in (1, 2, 3, 4):
            daemon.ask("www.example.org", source="127.0.9.%d" % last)
        store = daemon.store()
        name = lambda last: store.hget(key("client", "127.0.9.%d" % last), "name")
        until(lambda: name(1) == "desk.example" and name(3) == "phone", "names in Redis")
        assert name(2) is None and name(4) is None
        assert {row["client"]: row.get("name") for row in daemon.json("top")["rows"]}["127.0.9.1"] == "desk.example"
        assert "127.0.9.1" in daemon.run("top") and "desk.example" in daemon.run("top")
        assert "127.0.9.1 (desk.example) is a client" in daemon.run("who", "127.0.9.1")
        folder.write("leases", "%d 02:00:5e:10:00:03 127.0.9.3 tablet *\n" % (time.time() + 1000))
        until(lambda: daemon.ask("www.example.org", source="127.0.9.3") and name(3) == "tablet", "the new name")
        folder.write("leases", "%d 02:00:5e:10:00:03 127.0.9.3 tablet *\n" % (time.time() - 1000))
        until(lambda: daemon.ask("www.example.org", source="127.0.9.3") and name(3) is None, "no name when the lease is over")

    def test_reverse_lookups(self, teredown, upstream):
        asked = []

        def script(packet, question, tcp):
            asked.append((question.qname, question.qtype))
            if question.qname == "1.10.0.127.in-addr.arpa.":
                return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", 12, 60, wire.name("desk.example"))]))]
            return [(0, wire.reply(packet, wire.NXDOMAIN, authority=[wire.soa("", 300, 60)]))]
        server = upstream(script)
        daemon = teredown(server.endpoint, redis="embedded", client_names=["ptr"])
        store = daemon.store()
        until(lambda: daemon.ask("localhost", source="127.0.10.1") and store.hget(key("client", "127.0.10.1"), "name") == "desk.example", "the name")
        until(lambda: daemon.ask("localhost", source="127.0.10.2") and ("2.10.0.127.in-addr.arpa.", 12) in asked, "the second question")
        for _ in range(20):
            daemon.ask("localhost", source="127.0.10.1")
            daemon.ask("localhost", source="127.0.10.2")
        daemon.until_counted(20)
        assert asked.count(("1.10.0.127.in-addr.arpa.", 12)) == asked.count(("2.10.0.127.in-addr.arpa.", 12)) == 1

    def test_reverse_lookups_by_section(self, teredown, upstream):
        """Networks have their own servers; the others hear nothing of it, also after a reload."""
        def named(text):
            return lambda packet, question, tcp: [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", 12, 60, wire.name(text))]))]
        outside, near, far = (upstream(named("%s.example" % word)) for word in ("outside", "near", "far"))
        daemon = teredown(outside.endpoint, redis="embedded", client_names=["ptr"], forwards={"127.0.10.0/24": {"upstream": [near.endpoint]}})
        store = daemon.store()

        def called(address):
            daemon.ask("localhost", source=address)
            return store.hget(key("client", address), "name")
        until(lambda: called("127.0.10.1") == "near.example" and called("127.0.11.1") == "outside.example", "the names")
        daemon.configure(forwards={"127.0.10.0/24": {"upstream": [far.endpoint]}})
        daemon.run("reload")
        until(lambda: called("127.0.10.2") == "far.example", "the name by another server")
        assert called("127.0.10.1") == "near.example" and not outside.count("1.10.0.127.in-addr.arpa", 12)

    def test_reload(self, teredown, upstream, folder):
        """Sources come, change and go at a reload; what stays keeps its names."""
        asked = []

        def script(packet, question, tcp):
            asked.append(question.qname)
            return [(0, wire.reply(packet, answers=[wire.rr(b"\xc0\x0c", 12, 60, wire.name("reverse.example"))]))]
        first, second = folder.write("first", "127.0.9.1 desk.example\n"), folder.write("second", "127.0.9.1 other\n127.0.9.2 lamp.example\n")
        daemon = teredown(upstream(script).endpoint, redis="embedded")
        store = daemon.store()

        def named(last):
            daemon.ask("localhost", source="127.0.9.%d" % last)
            return store.hget(key("client", "127.0.9.%d" % last), "name")

        def reload(*sources):
            daemon.configure(client_names=list(sources))
            assert "restart" not in daemon.run("reload")
        daemon.ask("localhost", source="127.0.9.1")
        daemon.until_counted(1)
        assert named(1) is None
        reload("hosts:" + first, "ptr")
        until(lambda: named(1) == "desk.example" and named(3) == "reverse.example", "names of the first sources")
        reload("hosts:" + second, "hosts:" + first, "ptr")
        until(lambda: named(1) == "other" and named(2) == "lamp.example", "names of the second ones")
        folder.write("second", "127.0.9.2 lantern.example\n")
        until(lambda: named(2) == "lantern.example" and named(1) == "desk.example", "a file that came later is followed")
        assert named(3) == "reverse.example" and asked.count("3.9.0.127.in-addr.arpa.") == 1
        reload()
        until(lambda: named(1) is None and named(3) is None, "no names")

    def test_none_while_anonymous(self, teredown, nsd, folder):
        hosts = folder.write("hosts", "127.0.9.1 desk.example\n")
        daemon = teredown(nsd.endpoint, redis="embedded", client_names=["hosts:" + hosts], anonymize="hash")
        daemon.ask("www.example.org", source="127.0.9.1")
        daemon.until_counted(1)
        assert "desk.example" not in dump(daemon.store())
        assert "client-names: not used" in daemon.log()


def test_client_that_looks_like_a_forwarder(teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="embedded")
    for name in ("www.msftconnecttest.com", "captive.apple.com", "connectivitycheck.gstatic.com"):
        daemon.ask(name, source="127.0.11.1")
    for name in ("www.msftconnecttest.com", "detectportal.firefox.com"):
        daemon.ask(name, source="127.0.11.2")
    until(lambda: daemon.store().hexists(key("client", "127.0.11.1"), "forwarder"), "the mark in Redis")
    status = daemon.status()
    assert harness.number(status, "forwarders") == 1
    assert [(row["client"], row["systems"]) for row in status["forwarder"]] == [("127.0.11.1", "Windows,Android,Apple")]
    assert "Windows,Android,Apple" in daemon.run("status") and "looks like a forwarder" in daemon.run("top")
    assert not daemon.store().hexists(key("client", "127.0.11.2"), "forwarder")
    assert daemon.log().count("looks like a forwarder") == 1
