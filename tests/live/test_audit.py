# SPDX-License-Identifier: BSD-3-Clause
"""The audits at full size. Their figures are printed also where they pass (run -s shows them)."""

import pytest

import audit_counts
import audit_fleet
import audit_flood
import audit_mixing
import audit_reload
import crowd
import harness

pytestmark = pytest.mark.alone


def test_mixing(capsys):
    options = audit_mixing.parse_options([])
    figures, load = audit_mixing.audit_teredown(options)
    with capsys.disabled():
        print("\n" + audit_mixing.describe(load))
        for one in figures:
            print(one)
    assert load.in_flight_max >= 500 and len(load.transactions) >= 20000 and len(load.clients) >= 40
    assert not load.strays, "answers that belong to no question: %r" % load.strays[:3]
    for one in figures:
        assert one.clean, "%s\n%s" % (one, "\n".join(one.examples))
    received, accounted = harness.balance(load.status)
    assert received == accounted and harness.number(load.status, "pending") == 0


@pytest.mark.waits
def test_dnsmasq_beside_it(capsys, need):
    """The same audit of the peer's log: figures to compare ours with. (Not in the runs that pick tests of our threads by "mixing".)"""
    need("dnsmasq")
    for extra in (False, True):
        figures = audit_mixing.audit_dnsmasq(audit_mixing.parse_options([]), extra)
        with capsys.disabled():
            print("%s%s" % ("" if extra else "\n", figures))
        assert figures.told > 0 and figures.recorded > 0


def test_mixing_audit_sees_a_mixed_log():
    """The audit itself: two records exchanged, one lost, one made up."""
    told = {("127.0.1.%d" % n, 1, n, "a.", "A", ("a.", "A", "240.0.0.%d" % n, 1)): 1 for n in range(10)}
    told = audit_mixing.collections.Counter(told)
    logged = told.copy()
    first, second, third = list(told)[:3]
    logged.subtract([first, second, third])
    logged[first[:5] + second[5:]] += 1
    logged[second[:5] + first[5:]] += 1
    logged[("127.0.1.99",) + third[1:]] += 1
    logged = +logged
    figures = audit_mixing.compare("made up", told, logged, 0)
    assert (figures.mispaired, figures.missing) == (3, 3) and not figures.clean


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_counts(fault, capsys):
    """Redis away in the middle of a load: afterwards it has counted what was answered, neither less nor more."""
    options = audit_counts.parse_options(["--fault", fault])
    words, status, load = audit_counts.audit(options)
    with capsys.disabled():
        print("\nredis-server %s: %s; differences %d" % (fault, audit_mixing.describe(load), len(words)))
    assert not words, "\n".join(words)
    assert len(load.answered) > options.queries * 0.99


def test_flood(capsys):
    """Forged clients and random names, each once, into a small Redis: bounds hold, totals are exact. By hand with ten millions."""
    words, figures = audit_flood.audit(audit_flood.parse_options(["--queries", "120000", "--redis-memory", "16M"]))
    with capsys.disabled():
        print("\nflood: " + figures)
    assert not words, "\n".join(words)


@pytest.mark.waits
def test_fleet(capsys):
    """Three resolvers on one Redis Cluster, one of whose masters is killed: each exact, and `top --fleet` shows the sums."""
    crowd.require()
    words, answered = audit_fleet.audit(audit_fleet.parse_options([]))
    with capsys.disabled():
        print("\nthree resolvers, one master killed: %d answered, differences %d" % (answered, len(words)))
    assert not words, "\n".join(words[:20])
    assert answered > 5000


def test_reload(capsys):
    """Twelve reloads of a hundred thousand names under load. By hand a hundred of a million."""
    figures = audit_reload.audit(audit_reload.parse_options(["--names", "100000", "--reloads", "12", "--rate", "500"]))
    with capsys.disabled():
        print("\nreload: %s" % figures)
    assert not figures.words, "\n".join(figures.words)
    assert figures.judged > 200
