# SPDX-License-Identifier: BSD-3-Clause
"""More than one redis-server: a Sentinel trio, a Cluster of three masters with a replica each, one behind TLS.

Each set owns its processes, in folders of its own below the one it is given, and ends them by their ids. A server keeps its port and its
data when it is killed and started again. Nothing is persistent against a power cut (no fsync), all of it against SIGKILL.

    with Sentinels(folder.path) as servers:  servers.url()  servers.master()  servers.fail_over()  servers.kill_master()
    with Cluster(folder.path) as servers:    servers.url()  servers.owner(slot)  servers.migrate(slot, target)  servers.kill_owner(slot)
    with Tls(folder.path) as server:         server.url()  server.ca  server.client()

A dead node is start()ed again by its owner's name: dead, master = servers.kill_master(); dead.start().
"""

import collections
import contextlib
import os
import signal
import subprocess

import redis
import redis.cluster

import harness
from harness import Failure, find, free_port, until

PASSWORD_ENV = "TEREDOWN_REDIS_PASSWORD"
CLUSTER_SLOTS = 16384


def slot_of(key):
    """The slot of a key in a cluster (CRC16, of the hash tag where there is one)."""
    start = key.find("{")
    end = key.find("}", start + 1)
    if start >= 0 and end > start + 1:
        key = key[start + 1:end]
    crc = 0
    for octet in key.encode():
        crc ^= octet << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % CLUSTER_SLOTS


def _tls_settings(port, tls):
    certificate, private, authority = tls
    return {"port": 0, "tls-port": port, "tls-cert-file": certificate, "tls-key-file": private, "tls-ca-cert-file": authority,
        "tls-auth-clients": "no"}


def _client_tls(tls):
    # What the tests' own client thinks of certificates is no test of ours.
    return dict(ssl=True, ssl_cert_reqs="none") if tls else {}


class Node(harness.Process):
    """A redis-server on 127.0.0.1 with a folder of its own; extra options as keyword arguments, an underscore stands for a hyphen. With tls, which
    is (certificate, key, authority), it speaks nothing else."""

    def __init__(self, parent, name, tls=None, **options):
        folder = os.path.join(parent, name)
        os.makedirs(folder, exist_ok=True)
        self.port, self.tls = free_port(), tls
        self.password = (options.get("requirepass") or "").strip('"') or None
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": folder, "save": "", "appendonly": "yes", "appendfsync": "no",
            "daemonize": "no", "repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1}
        if tls:
            settings.update(_tls_settings(self.port, tls))
            settings["tls-replication"] = "yes"
            if "cluster_enabled" in options:
                settings["tls-cluster"] = "yes"
        settings.update({key.replace("_", "-"): value for key, value in options.items()})
        # Sentinel and CONFIG REWRITE write into it.
        self.config = os.path.join(folder, "redis.conf")
        with open(self.config, "w") as out:
            for key, value in settings.items():
                for one in value if isinstance(value, list) else [value]:
                    out.write("%s %s\n" % (key, '""' if one == "" else one))
        super().__init__(name, [find("redis-server"), self.config], folder)

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port

    def client(self, **options):
        settings = dict(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=5, password=self.password, **_client_tls(self.tls))
        settings.update(options)
        return redis.Redis(**settings)

    def raw_client(self):
        """One that leaves replies as they are."""
        client = self.client(decode_responses=False)
        client.response_callbacks.clear()
        return client

    def ready(self):
        """True once it answers and has read its data."""
        with contextlib.closing(self.client()) as client:
            return client.ping() and not client.info("persistence")["loading"]

    def launch(self):
        return super().start()

    def start(self):
        self.launch()
        self.until(self.ready, "redis-server answers on port %d" % self.port)
        return self

    def role(self):
        with contextlib.closing(self.client()) as client:
            return client.role()[0]


class _Set:
    """Starts and ends a number of processes; a context manager."""

    def __init__(self):
        self.processes = []

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for process in self.processes:
            if process.child is not None:
                process.kill()


# --- Sentinel ---

