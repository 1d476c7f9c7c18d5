# SPDX-License-Identifier: BSD-3-Clause
"""`teredown ingest`: what a log says is in Redis once, whatever happens to the file, the command or the connection; drops are joined with pairs;
garbage is counted and shown; memory stays flat. The expected counts are made with the lines themselves.
"""

import gzip
import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness
from batches import Batches
from clock import Clock
from harness import key, until
from logs import HOUR_S, SERVER, Log, assert_counted, drops_of, hour_text, is_counted, timeline_of

TEREDO, HARD_CODED = "teredo.ipv6.microsoft.com.", "198.51.100.77"
BIG_BYTES = int(float(os.environ.get("TEREDOWN_INGEST_GB", "0.05")) * 1e9)


class Site:
    """A Redis, a configuration that names it, and the command; no daemon."""

    def __init__(self, folder, server, **options):
        self.folder, self.server, self.store = folder.path, server, server.client()
        self.daemon = harness.Teredown(folder.path, "127.0.0.1", redis=server.url, **options)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode="w", age_s=0):
        path = self.path(name)
        with open(path, mode) as out:
            out.write(text)
        if age_s:
            os.utime(path, (time.time() - age_s, time.time() - age_s))
        return path

    def ingest(self, *words):
        return self.daemon.json("ingest", *words)

    def start(self, *words, stdin=subprocess.DEVNULL, environment=None):
        return subprocess.Popen([harness.COMMAND, "-c", self.daemon.config, "ingest", *words], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, **(environment or {})))

    def pipe(self, text, *words):
        done = subprocess.run([harness.COMMAND, "-c", self.daemon.config, "ingest", "-", *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, timeout=harness.DEADLINE_S)
        assert not harness.SANITIZER.search(done.stderr), done.stderr
        return done

    def pack(self, name, *texts):
        """A file compressed by gzip, of a member for each text; as it is where the build cannot read those."""
        if not self.has_zlib():
            return self.write(name, "".join(texts))
        with open(self.path(name), "wb") as out:
            out.write(b"".join(gzip.compress(text.encode()) for text in texts))
        return self.path(name)

    def has_zlib(self):
        with gzip.open(self.path("nothing.gz"), "wt") as out:
            out.write("nothing\n")
        return "no zlib" not in self.daemon.command("ingest", self.path("nothing.gz"), "--as", "netfilter").stderr

    def positions(self):
        return {source: json.loads(text) for source, text in self.store.hgetall(key("ingest")).items()}


@pytest.fixture
def site(folder, redis_server):
    return Site(folder, redis_server)


# --- what is counted ---

def test_join(site):
    """Nine drops for each lookup, one client that was never told, and an address that nobody looked up."""
    now, log = time.time(), Log()
    batches = Batches(site.store, now_s=now - 30 * HOUR_S)
    batches.send([batches.pair(SERVER, "192.168.1.40", TEREDO, 3), batches.pair(SERVER, "192.168.1.41", TEREDO, 1), batches.query("192.168.1.40", TEREDO, 3)])
    begin = now - 20 * HOUR_S
    text = "".join(log.drop(begin + 30 * n) for n in range(27)) + "".join(log.drop(begin + n, "192.168.1.41") for n in range(9))
    text += "".join(log.drop(begin + n, "192.168.1.99") for n in range(5)) + "".join(log.drop(begin + n, "192.168.1.40", HARD_CODED, "41", 0) for n in range(4))
    early = Log()
    early_text = "".join(early.drop(now - 40 * HOUR_S + n) for n in range(3)) # before the client was told
    site.write("fw.log", early_text + text)
    result = site.ingest(site.path("fw.log"))
    assert (result["lines"], result["used"], result["unreadable"]) == (48, 48, 0)
    assert (result["drops"], result["tunnel_drops"], result["joined"], result["unjoined"]) == (48, 48, 36, 12)
    assert (result["addresses"], result["never_looked_up"], result["passes"], result["proxy_hits"]) == (2, 1, 0, 0)
    assert_counted(site.store, log, early)
    scores = dict(site.store.zrange(key("addresses"), 0, -1, withscores=True))
    assert set(scores) == {SERVER, HARD_CODED} and scores[SERVER] == batches.now_ms, "the daemon's time of an address with pairs stays"
    for name in (key("timeline", SERVER), key("timeline", HARD_CODED), key("hour", hour_text(begin), "drops")):
        assert 6 * 24 * HOUR_S < site.store.ttl(name) < 9 * 24 * HOUR_S
    words = site.daemon.run("ingest", site.path("fw.log"))
    assert "nothing new" in words


def test_what_is_too_old_or_to_come(site):
    now, log, other = time.time(), Log(), Log()
    site.write("fw.log", other.drop(now - 9 * 24 * HOUR_S) + log.drop(now - HOUR_S) + other.drop(now + 3 * 24 * HOUR_S))
    source = site.ingest(site.path("fw.log"))["sources"][0]
    assert (source["used"], source["skipped"], source["old"], source["future"]) == (1, 2, 1, 1)
    assert_counted(site.store, log)


def test_history(site):
    """Of dnsmasq: with log-queries=extra each line names its client; a plain reply belongs to any who asked, or to nobody known."""
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime())
    extra = ("{0} gw dnsmasq[7]: 1 192.168.1.40/51000 query[A] teredo.ipv6.microsoft.com from 192.168.1.40\n"
        "{0} gw dnsmasq[7]: 2 192.168.1.41/51001 query[A] shared.example.org from 192.168.1.41\n"
        "{0} gw dnsmasq[7]: 2 192.168.1.41/51001 reply shared.example.org is 65.55.158.118\n"
        "{0} gw dnsmasq[7]: 1 192.168.1.40/51000 reply teredo.ipv6.microsoft.com is <CNAME>\n"
        "{0} gw dnsmasq[7]: 1 192.168.1.40/51000 reply teredo.ipv6.microsoft.com.nsatc.net is 65.55.158.118\n").format(stamp)
    plain = ("{0} gw dnsmasq[7]: query[A] www.example.org from 192.168.1.42\n"
        "{0} gw dnsmasq[7]: query[A] www.example.org from 192.168.1.43\n"
        "{0} gw dnsmasq[7]: reply www.example.org is 192.0.2.1\n"
        "{0} gw dnsmasq[7]: reply end.of.a.chain.example.org is 192.0.2.1\n").format(stamp)
    site.write("extra.log", extra)
    site.write("plain.log", plain)
    result = site.ingest(site.path("extra.log"), site.path("plain.log"), "--as", "dnsmasq")
    assert (result["answers"], result["certain_answers"]) == (5, 2)
    history = {address: {field: value.split()[2:] for field, value in site.store.hgetall(key("history", address)).items()} for address in (SERVER, "192.0.2.1")}
    assert history[SERVER] == {"192.168.1.40 " + TEREDO: ["1", "certain"], "192.168.1.41 shared.example.org.": ["1", "certain"]}
    assert history["192.0.2.1"] == {"192.168.1.42 www.example.org.": ["1", "ambiguous"], "192.168.1.43 www.example.org.": ["1", "ambiguous"],
        "- end.of.a.chain.example.org.": ["1", "ambiguous"]}
    assert site.store.exists(key("pair", SERVER)) == 0, "never as if we had told it"
    assert 29 * 24 * HOUR_S < site.store.ttl(key("history", SERVER)) < 31 * 24 * HOUR_S


