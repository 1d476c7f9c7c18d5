# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the live tests, a time limit for each, and the closing line for make check."""

import concurrent.futures
import os
import signal

import pytest

import harness
from upstream import Upstream, addresses

TEST_LIMIT_S = 150

# A small internet under one root. 65.55.158.118 was a Teredo server of Microsoft.
WORLD = """$TTL 300
. IN SOA ns.example.net. host.example.net. 1 3600 600 86400 60
. IN NS ns.example.net.
ns.example.net. IN A 127.0.0.1
teredo.ipv6.microsoft.com. 60 IN CNAME teredo.ipv6.microsoft.com.nsatc.net.
teredo.ipv6.microsoft.com.nsatc.net. 60 IN A 65.55.158.118
win10.ipv6.microsoft.com. 60 IN CNAME win10.ipv6.microsoft.com.nsatc.net.
win10.ipv6.microsoft.com.nsatc.net. 60 IN A 40.81.94.43
6to4.ipv6.microsoft.com. 60 IN A 192.88.99.1
shared.example.org. 60 IN A 65.55.158.118
www.example.org. IN A 192.0.2.1
www.example.org. IN AAAA 2001:db8::1
two.example.org. IN A 192.0.2.2
two.example.org. IN A 192.0.2.3
alias.example.org. IN CNAME www.example.org.
first.example.org. IN A 192.0.2.11
second.example.org. IN A 192.0.2.12
tunnel.example.org. 60 IN AAAA 2001:0:4137:9e76:2c3d:63bf:3fff:fdd2
sixtofour.example.org. 60 IN AAAA 2002:c000:204::1
relay.example.org. 60 IN A 192.88.99.7
isatap-host.example.org. 60 IN AAAA fe80::5efe:c000:204
isatap-global.example.org. 60 IN AAAA 2001:db9:1:2:200:5efe:c000:204
alias-of-tunnel.example.org. 60 IN CNAME tunnel.example.org.
beside1.example.org. 60 IN AAAA 2001:1::4137:9e76
beside2.example.org. 60 IN AAAA 2001:db9:1:2:100:5efe:c000:204
*.wild.example.org. IN A 192.0.2.77
""" + "".join('big.example.org. IN TXT "%s"\n' % ("%03d " % index + "x" * 196) for index in range(20)) \
    + "".join("many.example.org. IN A 198.51.100.%d\n" % index for index in range(1, 41)) \
    + "".join("h%d.example.org. IN A 203.0.113.%d\n" % (index, index % 250 + 1) for index in range(500))


def pytest_configure(config):
    """SIGTERM ends the run as Ctrl-C does: every process that was started is ended too."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended by SIGTERM", 1))
    config.addinivalue_line("markers", "alone: measures time, or loads the machine: not beside other tests")
    config.addinivalue_line("markers", "timed: compares times, of servers or clients, with what the machine does at that moment: has three tries")
    config.addinivalue_line("markers", "waits: of those, what is slow because it waits, and may stand beside one of the others")


def pytest_collection_modifyitems(items):
    """What fails three times is no matter of a busy machine."""
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(autouse=True)
def limit():
    """No test hangs the suite."""
    def expired(*_):
        raise harness.Failure("test took longer than %d s" % TEST_LIMIT_S)
    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder():
    folder = harness.Folder()
    yield folder
    folder.remove()


@pytest.fixture(scope="session")
def nsd():
    folder = harness.Folder()
    server = harness.Nsd(folder.path, WORLD).start()
    yield server
    server.stop()
    folder.remove()


@pytest.fixture
def redis_server(folder):
    server = harness.Redis(folder.path).start()
    yield server
    server.kill()


class _Daemons:
    """Starts daemons and ends them; each end is checked."""

    def __init__(self):
        self.started, self.folders = [], []

    def __call__(self, upstream, wait=True, **options):
        folder = harness.Folder()
        self.folders.append(folder)
        daemon = harness.Teredown(folder.path, upstream, **options)
        self.started.append(daemon)
        return daemon.start(wait)

    def end(self):
        """All at once: one that cannot give its counts to Redis takes a while."""
        def fault_of(daemon):
            try:
                daemon.stop()
            except AssertionError as fault:
                return str(fault)
            return None
        with concurrent.futures.ThreadPoolExecutor(max(1, len(self.started))) as pool:
            faults = [fault for fault in pool.map(fault_of, self.started) if fault]
        for folder in self.folders:
            folder.remove()
        if faults:
            pytest.fail("\n".join(faults))


@pytest.fixture
def teredown(request):
    """A function that starts a daemon: teredown(upstream, option=value …)."""
    daemons = _Daemons()
    yield daemons
    if getattr(request.node, "failed", False):
        for daemon in daemons.started:
            print("--- %s\n%s" % (daemon.log_path, daemon.log()[-8000:]))
    daemons.end()


@pytest.fixture(scope="module")
def shared(nsd):
    """One daemon for all tests of a file that only ask; Redis off, NSD behind it."""
    daemons = _Daemons()
    yield daemons(nsd.endpoint)
    daemons.end()


@pytest.fixture
def upstream():
    """A function that starts a scripted upstream: upstream(script) or upstream({name: address})."""
    started = []

    def start(script, **options):
        tcp = options.pop("tcp", True)
        server = Upstream(addresses(script, **options) if isinstance(script, dict) else script, tcp=tcp).start()
        started.append(server)
        return server
    yield start
    for server in started:
        server.stop()


@pytest.fixture
def need():
    """need("unbound"): skips where the program is missing, fails under TEREDOWN_CHECK_ALL=1."""
    def check(program):
        if harness.find(program) is None:
            harness.missing("%s is not installed" % program)
        return harness.find(program)
    return check


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.failed = True


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """The closing line also goes to descriptor 9, where automake's test driver shows it to the person."""
    text, _ = terminalreporter.build_summary_stats_line()
    counts = ", ".join(part for part, _ in text)
    try:
        os.write(9, ("live tests: %s\n" % counts).encode())
    except OSError:
        pass
