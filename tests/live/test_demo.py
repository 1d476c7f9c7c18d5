# SPDX-License-Identifier: BSD-3-Clause
"""`./bootstrap demo` from a fresh copy of the tree, with the programs of this build: what it prints, that all of it ends, whatever ends it, and
that a second start is quick. The day that it makes here is checked hour by hour, against what its hosts were to ask."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest
import redis

import demo_world
import harness
import week
from demo_run import Demo, ask_page, need_demo
from harness import until

pytestmark = pytest.mark.alone

HOURS = 24
COPIED = ("bootstrap", "tests/live", "zones")


@pytest.fixture
def tree(folder):
    """What a clone has of what the demo needs."""
    need_demo()
    path = os.path.join(folder.path, "tree")
    for part in COPIED:
        source, target = os.path.join(harness.SOURCE, part), os.path.join(path, part)
        if os.path.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.log", "*.trs", "__pycache__"))
        else:
            os.makedirs(path, exist_ok=True)
            shutil.copy(source, target)
    return path


@pytest.fixture
def demo(tree):
    """A function that starts it over one folder: demo()."""
    started, ports = [], (harness.free_port(), harness.free_port())

    def start(**more):
        started.append(Demo(tree, os.path.join(tree, "demo"), more.pop("ports", ports), **{"hours": HOURS, **more}))
        return started[-1]
    yield start
    for each in started:
        each.kill()
    until(lambda: not any(each.left() for each in started), "all parts have ended")


def hours_meant(begin):
    """What each whole hour should have, by the same dice: queries, and lookups of the story."""
    dice, meant = random.Random(7), {}
    for number in range(HOURS):
        start = begin + number * 3600
        pairs = demo_world.hour(dice, number, HOURS, start, 1.0)
        stories = sum(client in week.HOSTS for client, _ in pairs)
        meant[time.strftime("%Y%m%d%H", time.gmtime(start))] = (len(pairs) + 1, stories)
    return meant


def compare_hours(running, begin):
    """Each hour has what was asked in it, and the firewall's lines beside it."""
    store = redis.Redis(unix_socket_path=os.path.join(running.folder, "state", "redis.sock"), decode_responses=True)
    timeline = store.hgetall("teredown:{demo}:timeline:" + week.ADDRESS)
    for hour, (queries, lookups) in hours_meant(begin).items():
        counted = int(store.hget("teredown:{demo}:hour:" + hour, "queries"))
        # Before the first hour it was asked whether it answers.
        assert counted == queries or (hour == min(hours_meant(begin)) and queries <= counted <= queries + 20), hour
        assert int(timeline[hour + ":dns"]) == lookups, hour
        assert int(timeline[hour + ":firewall-drop"]) == week.DROPS * lookups, hour


def test_a_day_is_shown_kept_and_ended(demo):
    begin = int(time.time()) // 3600 * 3600 - HOURS * 3600
    first = demo()
    page, token = first.page()
    assert ask_page(page, token, "/api/v1/health")["daemon"]["state"] == "ok"
    story = ask_page(page, token, "/api/v1/who?q=" + week.ADDRESS)
    view = story["views"][0]
    assert set(view["clients"]) == set(week.HOSTS) and view["count"] >= HOURS * 360
    assert view["logs"]["drops_per_lookup"] == pytest.approx(week.DROPS, abs=0.1)
    if begin == int(time.time()) // 3600 * 3600 - HOURS * 3600: # else an hour has begun meanwhile
        compare_hours(first, begin)
    received = lambda: first.status()["received"]
    before = received()
    until(lambda: received() > before + 20, "hosts go on asking", 30, 0.1)
    with pytest.raises(harness.Failure, match="a demo is running"):
        demo().page()
    first.end(signal.SIGHUP) # its terminal was closed

    began = time.monotonic()
    second = demo()
    page, new_token = second.page()
    assert "the week is there" in second.said() and time.monotonic() - began < 15
    assert new_token != token
    assert ask_page(page, new_token, "/api/v1/who?q=" + week.ADDRESS)["views"][0]["count"] >= view["count"]
    second.end(signal.SIGTERM)


def test_it_ends_when_a_part_dies_and_takes_other_ports(demo):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        running = demo(hours=1, ports=(harness.free_port(), port))
        page, _ = running.page()
        assert "port %d is taken; the dashboard is on port" % port in running.said() and not page.endswith(":%d" % port)
    victim = subprocess.run(["pgrep", "-f", os.path.join(running.folder, "nsd.conf")], stdout=subprocess.PIPE, universal_newlines=True).stdout.split()[0]
    os.kill(int(victim), signal.SIGKILL)
    assert running.child.wait(30) == 1
    assert "nsd has ended" in running.said() and not running.left()


def test_nothing_is_left_when_it_is_killed(demo):
    running = demo(hours=1)
    running.page()
    running.child.kill()
    until(lambda: not running.left(), "all parts have ended", 20)


def test_ctrl_c_while_the_week_is_made(demo):
    running = demo(hours=168)
    running.until_said("a week in an office")
    until(lambda: len(running.left()) > 4, "parts run")
    running.end()
    assert not os.path.exists(os.path.join(running.folder, "week"))
