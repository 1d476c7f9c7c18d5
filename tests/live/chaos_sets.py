# SPDX-License-Identifier: BSD-3-Clause
"""The faults of more than one redis-server: failovers of a Sentinel trio, slots and masters of a Cluster."""

import redis_set
from chaos_faults import fault
from harness import RESOLVER, until


class OfSet:
    """A set of redis_set.py as a site wants it."""

    def __init__(self, servers, url, client):
        self.servers, self.url, self.client = servers, url, client

    def stop(self):
        self.servers.stop()


def start_sentinels(folder):
    servers = redis_set.Sentinels(folder)
    servers.__enter__()
    return OfSet(servers, servers.url(), servers.client)


def start_cluster(folder):
    servers = redis_set.Cluster(folder)
    servers.__enter__()
    return OfSet(servers, servers.url(), servers.resolver_client)


SLOT = redis_set.slot_of("{%s}" % RESOLVER)


@fault("failover", "sentinel")
def failover(site):
    """Agreed between the servers, or by SIGKILL of the master; what its replicas had not received comes out of the journal."""
    servers = site.store.servers
    if site.random.random() < 0.5:
        servers.fail_over()
    else:
        dead, _ = servers.kill_master()
        dead.start()
    until(servers.complete, "two replicas again", 60)


@fault("slot-move", "cluster")
def slot_move(site):
    """The slot of all keys moves to another master, key by key under load: MOVED, ASK and TRYAGAIN."""
    servers = site.store.servers
    servers.migrate(SLOT, servers.other_master(SLOT))


@fault("master-kill", "cluster")
def master_kill(site):
    servers = site.store.servers
    dead, _ = servers.kill_owner(SLOT)
    dead.start()
    until(servers.healthy, "the cluster is whole", 60)
