# SPDX-License-Identifier: BSD-3-Clause
"""Zones read again: on request, when a file changes, and beside everything else that goes on."""

import os
import subprocess
import threading

import pytest

import harness
from harness import rcode_of, until
from test_who import control

NAMES = ["first.example.org", "second.example.org", "two.example.org"]
HEAD = "$TTL 300\n@ SOA localhost. nobody.invalid. ( 1 3600 900 604800 300 )\n  NS localhost.\n"


def rpz(*names):
    return HEAD + "".join("%s CNAME .\n" % name for name in names)


def blocked(daemon):
    return [name for name in NAMES if rcode_of(daemon.ask(name)) == "NXDOMAIN"]


def until_blocked(daemon, names):
    until(lambda: blocked(daemon) == names, "blocked are %r" % names)


def write(path, text):
    with open(path, "w") as out:
        out.write(text)


def replace(path, text):
    """As a tool should: written aside and renamed."""
    write(path + ".new", text)
    os.rename(path + ".new", path)


def big(path, count=1000000):
    write(path, HEAD + "".join("n%d.big.example CNAME .\n" % number for number in range(count)))


@pytest.fixture
def path(folder):
    return folder.write("mine.rpz", rpz("first.example.org"))


class TestWatch:
    """Nobody asks for a reload here."""

    def test_renamed_over_and_written_in_place(self, teredown, nsd, path):
        daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}})
        assert blocked(daemon) == ["first.example.org"]
        replace(path, rpz("second.example.org"))
        until_blocked(daemon, ["second.example.org"])
        write(path, rpz("two.example.org"))
        until_blocked(daemon, ["two.example.org"])
        assert "zones changed" in daemon.log() and daemon.running()

    def test_behind_a_symbolic_link(self, teredown, nsd, folder):
        for name in ("a", "b"):
            os.mkdir(os.path.join(folder.path, name))
        first, second = folder.write("a/list", rpz("first.example.org")), folder.write("b/list", rpz("second.example.org"))
        link = os.path.join(folder.path, "link.rpz")
        os.symlink(first, link)
        daemon = teredown(nsd.endpoint, zones={"mine": {"file": link, "mode": "block"}})
        replace(first, rpz("two.example.org"))
        until_blocked(daemon, ["two.example.org"])
        os.symlink(second, link + ".new")
        os.rename(link + ".new", link)
        until_blocked(daemon, ["second.example.org"])

    def test_pattern_list_that_comes_and_goes(self, teredown, nsd, path):
        daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}})
        patterns = path.replace(".rpz", ".patterns")
        replace(patterns, "sec*.example.org\n")
        until_blocked(daemon, ["first.example.org", "second.example.org"])
        os.unlink(patterns)
        until_blocked(daemon, ["first.example.org"])

    def test_file_that_vanishes(self, teredown, nsd, path):
        daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}})
        os.unlink(path)
        until(lambda: "mine.rpz" in daemon.log() and "No such file" in daemon.log(), "it is said")
        assert blocked(daemon) == ["first.example.org"]
        replace(path, rpz("second.example.org"))
        until_blocked(daemon, ["second.example.org"])

    def test_modes_stay(self, teredown, nsd, path):
        daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "watch"}})
        daemon.run("mode", "block", "--zone", "mine")
        replace(path, rpz("second.example.org"))
        until_blocked(daemon, ["second.example.org"])

    def test_off(self, teredown, nsd, path):
        daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}}, zone_watch="off")
        replace(path, rpz("second.example.org"))
        daemon.configure(zone_watch="on")
        assert blocked(daemon) == ["first.example.org"]
        daemon.run("reload")
        assert blocked(daemon) == ["second.example.org"]
        replace(path, rpz("two.example.org"))
        until_blocked(daemon, ["two.example.org"])


def compiling(daemon):
    return control(daemon, "status")[1]["compiling"] == ["yes"]


def settle(daemon):
    """Files are known by their marks: they are older than what could be changed without one."""
    until(lambda: daemon.json("reload")["read"] == 0, "nothing is read")


