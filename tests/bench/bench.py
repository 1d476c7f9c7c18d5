# SPDX-License-Identifier: BSD-3-Clause
"""What a query costs, beside what others take for it: shared by `hit` and `miss`.

Every contender runs in its turn, alone, with minimal configuration on a free loopback port, and each round
begins with the bare echo, so that a ratio compares runs that are a minute apart. Costs are those of the whole process:
instructions through perf where the machine counts them, processor time always. Time includes what the kernel does on the
process's behalf, and varies with whatever else runs; ratios within a round vary less.

Standard library only, so that it runs wherever Python 3 does.
"""

import argparse
import contextlib
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("TEREDOWN_BUILD") or os.path.join(SOURCE, "build")
ZONE = "bench.example.net"
NAMES = 1000
SETTLE_S = 1.5   # after the load, before the meters are read: what was put off has to be paid too
DEADLINE_S = 60.0


class Failure(Exception):
    pass


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def user_name():
    return pwd.getpwuid(os.getuid()).pw_name


def until(condition, what, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while True:
        with contextlib.suppress(OSError):
            value = condition()
            if value:
                return value
        if time.monotonic() > end:
            raise Failure("not within %.0f s: %s" % (deadline_s, what))
        time.sleep(0.02)


def free_port():
    """Free for UDP and TCP, below the range that the kernel gives to clients."""
    for _ in range(500):
        port = random.randint(12000, 31999)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("0.0.0.0", port))
                tcp.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise Failure("no free port")


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        out.write(text)
    return path


def dns_rcode(port, name, timeout_s=1.0):
    """One question of type A; the rcode of the reply."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
    query = os.urandom(2) + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(("127.0.0.1", port))
        sock.send(query)
        reply = sock.recv(4096)
    return reply[3] & 15 if reply[:2] == query[:2] else None


# --- processes ---

class Server:
    """A child in a folder of its own. Ended by its process id, whatever happens."""

    name = "?"
    valgrind = False  # measured with --callgrind too

    def __init__(self, bench):
        self.bench = bench
        self.child = None
        self.port = None
        self.folder = None

    def missing(self):
        """Why it cannot run here; None when it can."""
        return None

    def command(self):
        raise NotImplementedError

    def start(self, wrapper=()):
        self.folder = tempfile.mkdtemp(prefix="b-", dir=self.bench.folder)
        self.port = free_port()
        argv = list(wrapper) + self.command()
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True)
        until(self.ready, "%s answers" % self.name)
        return self

    def ready(self):
        if self.child.poll() is not None:
            raise Failure("%s ended with status %d:\n%s" % (self.name, self.child.returncode, self.log_tail()))
        rcode = dns_rcode(self.port, "n0." + ZONE)
        return rcode == 0 and self.answers()

    def answers(self):
        return True

    def log_tail(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-2000:]

    def stop(self):
        if self.child is None:
            return
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.child = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def batches(self):
        """Packets and receive calls so far, where the program tells them."""
        return None

    def companions(self):
        """Processes that work for it, measured and shown beside it."""
        return []


def processes(pid):
    """The process and what it forked."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as children:
                for child in children.read().split():
                    found += processes(int(child))
    return found


def cpu_ns(pids):
    """User and system time of all threads, those that ended too: the process's own clock (clock_getcpuclockid)."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


class Nsd(Server):
    """The upstream of all: authoritative for the root of a small world, so that it refuses nothing."""

    name = "nsd"

    def missing(self):
        return None if find("nsd") else "not installed"

    def command(self):
        records = ["n%d.%s. 86400 A 192.0.2.%d" % (i, ZONE, i % 256) for i in range(NAMES)]
        write(self.folder, "root.zone", "\n".join([
            ". 86400 SOA ns.invalid. root.invalid. 1 3600 3600 86400 300", ". 86400 NS ns.invalid.",
            "*.w.%s. 300 A 192.0.2.1" % ZONE] + records) + "\n")
        config = write(self.folder, "nsd.conf", """server:
	server-count: 1
	ip-address: 127.0.0.1@{port}
	username: ""
	chroot: ""
	database: ""
	pidfile: ""
	zonesdir: "{folder}"
	xfrdfile: "{folder}/xfrd.state"
	xfrdir: "{folder}"
	zonelistfile: "{folder}/zone.list"
	rrl-ratelimit: 0
	rrl-whitelist-ratelimit: 0