def test_events(site):
    """The newest that is told of a computer stays, in whatever order, from elements in lines or without any."""
    def event(second, computer, number, protocol="Teredo"):
        return ("<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Iphlpsvc'/><EventID>%d</EventID>"
            "<TimeCreated SystemTime='%s'/><Channel>System</Channel><Computer>%s</Computer></System><EventData><Data Name='ProtocolType'>%s</Data></EventData></Event>") % (
            number, time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime(second)), computer, protocol)
    now = time.time()
    first = "<?xml version='1.0'?>\n<Events>" + event(now - 50, "PC-1.corp.example", 4200) + event(now - 40, "pc-1.corp.example", 4201) + event(now - 30, "PC-2", 4200) + "</Events>"
    site.write("a.xml", first, age_s=60)
    if "no such format" in site.daemon.command("ingest", site.path("a.xml"), "--as", "eventlog-xml").stderr:
        harness.missing("built without expat")
    site.write("b.xml", "\n".join([event(now - 60, "PC-2", 4201), event(now - 20, "PC-3", 4200, "Isatap")]) + "\n", age_s=60)
    result = site.ingest(site.path("b.xml"))
    assert (result["events"], result["used"], result["skipped"]) == (1, 1, 1)
    told = {computer: json.loads(text) for computer, text in site.store.hgetall(key("eventlog")).items()}
    assert {computer: (event["state"], event["event"]) for computer, event in told.items()} == {"pc-1.corp.example": ("inactive", 4201), "pc-2": ("active", 4200)}
    assert told["pc-2"]["at"] == int(now - 30) * 1000
    assert site.ingest(site.path("a.xml"), site.path("b.xml"))["lines"] == 0


