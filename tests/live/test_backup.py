# SPDX-License-Identifier: BSD-3-Clause
"""doc/backup.md, as an operator follows it: a copy made while all runs, later counts, the old copy restored. The journal brings back what the
copy lacks, as far as it keeps it, and nothing is doubled."""

import json
import os
import shutil
import subprocess

import pytest

import harness
from harness import key, until

TEREDO = "teredo.ipv6.microsoft.com"
CLIENTS = ("127.0.17.1", "127.0.17.2")
LEASE_S = 40.0  # a lease in an old copy may have to run out first


def ask_some(daemon, times):
    for turn in range(times):
        for client in CLIENTS:
            daemon.ask("www.example.org", source=client)
            daemon.ask("h%d.example.org" % turn, source=client)
            daemon.ask(TEREDO, source=client)
    return times * len(CLIENTS) * 3


def counts(store):
    """What batches added up, of the clients of this test. (Another one asks each daemon whether it is there.)"""
    found = {}
    for client in CLIENTS:
        found[client] = {field: value for field, value in store.hgetall(key("client", client)).items()}
        found[client, "names"] = store.zrange(key("client", client, "names"), 0, -1, withscores=True)
        found[client, "watched"] = store.zscore(key("watch", "teredo"), client)
    for name in store.scan_iter(match=key("*"), count=1000):
        if ":pair:" in name:
            found[name] = {field: value for field, value in store.hgetall(name).items() if field.split()[0] in CLIENTS}
        elif ":hour:" in name and store.type(name) == "zset":
            found[name] = [row for row in store.zrange(name, 0, -1, withscores=True) if row[0].split()[0] in CLIENTS]
    found["records"] = sorted(json.loads(fields["json"])["txn"] for _, fields in store.xrange(key("transactions")))
    return found


def folder_of(daemon):
    return os.path.join(daemon.state, "appendonlydir")


def copy_the_folder(daemon, place):
    """The append-only files, while Redis may not write them anew."""
    store = daemon.store()
    percentage = store.config_get("auto-aof-rewrite-percentage")["auto-aof-rewrite-percentage"]
    store.config_set("auto-aof-rewrite-percentage", 0)
    until(lambda: store.info("persistence")["aof_rewrite_in_progress"] == 0, "no rewrite is going on")
    shutil.copytree(folder_of(daemon), place)
    store.config_set("auto-aof-rewrite-percentage", percentage)


def dump(daemon, place):
    """redis-cli --rdb, and the manifest that makes Redis 7 take it for its append-only file."""
    os.mkdir(place)
    base = os.path.join(place, "appendonly.aof.1.base.rdb")
    subprocess.run([harness.find("redis-cli"), "-s", os.path.join(daemon.state, "redis.sock"), "--rdb", base], check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(place, "appendonly.aof.manifest"), "w") as manifest:
        manifest.write("file appendonly.aof.1.base.rdb seq 1 type b\n")


def restore(daemon, place):
    shutil.rmtree(folder_of(daemon))
    shutil.copytree(place, folder_of(daemon))


@pytest.mark.parametrize("back_up", [copy_the_folder, dump])
def test_an_old_copy_comes_back_complete(teredown, nsd, folder, back_up):
    daemon = teredown(nsd.endpoint, redis="embedded")
    place = os.path.join(folder.path, "backup")
    asked = ask_some(daemon, 5)
    daemon.until_counted(asked)
    back_up(daemon, place)
    asked += ask_some(daemon, 4)
    daemon.until_counted(asked)
    before = counts(daemon.store())
    daemon.stop()
    restore(daemon, place)
    daemon.start()
    until(lambda: counts(daemon.store()) == before, "the journal has sent what the copy lacked, once", LEASE_S)
    assert "they are sent again" in daemon.log()
    ask_some(daemon, 1)
    until(lambda: int(daemon.store().hget(key("client", CLIENTS[0]), "queries")) == 30, "counting goes on")


def test_without_the_journal_the_copy_stands(teredown, nsd, folder):
    """What the journal does not keep any more stays lost: the counts are those of the copy, and go on from there."""
    daemon = teredown(nsd.endpoint, redis="embedded")
    place = os.path.join(folder.path, "backup")
    daemon.until_counted(ask_some(daemon, 3))
    copied = counts(daemon.store())
    copy_the_folder(daemon, place)
    daemon.until_counted(ask_some(daemon, 2) + 18)
    daemon.stop()
    restore(daemon, place)
    shutil.rmtree(os.path.join(daemon.state, "journal"))
    daemon.start()
    ask_some(daemon, 1)
    until(lambda: int(daemon.store().hget(key("client", CLIENTS[0]), "queries") or 0) == 12, "the new ones are counted on top of the copy", LEASE_S)
    after = counts(daemon.store())
    for client in CLIENTS:
        assert int(after[client]["queries"]) == int(copied[client]["queries"]) + 3
        assert after[client, "watched"] == copied[client, "watched"] + 1


def test_an_external_redis(teredown, nsd, folder):
    """The same with a Redis of the operator's, restored under a running daemon."""
    store = harness.Redis(folder.path).start()
    daemon = teredown(nsd.endpoint, redis=store.url)
    try:
        asked = ask_some(daemon, 3)
        daemon.until_counted(asked)
        place = os.path.join(folder.path, "backup")
        shutil.copytree(os.path.join(folder.path, "appendonlydir"), place)
        asked += ask_some(daemon, 2)
        daemon.until_counted(asked)
        before = counts(store.client())
        store.stop()
        shutil.rmtree(os.path.join(folder.path, "appendonlydir"))
        shutil.copytree(place, os.path.join(folder.path, "appendonlydir"))
        store.start()
        until(lambda: counts(store.client()) == before, "all is there again, once")
        asked += ask_some(daemon, 1)
        daemon.until_counted(asked)
        assert int(store.client().hget(key("client", CLIENTS[0]), "queries")) == asked // 2
    finally:
        daemon.stop()
        store.stop()
