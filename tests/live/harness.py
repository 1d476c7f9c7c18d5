# SPDX-License-Identifier: BSD-3-Clause
"""Real processes for the live tests: NSD, redis-server, unbound, dnsmasq, and the daemon under test.

Everything listens on free ports of loopback, lives in a short folder under /tmp (a unix socket's path holds 107 octets)
and is ended by its own process id. Nothing waits by sleeping: until() polls for a state with a deadline, so a
fast machine is fast and a slow one (two cores, AddressSanitizer) still passes.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import redis

import nsd_config

SOURCE = os.path.abspath(os.environ.get("TEREDOWN_SOURCE") or os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("TEREDOWN_BUILD") or os.path.join(SOURCE, "build"))
DAEMON = os.path.join(BUILD, "teredownd")
COMMAND = os.path.join(BUILD, "teredown")
CHECK_ALL = os.environ.get("TEREDOWN_CHECK_ALL") == "1"
RESOLVER = "live"

SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")
# Shorter than any client's patience, longer than a loaded machine under AddressSanitizer needs.
DEADLINE_S = 15.0


class Failure(AssertionError):
    pass


def until(condition, what, deadline_s=DEADLINE_S, interval_s=0.02):
    """Calls condition until it returns something true, and returns that. Exceptions of a network not there yet count as not yet."""
    end, seen = time.monotonic() + deadline_s, None
    while True:
        try:
            value = condition()
            if value:
                return value
            seen = value
        except (OSError, EOFError, redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.ResponseError,
                dns.exception.DNSException) as error:
            seen = error
        if time.monotonic() > end:
            raise Failure("not within %.0f s: %s (last: %r)" % (deadline_s, what, seen))
        time.sleep(interval_s)


def before_the_hour_turns(seconds=20.0):
    """For a test that fills one hour or day and asks for it later by the clock: none begins so shortly before that ends."""
    until(lambda: time.time() % 3600 < 3600 - seconds, "the next hour", seconds + DEADLINE_S, 0.2)


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def missing(what):
    """Ends a test that cannot do without something: skipped, or failed under TEREDOWN_CHECK_ALL=1, where everything is installed."""
    import pytest
    (pytest.fail if CHECK_ALL else pytest.skip)(what)


def is_built_with(what):
    """Whether configure found what this build may go without: "NCURSES", "DASHBOARD", …"""
    with open(os.path.join(BUILD, "config.h")) as config:
        return "#define HAVE_%s 1\n" % what in config.read()


_given_ports = set()
PORTS = range(12000, 32000) # below those that the kernel gives to clients
PORT_SHARES = 32 # of runs beside each other (pytest-xdist), so that none takes a port that another has just found free


def free_port():
    """A port free for UDP and TCP over IPv4 and IPv6."""
    share = os.environ.get("TEREDOWN_LIVE_SHARE") or os.environ.get("PYTEST_XDIST_WORKER", "")[2:]
    ports = PORTS[int(share) % PORT_SHARES::PORT_SHARES] if share else PORTS
    for _ in range(500):
        port = random.choice(ports)
        if port in _given_ports:
            continue
        with contextlib.ExitStack() as stack:
            try:
                for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        sock = stack.enter_context(socket.socket(family, kind))
                        if family == socket.AF_INET6:
                            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                        sock.bind((host, port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise Failure("no free port found")


class Process:
    """A child with its own folder; its output is kept and shown when something goes wrong."""

    def __init__(self, name, argv, folder, environment=None):
        self.name, self.argv, self.folder = name, argv, folder
        self.environment = environment
        self.log_path = os.path.join(folder, name + ".log")
        self.child = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=self.folder, env=dict(os.environ, **(self.environment or {})), start_new_session=True)
        return self

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def log(self):
        with contextlib.suppress(OSError):
            with open(self.log_path, errors="replace") as log:
                return log.read()
        return ""

    def send(self, number):
        os.kill(self.pid, number)

    def until(self, condition, what, deadline_s=DEADLINE_S):
        """Like until(), but a child that ended in the meantime is the answer."""
        def alive_and():
            if not self.running():
                raise Failure("%s ended with status %s:\n%s" % (self.name, self.child.returncode, self.log()[-4000:]))
            return condition()
        try:
            return until(alive_and, what, deadline_s)
        except Failure as failure:
            raise Failure("%s\n--- %s\n%s" % (failure, self.log_path, self.log()[-4000:])) from None

    def wait(self, deadline_s=DEADLINE_S):
        """The exit status; a child that does not end in time is killed and that is a failure."""
        try:
            return self.child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failure("%s did not end within %.0f s:\n%s" % (self.name, deadline_s, self.log()[-4000:])) from None

    def stop(self, number=signal.SIGTERM, deadline_s=DEADLINE_S):
        if self.child is None:
            return None
        if self.running():
            self.send(number)
        return self.wait(deadline_s)

    def kill(self):
        if self.running():
            self.child.kill()
            self.child.wait()


def memory_folder(folder):
    """Where counts outlive a SIGKILL: on tmpfs if there is one, and removed with the folder."""
    if not os.access("/dev/shm", os.W_OK):
        return folder
    path = os.path.join("/dev/shm", os.path.basename(folder))
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


class Folder:
    """A short temporary folder, removed at the end unless TEREDOWN_KEEP=1."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="td-", dir="/tmp")

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def remove(self):
        if os.environ.get("TEREDOWN_KEEP") != "1":
            shutil.rmtree(self.path, ignore_errors=True)
            shutil.rmtree(os.path.join("/dev/shm", os.path.basename(self.path)), ignore_errors=True)


