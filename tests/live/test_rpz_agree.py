# SPDX-License-Identifier: BSD-3-Clause
"""The policy audit at a size for every day; the figures of 10,000 questions are in doc/testing.md."""

import random

import pytest

import audit_rpz
import harness
import rpz_rules


@pytest.fixture(scope="module")
def programs():
    for program in ("nsd", "unbound"):
        if harness.find(program) is None:
            harness.missing("%s is not installed" % program)


def test_policy_agreement(programs, capsys):
    """At most 0.5 % of the answers differ from Unbound's over the same zones, each for a reason named before; and each of ours is what
    the rules lead to. All triggers and all actions are among them. `teredown policy test` has zone, file and line of the rule for 200 of them."""
    audit = audit_rpz.Audit(2000, 1)
    audit.open()
    try:
        audit.run(explained=200)
        status = audit.daemon.status()
    finally:
        audit.close()
    with capsys.disabled():
        print("\n" + audit.describe())
    assert len(audit.asked) >= 1900
    for seen in ("name nxdomain", "name nodata", "name passthru", "name drop", "name tcp-only", "name local", "name redirect", "chain nxdomain",
            "chain local", "client nxdomain", "client passthru", "client drop", "address nxdomain", "address nodata", "address redirect", "none"):
        assert audit.actions[seen] > 0, seen
    assert audit.clean, audit.describe()
    assert audit.explained == 200
    received, accounted = harness.balance(status)
    assert received == accounted
    assert harness.number(status, "dropped_policy") >= audit.count["silence"] > 0


def test_audit_sees_a_difference():
    """Each part of an answer that is compared makes a difference by itself, and none is excused where ours is not what the rules lead to."""
    world, rules, asked = rpz_rules.build(1, 30, ("name", "client", "address"))
    same = ("NOERROR", frozenset({("a.example.", 1, "192.0.2.1")}))
    for other in (("NXDOMAIN", same[1]), ("NOERROR", frozenset()), ("TC", frozenset()), ("silence", frozenset()),
            ("NOERROR", frozenset({("b.example.", 1, "192.0.2.1")}))):
        assert other != same
        for question in asked:
            assert audit_rpz.class_of(rules, question, rules.verdict(question), other, same, lambda: None) is None or \
                audit_rpz.shape(other) == rules.outcome(question, rules.verdict(question))


def test_rules_know_their_lines():
    """The line that the generator knows of a rule is that of the file."""
    rules = rpz_rules.Rules(random.Random(5), rpz_rules.World(random.Random(5), 60), 3, 60, ("name", "client", "address"))
    for zone in rules.zones:
        lines = zone.text().splitlines()
        assert len(zone.rules) > 40
        for rule in zone.rules:
            assert lines[rule.line - 1] == "%s IN %s" % (rule.owner, rule.data[0])