@pytest.mark.timed # what a command takes to start, by how long a list is compiled
class TestBeside:
    """A million names are compiled; status, mode, and other reloads come meanwhile."""

    @pytest.fixture
    def daemon(self, teredown, nsd, path, folder):
        self.list = os.path.join(folder.path, "big.rpz")
        big(self.list, 10)
        daemon = teredown(nsd.endpoint, zone_watch="off", zones={"mine": {"file": path, "mode": "watch"}, "big": {"file": self.list, "mode": "block"}})
        settle(daemon)
        big(self.list, 400000 if daemon.sanitized() else 1000000) # longer than a command takes to start there
        return daemon

    def reload(self, daemon):
        """Begins one; when this returns the names are being compiled, and a status was answered meanwhile."""
        assert not compiling(daemon)
        process = subprocess.Popen([harness.COMMAND, "-c", daemon.config, "reload", "--json"], stdout=subprocess.PIPE, text=True)
        until(lambda: compiling(daemon), "the list is being compiled", interval_s=0)
        return process

    def test_status_and_mode(self, daemon):
        process = self.reload(daemon)
        daemon.run("mode", "block", "--zone", "mine")
        assert blocked(daemon) == ["first.example.org"]
        during = compiling(daemon)
        output = process.communicate()[0]
        assert process.returncode == 0 and '"read":1,' in output and int(output.split('"rules":')[1].split(",")[0]) > 100000
        assert during, "the list was compiled before a mode was set: it proves nothing"
        # A mode that was set while the new rules were made holds with them.
        assert harness.zones_of(daemon.status())["mine"]["mode"] == "block" and blocked(daemon) == ["first.example.org"]
        assert rcode_of(daemon.ask("n99999.big.example")) == "NXDOMAIN"

    def test_reloads_are_merged(self, daemon, path):
        before = daemon.log().count("reloaded:")
        process = self.reload(daemon)
        replace(path, rpz("second.example.org"))
        others = [threading.Thread(target=daemon.run, args=("reload",)) for _ in range(6)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join()
        assert process.wait() == 0 and daemon.log().count("reloaded:") == before + 2
        daemon.run("mode", "block", "--zone", "mine")
        assert blocked(daemon) == ["second.example.org"], "who asked later sees what there was when it was asked"

    def test_a_stop_meanwhile(self, daemon):
        process = self.reload(daemon)
        daemon.stop()
        assert process.wait() == 1


def test_fault_of_the_configuration_costs_no_change(teredown, nsd, path, folder):
    """A list changes while another is compiled, and is read after that, whatever a reload that is asked for meanwhile finds in the configuration."""
    other = os.path.join(folder.path, "big.rpz")
    big(other, 10)
    daemon = teredown(nsd.endpoint, zones={"mine": {"file": path, "mode": "block"}, "big": {"file": other, "mode": "block"}}, **{"block-ttl": "1s"})
    settle(daemon)
    daemon.configure(groups={"bad": {"clients": ["nobody at all"]}})
    big(other, 100000 if daemon.sanitized() else 1000000)
    until(lambda: control(daemon, "status")[1]["compiling"] == ["yes"], "the list is being compiled", interval_s=0)
    replace(path, rpz("second.example.org"))
    assert control(daemon, "reload")[0].startswith("error")
    until_blocked(daemon, ["second.example.org"])


class TestFaults:
    """What is wrong with one file costs neither the zone its old rules nor the others their new ones."""

    @pytest.fixture
    def other(self, folder):
        return folder.write("other.rpz", rpz("two.example.org"))

    @pytest.fixture
    def daemon(self, teredown, nsd, path, other):
        return teredown(nsd.endpoint, zone_watch="off", zones={"mine": {"file": path, "mode": "block"}, "other": {"file": other, "mode": "block"}})

    def state(self, daemon, zone):
        return harness.zones_of(daemon.status())[zone]["state"]

    @pytest.mark.parametrize("how", ["gone", "no zone", "no file"])
    def test_one_bad_file(self, daemon, path, other, how):
        settle(daemon)
        os.unlink(path)
        if how == "no zone":
            replace(path, "this is no zone\n")
        elif how == "no file":
            os.mkdir(path)
        replace(other, rpz("second.example.org"))
        done = daemon.command("reload", "--json")
        assert done.returncode == 1 and '"zone":"mine"' in done.stdout and '"read":1' in done.stdout
        assert blocked(daemon) == ["first.example.org", "second.example.org"]
        status = daemon.status()
        assert self.state(daemon, "mine") == "old" and self.state(daemon, "other") == "ok"
        errors = status["zone_error"] if isinstance(status["zone_error"], list) else [status["zone_error"]]
        assert len(errors) == 1 and errors[0].startswith("mine since 2") and "mine.rpz" in errors[0]
        if how == "no file":
            os.rmdir(path)
        replace(path, rpz("two.example.org"))
        assert daemon.command("reload").returncode == 0
        assert blocked(daemon) == ["second.example.org", "two.example.org"] and "zone_error" not in daemon.status()

    def test_new_zone_that_cannot_be_read(self, daemon, folder):
        """It is there, has no rules, and gets them when its file comes."""
        late = os.path.join(folder.path, "late.rpz")
        daemon.configure(zone_watch="on", **{"block-ttl": "1s"})
        daemon.settings[("zone", "late")] = {"file": late, "mode": "block"}
        daemon.configure()
        assert daemon.command("reload").returncode == 1 and self.state(daemon, "late") == "empty"
        assert blocked(daemon) == ["first.example.org", "two.example.org"]
        replace(late, rpz("second.example.org"))
        until_blocked(daemon, NAMES)
        assert self.state(daemon, "late") == "ok"

    def test_zone_that_leaves(self, daemon):
        del daemon.settings[("zone", "mine")]
        daemon.configure()
        daemon.run("reload")
        assert blocked(daemon) == ["two.example.org"] and "mine" not in harness.zones_of(daemon.status())

    def test_unchanged_zones_are_not_read(self, daemon, other):
        settle(daemon)
        replace(other, rpz("second.example.org"))
        assert daemon.json("reload")["read"] == 1
        assert blocked(daemon) == ["first.example.org", "second.example.org"]
        # The same size, another content: the times tell.
        replace(other, rpz("second.example.com"))
        assert daemon.json("reload")["read"] == 1 and blocked(daemon) == ["first.example.org"]
