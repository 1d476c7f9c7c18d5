# SPDX-License-Identifier: BSD-3-Clause
"""A daemon, its Redis and its crowd of clients, in rounds: load, faults in the middle of it, silence, comparison.

After each round nothing may wait any more, and what clients were answered must be what Redis has counted: for each client, for each
client and hour, for each counter that both know. So a difference belongs to the faults of one round. The only excuse is a question
that got no answer: it may have been counted or not ("uncertain"). A SIGKILL of the daemon has a bound beside that, KILL_BOUND a worker.
"""

import collections
import datetime
import os
import random
import threading
import time

import harness
from crowd import Crowd, Name
from harness import key, number, until

WORKERS = 2
KILL_BOUND = 64  # answers: what one receive batch holds
HOURLY = ("queries", "watched", "blocked")
TOTALS = HOURLY + ("nxdomain", "tcp")
SETTLE_S = 60
COME_BACK_S = 40

A, AAAA = 1, 28
NAMES = [Name(10, "p", A, "cached%d.chaos.example" % index) for index in range(20)] \
    + [Name(3, "p", A, "fresh%d.chaos.example" % index) for index in range(10)] \
    + [Name(4, "p", A, "nosuch%d.chaos.example" % index) for index in range(5)] \
    + [Name(6, "b", A, "ads%d.chaos.example" % index) for index in range(5)] \
    + [Name(20, "w", A, "teredo.ipv6.microsoft.com"), Name(5, "p", AAAA, "cached0.chaos.example")]

WORLD = """$TTL 300
. IN SOA ns.chaos.example. host.chaos.example. 1 3600 600 86400 60
. IN NS ns.chaos.example.
ns.chaos.example. IN A 127.0.0.1
teredo.ipv6.microsoft.com. 60 IN CNAME teredo.ipv6.microsoft.com.nsatc.net.
teredo.ipv6.microsoft.com.nsatc.net. 60 IN A 65.55.158.118
""" + "".join("cached%d.chaos.example. IN A 192.0.2.%d\n" % (index, index + 1) for index in range(20)) \
    + "".join("fresh%d.chaos.example. 0 IN A 198.51.100.%d\n" % (index, index + 1) for index in range(10))

BLOCKED = "$TTL 60\n@ SOA localhost. root.localhost. 1 1 1 1 1\n@ NS localhost.\n" + "".join("ads%d.chaos.example CNAME .\n" % n for n in range(5))


class Difference(harness.Failure):
    pass


class Round:
    """What came of one round. lost and doubled are beyond every excuse; error is how far a killed daemon was off."""

    def __init__(self, fault, times):
        self.fault, self.times = fault, times
        self.why = None  # it could not be done here
        self.answered = self.lost = self.doubled = self.uncertain = self.error = self.net = 0
        self.words = []


def hour_text(hour):
    return datetime.datetime.fromtimestamp(hour * 3600, datetime.timezone.utc).strftime("%Y%m%d%H")


def told(tally):
    """What the clients say, under the places where it should stand: (client, hour or None, counter) → count."""
    out = collections.Counter()
    for (client, hour), counters in tally.rows.items():
        for name in HOURLY:
            out[(client, hour, name)] += counters[name]
        for name in TOTALS:
            out[(client, None, name)] += counters[name]
    return out