class Sentinels(_Set):
    """One master, two replicas, three sentinels with a quorum of two. A master that is gone is noticed after down_ms."""
    NAME = "teredown-live"

    def __init__(self, folder, down_ms=500, sentinel_password=None, tls=None, **options):
        super().__init__()
        self.nodes = [Node(folder, "redis%d" % number, tls=tls, **options) for number in range(3)]
        password = options.get("requirepass")
        self.sentinels = [_Sentinel(folder, "sentinel%d" % number, self.NAME, self.nodes[0].port, down_ms, password, sentinel_password, tls)
            for number in range(3)]
        self.processes = self.sentinels + self.nodes

    def start(self):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.until(node.ready, "redis-server answers")
        for node in self.nodes[1:]:
            with contextlib.closing(node.client()) as client:
                client.replicaof("127.0.0.1", self.nodes[0].port)
        for node in self.nodes[1:]:
            node.until(lambda: node.client().role()[3] == "connected", "the replica follows")
        for sentinel in self.sentinels:
            sentinel.start()
        until(self.complete, "three sentinels know each other and two replicas", 30)
        return self

    def complete(self):
        for sentinel in self.sentinels:
            state = sentinel.client().sentinel_master(self.NAME)
            if state["num-other-sentinels"] < 2 or state["num-slaves"] < 2 or "master" not in state["flags"] or "down" in str(state["flags"]):
                return False
        return True

    def url(self):
        return "sentinel://%s@%s" % (self.NAME, ",".join(sentinel.endpoint for sentinel in self.sentinels))

    def master(self):
        """The node that the sentinels name and that says itself that it is the master."""
        def found():
            for sentinel in self.sentinels:
                if not sentinel.running():
                    continue
                with contextlib.suppress(redis.exceptions.RedisError):
                    address = sentinel.client().sentinel_get_master_addr_by_name(self.NAME)
                    for node in self.nodes:
                        if address and node.port == int(address[1]) and node.running() and node.role() == "master":
                            return node
            return None
        return until(found, "a master", 40)

    def failovers(self):
        """How often another master was chosen since the start, as the sentinel knows that heard of most: a slow machine adds some of its own."""
        return max(int(sentinel.client().sentinel_master(self.NAME)["config-epoch"]) for sentinel in self.sentinels if sentinel.running())

    def client(self):
        return self.master().client()

    def replicas(self):
        master = self.master()
        return [node for node in self.nodes if node is not master and node.running()]

    def pause_replication(self):
        """From now on no replica receives what the master writes, as when the network between them is cut: what is acknowledged is lost by
        a failover. Replicas that the sentinels would not choose any more after some seconds of this: kill_master() soon."""
        replicas = self.replicas()
        for node in replicas:
            node.send(signal.SIGSTOP)
        with contextlib.closing(self.master().client()) as client:
            client.client_kill_filter(_type="slave")  # else the kernel would keep for them what comes

    def resume_replication(self):
        for node in self.nodes:
            if node.running():
                node.send(signal.SIGCONT)

    def kill_master_before_replicas_resume(self):
        """What the paused replicas lack is lost: the master's host is gone with all that it had not sent. (dead node, new master)"""
        before = self.master()
        before.kill()
        self.resume_replication()
        return before, self._until_changed(before)

    def fail_over(self, settle=True):
        """SENTINEL FAILOVER: the master lives on as a replica, to which the sentinels turn it after some ten seconds; settle waits for that.
        Returns the new master."""
        before = self.master()

        def ordered():
            for sentinel in self.sentinels:
                if sentinel.running():
                    return sentinel.client().sentinel_failover(self.NAME)
            return False
        until(ordered, "a sentinel begins the failover", 30)
        return self._until_changed(before, settle)

    def kill_master(self):
        """SIGKILL of the master; returns (the dead node, the new master)."""
        before = self.master()
        before.kill()
        return before, self._until_changed(before)

    def _until_changed(self, before, settle=True):
        def changed():
            node = self.master()
            return node if node is not before and (not settle or self.settled(node)) else None
        return until(changed, "another master", 60)

    def settled(self, master):
        """All sentinels name it, and who runs beside it follows it: only then another failover would be obeyed."""
        for sentinel in self.sentinels:
            if sentinel.running() and sentinel.client().sentinel_get_master_addr_by_name(self.NAME) != ("127.0.0.1", master.port):
                return False
        for node in self.nodes:
            if node is not master and node.running():
                role = node.client().role()
                if role[0] != "slave" or int(role[2]) != master.port or role[3] != "connected":
                    return False
        return True


class _Sentinel(harness.Process):
    def __init__(self, parent, name, master_name, master_port, down_ms, password, own_password, tls):
        folder = os.path.join(parent, name)
        os.makedirs(folder, exist_ok=True)
        self.port, self.password, self.tls = free_port(), own_password, tls
        config = os.path.join(folder, "sentinel.conf")
        lines = ["port %d" % self.port, "bind 127.0.0.1", "dir %s" % folder, "daemonize no",
            "sentinel monitor %s 127.0.0.1 %d 2" % (master_name, master_port),
            "sentinel down-after-milliseconds %s %d" % (master_name, down_ms),
            "sentinel failover-timeout %s 5000" % master_name, "sentinel parallel-syncs %s 2" % master_name]
        if password:
            lines.append("sentinel auth-pass %s %s" % (master_name, password))
        if own_password:
            lines += ["requirepass %s" % own_password, "sentinel sentinel-pass %s" % own_password]
        if tls:
            lines[0] = "tls-replication yes"
            lines += ["%s %s" % setting for setting in _tls_settings(self.port, tls).items()]
        with open(config, "w") as out:
            out.write("\n".join(lines) + "\n")
        super().__init__(name, [find("redis-server"), config, "--sentinel"], folder)

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port

    def client(self):
        return redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=5, password=self.password, **_client_tls(self.tls))

    def start(self):
        super().start()
        self.until(lambda: self.client().ping(), "the sentinel answers")
        return self