def test_clients_are_called_what_the_daemon_calls_them(folder, redis_server):
    site, log, second = Site(folder, redis_server, anonymize="prefix", exclude=["192.168.2.7", "clinic.example"]), Log(), time.time() - HOUR_S
    site.write("fw.log", "".join(log.drop(second, client) for client in ("192.168.1.40", "192.168.1.41", "192.168.2.7")))
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(second))
    site.write("dns.log", "".join("{0} gw dnsmasq[7]: {1} 192.168.1.40/5353 {2} {3} {4}\n".format(stamp, number, *words) for number, words in enumerate(
        (kind, name, rest) for name in ("www.example.org", "www.clinic.example") for kind, rest in (("query[A]", "from 192.168.1.40"), ("reply", "is " + SERVER)))))
    site.ingest(site.path("fw.log"), site.path("dns.log"))
    assert drops_of(site.store) == {(hour_text(second), "192.168.1.0/24 %s udp3544" % SERVER): 2, (hour_text(second), "*excluded %s udp3544" % SERVER): 1}
    assert site.store.hkeys(key("history", SERVER)) == ["192.168.1.0/24 www.example.org."]


def test_bounds(site):
    """More rows than an hour has: the sum is exact, the rest under *other."""
    log, second = Log(), time.time() - HOUR_S
    second -= second % HOUR_S
    site.write("fw.log", "".join(log.drop(second + n / 4, "10.%d.%d.1" % (n // 250, n % 250), "192.0.2.%d" % (n % 200 + 1), "TCP", 23) for n in range(3000)))
    result = site.ingest(site.path("fw.log"))
    rows = dict(site.store.zrange(key("hour", hour_text(second), "drops"), 0, -1, withscores=True))
    assert len(rows) == 2001 and rows["*other *other -"] == 1000 and sum(rows.values()) == 3000
    assert sum(timeline_of(site.store).values()) == 3000 and result["dropped"] == 1000
    assert int(site.store.hget(key("meta"), "dropped_drops") or 0) == 0, "no figures of a resolver that never wrote"


# --- once ---

def test_twice(site):
    log = Log()
    path = site.write("fw.log", log.some(500))
    assert site.ingest(path)["used"] == 500
    again = site.ingest(path)
    assert (again["lines"], again["sources"][0]["from"]) == (0, os.path.getsize(path))
    site.write("copy.log", open(path).read())
    site.pack("copy.log.gz", open(path).read())
    site.write("part.log", open(path).read()[:20000]) # an older copy
    assert site.ingest(site.path("copy.log"), site.path("copy.log.gz"), site.path("part.log"))["lines"] == 0
    assert_counted(site.store, log)
    assert len(site.positions()) == 1


def test_compressed(site):
    if not site.has_zlib():
        harness.missing("built without zlib")
    log = Log()
    site.pack("a.gz", log.some(300), log.some(300))
    assert site.ingest(site.path("a.gz"))["used"] == 600
    assert_counted(site.store, log)
    octets = open(site.path("a.gz"), "rb").read()
    with open(site.path("b.gz"), "wb") as out:
        out.write(octets[:len(octets) // 3])
    done = site.daemon.command("ingest", site.path("b.gz"), "--as", "netfilter")
    assert done.returncode == 1 and "end early" in done.stderr
    assert_counted(site.store, log)


def test_grows(site):
    """From one line on; the source is the same when it is long enough to be known by more."""
    log, begin = Log(), time.time() - 5 * HOUR_S
    for count in (1, 2, 40, 500):
        path = site.write("fw.log", log.some(count, begin), "a")
        site.ingest(path)
        begin += HOUR_S
        assert_counted(site.store, log)
    source, position = list(site.positions().items())[0]
    assert len(site.positions()) == 1 and source.endswith("-4096")
    assert (position["lines"], position["offset"], position["path"], position["format"]) == (543, os.path.getsize(path), path, "netfilter")


def test_headers_are_no_identity(site):
    """Two files of which only the header was there at first, and is the same."""
    log = Log()
    header = "time,src,dst,proto,port,action\n"
    columns = ("--columns", "time=time,src=src,dst=dst,proto=proto,port=port,action=action")
    names = [site.write(name, header) for name in ("a.csv", "b.csv")]
    site.ingest(*names, *columns)
    assert site.positions() == {}, "nothing is known of them"
    for number, name in enumerate(names):
        log.drop(time.time() - HOUR_S, "192.168.1.%d" % number)
        site.write(os.path.basename(name), "%s,192.168.1.%d,%s,udp,3544,drop\n" % (log.stamp(time.time() - HOUR_S), number, SERVER), "a")
    assert site.ingest(*names, *columns)["used"] == 2
    assert_counted(site.store, log)


def test_rotation(site):
    """Renamed, and copied and cut: one call under the old path reads what the rotated file still has, and the new one."""
    log, begin = Log(), time.time() - 9 * HOUR_S
    path = site.write("fw.log", log.some(100, begin))
    site.ingest(path)
    site.write("fw.log", log.some(50, begin + HOUR_S), "a")
    os.rename(path, path + ".1")
    site.write("fw.log", log.some(70, begin + 2 * HOUR_S))
    result = site.ingest(path)
    assert [(os.path.basename(source["path"]), source["lines"]) for source in result["sources"]] == [("fw.log.1", 50), ("fw.log", 70)]
    assert_counted(site.store, log)
    # copytruncate, compressed at once: the inode stays, the log does not.
    site.write("fw.log", log.some(30, begin + 3 * HOUR_S), "a")
    site.pack("fw.log-20261121.gz", open(path).read())
    os.truncate(path, 0)
    site.write("fw.log", log.some(400, begin + 4 * HOUR_S), "a") # longer than before
    assert site.ingest(path)["used"] == 430
    assert site.ingest(path)["lines"] == 0
    assert_counted(site.store, log)


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    out, errors = process.communicate(timeout=harness.DEADLINE_S)
    assert not harness.SANITIZER.search(errors.decode()), errors.decode()
    return process.returncode, out.decode(), errors.decode()


def test_follow(site):
    log, begin = Log(), time.time() - 9 * HOUR_S
    path = site.write("fw.log", log.some(10, begin))
    process = site.start("--follow", path)
    try:
        until(lambda: is_counted(site.store, log), "what is there")
        text = log.some(20, begin + HOUR_S)
        site.write("fw.log", text[:1000], "a") # in the middle of a line
        site.write("fw.log", text[1000:], "a")
        until(lambda: is_counted(site.store, log), "what was added")
        os.rename(path, path + ".1")
        site.write("fw.log.1", log.some(5, begin + 2 * HOUR_S), "a") # its writer has not let go yet
        site.write("fw.log", log.some(15, begin + 3 * HOUR_S))
        until(lambda: is_counted(site.store, log), "both sides of a rotation")
        site.write("fw.log", log.some(3, begin + 4 * HOUR_S), "a")
        site.write("fw.log.2", open(path).read())
        os.truncate(path, 0)
        site.write("fw.log", log.some(40, begin + 5 * HOUR_S), "a")
        until(lambda: is_counted(site.store, log), "a copy, and what follows the cut")
        assert process.poll() is None
    finally:
        status, out, errors = end(process)
    assert status == 0, errors
    assert "drops" in out
    assert_counted(site.store, log)
    assert site.ingest(path)["lines"] == 0


def test_follow_for_days(site):
    """What is old, and what is to come, is seen from now and not from when it began."""
    clock = Clock(site.folder)
    if not clock.library:
        harness.missing("libfaketime is not installed")
    log, old = Log(), Log()
    path = site.write("fw.log", log.drop(time.time()))
    process = site.start("--follow", "--json", path, environment=clock.environment)
    try:
        until(lambda: is_counted(site.store, log), "the first line")
        clock.set(5 * 24 * HOUR_S)
        site.write("fw.log", log.drop(time.time() + 5 * 24 * HOUR_S) + old.drop(time.time() - 4 * 24 * HOUR_S), "a")
        until(lambda: is_counted(site.store, log), "a line of five days later")
    finally:
        status, out, errors = end(process)
    assert status == 0, errors
    assert (json.loads(out)["sources"][0]["old"], json.loads(out)["used"]) == (1, 2)
    assert_counted(site.store, log)


def test_pseudonyms(folder, redis_server):
    site, log = Site(folder, redis_server, anonymize="hash"), Log()
    for name, clients in (("a.log", ("192.168.1.40", "192.168.1.41")), ("b.log", ("192.168.1.40", "192.168.1.40"))):
        site.ingest(site.write(name, "".join(log.drop(time.time() - HOUR_S, client) for client in clients)))
    rows = {member.split()[0]: score for (_, member), score in drops_of(site.store).items()}
    assert sorted(rows.values()) == [1, 3] and all(client.startswith("anon-") for client in rows)


def test_follow_a_log_without_years(site):
    """The year of a line without one is seen from when the file was written last, not from when following began."""
    begin, log = time.time() - 3 * 24 * HOUR_S, Log()
    log.stamp = lambda second: time.strftime("%b %e %H:%M:%S", time.localtime(second))
    path = site.write("fw.log", log.some(10, begin, 40), age_s=2.5 * 24 * HOUR_S)
    process = site.start("--follow", path)
    try:
        until(lambda: is_counted(site.store, log), "what is there")
        site.write("fw.log", log.drop(time.time() - 60), "a")
        until(lambda: is_counted(site.store, log), "a line of another day")
    finally:
        status, _, errors = end(process)
    assert status == 0, errors
    assert_counted(site.store, log)


def test_follow_behind_a_second_header(site):
    """Columns are those of the last header, also when all that there was had been read before following began."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - HOUR_S))
    lines = ["#Fields: date time c-ip r-ip cs-host\n", stamp + " 192.168.1.40 203.0.113.1 a.example.org\n",
        "#Fields: date time r-ip c-ip cs-host\n", stamp + " 203.0.113.1 192.168.1.40 a.example.org\n"]
    path = site.write("proxy.log", "#Software: proxy\n#Version: 1.0\n" + lines[0] + 2000 * lines[1] + lines[2] + lines[3])
    assert site.ingest(path)["proxy_hits"] == 2001
    process = site.start("--follow", path)
    try:
        time.sleep(0.5)
        site.write("proxy.log", lines[3], "a")
        until(lambda: sum(timeline_of(site.store).values()) == 2002, "what was added")
    finally:
        end(process)
    assert {address for address, _ in timeline_of(site.store)} == {"203.0.113.1"}


def test_resumed_in_an_endless_line(site):
    """The rest of a line that was too long for a record is not a record, though another run reads it."""
    log, forged = Log(), Log()
    path = site.write("fw.log", log.some(5) + "x" * 300000, age_s=60)
    source = site.ingest(path)["sources"][0]
    assert (source["used"], source["unreadable"]) == (5, 1)
    site.write("fw.log", forged.drop(time.time() - HOUR_S) + log.drop(time.time() - HOUR_S), "a", age_s=60)
    assert site.ingest(path)["used"] == 1
    assert_counted(site.store, log)


def test_unfinished_line(site):
    """The last line of a file that is being written is left for later; that of an old one is whole."""
    log = Log()
    text = log.some(3)
    path = site.write("fw.log", text[:-30])
    source = site.ingest(path)["sources"][0]
    assert (source["lines"], source["unfinished"]) == (2, True)
    site.write("fw.log", text[-30:-1], "a", age_s=60)
    assert site.ingest(path)["used"] == 1
    assert_counted(site.store, log)


def test_pipe(site):
    log = Log()
    text = log.some(200)
    done = site.pipe(text, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["used"] == 200
    assert "--source NAME" in done.stderr and site.positions() == {}
    assert_counted(site.store, log)
    named, more = Log(2), Log(2)
    begin = time.time() - 9 * HOUR_S
    text = named.some(300, begin)
    for _ in range(2):
        done = site.pipe(text, "--source", "gw1")
        assert done.returncode == 0 and done.stderr == ""
    assert_counted(site.store, log, named)
    done = site.pipe(text + more.some(10, begin + 4 * HOUR_S), "--source", "gw1", "--json")
    assert json.loads(done.stdout)["lines"] == 10
    assert_counted(site.store, log, named, more)
    assert len(site.positions()) == 1


# --- whatever happens ---

def test_killed_and_run_again(site):
    """SIGKILL at moments that nobody chose, until it comes through: exact."""
    log = Log()
    path = site.write("fw.log", log.some(60000, clients=200, addresses=100))
    kills = 0
    for attempt in range(200):
        process = site.start(path)
        try:
            process.wait(site_patience(log.random, attempt))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        out, errors = process.communicate()
        if process.returncode == 0:
            break
    assert process.returncode == 0, errors
    assert kills >= 3
    assert_counted(site.store, log)


def site_patience(randomness, attempt):
    return 0.03 + randomness.random() * 0.1 + attempt * 0.02


def test_interrupted(site):
    log = Log()
    path = site.write("fw.log", log.some(60000, clients=200, addresses=100))
    process = site.start(path, "--json")
    until(lambda: site.positions(), "a chunk")
    status, out, errors = end(process, signal.SIGINT)
    assert status in (0, 4), errors
    assert json.loads(out)["interrupted"] == (status == 4)
    assert site.ingest(path)["interrupted"] is False
    assert_counted(site.store, log)


def test_two_at_once(site):
    log = Log()
    path = site.write("fw.log", log.some(60000, clients=200, addresses=100))
    both = [site.start(path) for _ in range(2)]
    ends = [(process.communicate(timeout=60), process.returncode)[1] for process in both]
    assert sorted(ends) in ([0, 0], [0, 1])
    assert_counted(site.store, log)


def test_redis_goes_away(site):
    log = Log()
    path = site.write("fw.log", log.some(60000, clients=200, addresses=100))
    process = site.start(path)
    until(lambda: site.positions(), "a chunk")
    site.server.kill()
    time.sleep(0.3)
    site.server.start()
    site.store.script_flush()
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert_counted(site.store, log)


def test_may_not_write(site):
    """A user that only reads, as the documentation grants it to dashboards."""
    with open(os.path.join(harness.SOURCE, "doc", "redis-schema.md")) as text:
        line = re.search(r"^ +ACL SETUSER (dashboard .*)$", text.read(), re.M).group(1)
    site.store.execute_command("ACL", "SETUSER", *line.replace("PASSWORD", "secret").split())
    path = site.write("fw.log", Log().some(10))
    site.daemon.configure(redis_user="dashboard", redis_password_file=site.write("password", "secret\n"))
    os.chmod(site.path("password"), 0o600)
    done = site.daemon.command("ingest", path)
    assert done.returncode == 1 and "may not write" in done.stderr and "redis-user" in done.stderr
    assert list(site.store.scan_iter()) == []


def test_garbage(site):
    """Lines that are none are counted, the first ones shown, and nothing of them reaches the terminal raw."""
    log = Log()
    rubbish = ["\x1b[31mred\x07", "2026-13-99T99:99:99Z gw kernel: IN=eth0 SRC=1.2.3.4 DST=5.6.7.8 PROTO=UDP", "\x00\x01\x02", "x" * 400000]
    text = log.some(20) + "\n".join(rubbish) + "\n" + log.some(20) + "\n"
    path = site.write("fw.log", text)
    done = site.daemon.command("ingest", path, "--as", "netfilter", "--json")
    result = json.loads(done.stdout)
    assert done.returncode == 0 and result["used"] == 40
    assert result["lines"] == result["used"] + result["skipped"] + result["unreadable"] and result["unreadable"] >= 1
    assert re.search(r"fw\.log:2\d: no netfilter line: ", done.stderr)
    assert not re.search(r"[^\x20-\x7e\n]", done.stderr)
    assert_counted(site.store, log)
    noise = site.path("noise")
    with open(noise, "wb") as out:
        out.write(log.random.getrandbits(8 * 300000).to_bytes(300000, "big"))
    done = site.daemon.command("ingest", noise)
    assert done.returncode in (1, 3)
    for words in (("--as", "netfilter"), ("--as", "squid"), ("--as", "zeek"), ("--as", "eventlog-xml"), ("--as", "dnsmasq"), ("--columns", "time=1,src=2,dst=3")):
        done = site.daemon.command("ingest", noise, *words)
        assert done.returncode in (0, 3) or "no such format" in done.stderr
    assert_counted(site.store, log)


def test_exit_codes(site):
    path = site.write("fw.log", Log().some(3))
    for words, status, said in (((), 2, "needs a file"), ((path, "--as", "nothing"), 2, "netfilter"), ((site.path("none"),), 1, "No such file"),
            ((site.path("none"), path), 4, "No such file"), ((path,), 0, ""), ((path, "--as", "csv"), 2, "--columns"), ((site.write("empty", ""),), 0, ""),
            ((site.write("text", "what is this?\n" * 9),), 1, "--as"), ((site.write("other", "# none\n"), "--as", "netfilter"), 3, ""),
            ((path, "-", "--follow"), 2, "standard input"), (("--columns", "src=1", path), 1, "time")):
        done = site.daemon.command("ingest", *words)
        assert (done.returncode, said in done.stderr) == (status, True), (words, done.returncode, done.stderr)


def rss_kib(site, text_bytes):
    """Peak of resident memory while so much comes through a pipe."""
    site.store.config_set("appendfsync", "no")
    lines = [Log(seed).some(20000, clients=10, addresses=2).encode() for seed in range(3)]
    process = site.start("-", "--json", stdin=subprocess.PIPE, environment={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"})
    sent = 0
    while sent < text_bytes:
        for text in lines:
            process.stdin.write(text)
            sent += len(text)
    process.stdin.flush()
    with open("/proc/%d/status" % process.pid) as status:
        peak = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert json.loads(out)["unreadable"] == 0
    return peak, json.loads(out)["used"], sent


def test_progress(site):
    """A bar on a terminal while it takes a while, and nothing of it anywhere else."""
    log = Log()
    text = log.some(3000).encode()
    terminal, other = os.openpty()
    process = subprocess.Popen([harness.COMMAND, "-c", site.daemon.config, "ingest", "-", "--source", "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=other)
    os.close(other)
    process.stdin.write(text[:len(text) // 2])
    process.stdin.flush()
    until(lambda: b" lines, " in os.read(terminal, 65536), "a line that tells how far it is")
    out, _ = process.communicate(text[len(text) // 2:], timeout=harness.DEADLINE_S)
    os.close(terminal)
    assert process.returncode == 0 and b"3000 used" in out and b"\r" not in out
    assert_counted(site.store, log)


@pytest.mark.alone
def test_memory_is_flat(site, capsys):
    """50 MB through a pipe, or as many as TEREDOWN_INGEST_GB says, take what 15 MB take."""
    few, _, _ = rss_kib(site, 15000000)
    begin = time.monotonic()
    many, lines, sent = rss_kib(site, BIG_BYTES)
    with capsys.disabled():
        print("\ningest: %d lines, %.0f MB through a pipe in %.1f s; peak of memory %.1f MB, with 15 MB %.1f MB" % (
            lines, sent / 1e6, time.monotonic() - begin, many / 1024, few / 1024))
    assert many - few < 4096


# --- forgetting ---

def test_forget(teredown, nsd, folder):
    daemon = teredown(nsd.endpoint, redis="embedded")
    daemon.ask("www.example.org", source="127.0.15.2")
    daemon.until_counted(1)
    store, log, second = daemon.store(), Log(), time.time() - HOUR_S
    client, longer = "192.168.1.4", "192.168.1.40"
    text = "".join(log.drop(second, who) for who in (client, longer) for _ in range(5))
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime())
    asked = "".join("{0} gw dnsmasq[7]: {1} {2}/5353 query[A] www.example.org from {2}\n{0} gw dnsmasq[7]: {1} {2}/5353 reply www.example.org is 192.0.2.1\n".format(
        stamp, number, who) for number, who in enumerate((client, longer), 1))
    assert daemon.json("ingest", folder.write("fw.log", text), folder.write("dns.log", asked))["used"] == 14
    store.hset(key("eventlog"), mapping={client: '{"at":1}', longer: '{"at":2}'})
    assert daemon.json("forget", client, "--yes")["rows"] == 3
    hour = hour_text(second)
    assert drops_of(store) == {(hour, "*other *other -"): 5, (hour, "%s %s udp3544" % (longer, SERVER)): 5}
    assert {field: value.split()[2:] for field, value in store.hgetall(key("history", "192.0.2.1")).items()} == {
        "*other *other": ["1", "ambiguous"], longer + " www.example.org.": ["1", "certain"]}
    assert store.hkeys(key("eventlog")) == [longer]