# --- clients ---

def make_query(qname, qtype="A", **options):
    options.setdefault("use_edns", 0)
    return dns.message.make_query(qname, qtype, **options)


def ask(port, qname, qtype="A", source=None, tcp=False, host="127.0.0.1", timeout_s=6.0, **options):
    """One question, one checked answer (id, question and source are dnspython's business)."""
    send = dns.query.tcp if tcp else dns.query.udp
    return send(make_query(qname, qtype, **options), host, port=port, source=source, timeout=timeout_s)


def ask_often(port, client, qname, count=1):
    """The codes of so many answers to one question that this client asks on one socket."""
    codes, query = [], make_query(qname).to_wire()
    with udp_socket(port, source=client) as sock:
        for ident in range(count):
            sock.send(ident.to_bytes(2, "big") + query[2:])
            answer = sock.recv(4096)
            assert answer[:2] == ident.to_bytes(2, "big")
            codes.append(answer[3] & 15)
    return codes


def addresses_of(message):
    return sorted(record.address for rrset in message.answer if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA) for record in rrset)


def rcode_of(message):
    return dns.rcode.to_text(message.rcode())


def ede_codes(message):
    return [option.code for option in message.options if option.otype == 15]


def udp_socket(port, host="127.0.0.1", source=None, timeout_s=5.0):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    if source:
        sock.bind((source, 0))
    sock.connect((host, port))
    sock.settimeout(timeout_s)
    return sock


def tcp_socket(port, host="127.0.0.1", source=None, timeout_s=5.0):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    if source:
        sock.bind((source, 0))
    sock.settimeout(timeout_s)
    sock.connect((host, port))
    return sock


def send_framed(sock, packet):
    sock.sendall(len(packet).to_bytes(2, "big") + packet)


def read_exactly(sock, size):
    octets = b""
    while len(octets) < size:
        more = sock.recv(size - len(octets))
        if not more:
            raise EOFError("connection closed after %d of %d octets" % (len(octets), size))
        octets += more
    return octets


def read_framed(sock):
    return read_exactly(sock, int.from_bytes(read_exactly(sock, 2), "big"))


def flatten(value):
    """Every word and number of a JSON value, keys too, in order: for assertions that do not depend on the shape of an answer."""
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in [str(key)] + flatten(inner)]
    if isinstance(value, list):
        return [item for inner in value for item in flatten(inner)]
    return [str(value)]


# --- servers around the daemon ---

class Nsd(Process):
    """NSD, authoritative for the root of a small world of its own, so that it answers whole CNAME chains as a recursive server would."""

    def __init__(self, folder, zone_text):
        self.port = free_port()
        config = nsd_config.write(folder, self.port, zone_text)
        super().__init__("nsd", [find("nsd"), "-d", "-c", config], folder)

    def start(self):
        super().start()
        self.until(lambda: ask(self.port, ".", "SOA", timeout_s=0.5).rcode() == 0, "NSD answers")
        return self

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port


class Redis(Process):
    """redis-server on a unix socket that has on disk what it has acknowledged."""

    def __init__(self, folder):
        self.socket_path = os.path.join(folder, "r.sock")
        argv = [find("redis-server"), "--port", "0", "--unixsocket", self.socket_path, "--dir", folder, "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"]
        super().__init__("redis", argv, folder)

    @property
    def url(self):
        return "unix:" + self.socket_path

    def client(self):
        return redis.Redis(unix_socket_path=self.socket_path, decode_responses=True)

    def launch(self):
        """Starts it without waiting until it answers."""
        return super().start()

    def start(self):
        self.launch()
        self.until(lambda: self.client().ping(), "redis-server answers")
        return self


