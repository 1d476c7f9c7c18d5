# SPDX-License-Identifier: BSD-3-Clause
"""Counts outlive a SIGKILL of the daemon: what clients were answered is what Redis counts in the end, but for the answers that had left
and were not counted yet, at most one receive batch of each worker and kill. And the clock: what was timed wrongly is moved before it is sent."""

import glob
import os
import random
import select
import signal
import time

import pytest

import harness
from clock import Clock
from harness import until

BATCH = 64  # LISTEN_UDP: the most that one recvmmsg takes
WORKERS = 2


class Crowd:
    """A few clients that ask without a pause, and know how often each was answered."""

    def __init__(self, daemon, first, count=6):
        self.clients = ["127.0.%d.%d" % (first, i + 1) for i in range(count)]
        self.sockets = {harness.udp_socket(daemon.port, source=client): client for client in self.clients}
        for sock in self.sockets:
            sock.setblocking(False)
        self.answered = dict.fromkeys(self.clients, 0)
        names = ["www.example.org"] * 4 + ["nowhere%d.example.org" % i for i in range(20)] + ["teredo.ipv6.microsoft.com"]
        self.questions = [harness.make_query(name).to_wire()[2:] for name in names]
        self.asked = self.sent = 0

    def _ask(self, sock, count):
        for _ in range(count):
            self.asked += 1
            try:
                sock.send((self.asked & 0xffff).to_bytes(2, "big") + self.questions[self.asked % len(self.questions)])
            except OSError:
                return
            self.sent += 1

    def _receive(self, sock):
        count = 0
        while True:
            try:
                sock.recv(4096)
                count += 1
            except BlockingIOError:
                break
            except OSError:  # the port was closed: replies that came before are still to be read
                continue
        self.answered[self.sockets[sock]] += count
        return count

    def run(self, seconds):
        end = time.monotonic() + seconds
        for sock in self.sockets:
            self._ask(sock, 40)
        while time.monotonic() < end:
            for sock in select.select(list(self.sockets), [], [], 0.05)[0]:
                self._ask(sock, self._receive(sock))

    def drain(self):
        """What a daemon that is gone had still sent."""
        while any([self._receive(sock) for sock in self.sockets]):
            pass

    def close(self):
        for sock in self.sockets:
            sock.close()


def counted(store, clients):
    return {client: int(store.hget(harness.key("client", client), "queries") or 0) for client in clients}


def hourly(store, clients):
    sums = dict.fromkeys(clients, 0)
    for key in store.scan_iter(match=harness.key("hour", "*", "queries"), count=1000):
        for client in clients:
            sums[client] += int(store.zscore(key, client) or 0)
    return sums


def until_settled(daemon):
    """Nothing waits anywhere."""
    def settled():
        status = daemon.status()
        waiting = ("queries_waiting", "batches_waiting", "journal_waiting")
        return status if status["redis"] == "connected" and not any(harness.number(status, key) for key in waiting) else None
    return until(settled, "nothing waits", 30, 0.1)


def memory_files(daemon):
    return glob.glob(os.path.join(daemon.settings["memory-dir"], "*", "*"))


def check(store, crowd, kills):
    for clients in (counted(store, crowd.clients), hourly(store, crowd.clients)):
        lost = {client: crowd.answered[client] - clients[client] for client in crowd.clients}
        assert all(count >= 0 for count in lost.values()), "counted and not answered: %r" % lost
        assert sum(lost.values()) <= BATCH * WORKERS * kills, "answered and not counted: %r of %d" % (lost, sum(crowd.answered.values()))
    return sum(lost.values())


@pytest.mark.parametrize("redis_is", ["up", "stopped", "killed"])
def test_killed_under_load(redis_server, folder, nsd, redis_is):
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url, workers=WORKERS)
    crowd, kills, dice = Crowd(daemon, 30), 6, random.Random(7)
    try:
        for turn in range(kills):
            daemon.start()
            if redis_is == "stopped":
                redis_server.send(signal.SIGSTOP)
            elif redis_is == "killed" and turn == 1:
                until_settled(daemon)
                redis_server.kill()
            crowd.run(dice.uniform(0.1, 1.6))
            daemon.kill()
            crowd.drain()
            if redis_is == "stopped":
                redis_server.send(signal.SIGCONT)
        if redis_is == "killed":
            redis_server.start()
        daemon.start()
        status = until_settled(daemon)
        print("answered %d, lost %d, healed at the end %s" % (sum(crowd.answered.values()), check(redis_server.client(), crowd, kills), status["queries_healed"]))
        assert sum(crowd.answered.values()) > 1000
        daemon.stop()
        assert memory_files(daemon) == []
    finally:
        crowd.close()
        daemon.kill()


