# SPDX-License-Identifier: BSD-3-Clause
"""Zones by transfer from real primaries: what comes, what is refused, and what stays when nothing comes."""

import os
import signal
import socket
import threading

import dns.flags
import dns.message
import dns.opcode
import dns.query

import pytest

import harness
from harness import rcode_of, until
from test_who import control
from primaries import SECRET, OTHER_SECRET, ZONE, NamedPrimary, NsdPrimary

# Nobody answers there: what is not blocked fails.
NOBODY = "127.0.0.1:9"


@pytest.fixture
def start(request):
    """A function that starts what it is given, a primary or a proxy; all of it ends with the test."""
    started = []

    def begin(server):
        started.append(server)
        return server.start()
    yield begin
    for server in reversed(started):
        if getattr(request.node, "failed", False) and isinstance(server, harness.Process):
            print("--- %s\n%s" % (server.log_path, server.log()[-3000:]))
        server.stop()


@pytest.fixture
def nsd_primary(start, folder, need):
    need("nsd")
    return lambda *words, **options: start(NsdPrimary(folder.path, *words, **options))


@pytest.fixture
def named_primary(start, folder, need):
    need("named")
    return lambda *words, **options: start(NamedPrimary(folder.path, *words, **options))


def feed(*endpoints, **section):
    return {"feed": {"primary": list(endpoints), "zone-name": ZONE, "mode": "block", **section}}


def feed_key(folder, secret=SECRET, name="feed.test", algorithm="hmac-sha256"):
    path = os.path.join(folder.path, "feed.key")
    with open(path, "w") as out:
        out.write(secret + "\n")
    os.chmod(path, 0o600)
    return {name: {"algorithm": algorithm, "secret-file": path}}


def state_of(daemon, zone="feed"):
    return [thing for thing in daemon.status()["transfer"] if thing["zone"] == zone][0]


def transfer_line(daemon, figure):
    """A figure of the only zone, out of the raw status."""
    line = control(daemon, "status")[1]["transfer"][0]
    return int(dict(word.split("=", 1) for word in line.split()[1:])[figure])


def refresh(daemon):
    assert daemon.json("policy", "refresh", "feed") == {"asked": 1}


def rss_of(daemon):
    with open("/proc/%d/status" % daemon.pid) as status:
        return " ".join(line.strip() for line in status if line.startswith(("VmRSS", "VmHWM")))


def until_state(daemon, state, **figures):
    def reached():
        now = state_of(daemon)
        return now["state"] == state and all(str(now[key]) == str(value) for key, value in figures.items()) and now
    return until(reached, "zone %s %s" % (state, figures))


def error_of(daemon):
    errors = daemon.status().get("transfer_error", [])
    return "".join([errors] if isinstance(errors, str) else errors)


def until_error(daemon, words):
    return until(lambda: words in error_of(daemon), "an error with: " + words)


def blocks(daemon, name):
    return rcode_of(daemon.ask(name)) == "NXDOMAIN"


# --- whole zones ---

def test_axfr(teredown, nsd_primary):
    """A zone of another server blocks, with all that a zone in a file can say."""
    primary = nsd_primary(7, ["bad.example", "*.wild.example", "pass.wild.example 60 IN CNAME rpz-passthru.", "data.example 60 IN TXT told"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint))
    now = until_state(daemon, "current", serial=7)
    assert now["last"] == "AXFR" and now["primary"] == primary.endpoint and int(now["octets"]) > 100
    assert blocks(daemon, "bad.example") and blocks(daemon, "a.wild.example") and blocks(daemon, "b.c.wild.example")
    assert not blocks(daemon, "wild.example") and not blocks(daemon, "pass.wild.example") and not blocks(daemon, "good.example")
    assert "told" in daemon.ask("data.example", "TXT").to_text()
    assert not error_of(daemon)
    assert 'zone "feed": serial 7 by AXFR' in daemon.log()


def test_second_primary(teredown, nsd_primary):
    """Primaries are asked in their order; one that is not there costs nothing but its turn."""
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed("127.0.0.1:%d" % harness.free_port(), primary.endpoint))
    assert until_state(daemon, "current", serial=7)["primary"] == primary.endpoint
    assert blocks(daemon, "bad.example")


