# SPDX-License-Identifier: BSD-3-Clause
"""A Redis Cluster of three masters with a replica each: the script, and daemons that follow their slots."""

import os
import time

import pytest
import redis

import harness
import redis_set
from asker import Asker, until_exact
from harness import key, number, until
from logs import Log, assert_counted, read_through

pytestmark = [pytest.mark.alone, pytest.mark.waits]

SLOT = redis_set.slot_of("{%s}" % harness.RESOLVER)
SCRIPT = os.path.join(harness.SOURCE, "resolver", "telemetry", "redis", "script.lua")


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


def whole(cluster):
    for node in cluster.nodes:
        if not node.running():
            node.start()
    try:
        until(cluster.healthy, "the cluster is whole", 10)
    except harness.Failure:
        cluster.mend()
        try:
            until(cluster.healthy, "the cluster is whole", 40)
        except harness.Failure as failure:
            raise harness.Failure("%s\n%s" % (failure, cluster.words())) from None


def owner_client(cluster):
    return cluster.owner(SLOT).client()


def test_any_seed(cluster, teredown, nsd):
    """One node is enough to find the slot, a replica too; the commands find it as well, and the set of resolvers in its own slot."""
    whole(cluster)
    for count, seed in enumerate((cluster.owner(SLOT), cluster.other_master(SLOT), cluster.nodes[-1]), 1):
        daemon = teredown(nsd.endpoint, redis=cluster.url([seed]))
        daemon.ask("www.example.org", source="127.0.23.1")
        daemon.until_counted(1)
        assert owner_client(cluster).hget(key("client", "127.0.23.1"), "queries") == str(count)
        assert "127.0.23.1" in daemon.run("top")
        assert harness.RESOLVER in cluster.owner(redis_set.slot_of("teredown:resolvers")).client().smembers("teredown:resolvers")
        daemon.stop()


def test_slot_moves_under_load(cluster, teredown, nsd):
    """Key by key, to and fro, while batches come: nothing is lost, nothing doubled."""
    whole(cluster)
    daemon = teredown(nsd.endpoint, redis=cluster.url())
    with Asker(daemon, "127.0.23.2") as asker:
        for _ in range(3):
            asker.until_answered(400)
            until(lambda: owner_client(cluster).execute_command("CLUSTER", "COUNTKEYSINSLOT", SLOT) > 300, "the slot has its keys")
            started = time.monotonic()

            def between(moved):
                # Slow enough that some batches meet a slot that is half gone, quick enough for a test.
                if moved % 40 == 0 and time.monotonic() - started < 10:
                    asker.until_answered(150)
            assert cluster.migrate(SLOT, cluster.other_master(SLOT), between) > 300
        asker.until_answered(400)
    until_exact(daemon, lambda: owner_client(cluster), asker.client, asker.answered)
    names = owner_client(cluster)
    for name in range(300):
        assert names.zscore(key("name", "h%d.example.org." % name, "clients"), asker.client), "h%d" % name


def test_a_log_is_counted_once_while_its_slot_moves(cluster, folder):
    whole(cluster)
    log = Log()
    for name in owner_client(cluster).scan_iter(match=key("*")):
        owner_client(cluster).delete(name)

    def faults():
        until(lambda: owner_client(cluster).execute_command("CLUSTER", "COUNTKEYSINSLOT", SLOT) > 20, "the slot has keys")
        cluster.migrate(SLOT, cluster.other_master(SLOT))
    assert read_through(folder.path, cluster.url(), log, faults) == 1
    assert_counted(owner_client(cluster), log)


def test_slot_moves_at_once(cluster, teredown, nsd):
    """MOVED is followed without a pause, and is no fault to be told."""
    whole(cluster)
    daemon = teredown(nsd.endpoint, redis=cluster.url())
    daemon.ask("www.example.org", source="127.0.23.3")
    daemon.until_counted(1)
    cluster.migrate(SLOT, cluster.other_master(SLOT))
    daemon.ask("www.example.org", source="127.0.23.3")
    daemon.until_counted(2)
    until_exact(daemon, lambda: owner_client(cluster), "127.0.23.3", 2)
    assert "MOVED" in daemon.log() and cluster.owner(SLOT).endpoint in daemon.log()