@pytest.mark.parametrize("redis_is", ["up", "away"])
def test_killed_at_rest_loses_nothing(redis_server, folder, nsd, redis_is):
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url, workers=WORKERS).start()
    crowd = Crowd(daemon, 31)
    try:
        until_settled(daemon)
        if redis_is == "away":
            redis_server.kill()
            until(lambda: daemon.status()["redis"] == "away", "Redis is missed")
        for turn in range(3):
            crowd.run(0.4)
            # Also what the daemon has not read yet; and a status is told between two of its batches, so that the last one is counted.
            until(lambda: crowd.drain() or sum(crowd.answered.values()) == crowd.sent, "all is answered")
            daemon.status()
            daemon.kill()
            daemon.start()
        if redis_is == "away":
            assert harness.number(daemon.status(), "queries_healed") >= sum(crowd.answered.values())
            redis_server.start()
        until_settled(daemon)
        assert counted(redis_server.client(), crowd.clients) == crowd.answered
        assert hourly(redis_server.client(), crowd.clients) == crowd.answered
        daemon.stop()
        assert memory_files(daemon) == []
    finally:
        crowd.close()
        daemon.kill()


def test_workers_change_between_kill_and_start(redis_server, folder, nsd):
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url, workers=4).start()
    until_settled(daemon)
    redis_server.kill()
    for i in range(12):
        daemon.ask("www.example.org", source="127.0.32.1")
    until(lambda: harness.number(daemon.status(), "answered") >= 12, "all is counted")
    daemon.kill()
    daemon.configure(workers=1)
    daemon.start()
    redis_server.start()
    until_settled(daemon)
    assert counted(redis_server.client(), ["127.0.32.1"]) == {"127.0.32.1": 12}
    daemon.stop()


def test_without_memory(redis_server, folder, nsd):
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url, memory_dir="").start()
    assert daemon.status()["memory"] == "off"
    daemon.ask("www.example.org", source="127.0.32.2")
    until(lambda: counted(redis_server.client(), ["127.0.32.2"]) == {"127.0.32.2": 1}, "one query is counted")
    daemon.stop()


def test_a_folder_that_is_not_ours_alone_is_refused(redis_server, folder, nsd):
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url).start()
    assert daemon.status()["memory"] == "on"
    made = glob.glob(os.path.join(daemon.settings["memory-dir"], "*"))
    assert [oct(os.stat(path).st_mode & 0o777) for path in made] == ["0o700"]
    assert {oct(os.stat(path).st_mode & 0o777) for path in memory_files(daemon)} == {"0o600"}
    daemon.kill()
    os.chmod(made[0], 0o755)
    daemon.start()
    assert daemon.status()["memory"] == "off"
    assert "Operation not permitted" in daemon.log()
    daemon.stop()


# --- clocks ---

@pytest.fixture
def clock(folder):
    made = Clock(folder.path)
    if not made.library:
        harness.missing("libfaketime is not installed")
    return made


def hours_of(store, client):
    """hour → queries of this client"""
    found = {}
    for key in store.scan_iter(match=harness.key("hour", "*", "queries"), count=1000):
        score = store.zscore(key, client)
        if score:
            found[key.split(":")[-2]] = int(score)
    return found


def hours_near(wall_s):
    """The hour of this moment, and the next one where it may turn meanwhile."""
    return {time.strftime("%Y%m%d%H", time.gmtime(wall_s + more)) for more in (0, 60)}


@pytest.mark.parametrize("step_s", [86400, -7200])
def test_what_waits_moves_with_the_clock(redis_server, folder, nsd, clock, step_s):
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url, environment=clock.environment).start()
    client, began = "127.0.33.1", time.time()
    try:
        until_settled(daemon)
        redis_server.kill()
        for _ in range(5):
            daemon.ask("www.example.org", source=client)
        until(lambda: harness.number(daemon.status(), "queries_waiting") >= 5, "five queries wait")
        clock.set(step_s)
        until(lambda: harness.number(daemon.status(), "clock_steps") == 1, "the step is seen")
        for _ in range(4):
            daemon.ask("www.example.org", source=client)
        redis_server.start()
        until(lambda: counted(redis_server.client(), [client]) == {client: 9}, "nine queries are counted")
        hours = hours_of(redis_server.client(), client)
        assert sum(hours.values()) == 9 and set(hours) <= hours_near(began + step_s) | hours_near(time.time() + step_s), hours
        assert "stepped by" in str(redis_server.client().xrange(harness.key("events")))
        daemon.stop()
    finally:
        daemon.kill()


@pytest.mark.parametrize("killed", [False, True])
def test_boot_without_a_clock(redis_server, folder, nsd, clock, killed):
    """Nothing is sent while it is 1970; what was counted then is stored under the hour in which it really was, also if the daemon dies meanwhile."""
    clock.set(300 - int(time.time()))
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis=redis_server.url, environment=clock.environment).start()
    client = "127.0.33.2"
    try:
        for _ in range(5):
            daemon.ask("www.example.org", source=client)
        status = until(lambda: [s for s in [daemon.status()] if harness.number(s, "queries_waiting") >= 5 and s["redis"] == "connected"], "five queries wait")[0]
        assert harness.number(status, "batches_applied") == 0
        assert not redis_server.client().exists(harness.key("client", client))
        if killed:
            daemon.kill()
        clock.set(0)
        if killed:
            daemon.start()
        until(lambda: counted(redis_server.client(), [client]) == {client: 5}, "five queries are counted")
        hours = hours_of(redis_server.client(), client)
        assert sum(hours.values()) == 5 and set(hours) <= hours_near(time.time()) | hours_near(time.time() - 60), hours
        first = int(redis_server.client().hget(harness.key("client", client), "first_seen"))
        assert abs(first / 1000 - time.time()) < 60
        daemon.stop()
    finally:
        daemon.kill()