def test_last_good_copy(teredown, nsd_primary):
    """A daemon that starts while its primary is dead blocks all the same, from its first answer on."""
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint))
    until_state(daemon, "current", serial=7)
    until(lambda: os.path.exists(os.path.join(daemon.state, "zones", "feed.zone")), "a copy")
    daemon.stop()
    primary.stop()
    daemon.start()
    assert blocks(daemon, "bad.example")
    now = until_state(daemon, "retrying", serial=7)
    assert int(now["failures"]) >= 1
    until_error(daemon, "cannot be connected")


def test_damaged_copy(teredown, nsd_primary):
    """A copy with one octet changed is not believed: it is said, and the zone comes anew."""
    primary = nsd_primary(7, ["bad.example", "worse.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint))
    until_state(daemon, "current", serial=7)
    copy = os.path.join(daemon.state, "zones", "feed.zone")
    until(lambda: os.path.exists(copy), "a copy")
    daemon.stop()
    with open(copy, "r+b") as out:
        out.seek(-20, os.SEEK_END)
        octet = out.read(1)
        out.seek(-20, os.SEEK_END)
        out.write(bytes([octet[0] ^ 1]))
    daemon.start()
    until_state(daemon, "current", serial=7)
    assert "is damaged; it is thrown away" in daemon.log()
    assert blocks(daemon, "bad.example") and blocks(daemon, "worse.example")


def test_no_such_zone(teredown, nsd_primary):
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint, **{"zone-name": "other.test"}))
    until_state(daemon, "retrying", serial="-")
    assert not blocks(daemon, "bad.example")
    assert primary.endpoint in error_of(daemon)


# --- a transfer that is cut ---

class Cut:
    """A proxy before a primary that passes so many octets of its answers, then closes."""

    def __init__(self, port, octets):
        self.target, self.octets = port, octets
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.cuts = 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.listener.getsockname()[1]

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.listener.close()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            def forth():
                try:
                    while True:
                        octets = client.recv(65536)
                        if not octets:
                            break
                        server.sendall(octets)
                except OSError:
                    pass
            threading.Thread(target=forth, daemon=True).start()
            left = self.octets
            while left > 0:
                octets = server.recv(min(left, 65536))
                if not octets:
                    return
                client.sendall(octets)
                left -= len(octets)
            self.cuts += 1
            client.shutdown(socket.SHUT_RDWR)


def test_cut_in_the_middle(teredown, nsd_primary, start):
    """Half a zone is no zone: the old one stays, whole; nothing of the new one is in force."""
    names = ["name%05d.example" % i for i in range(20000)]
    primary = nsd_primary(7, ["old.example"])
    proxy = start(Cut(primary.port, 10 ** 9))
    daemon = teredown(NOBODY, zones=feed(proxy.endpoint))
    until_state(daemon, "current", serial=7)
    daemon.stop()
    primary.stop()
    primary.put(8, names)
    for path in ("ixfr", "xfrd.state"):
        for name in os.listdir(primary.folder):
            if path in name:
                os.unlink(os.path.join(primary.folder, name))
    primary.start()
    proxy.octets = 300000
    daemon.start()
    until_state(daemon, "retrying", serial=7)
    assert proxy.cuts >= 1
    assert blocks(daemon, "old.example") and not blocks(daemon, names[0]) and not blocks(daemon, names[5000])
    until_error(daemon, "the connection ended in the middle")
    assert os.listdir(os.path.join(daemon.state, "zones")) == ["feed.zone"]


# --- signatures ---

@pytest.mark.parametrize("algorithm", ["hmac-sha1", "hmac-sha256", "hmac-sha512"])
def test_signed(teredown, nsd_primary, folder, algorithm):
    """Many messages, of which NSD signs some: all of them are checked."""
    names = ["name%05d.example" % i for i in range(30000)]
    primary = nsd_primary(7, names, key="feed.test", algorithm=algorithm)
    daemon = teredown(NOBODY, zones=feed(primary.endpoint, key="feed.test"), keys=feed_key(folder, algorithm=algorithm))
    until_state(daemon, "current", serial=7)
    assert blocks(daemon, names[0]) and blocks(daemon, names[-1])
    assert SECRET not in daemon.log()


