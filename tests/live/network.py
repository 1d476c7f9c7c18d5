# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts of the test's own, joined by a wire: network namespaces, in which any address may be used and nothing leaves the machine."""

import contextlib
import os
import subprocess

import harness


class _Host:
    """A namespace, kept by a process that ends with us: it reads from a pipe that nobody writes to."""

    def __init__(self, words):
        before = os.readlink("/proc/self/ns/net")
        self.keeper = subprocess.Popen(words + ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.pid = self.keeper.pid

        def entered():
            if self.keeper.poll() is not None:
                raise harness.Failure(self.keeper.stderr.read().decode())
            return os.readlink("/proc/%d/ns/net" % self.pid) != before and os.readlink("/proc/%d/exe" % self.pid).endswith("cat")
        harness.until(entered, "a network namespace")

    def end(self):
        with contextlib.suppress(OSError):
            self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper.stderr.close()


class Network:
    """near and far, each with its end of the wire, "wire". why: None, or words why there is no such thing here."""

    def __init__(self, near, far):
        """near, far: addresses of the two ends, each seen by the other as a neighbour."""
        self.why, self.hosts, self.user = None, {}, os.getuid() != 0
        if any(harness.find(program) is None for program in ("unshare", "nsenter", "ip")):
            self.why = "unshare, nsenter (util-linux) and ip (iproute2) are needed"
            return
        try:
            self._make(near, far)
        except (harness.Failure, OSError, subprocess.SubprocessError) as error:
            self.close()
            self.why = "no network namespace is to be had: %s" % error

    def _make(self, near, far):
        self.hosts["near"] = _Host(["unshare", "--user", "--map-root-user", "--net"] if self.user else ["unshare", "--net"])
        self.hosts["far"] = _Host((self.enter("near") if self.user else []) + ["unshare", "--net"])
        self.run("near", "ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(self.hosts["far"].pid))
        for side, own, other in (("near", near, far), ("far", far, near)):
            self.run(side, "ip", "link", "set", "lo", "up")
            self.run(side, "ip", "link", "set", "wire", "up")
            for address in own:
                self.run(side, "ip", "address", "add", address + "/32", "dev", "wire")
            for address in other:
                self.run(side, "ip", "route", "add", address, "dev", "wire", "src", own[0])

    def enter(self, side):
        """The words before a command that is to run there."""
        words = ["nsenter", "--target", str(self.hosts[side].pid), "--net"]
        return words + (["--user", "--preserve-credentials"] if self.user else [])

    def run(self, side, *words, check=True):
        done = subprocess.run(self.enter(side) + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, timeout=harness.DEADLINE_S)
        if check and done.returncode != 0:
            raise harness.Failure("%s: %s" % (" ".join(words), done.stderr.strip()))
        return done

    def close(self):
        for host in reversed(list(self.hosts.values())):
            host.end()
        self.hosts = {}
