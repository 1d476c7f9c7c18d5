# SPDX-License-Identifier: BSD-3-Clause
"""The faults of the chaos run, each a function of a Site under load: it breaks something, sees that it is broken, and mends it.

A fault that left no trace would prove nothing, so each one waits for its evidence: an error in the daemon's status, a counter of
redis-server, a connection that the proxy has cut.
"""

import collections
import os
import shutil
import signal
import subprocess
import time

import redis

import harness
from cutter import CUTS, Cutter
from harness import Failure, Process, find, number, until

# inject(site) is called once a round, and does it so many times.
Fault = collections.namedtuple("Fault", "name site inject times")

FAULTS = {}


def fault(name, site, times=1):
    def register(function):
        FAULTS[name] = Fault(name, site, function, times)
        return function
    return register


def away(site, *words):
    """The daemon says that Redis is away, in one of these words."""
    site.evidence(lambda: any(word in site.redis_error() for word in words) if words else site.status()["redis"] == "away",
        "Redis is away (%s)" % " ".join(words))


# --- one redis-server ---

class Standalone(Process):
    """redis-server on a unix socket, its append-only file on a disk of its own.

    everysec: with "always" redis-server ends itself when the disk is full, with everysec it has acknowledged what it cannot write.
    """

    def __init__(self, folder, disk):
        self.disk, self.socket_path = disk, os.path.join(folder, "r.sock")
        super().__init__("redis", [find("redis-server"), "--port", "0", "--unixsocket", self.socket_path, "--dir", disk.path, "--save", "",
            "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-min-size", "16mb", "--daemonize", "no"], folder)

    @property
    def url(self):
        return "unix:" + self.socket_path

    def client(self):
        return redis.Redis(unix_socket_path=self.socket_path, decode_responses=True)

    def launch(self):
        return super().start()

    def start(self):
        """redis-server 7.0 may leave a file that it cannot read itself, where the disk was full soon after it had rewritten the file. Then
        it is mended as an administrator would: cut off where it is broken. What that forgets comes out of the journal."""
        self.launch()
        try:
            self.until(lambda: self.client().ping(), "redis-server answers")
        except Failure:
            if self.running() or "Bad file format" not in self.log()[-500:]:
                raise
            manifest = os.path.join(self.disk.path, "appendonlydir", "appendonly.aof.manifest")
            subprocess.run([find("redis-check-aof"), "--fix", manifest], input=b"y\n", stdout=subprocess.DEVNULL, check=True)
            self.launch()
            self.until(lambda: self.client().ping(), "redis-server answers")
        return self

    def stop(self):
        self.kill()
        self.disk.close()


@fault("redis-kill", "standalone")
def redis_kill(site):
    site.store.kill()
    site.linger(0.05, 1.0)
    site.store.start()


@fault("redis-stop", "standalone")
def redis_stop(site):
    site.store.send(signal.SIGSTOP)
    time.sleep(5)
    waits = number(site.status(), "queries_waiting")
    site.store.send(signal.SIGCONT)
    if not waits:
        raise Failure("redis-server was stopped for five seconds and nothing waited")


@fault("script-flush", "standalone", times=5)
def script_flush(site):
    for _ in range(5):
        client = site.store.client()
        loads = lambda: client.info("commandstats")["cmdstat_script|load"]["calls"]
        before = loads()
        client.script_flush()
        site.evidence(lambda: loads() > before, "the script was loaded again")
        site.linger(0.02, 0.2)


@fault("oom", "standalone")
def oom(site):
    client = site.store.client()
    client.config_set("maxmemory", 1)
    try:
        away(site, "OOM")
        site.linger(0.0, 1.0)
    finally:
        client.config_set("maxmemory", 0)


@fault("aof-full", "standalone")
def aof_full(site):
    """Every other time redis-server is killed while it cannot write what it has acknowledged."""
    if site.store.disk.why:
        return site.store.disk.why
    kill = site.random.random() < 0.5
    site.store.disk.fill()
    try:
        away(site, "MISCONF", "No space")
        if kill:
            site.store.kill()
    finally:
        site.store.disk.free()
    if kill:
        site.store.start()
    # An append-only file may be broken in its middle now (see start), which the next start would find: what comes behind would be cut off.
    client = site.store.client()
    until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the append-only file is not being rewritten", 30)
    client.bgrewriteaof()
    until(lambda: not client.info("persistence")["aof_rewrite_in_progress"] and client.info("persistence")["aof_last_bgrewrite_status"] == "ok",
        "the append-only file is written anew", 30)


def fill_journal(site):
    """Until a batch was refused: segments that the journal gives up meanwhile make room again."""
    failures = lambda: number(site.status(), "journal_failures")
    before = failures()

    def refused():
        site.state_disk.fill()
        return failures() > before
    site.evidence(refused, "the journal could not be written")


@fault("journal-full", "standalone")
def journal_full(site):
    """Redis is stopped for a moment as well, so that batches wait which are nowhere but in memory."""
    if site.state_disk.why:
        return site.state_disk.why
    try:
        fill_journal(site)
        site.store.send(signal.SIGSTOP)
        site.linger(0.2, 1.0)
        site.store.send(signal.SIGCONT)
    finally:
        site.state_disk.free()


