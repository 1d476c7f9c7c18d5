# SPDX-License-Identifier: BSD-3-Clause
"""A Redis Cluster of three masters: the script, and a daemon that follows its slot."""

import os

import pytest
import redis

import harness
import redis_set
from harness import key

SLOT = redis_set.slot_of("{%s}" % harness.RESOLVER)
SCRIPT = os.path.join(harness.SOURCE, "resolver", "telemetry", "script.lua")


@pytest.fixture(scope="module")
def cluster():
    folder = harness.Folder()
    with redis_set.Cluster(folder.path) as servers:
        yield servers
    folder.remove()


def test_script_writes_nothing_while_its_slot_leaves(cluster):
    """On a node that has some of the keys, half of a batch would be written: the script finds out before its first write."""
    with open(SCRIPT) as script:
        source = script.read()

    def lease(node):
        # Only the lease is asked for: instance, boot, milliseconds.
        return node.client().execute_command("EVAL", source, 1, key("applied"), "0123456789abcdef", "0123456789abcdef", 60000)

    node, target = cluster.owner(SLOT), cluster.other_master(SLOT)
    node.client().hset(key("applied"), "0123456789abcdef", 1)
    assert lease(node)[0] == "lease"
    node.client().hdel(key("meta"), "lease_instance")
    seen = []

    def between(moved):
        with pytest.raises(redis.exceptions.ResponseError) as refused:
            lease(node)
        seen.append(str(refused.value))
    cluster.migrate(SLOT, target, between)
    # While `applied` is still there it is the script that refuses, then Redis itself.
    assert "nothing was written" in seen[0]
    assert target.client().hget(key("meta"), "lease_instance") is None
    assert lease(target)[0] == "lease"
    target.client().delete(key("meta"), key("applied"))