# --- Cluster ---

class Cluster(_Set):
    """Masters with a third of the slots each, and a replica each. A master that is gone is noticed after timeout_ms."""

    def __init__(self, folder, masters=3, replicas=1, timeout_ms=1000, **options):
        super().__init__()
        self.master_count = masters
        self.nodes = [Node(folder, "cluster%d" % number, cluster_enabled="yes", cluster_port=free_port(), cluster_node_timeout=timeout_ms,
            cluster_config_file="nodes.conf", cluster_require_full_coverage="no", cluster_replica_validity_factor=0, **options)
            for number in range(masters * (1 + replicas))]
        self.processes = self.nodes

    def start(self):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.until(node.ready, "redis-server answers")
        masters, share = self.nodes[:self.master_count], -(-CLUSTER_SLOTS // self.master_count)
        for number, node in enumerate(masters):
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, min((number + 1) * share, CLUSTER_SLOTS) - 1)
            node.client().execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            port = int(node.client().config_get("cluster-port")["cluster-port"])
            self.nodes[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, port)
        until(lambda: all(self._info(node)["cluster_known_nodes"] == str(len(self.nodes)) for node in self.nodes), "all nodes have met", 30)
        for number, node in enumerate(self.nodes[self.master_count:]):
            master = self.id_of(masters[number % self.master_count])
            until(lambda: node.client().execute_command("CLUSTER", "REPLICATE", master), "the replica takes its master", 30)
        until(self.healthy, "the cluster is whole", 40)
        return self

    @staticmethod
    def _info(node):
        """CLUSTER INFO; redis-py parses it only in some versions."""
        info = node.client().execute_command("CLUSTER", "INFO")
        return info if isinstance(info, dict) else dict(line.split(":", 1) for line in info.split())

    @staticmethod
    def id_of(node):
        return node.client().execute_command("CLUSTER", "MYID")

    def healthy(self):
        """Every running node sees every slot served, and running replicas follow."""
        for node in self.nodes:
            if not node.running():
                continue
            info = self._info(node)
            if info["cluster_state"] != "ok" or info["cluster_slots_ok"] != str(CLUSTER_SLOTS):
                return False
            role = node.client().role()
            if role[0] == "slave" and role[3] != "connected":
                return False
        return True

    @staticmethod
    def _slot_table(node):
        """Who serves each slot, as the node sees it: slot to id."""
        with contextlib.closing(node.raw_client()) as client:
            lines = [line.split() for line in client.execute_command("CLUSTER NODES").decode().splitlines()]
        return {slot: words[0] for words in lines for part in words[8:] for slot in _slots_of(part)}

    def mend(self):
        """After a failover redis-server 7.0 may leave a master that knows of no owner of a slot, while the others know one: it is told.
        (redis-cli --cluster fix looks for slots only that nobody knows.)"""
        masters = [node for node in self.nodes if node.running() and node.role() == "master"]
        tables = {node: self._slot_table(node) for node in masters}
        known = collections.ChainMap(*tables.values())
        for node, table in tables.items():
            for slot in set(known) - set(table):
                words = ["ADDSLOTS", slot] if known[slot] == self.id_of(node) else ["SETSLOT", slot, "NODE", known[slot]]
                node.client().execute_command("CLUSTER", *words)

    def words(self):
        """What every node says of the cluster and of itself, for a failure."""
        return "\n".join("%s: %s" % (node.endpoint, "%s %s" % (self._info(node), node.client().role()) if node.running() else "not running")
            for node in self.nodes)

    def url(self, seeds=None):
        return "cluster://" + ",".join(node.endpoint for node in seeds or self.nodes[:self.master_count])

    def client(self):
        """Follows MOVED by itself."""
        def connected():
            nodes = [redis.cluster.ClusterNode("127.0.0.1", node.port) for node in self.nodes if node.running()]
            return redis.cluster.RedisCluster(startup_nodes=nodes, decode_responses=True, cluster_error_retry_attempts=20, socket_timeout=5,
                **_client_tls(self.nodes[0].tls))
        return until(connected, "a cluster client connects")

    @staticmethod
    def _own_slots(node):
        """The last columns of the node's own line, if it is a master: "0-5460", "7", and "[93->-id]" for a slot on the move."""
        with contextlib.closing(node.raw_client()) as client:
            lines = client.execute_command("CLUSTER NODES").decode().splitlines()
        words = next(line.split() for line in lines if "myself" in line.split()[2])
        return words[8:] if "master" in words[2] else []

    def owner(self, slot):
        """The master that says itself that it serves the slot."""
        def found():
            for node in self.nodes:
                if not node.running():
                    continue
                if any(slot in _slots_of(part) for part in self._own_slots(node)):
                    return node
            return None
        return until(found, "an owner of slot %d" % slot, 40)

    def owner_of_resolver(self, resolver=harness.RESOLVER):
        return self.owner(slot_of("{%s}" % resolver))

    def resolver_client(self, resolver=harness.RESOLVER):
        """A plain client of the node that holds the resolver's slot now."""
        return self.owner_of_resolver(resolver).client()

    def other_master(self, slot):
        owner = self.owner(slot)
        for node in self.nodes:
            if node.running() and node is not owner and node.role() == "master":
                return node
        raise Failure("there is no other master")

    def migrate(self, slot, target, between=None):
        """Moves a slot key by key; between(number of keys moved so far) is called before each key. Returns how many keys were moved."""
        source = self.owner(slot)
        source_client, target_client = source.client(), target.client()
        source_id, target_id = self.id_of(source), self.id_of(target)
        target_client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source_client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        moved = 0
        while True:
            keys = source_client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1)
            if between:
                between(moved)
            if not keys:
                break
            source_client.execute_command("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000)
            moved += 1
        for client in [target_client, source_client] + [node.client() for node in self.nodes if node.running() and node not in (source, target)]:
            with contextlib.suppress(redis.exceptions.ResponseError):  # replicas are told by gossip
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        until(lambda: self.owner(slot) is target, "the slot has moved")
        return moved

    def fail_over(self, slot):
        """CLUSTER FAILOVER by a replica of the slot's owner, agreed between the two. Returns the new owner."""
        before = self.owner(slot)
        replica = self._replica_of(before)
        until(lambda: replica.client().execute_command("CLUSTER", "FAILOVER"), "the replica begins the failover")
        return self._until_changed(slot, before)

    def kill_owner(self, slot):
        """SIGKILL of the slot's master; returns (the dead node, the new owner)."""
        before = self.owner(slot)
        before.kill()
        return before, self._until_changed(slot, before)

    def _replica_of(self, master):
        for node in self.nodes:
            if node.running():
                role = node.client().role()
                if role[0] == "slave" and int(role[2]) == master.port:
                    return node
        raise Failure("port %d has no replica" % master.port)

    def _until_changed(self, slot, before):
        def changed():
            node = self.owner(slot)
            return node if node is not before else None
        return until(changed, "another owner of slot %d" % slot, 60)


def _slots_of(part):
    """The slots of a column of CLUSTER NODES; one on the move is none."""
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1) if first.isdigit() else range(0)