class Unbound(Process):
    """A caching stub as it stands on many a host: forwards everything to one resolver."""

    def __init__(self, folder, forward_port):
        self.port = free_port()
        config = os.path.join(folder, "unbound.conf")
        with open(config, "w") as out:
            out.write("""server:
	interface: 127.0.0.1@{port}
	port: {port}
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "{folder}"
	pidfile: ""
	use-syslog: no
	module-config: "iterator"
	do-not-query-localhost: no
	qname-minimisation: no
	msg-cache-size: 1m
	rrset-cache-size: 1m
remote-control:
	control-enable: no
forward-zone:
	name: "."
	forward-addr: 127.0.0.1@{forward}
""".format(port=self.port, folder=folder, forward=forward_port))
        super().__init__("unbound", [find("unbound"), "-d", "-c", config], folder)


class Dnsmasq(Process):
    """The peer of the mixing audit. extra: log-queries=extra, which numbers the transactions."""

    def __init__(self, folder, upstream_port, extra):
        self.port = free_port()
        self.query_log = os.path.join(folder, "dnsmasq-queries.log")
        argv = [find("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=" + _user(),
            "--pid-file=", "--port=%d" % self.port, "--listen-address=127.0.0.1", "--listen-address=::1", "--bind-interfaces",
            "--server=127.0.0.1#%d" % upstream_port, "--dns-forward-max=10000", "--cache-size=10000",
            "--log-facility=" + self.query_log, "--log-queries" + ("=extra" if extra else "")]
        super().__init__("dnsmasq", argv, folder)

    def start(self):
        super().start()
        self.until(lambda: ask(self.port, "n0.example.net", timeout_s=1.0), "dnsmasq answers")
        return self


def _user():
    import pwd
    return pwd.getpwuid(os.getuid()).pw_name


# --- the daemon under test ---

def render(options):
    """A configuration file. A tuple key ("zone", "teredo") is a section, a list is a list, the rest is one value."""
    lines = []
    for key, value in options.items():
        if value is None:
            continue
        if isinstance(key, tuple):
            lines.append('%s "%s" { %s }' % (key[0], key[1], " ".join(render(value).split("\n"))))
        elif isinstance(value, (list, tuple)):
            lines.append("%s = { %s }" % (key, ", ".join('"%s"' % item for item in value)))
        elif isinstance(value, int):
            lines.append("%s = %d" % (key, value))
        else:
            lines.append('%s = "%s"' % (key, value))
    return "\n".join(lines) + "\n"


class Teredown(Process):
    """teredownd with a configuration of its own. Keyword arguments are options; an underscore stands for a hyphen.

    upstream: one server, a list, or None for what resolv-conf says.
    Defaults name everything the tests rely on: a resolver name, 127.0.0.1 and ::1 on one free port, two workers, Redis off.
    """

    def __init__(self, folder, upstream, zones=None, forwards=None, groups=None, keys=None, environment=None, port=None, **options):
        self.port = port or free_port()
        self.state = os.path.join(folder, "state")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.query_log = os.path.join(folder, "queries.jsonl")
        settings = {
            "resolver-name": RESOLVER, "state-dir": self.state, "zone-dir": os.path.join(SOURCE, "zones"), "workers": 2,
            "listen": ["127.0.0.1:%d" % self.port, "[::1]:%d" % self.port],
            "upstream": [upstream] if isinstance(upstream, str) else upstream and list(upstream), "redis": "off", "memory-dir": memory_folder(folder),
        }
        settings.update({key.replace("_", "-"): value for key, value in options.items()})
        if settings.get("query-log") not in (None, "off"):
            settings.setdefault("query-log-file", self.query_log)
        for name, section in (zones or {}).items():
            settings[("zone", name)] = section
        for title, section in (forwards or {}).items():
            settings[("forward", title)] = section
        for title, section in (keys or {}).items():
            settings[("key", title)] = section
        for name, section in (groups or {}).items():
            settings[("group", name)] = section
        self.settings = settings
        self.config = os.path.join(folder, "teredown.conf")
        self.configure()
        super().__init__("teredownd", [DAEMON, "-c", self.config], folder, environment)

    def configure(self, forwards=None, groups=None, **options):
        """Changes options; with forwards or groups, all sections of that kind."""
        for kind, sections in (("forward", forwards), ("group", groups)):
            if sections is not None:
                self.settings = {key: value for key, value in self.settings.items() if key[0] != kind}
                self.settings.update({(kind, title): section for title, section in sections.items()})
        self.settings.update({key.replace("_", "-"): value for key, value in options.items()})
        self.write_config(render(self.settings))

    def write_config(self, text):
        with open(self.config, "w") as out:
            out.write(text)

    def start(self, wait=True):
        if not os.access(DAEMON, os.X_OK):
            raise Failure("%s is not there: build first, or set TEREDOWN_BUILD" % DAEMON)
        super().start()
        while wait:
            try:
                # A name that never leaves, asked from an address that no test counts.
                self.until(lambda: ask(self.port, "localhost", source="127.9.9.9", timeout_s=0.5), "teredownd answers")
                break
            except Failure:
                # Its port may be for a moment that of another daemon's question to an upstream server.
                if self.running() or "Address already in use" not in self.log()[-400:]:
                    raise
                super().start()
        return self

    # --- talking to it ---

    def ask(self, qname, qtype="A", **options):
        return ask(self.port, qname, qtype, **options)

    def command(self, *words, timeout_s=DEADLINE_S):
        """Runs the command line; returns the completed process with its text."""
        done = subprocess.run([COMMAND, "-c", self.config, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=timeout_s, universal_newlines=True, errors="replace")
        if SANITIZER.search(done.stderr):
            raise Failure("sanitizer report from teredown %s:\n%s" % (" ".join(words), done.stderr))
        return done

    def run(self, *words):
        """The output of a command that must succeed."""
        done = self.command(*words)
        if done.returncode != 0:
            raise Failure("teredown %s: status %d\n%s%s" % (" ".join(words), done.returncode, done.stdout, done.stderr))
        return done.stdout

    def json(self, *words):
        text = self.run(*words, "--json")
        try:
            return json.loads(text)
        except ValueError:
            pass
        try:
            return [json.loads(line) for line in text.splitlines() if line]
        except ValueError:
            raise Failure("teredown %s --json is not JSON:\n%s" % (" ".join(words), text)) from None

    def status(self):
        return self.json("status")

    def until_counted(self, queries, deadline_s=DEADLINE_S):
        """Waits until Redis has acknowledged every answered query, at least so many, and the details that go in later batches,
        with what an earlier daemon had left in memory; returns the status of that moment."""
        def counted():
            status = self.status()
            done, waiting = number(status, "queries_applied"), number(status, "queries_waiting") + number(status, "batches_waiting")
            return status if done >= queries and waiting == 0 and number(status, "answered") + number(status, "queries_healed") == done else None
        return until(counted, "%d queries counted in Redis" % queries, deadline_s, 0.1)

    def store(self):
        """A Redis client of the embedded server."""
        return redis.Redis(unix_socket_path=os.path.join(self.state, "redis.sock"), decode_responses=True)

    def records(self):
        """The query log so far, one object a whole line."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.query_log, encoding="utf-8") as log:
                return [json.loads(line) for line in log if line.endswith("\n")]
        return []

    def stop(self, number=signal.SIGTERM, deadline_s=DEADLINE_S):
        """Ends it as an administrator would, and looks at how it went: status 0 and no sanitizer report."""
        status = super().stop(number, deadline_s)
        self.check_log()
        if status not in (0, None):
            raise Failure("teredownd ended with status %d:\n%s" % (status, self.log()[-6000:]))
        return status

    def sanitized(self):
        """Whether it was built with AddressSanitizer or ThreadSanitizer: several times as slow, and memory stays."""
        with open("/proc/%d/maps" % self.pid) as maps:
            text = maps.read()
        return "libasan" in text or "libtsan" in text

    def check_log(self):
        if SANITIZER.search(self.log()):
            raise Failure("sanitizer report from teredownd:\n" + self.log()[-20000:])


def number(status, key):
    return int(status.get(key, 0))


def zones_of(status):
    """Policy zones by name, in their order."""
    return {zone["zone"]: zone for zone in status["zone"]}


def balance(status):
    """received, and what became of it: the two are equal at any moment (design: conservation)."""
    dropped = sum(int(value) for key, value in status.items() if key.startswith("dropped_"))
    return number(status, "received"), number(status, "answered") + dropped + number(status, "pending")


def key(*parts):
    """A key of the resolver under test: key("client", "127.0.0.1")."""
    return ":".join(("teredown:{%s}" % RESOLVER,) + parts)
