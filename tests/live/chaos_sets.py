# SPDX-License-Identifier: BSD-3-Clause
"""The faults of more than one redis-server: failovers of a Sentinel trio, slots and masters of a Cluster."""

import redis_set
from chaos_faults import fault
from harness import RESOLVER, Failure, number, until


class Trio:
    """A master, two replicas, three sentinels, as a site wants them."""

    def __init__(self, folder):
        self.servers = redis_set.Sentinels(folder)
        self.url, self.client, self.stop = self.servers.url(), self.servers.client, self.servers.stop

    def start(self):
        self.servers.start()
        return self


class Slots:
    """Three masters with a replica each; the client is one of the node that has the resolver's keys."""

    def __init__(self, folder):
        self.servers = redis_set.Cluster(folder)
        self.url, self.client, self.stop = self.servers.url(), self.servers.resolver_client, self.servers.stop

    def start(self):
        self.servers.start()
        return self


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


def replayed(site):
    return number(site.status(), "batches_replayed")


@fault("failover-behind", "sentinel")
def failover_behind(site):
    """The replicas stand still before the master dies: what it has acknowledged meanwhile is lost, and comes out of the journal."""
    servers, before = site.store.servers, replayed(site)
    servers.pause_replication()
    site.linger(0.5, 1.5)
    dead, _ = servers.kill_master_before_replicas_resume()
    dead.start()
    until(servers.complete, "two replicas again", 60)
    site.evidence(lambda: replayed(site) > before, "batches were sent again")


@fault("slot-move", "cluster")
def slot_move(site):
    """The slot of all keys moves to another master, key by key under load: MOVED, ASK and TRYAGAIN."""
    servers = site.store.servers
    if not servers.migrate(SLOT, servers.other_master(SLOT)):
        raise Failure("a slot without keys was moved")


@fault("master-kill", "cluster")
def master_kill(site):
    servers = site.store.servers
    dead, _ = servers.kill_owner(SLOT)
    dead.start()
    until(servers.healthy, "the cluster is whole", 60)