# --- TLS ---

class Authority:
    """A certificate authority of one test: ca (PEM file), issue(name, subject alternative names) → (certificate, key)."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "ca")
        os.makedirs(self.folder, exist_ok=True)
        self.ca, self._key = self._path("ca.crt"), self._path("ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=Live test CA", "-keyout", self._key, "-out", self.ca)

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*words, before=()):
        done = subprocess.run([*before, find("openssl"), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Failure("openssl %s: %s" % (" ".join(words), done.stdout.decode()))

    def issue(self, name, alternatives=("IP:127.0.0.1", "DNS:localhost"), days=2, before=()):
        """Negative days: it has expired. before: words in front of the command that signs."""
        request, key, certificate, extra = (self._path(name + suffix) for suffix in (".csr", ".key", ".crt", ".ext"))
        with open(extra, "w") as out:
            out.write("subjectAltName=%s\n" % ",".join(alternatives) if alternatives else "keyUsage=digitalSignature\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name, "-keyout", key,
            "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", str(days),
            "-extfile", extra, "-out", certificate, before=before)
        return certificate, key


class Tls(Node):
    """A redis-server that speaks TLS only, with a certificate of an authority made on the spot."""

    def __init__(self, folder, name="tls", alternatives=("IP:127.0.0.1", "DNS:localhost"), authority=None, days=2, **options):
        self.authority = authority or Authority(folder)
        self.ca = self.authority.ca
        super().__init__(folder, name, tls=(*self.authority.issue(name, alternatives, days), self.ca), **options)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def url(self, host="127.0.0.1"):
        return "rediss://%s:%d" % (host, self.port)