@pytest.mark.parametrize("fault, words", [("secret", "(BADSIG)"), ("algorithm", "REFUSED"), ("name", "(BADKEY)"), ("none", "")])
def test_wrongly_signed(teredown, nsd_primary, folder, fault, words):
    """Another secret, algorithm or name, or no key: nothing comes, and status says why."""
    primary = nsd_primary(7, ["bad.example"], key="feed.test")
    name = "other.test" if fault == "name" else "feed.test"
    keys = feed_key(folder, OTHER_SECRET if fault == "secret" else SECRET, name, "hmac-sha512" if fault == "algorithm" else "hmac-sha256")
    daemon = teredown(NOBODY, keys=keys, zones=feed(primary.endpoint, **({} if fault == "none" else {"key": name})))
    until_state(daemon, "retrying", serial="-")
    assert words in error_of(daemon) and primary.endpoint in error_of(daemon)
    assert not blocks(daemon, "bad.example")


def test_unsigned_primary(teredown, nsd_primary, folder):
    """Who has a key takes nothing that is not signed with it."""
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint, key="feed.test"), keys=feed_key(folder))
    until_state(daemon, "retrying", serial="-")
    assert not blocks(daemon, "bad.example")


# --- BIND ---

def test_named(teredown, named_primary):
    primary = named_primary(7, ["bad.example", "gone.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint))
    until_state(daemon, "current", serial=7)
    assert blocks(daemon, "bad.example") and blocks(daemon, "gone.example")


def test_named_signed(teredown, named_primary, folder):
    names = ["name%05d.example" % i for i in range(5000)]
    primary = named_primary(7, names, key="feed.test")
    daemon = teredown(NOBODY, zones=feed(primary.endpoint, key="feed.test"), keys=feed_key(folder, algorithm="hmac-sha512"))
    until_state(daemon, "current", serial=7)
    assert blocks(daemon, names[0]) and blocks(daemon, names[-1])


# --- changes ---

def test_notify_and_changes(teredown, nsd_primary):
    """NSD tells of a new serial, and only what changed comes; the rest stays as it was."""
    port = harness.free_port()
    names = ["name%04d.example" % i for i in range(500)]
    primary = nsd_primary(7, names + ["gone.example", "*.gone.example"], notify=[port])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint), port=port)
    until_state(daemon, "current", serial=7)
    assert blocks(daemon, "gone.example") and not blocks(daemon, "new.example")
    primary.change(8, names + ["new.example"])
    now = until_state(daemon, "current", serial=8)
    assert now["last"] == "IXFR" and int(now["octets"]) < 1000
    assert blocks(daemon, "new.example") and blocks(daemon, names[0]) and blocks(daemon, names[-1])
    assert not blocks(daemon, "gone.example") and not blocks(daemon, "a.gone.example")
    assert harness.number(daemon.status(), "notifies") >= 1
    # What came is in the copy too.
    daemon.stop()
    primary.stop()
    daemon.start()
    assert blocks(daemon, "new.example") and blocks(daemon, names[0]) and not blocks(daemon, "gone.example")
    assert int(until_state(daemon, "retrying")["serial"]) == 8


def test_signed_notify(teredown, nsd_primary, folder):
    port = harness.free_port()
    primary = nsd_primary(7, ["bad.example"], key="feed.test", notify=[port])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint, key="feed.test"), keys=feed_key(folder), port=port)
    until_state(daemon, "current", serial=7)
    primary.change(8, ["worse.example"])
    until_state(daemon, "current", serial=8)
    assert blocks(daemon, "worse.example") and not blocks(daemon, "bad.example")
    assert harness.number(daemon.status(), "notifies") >= 1


def notify(daemon, zone, source="127.0.0.1", tcp=False):
    query = dns.message.make_query(zone, "SOA")
    query.flags = dns.flags.AA
    query.set_opcode(dns.opcode.NOTIFY)
    ask = dns.query.tcp if tcp else dns.query.udp
    return ask(query, "127.0.0.1", timeout=5, port=daemon.port, source=source)


def test_who_may_notify(teredown, nsd_primary):
    """Only primaries, of their own zones; anybody else hears what any unknown opcode hears, and nobody is asked."""
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint), allow=["127.9.9.9", "127.0.0.7"])
    until_state(daemon, "current", serial=7)
    checks = transfer_line(daemon, "checks")
    refused = notify(daemon, ZONE, source="127.0.0.7")
    assert rcode_of(refused) == "NOTIMP" and refused.opcode() == dns.opcode.NOTIFY
    assert rcode_of(notify(daemon, "other.test")) != "NOERROR"
    assert transfer_line(daemon, "checks") == checks
    for tcp in (False, True):
        # Also from an address that may not ask.
        taken = notify(daemon, ZONE, tcp=tcp)
        assert rcode_of(taken) == "NOERROR" and taken.flags & dns.flags.AA and not taken.answer
    until(lambda: transfer_line(daemon, "checks") > checks, "primaries are asked")
    status = daemon.status()
    assert harness.number(status, "notifies") == 2 and harness.number(status, "notifies_refused") == 2