def test_failovers(cluster, teredown, nsd):
    """One that the replica asks for, and one after a SIGKILL."""
    whole(cluster)
    daemon = teredown(nsd.endpoint, redis=cluster.url())
    with Asker(daemon, "127.0.23.4") as asker:
        asker.until_answered(400)
        cluster.fail_over(SLOT)
        asker.until_answered(400)
        until(cluster.healthy, "the old master follows", 40)
        dead, _ = cluster.kill_owner(SLOT)
        asker.until_answered(400)
    until_exact(daemon, lambda: owner_client(cluster), asker.client, asker.answered)
    dead.start()
    whole(cluster)


def test_no_seed_is_left(cluster, teredown, nsd):
    """The one configured node is gone: the others were learned while it lived."""
    whole(cluster)
    seed = cluster.owner(SLOT)
    daemon = teredown(nsd.endpoint, redis=cluster.url([seed]))
    daemon.ask("www.example.org", source="127.0.23.5")
    daemon.until_counted(1)
    cluster.kill_owner(SLOT)
    daemon.ask("www.example.org", source="127.0.23.5")
    until_exact(daemon, lambda: owner_client(cluster), "127.0.23.5", 2)
    whole(cluster)


def test_part_of_it_is_down(cluster, teredown, nsd):
    """No node serves the slot: counts wait, and the reason is said; when it is served again they arrive."""
    whole(cluster)
    daemon = teredown(nsd.endpoint, redis=cluster.url())
    daemon.ask("www.example.org", source="127.0.23.6")
    daemon.until_counted(1)
    owner = cluster.owner(SLOT)
    for node in cluster.nodes:
        node.client().execute_command("CLUSTER", "DELSLOTS", SLOT) if node.role() == "master" else None
    daemon.ask("www.example.org", source="127.0.23.6")
    until(lambda: "CLUSTERDOWN" in daemon.status()["redis_error"], "it is said")
    until(lambda: number(daemon.status(), "queries_waiting") == 1, "the count waits")
    for node in cluster.nodes:
        if node.role() == "master":
            node.client().execute_command("CLUSTER", "SETSLOT", SLOT, "NODE", cluster.id_of(owner))
    owner.client().execute_command("CLUSTER", "BUMPEPOCH")
    until_exact(daemon, lambda: owner_client(cluster), "127.0.23.6", 2)
    whole(cluster)


def test_a_fleet(cluster, teredown, nsd):
    """Three resolvers, each in its slot; a master killed; every one's counts are exact, and one command reads them all."""
    whole(cluster)
    names = ["gw-a", "gw-b", "gw-c"]
    daemons = {name: teredown(nsd.endpoint, redis=cluster.url(), resolver_name=name) for name in names}
    askers = {name: Asker(daemon, "127.0.23.7") for name, daemon in daemons.items()}
    for asker in askers.values():
        asker.__enter__()
    try:
        for asker in askers.values():
            asker.until_answered(300)
        cluster.kill_owner(redis_set.slot_of("{gw-b}"))
        for asker in askers.values():
            asker.until_answered(300)
    finally:
        for asker in askers.values():
            asker.__exit__(None, None, None)
    for name, daemon in daemons.items():
        until(lambda: daemon.status()["redis"] == "connected" and number(daemon.status(), "queries_waiting") == 0, name + " has counted", 40)

        def total():
            store = cluster.owner(redis_set.slot_of("{%s}" % name)).client()
            return int(store.hget("teredown:{%s}:client:127.0.23.7" % name, "queries") or 0)
        until(lambda: total() >= askers[name].answered, name + " is whole")
        assert total() == askers[name].answered
    shown = daemons["gw-a"].run("top", "--fleet", "--json")
    assert str(sum(asker.answered for asker in askers.values())) in shown
    # The list of resolvers is on a node of its own, connected to when it is wanted.
    missed = daemons["gw-a"].command("top", "--resolver", "nobody")
    assert missed.returncode == 3 and "gw-b" in missed.stdout, missed
    whole(cluster)