@fault("journal-full-old", "standalone")
def journal_full_old(site):
    """What Redis acknowledges meanwhile it loses again: it comes back as it was before, and the daemon has those batches on no disk."""
    if site.state_disk.why:
        return site.state_disk.why
    files, replayed = os.path.join(site.store.disk.path, "appendonlydir"), lambda: number(site.status(), "batches_replayed")
    client = site.store.client()
    until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the append-only file is not being rewritten", 30)
    shutil.copytree(files, files + ".old")
    try:
        fill_journal(site)
        site.linger(0.5, 2.0)
        before = replayed()
        site.store.kill()
        shutil.rmtree(files)
        os.rename(files + ".old", files)
        site.store.start()
        site.evidence(lambda: replayed() > before, "what Redis lost is sent again")
    finally:
        site.state_disk.free()


def kill_daemon(site):
    site.daemon.kill()
    site.kills += 1
    site.linger(0.0, 0.3)


@fault("daemon-kill", "daemon")
def daemon_kill(site):
    kill_daemon(site)
    site.daemon.start()


@fault("daemon-kill-away", "daemon")
def daemon_kill_away(site):
    """With counts in memory that no Redis has seen; every other time Redis dies as well."""
    if site.random.random() < 0.5:
        site.store.send(signal.SIGSTOP)
        site.linger(0.5, 2.0)
        kill_daemon(site)
        site.store.send(signal.SIGCONT)
        site.daemon.start()
    else:
        site.store.kill()
        site.linger(0.5, 2.0)
        kill_daemon(site)
        site.daemon.start()
        site.linger(0.0, 1.0)
        site.store.start()


@fault("daemon-kill-full", "daemon")
def daemon_kill_full(site):
    """With batches that Redis has not acknowledged and the journal could not take, because its disk is full. Every other time it still is at the start."""
    if site.state_disk.why:
        return site.state_disk.why
    still = site.random.random() < 0.5
    try:
        fill_journal(site)
        site.store.send(signal.SIGSTOP)
        site.linger(0.5, 1.5)
        kill_daemon(site)
        if not still:
            site.state_disk.free()
        site.daemon.start()
        site.store.send(signal.SIGCONT)
        site.linger(0.2, 0.6)
    finally:
        site.state_disk.free()


@fault("daemon-restart", "daemon")
def daemon_restart(site):
    """As an administrator restarts it, now and then while Redis is away."""
    stopped = site.random.random() < 0.5
    if stopped:
        site.store.send(signal.SIGSTOP)
    site.linger(0.0, 0.5)
    site.daemon.stop(deadline_s=30)
    site.daemon.start()
    if stopped:
        site.store.send(signal.SIGCONT)


# --- a connection that is cut ---

class Plain:
    """One redis-server without anything."""

    def __init__(self, folder):
        self.server = harness.Redis(folder)
        self.url, self.client = self.server.url, self.server.client

    def start(self):
        self.server.start()
        return self

    def stop(self):
        self.server.kill()


class Behind(Plain):
    """redis-server behind the proxy that cuts."""

    def __init__(self, folder):
        super().__init__(folder)
        self.cutter = Cutter(self.server.socket_path)
        self.url = self.cutter.url

    def stop(self):
        self.cutter.close()
        super().stop()


def _register_cut(how):
    @fault("cut-" + how, "cut", times=5)
    def cut(site):
        for _ in range(5):
            site.store.cutter.cut(how)
            site.linger(0.02, 0.3)


for _how in CUTS:
    _register_cut(_how)


# --- the clock ---

STEPS_S = (3600, -3600, 86400, -86400, 7200, -600, 1800)


def step(site, seconds):
    """Sets both clocks, with nothing asked and nothing on its way: counts that were not sent yet would go with the daemon's clock, for
    which the time before a step was the wrong one."""
    site.quiesce()
    site.clock.set(site.clock.seconds + seconds)
    site.crowd.set_offset(site.clock.seconds)
    site.go()


@fault("clock-step", "clock")
def clock_step(site):
    """Forwards and backwards by minutes to a day."""
    seconds = site.random.choice(STEPS_S)
    step(site, -seconds if abs(site.clock.seconds + seconds) > 2 * 86400 else seconds)


@fault("hour-turn", "clock")
def hour_turn(site):
    """The turn of an hour by the daemon's clock, under load but for half a second."""
    step(site, 3600 - int(time.time() + site.clock.seconds) % 3600 - 4)
    time.sleep(4)


@fault("clock-late", "clock")
def clock_late(site):
    """The clock is wrong for a while in which Redis is away, as after a start without a clock; all that waits belongs to the right hours."""
    site.quiesce()
    site.store.server.kill()
    away(site)
    right = site.clock.seconds
    site.clock.set(right + site.random.choice((-50000, -5 * 3600, 3 * 3600)))
    site.go()
    site.linger(0.5, 1.5)
    site.clock.set(right)
    site.linger(0.2, 1.0)
    site.store.server.start()