def test_named_changes(teredown, named_primary):
    """Dynamic updates of BIND: each is told by NOTIFY and comes as changes."""
    port = harness.free_port()
    names = ["name%03d.example" % i for i in range(200)]
    primary = named_primary(7, names + ["bad.example", "gone.example"], notify=[port])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint), port=port)
    until_state(daemon, "current", serial=7)
    primary.update(add=["new.example", "*.new.example"], remove=["gone.example"])
    now = until_state(daemon, "current", serial=8)
    assert now["last"] == "IXFR"
    assert blocks(daemon, "new.example") and blocks(daemon, "a.new.example") and blocks(daemon, "bad.example")
    assert not blocks(daemon, "gone.example")


# --- asked by a person ---

def test_refresh(teredown, nsd_primary):
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint))
    until_state(daemon, "current", serial=7)
    primary.change(8, ["worse.example"])
    refresh(daemon)
    until_state(daemon, "current", serial=8)
    assert blocks(daemon, "worse.example") and not blocks(daemon, "bad.example")
    assert "The primaries of 1 zone are being asked" in daemon.run("policy", "refresh")
    assert daemon.command("policy", "refresh", "teredo").returncode != 0
    assert daemon.command("policy", "refresh", "a", "b").returncode != 0


def test_serial_goes_back(teredown, nsd_primary):
    """An older zone is not taken, and said; when a person asks it is."""
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint))
    until_state(daemon, "current", serial=7)
    primary.stop()
    primary.put(5, ["old.example"])
    primary.start()
    daemon.stop()
    daemon.start()
    until_state(daemon, "retrying", serial=7)
    until_error(daemon, "its serial 5 is older than ours, 7")
    assert blocks(daemon, "bad.example") and not blocks(daemon, "old.example")
    refresh(daemon)
    until_state(daemon, "current", serial=5)
    assert blocks(daemon, "old.example") and not blocks(daemon, "bad.example")


def test_reload_adds_and_removes(teredown, nsd_primary):
    """A zone by transfer that comes with a reload, and goes with one."""
    primary = nsd_primary(7, ["bad.example"])
    daemon = teredown(NOBODY)
    daemon.configure(**{})
    plain = daemon.settings.copy()
    daemon.settings[("zone", "feed")] = feed(primary.endpoint)["feed"]
    daemon.configure()
    daemon.run("reload")
    until_state(daemon, "current", serial=7)
    assert blocks(daemon, "bad.example")
    daemon.settings = plain
    daemon.configure()
    daemon.run("reload")
    assert not blocks(daemon, "bad.example") and "transfer" not in daemon.status()


# --- a million names ---

@pytest.mark.skipif("TEREDOWN_TRANSFER_NAMES" not in os.environ, reason="by hand: TEREDOWN_TRANSFER_NAMES=1000000")
def test_many_names(teredown, nsd_primary):
    """How long a large zone and a small change to it take, and what the daemon takes for it."""
    count = int(os.environ["TEREDOWN_TRANSFER_NAMES"])
    names = ["n%07d.example" % i for i in range(count)]
    port = harness.free_port()
    primary = nsd_primary(7, names, notify=[port])
    daemon = teredown(NOBODY, zones=feed(primary.endpoint), port=port)
    whole = until(lambda: state_of(daemon)["serial"] in ("7", 7) and state_of(daemon), "the zone", 120)
    print("\nAXFR of %d names: %d ms, %d octets" % (count, int(whole["took_us"]) // 1000, int(whole["octets"])), rss_of(daemon))
    assert blocks(daemon, names[-1])
    primary.put(8, names[10:] + ["new%d.example" % i for i in range(10)])
    primary.send(signal.SIGHUP)
    changed = until(lambda: state_of(daemon)["serial"] in ("8", 8) and state_of(daemon), "the change", 120)
    print("%s of 20 records: %d ms, %d octets" % (changed["last"], int(changed["took_us"]) // 1000, int(changed["octets"])), rss_of(daemon))
    assert blocks(daemon, "new1.example") and not blocks(daemon, names[0])
    print(daemon.log())