remote-control:
	control-enable: no
zone:
	name: "."
	zonefile: "root.zone"
""".format(port=self.port, folder=self.folder))
        return [find("nsd"), "-d", "-c", config]


class Echo(Server):
    name = "echo"
    valgrind = True
    program = os.path.join(BUILD, "tests", "bench", "echo")

    def missing(self):
        return None if os.access(self.program, os.X_OK) else "not built (make bench-tools): %s" % self.program

    def command(self):
        return [self.program, str(self.port)]


class Redis(Server):
    name = "redis-server"

    def command(self):
        self.socket_path = os.path.join(self.folder, "r.sock")
        return [find("redis-server"), "--port", "0", "--unixsocket", self.socket_path, "--dir", self.folder, "--save", "",
            "--appendonly", "yes", "--daemonize", "no"]

    def ready(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.socket_path)
            sock.send(b"PING\r\n")
            return sock.recv(16).startswith(b"+PONG")


class Teredown(Server):
    name = "teredown"
    valgrind = True
    program = os.path.join(BUILD, "teredownd")
    query_log = "watched"

    def __init__(self, bench):
        super().__init__(bench)
        self.redis = None

    def missing(self):
        if not os.access(self.program, os.X_OK):
            return "not built: %s" % self.program
        return None if self.bench.redis_url() or find("redis-server") else "no redis-server"

    def command(self):
        url = self.bench.redis_url()
        if not url:
            self.redis = Redis(self.bench).start()
            url = "unix:" + self.redis.socket_path
        log_file = ' query-log-file = "%s/queries.jsonl"\n' % self.folder if self.query_log == "all" else ""
        config = write(self.folder, "teredown.conf", """resolver-name = "bench"
state-dir = "{folder}"
zone-dir = "{source}/zones"
workers = 1
cache-size = 64M
listen = {{ "127.0.0.1:{port}" }}
upstream = {{ "127.0.0.1:{upstream}" }}
redis = "{url}"
query-log = {log}
{log_file}""".format(folder=self.folder, source=SOURCE, port=self.port, upstream=self.bench.upstream.port, url=url,
            log=self.query_log, log_file=log_file))
        return [self.program, "-c", config]

    def stop(self):
        super().stop()
        if self.redis:
            self.redis.stop()
            self.redis = None

    def status(self):
        """The control socket's own protocol: a word, then lines of key, tab, value."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(os.path.join(self.folder, "control.sock"))
            sock.sendall(b"status\n")
            text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        return dict(line.split("\t", 1) for line in text.splitlines()[1:] if "\t" in line)

    def answers(self):
        return self.status().get("redis") in ("connected", "off")

    def batches(self):
        status = self.status()
        return int(status["received"]), int(status["receive_batches"])

    def companions(self):
        return [self.redis] if self.redis else []


class TeredownLog(Teredown):
    name = "teredown query-log=all"
    valgrind = False
    query_log = "all"


class Unbound(Server):
    name = "unbound"
    valgrind = True

    def missing(self):
        return None if find("unbound") else "not installed"

    def command(self):
        config = write(self.folder, "unbound.conf", """server:
	interface: 127.0.0.1@{port}
	port: {port}
	num-threads: 1
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "{folder}"
	pidfile: ""
	use-syslog: no
	verbosity: 0
	module-config: "iterator"
	do-not-query-localhost: no
	qname-minimisation: no
	num-queries-per-thread: 4096
	outgoing-range: 4096
	msg-cache-size: 64m
	rrset-cache-size: 128m
remote-control:
	control-enable: no
forward-zone:
	name: "."
	forward-addr: 127.0.0.1@{upstream}
""".format(port=self.port, folder=self.folder, upstream=self.bench.upstream.port))
        return [find("unbound"), "-d", "-c", config]


class PdnsRecursor(Server):
    name = "pdns-recursor"

    def missing(self):
        return None if find("pdns_recursor") else "not installed"

    def command(self):
        return [find("pdns_recursor"), "--config-dir=" + self.folder, "--socket-dir=" + self.folder, "--daemon=no",
            "--local-address=127.0.0.1", "--local-port=%d" % self.port, "--threads=1", "--pdns-distributes-queries=no",
            "--forward-zones-recurse=.=127.0.0.1:%d" % self.bench.upstream.port, "--dont-query=", "--dnssec=off",
            "--security-poll-suffix=", "--quiet=yes", "--loglevel=3", "--disable-syslog=yes", "--max-mthreads=4096",
            "--write-pid=no"]