def counted(store, clients, resolver=harness.RESOLVER):
    """The same from Redis, the crowd's addresses only: the tests ask questions of their own."""
    def key(*parts):
        return ":".join(("teredown:{%s}" % resolver,) + parts)
    out = collections.Counter()
    pipeline = store.pipeline(transaction=False)
    for client in clients:
        pipeline.hmget(key("client", client), TOTALS)
    for client, values in zip(clients, pipeline.execute()):
        for name, value in zip(TOTALS, values):
            out[(client, None, name)] = int(value or 0)
    wanted = set(clients)
    for name in HOURLY:
        for place in store.scan_iter(match=key("hour", "*", name), count=1000):
            text = place.split(":")[-2]
            since = datetime.datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=datetime.timezone.utc)
            for client, score in store.zrange(place, 0, -1, withscores=True):
                if client in wanted:
                    out[(client, int(since.timestamp()) // 3600, name)] = int(score)
    return out


def sums(store):
    """What Redis says in other places, each of which counts every answer once: it must agree with itself as well."""
    def places(*parts):
        pattern = key(*parts)
        return [place for place in store.scan_iter(match=pattern, count=1000) if place.count(":") == pattern.count(":")]

    def scores(*parts):
        return sum(int(score) for place in places(*parts) for _, score in store.zrange(place, 0, -1, withscores=True))
    return collections.Counter({
        "meta": int(store.hget(key("meta"), "queries") or 0),
        "clients:queries": scores("clients", "queries"),
        "hour:<H>": sum(int(store.hget(place, "queries") or 0) for place in places("hour", "*")),
        "top:<day>": scores("top", "*"),
        "client:<client>:names": scores("client", "*", "names"),
    })


class Site:
    """One daemon with its surroundings. store is the Redis behind it: url, client(), stop()."""
    FIRST = {"standalone": "127.40.0.1", "cut": "127.41.0.1", "sentinel": "127.42.0.1", "cluster": "127.43.0.1", "clock": "127.44.0.1",
        "daemon": "127.45.0.1"}

    def __init__(self, name, nsd, store, folder, options, environment=None, **settings):
        self.name, self.store, self.folder, self.options = name, store, folder, options
        self.random = random.Random("%s %d" % (name, options.seed))
        blocked = folder.write("blocked.rpz", BLOCKED)
        self.daemon = harness.Teredown(folder.path, nsd.endpoint, redis=store.url, workers=WORKERS, environment=environment,
            zones={"ads": {"file": blocked, "mode": "block"}}, **settings)
        self.daemon.start()
        self.crowd = Crowd(folder.path, self.daemon.port, NAMES, clients=options.clients, tcp_clients=options.clients // 5,
            seed=options.seed, first=self.FIRST[name])
        self.rounds, self.kills, self.ambiguous = [], 0, 0
        self._answered = 0
        self._unanswered, self._ambiguous = collections.Counter(), collections.Counter()
        self._apart = {}  # how far Redis's own sums were apart, after the last round
        self._base = collections.Counter()  # Redis minus clients, as far as earlier rounds have reported it

    # --- the load ---

    def go(self):
        self.crowd.go(self.options.rate)

    def linger(self, low_s, high_s):
        """The load goes on for some time: what happens next happens at an instant that nothing chose."""
        time.sleep(self.random.uniform(low_s, high_s))

    def evidence(self, condition, what, deadline_s=30):
        """A fault that did not bite proves nothing: waits until it is seen."""
        return until(condition, "%s: %s" % (self.name, what), deadline_s)

    def status(self):
        return self.daemon.status()

    def redis_error(self):
        return self.status().get("redis_error", "")

    # --- rounds ---

    def run(self, fault):
        """One round; its result is remembered. Raises where the daemon or a server does not come back."""
        result = Round(fault.name, fault.times)
        kills = self.kills
        self.go()
        self.linger(0.2, 0.8)
        result.why = fault.inject(self)
        self.linger(0.2, 0.8)
        tally, status = self.quiesce()
        self._judge(result, tally, (self.kills - kills) * KILL_BOUND * WORKERS)
        self._judge_sums(result, status, self.kills > kills)
        received, accounted = harness.balance(status)
        if received != accounted:
            result.words.append("received %d, answered + dropped + pending %d" % (received, accounted))
        if tally.sums["strays"] or tally.sums["wrong"]:
            result.words.append("%(strays)d answers to no question, %(wrong)d to another question" % tally.sums)
        self.rounds.append(result)
        return result

    def quiesce(self):
        """Nothing is asked and nothing waits any more: the clients' tally and the daemon's status."""
        tally = self.crowd.pause()
        return tally, self.settle()

    def settle(self):
        """Until Redis has acknowledged everything, what a daemon before this one had left included; the status of that moment."""
        def settled():
            status = self.status()
            waiting = sum(number(status, name) for name in ("queries_waiting", "batches_waiting", "journal_due", "journal_waiting", "pending"))
            all_counted = number(status, "answered") + number(status, "queries_healed") == number(status, "queries_applied")
            return status if status["redis"] == "connected" and not waiting and all_counted else None
        try:
            return until(settled, "%s: everything is counted" % self.name, SETTLE_S, 0.1)
        except harness.Failure as failure:
            raise harness.Failure("%s\n%s" % (failure, self.status())) from None

    def _judge(self, result, tally, bound):
        excuses, doubts = self._excuses(tally)
        truth = told(tally)
        found, errors = self._errors(truth)
        end = time.monotonic() + COME_BACK_S
        while not bound and self._is_short(errors, excuses) and time.monotonic() < end:
            time.sleep(0.5)
            self.settle()
            found, errors = self._errors(truth)
        lost, doubled = collections.Counter(), collections.Counter()
        for place, error in errors.items():
            client, hour, name = place
            spare = doubts[(client, hour)] if hour is not None else 0
            short, over = max(0, -error - spare), max(0, error - excuses[(client, hour)] - spare)
            lost[(hour is None, name)] += short
            doubled[(hour is None, name)] += over
            if (short or over) and not bound:
                result.words.append("%s %s %s: answered %d, counted %d, without an answer %d" % (client,
                    "in all" if hour is None else hour_text(hour), name, truth[place], found[place] - self._base[place], excuses[(client, hour)]))
        result.answered = tally.sums["answered"] - self._answered
        result.uncertain = sum(count for (_, hour), count in excuses.items() if hour is None)
        result.lost, result.doubled = max(lost.values(), default=0), max(doubled.values(), default=0)
        if bound:
            self._judge_kill(result, errors, bound)
        for place, error in errors.items():
            self._base[place] += error
        self._answered = tally.sums["answered"]

    def _judge_sums(self, result, status, killed):
        before, end = self._apart, time.monotonic() + (0 if killed else COME_BACK_S)
        while True:
            found = sums(self.store.client())
            apart = {name: count - found["meta"] for name, count in found.items()}
            if result.fault == "oom" or time.monotonic() > end or not any(apart[name] < before.get(name, 0) for name in apart):
                break
            time.sleep(0.5)
            self.settle()
        # Without memory Redis gives up names of clients, and says so in meta.
        if number(status, "details_dropped") or result.fault == "oom":
            del apart["client:<client>:names"]
        if not killed:
            result.words += ["%s: %d, meta has %d" % (name, found[name] - before.get(name, 0), found["meta"]) for name in apart
                if apart[name] != before.get(name, 0)]
        self._apart = {name: count - found["meta"] for name, count in found.items()}

    def _errors(self, truth):
        found = counted(self.store.client(), self.crowd.addresses)
        return found, {place: found[place] - truth[place] - self._base[place] for place in set(truth) | set(found)}

    @staticmethod
    def _is_short(errors, excuses):
        """Counts are missing, and none is too many: they may come. A master that comes back from the dead takes batches until the sentinels
        make a replica of it; the daemon then finds what the real one lacks, and sends it again."""
        return any(error < 0 for error in errors.values()) and not any(
            error > excuses[(client, hour)] for (client, hour, _), error in errors.items())

    @staticmethod
    def _judge_kill(result, errors, bound):
        """Answers that are off, either way, stand as one number against the bound; beyond it they are lost or doubled."""
        result.error = max(result.lost, result.doubled)
        result.net = sum(error for (_, hour, name), error in errors.items() if hour is None and name == "queries")
        if max(result.lost, result.doubled) > bound:
            result.words.append("killed: %d lost, %d doubled, at most %d may be" % (result.lost, result.doubled, bound))
        else:
            result.uncertain += result.error
            result.lost = result.doubled = 0

    def _excuses(self, tally):
        """Since the last round, by (client, hour) and (client, None): questions without an answer, and those at the turn of an hour."""
        now, doubts = collections.Counter(), collections.Counter()
        for (client, hour), counters in tally.rows.items():
            now[(client, hour)] += counters["unanswered"]
            now[(client, None)] += counters["unanswered"]
            doubts[(client, hour)] += counters["ambiguous"]
        excuses, fresh = now - self._unanswered, doubts - self._ambiguous
        self._unanswered, self._ambiguous = now, doubts
        # One that was asked in this hour may have been counted in the one before.
        spread = collections.Counter()
        for (client, hour), count in fresh.items():
            for near in (hour - 1, hour, hour + 1):
                spread[(client, near)] += count
        self.ambiguous += sum(fresh.values())
        return excuses, spread

    # --- the end ---

    def close(self):
        """Ends all of it; a daemon that ends badly is a failure like any other."""
        try:
            self.crowd.kill()
            self.daemon.stop(deadline_s=30)
        finally:
            self.daemon.kill()
            self.store.stop()


class Lane(threading.Thread):
    """Sites one after the other, beside the other lane."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.failure = work, None

    def run(self):
        try:
            self.work()
        except BaseException as failure:
            self.failure = failure
