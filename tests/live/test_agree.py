# SPDX-License-Identifier: BSD-3-Clause
"""The agreement audit at a size for every day; the figures of 10,000 names are in doc/testing.md."""

import pytest

import audit_agree
import harness
import signed


@pytest.fixture(scope="module")
def programs():
    for program in (*signed.PROGRAMS, "unbound"):
        if harness.find(program) is None:
            harness.missing("%s is not installed" % program)


def test_agreement(programs, capsys):
    """At most 0.3 % of the answers differ from Unbound's, each for a reason named before."""
    audit = audit_agree.Audit(2000, 1)
    audit.open()
    try:
        audit.run()
        status = audit.daemon.status()
    finally:
        audit.close()
    with capsys.disabled():
        print("\n" + audit.describe())
    assert len(audit.asked) >= 1990 and audit.count["NOERROR"] > 1000 and audit.count["NXDOMAIN"] > 300
    assert audit.clean, audit.describe()
    received, accounted = harness.balance(status)
    assert received == accounted


def test_audit_sees_a_difference():
    """Each part of an answer that is compared makes a difference by itself, and none is excused."""
    asked = audit_agree.Question("a.example", "A", 1232, False, False, False, False)
    same = ("NOERROR", frozenset({("a.example.", 1, 0, "192.0.2.1")}), False, "QR RD RA")
    for other in (("NXDOMAIN",) + same[1:], same[:1] + (frozenset(),) + same[2:], same[:2] + (True,) + same[3:], same[:3] + ("QR RD RA AD",),
            same[:3] + ("QR RD RA TC",)):
        assert other != same and audit_agree.class_of(asked, same, other) is None and audit_agree.class_of(asked, other, same) is None