class Dnsdist(Server):
    name = "dnsdist"

    def missing(self):
        return None if find("dnsdist") else "not installed"

    def command(self):
        config = write(self.folder, "dnsdist.conf", """setLocal("127.0.0.1:{port}")
setSecurityPollSuffix("")
setVerboseHealthChecks(false)
newServer({{address="127.0.0.1:{upstream}", healthCheckMode="up"}})
getPool(""):setCache(newPacketCache(500000, {{maxTTL=86400}}))
""".format(port=self.port, upstream=self.bench.upstream.port))
        return [find("dnsdist"), "--supervised", "--disable-syslog", "-C", config]


class Dnsmasq(Server):
    name = "dnsmasq"
    log_options = []

    def missing(self):
        return None if find("dnsmasq") else "not installed"

    def command(self):
        return [find("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=" + user_name(), "--pid-file=", "--port=%d" % self.port, "--listen-address=127.0.0.1",
            "--bind-interfaces", "--server=127.0.0.1#%d" % self.bench.upstream.port, "--dns-forward-max=10000",
            "--cache-size=10000"] + self.log_options


class DnsmasqLog(Dnsmasq):
    name = "dnsmasq log-queries"

    def command(self):
        return super().command() + ["--log-queries", "--log-facility=%s/queries.log" % self.folder]


CONTENDERS = [Echo, Teredown, TeredownLog, Unbound, PdnsRecursor, Dnsdist, Dnsmasq, DnsmasqLog]


# --- measuring ---

def counters_supported():
    """Whether perf counts instructions here: many virtual machines have no such counters."""
    if not find("perf"):
        return False
    probe = subprocess.run([find("perf"), "stat", "-x,", "-e", "instructions", "true"], capture_output=True, text=True)
    return probe.returncode == 0 and re.search(r"^\d+,", probe.stderr, re.M) is not None


def perf_figures(text):
    """{"instructions": n, "cycles": n} from the lines of perf stat -x,."""
    figures = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit():
            event = fields[2].split(":")[0]
            figures[event] = figures.get(event, 0) + int(fields[0])
    return figures


class Run:
    """What one contender did in one round; costs are per answered query."""

    def __init__(self):
        self.answered = 0
        self.lost = 0
        self.qps = self.cpu_ns = 0.0
        self.instructions = self.cycles = None
        self.batch = None
        self.companions_ns = None


class Bench:
    def __init__(self, arguments, contenders, queries):
        self.arguments = arguments
        self.queries = queries
        self.folder = tempfile.mkdtemp(prefix="tdb-", dir="/tmp")
        self.hardware = counters_supported()
        self.upstream = Nsd(self)
        self.contenders = [contender(self) for contender in contenders]
        self.runs = {}

    def redis_url(self):
        return self.arguments.redis

    def close(self):
        for contender in self.contenders:
            contender.stop()
        self.upstream.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def dnsperf(self, port, limits, perf_pids=None):
        """Loads the port; returns answered, lost, queries per second, and perf's figures."""
        argv = [find("dnsperf"), "-s", "127.0.0.1", "-p", str(port), "-d", self.queries.path, "-q", "400", "-c", "16",
            "-t", "10"] + limits
        figures = os.path.join(self.folder, "perf.csv")
        if perf_pids:
            argv = [find("perf"), "stat", "-x,", "-o", figures, "-e", "instructions,cycles", "-p",
                ",".join(map(str, perf_pids)), "--", "sh", "-c", '"$@"; sleep %s' % SETTLE_S, "sh"] + argv
        done = subprocess.run(argv, capture_output=True, text=True, cwd=self.folder)
        answered = re.search(r"Queries completed:\s+(\d+)", done.stdout)
        if not answered or int(answered.group(1)) == 0:
            raise Failure("dnsperf got no answer:\n%s%s" % (done.stdout, done.stderr))
        counted = {}
        if perf_pids:
            with open(figures) as text:
                counted = perf_figures(text.read())
        else:
            time.sleep(SETTLE_S)
        return (int(answered.group(1)), int(re.search(r"Queries lost:\s+(\d+)", done.stdout).group(1)),
            float(re.search(r"Queries per second:\s+([\d.]+)", done.stdout).group(1)), counted)

    def measure(self, contender):
        contender.start()
        try:
            self.queries.warm(self, contender)
            pids = processes(contender.child.pid)
            helpers = [helper.child.pid for helper in contender.companions()]
            batches = contender.batches()
            before, helpers_before = cpu_ns(pids), cpu_ns(helpers)
            run = Run()
            run.answered, run.lost, run.qps, counted = self.dnsperf(
                contender.port, self.queries.limits(contender), pids if self.hardware else None)
            run.cpu_ns = (cpu_ns(pids) - before) / run.answered
            if helpers:
                run.companions_ns = (cpu_ns(helpers) - helpers_before) / run.answered
            if "instructions" in counted:
                run.instructions = counted["instructions"] / run.answered
                run.cycles = counted.get("cycles", 0) / run.answered
            after = contender.batches()
            if batches and after and after[1] > batches[1]:
                run.batch = (after[0] - batches[0]) / (after[1] - batches[1])
            return run
        finally:
            contender.stop()

    def available(self):
        """Names what is missing, and leaves it out."""
        for contender in [self.upstream] + self.contenders:
            why = contender.missing()
            if why:
                print("skipped: %s: %s" % (contender.name, why), flush=True)
        return [contender for contender in self.contenders if not contender.missing()]

    def go(self):
        contenders = self.available()
        for program in ("dnsperf", "nsd"):
            if not find(program):
                raise Failure("%s is needed and not installed" % program)
        if not any(isinstance(contender, Echo) for contender in contenders):
            raise Failure("the echo is what all are compared with: make bench-tools")
        self.upstream.start()
        if self.arguments.callgrind:
            self.callgrind([contender for contender in contenders if contender.valgrind])
            return
        for number in range(1, self.arguments.rounds + 1):
            for contender in contenders:
                run = self.measure(contender)
                self.runs.setdefault(contender.name, []).append(run)
                print("round %d  %-22s %8.0f queries/s  %7.0f ns" % (number, contender.name, run.qps, run.cpu_ns), flush=True)
        self.report()

    # --- user space only ---

    def callgrind_totals(self, contender):
        """Instructions and answered queries between two moments of one run under callgrind."""
        out = os.path.join(self.folder, "callgrind.out")
        contender.start([find("valgrind"), "--tool=callgrind", "--callgrind-out-file=" + out])
        try:
            self.queries.warm(self, contender)
            control = [find("callgrind_control")]
            subprocess.run(control + ["-z", str(contender.child.pid)], check=True, capture_output=True)
            answered = self.dnsperf(contender.port, self.queries.few)[0]
            subprocess.run(control + ["-d", str(contender.child.pid)], check=True, capture_output=True)
            dumps = [name for name in os.listdir(self.folder) if re.fullmatch(r"callgrind\.out\.\d+", name)]
            total = 0
            for name in dumps:
                path = os.path.join(self.folder, name)
                with open(path) as dump:
                    total += sum(int(n) for n in re.findall(r"^(?:totals|summary): (\d+)", dump.read(), re.M)[:1])
                os.unlink(path)
            return total / answered
        finally:
            contender.stop()

    def callgrind(self, contenders):
        print("\nuser space only, instructions per answered query (valgrind --tool=callgrind); the kernel's part, most of a"
            " query's cost, is not counted")
        for contender in contenders:
            print("%-22s %10.0f" % (contender.name, self.callgrind_totals(contender)), flush=True)

    # --- the table ---

    def ratios(self, name, figure):
        """To the echo of the same round."""
        return [getattr(run, figure) / getattr(echo, figure) for run, echo in zip(self.runs[name], self.runs[Echo.name])
            if getattr(run, figure) and getattr(echo, figure)]

    def row(self, name):
        runs = self.runs[name]

        def middle(figure):
            values = [getattr(run, figure) for run in runs if getattr(run, figure) is not None]
            return statistics.median(values) if values else None

        time_ratios, instruction_ratios = self.ratios(name, "cpu_ns"), self.ratios(name, "instructions")
        return {
            "contender": name, "rounds": len(runs), "qps": middle("qps"), "cpu_ns": middle("cpu_ns"),
            "cpu_ratio": statistics.median(time_ratios), "cpu_ratio_min": min(time_ratios), "cpu_ratio_max": max(time_ratios),
            "instructions": middle("instructions"), "cycles": middle("cycles"),
            "instructions_ratio": statistics.median(instruction_ratios) if instruction_ratios else None,
            "batch": middle("batch"), "redis_ns": middle("companions_ns"),
            "lost": sum(run.lost for run in runs) / sum(run.answered + run.lost for run in runs),
        }

    def report(self):
        rows = [self.row(name) for name in self.runs]

        def show(value, form):
            return form % value if value is not None else "-"

        print("\n%s, %d rounds, dnsperf -q 400 -c 16, one worker each, medians; ratios to the echo of the same round" %
            (self.queries.title, self.arguments.rounds))
        if not self.hardware:
            print("this machine counts no instructions (perf: not supported): processor time alone is compared")
        print("%-22s %10s %9s %7s %13s %8s %7s %6s %9s %6s" % ("contender", "queries/s", "cpu ns/q", "ratio", "min-max",
            "instr/q", "ratio", "batch", "redis ns", "lost"))
        for row in rows:
            print("%-22s %10.0f %9.0f %7.2f %13s %8s %7s %6s %9s %5.2f%%" % (row["contender"], row["qps"], row["cpu_ns"],
                row["cpu_ratio"], "%.2f-%.2f" % (row["cpu_ratio_min"], row["cpu_ratio_max"]),
                show(row["instructions"], "%.0f"), show(row["instructions_ratio"], "%.2f"), show(row["batch"], "%.1f"),
                show(row["redis_ns"], "%.0f"), 100 * row["lost"]))
        if self.arguments.json:
            with open(self.arguments.json, "w") as out:
                json.dump({"title": self.queries.title, "hardware_counters": self.hardware, "rows": rows}, out, indent=1)
                out.write("\n")


# --- the questions ---

class Hits:
    """A thousand names, all in the cache after the warm-up."""

    title = "answers from the cache"

    def __init__(self, folder, arguments):
        self.path = write(folder, "hit.txt", "".join("n%d.%s A\n" % (i, ZONE) for i in range(NAMES)))
        self.seconds = arguments.seconds
        self.few = ["-n", "100"]

    def limits(self, contender):
        return ["-l", str(self.seconds)]

    def warm(self, bench, contender):
        bench.dnsperf(contender.port, ["-n", "3"])


class Misses:
    """Names under a wildcard, each asked once: every question goes upstream. The server starts anew for each run."""

    title = "answers from upstream"

    def __init__(self, folder, arguments):
        self.folder = folder
        self.measured = write(folder, "miss.txt", self.names(arguments.names, "m"))
        self.warming = write(folder, "warm.txt", self.names(2000, "u"))
        self.path = self.measured
        self.few = ["-n", "1"]

    def limits(self, contender):
        """Once for each name; the echo, which knows no names, is too fast to be measured in that time."""
        return ["-n", "10" if isinstance(contender, Echo) else "1"]

    @staticmethod
    def names(count, prefix):
        return "".join("%s%d.w.%s A\n" % (prefix, i, ZONE) for i in range(count))

    def warm(self, bench, contender):
        """Memory is touched, connections are open; none of these names comes again."""
        self.path = self.warming
        bench.dnsperf(contender.port, ["-n", "1"])
        self.path = self.measured


def main(description, queries):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of load for each run (hit)")
    parser.add_argument("--names", type=int, default=0, help="names for each run (miss; default 100000, 3000 with --callgrind)")
    parser.add_argument("--only", default="", help="contenders, separated by commas; the echo always runs")
    parser.add_argument("--redis", default="", help="a Redis to count into, e.g. unix:/path (default: a private redis-server)")
    parser.add_argument("--callgrind", action="store_true", help="user-space instructions through valgrind instead")
    parser.add_argument("--json", help="write the table to this file too")
    arguments = parser.parse_args()
    arguments.names = arguments.names or (3000 if arguments.callgrind else 100000)
    wanted = [name.strip() for name in arguments.only.split(",") if name.strip()]
    contenders = [contender for contender in CONTENDERS
        if not wanted or contender is Echo or contender.name in wanted]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(arguments, contenders, None)
    try:
        bench.queries = queries(bench.folder, arguments)
        bench.go()
    except Failure as failure:
        sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), failure))
    except KeyboardInterrupt:
        sys.exit(1)
    finally:
        bench.close()
