# SPDX-License-Identifier: BSD-3-Clause
"""`./bootstrap demo` under test: started with the programs of this build, read while it speaks, and looked after when it has ended."""

import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.request

import clock
import harness
from harness import until


def need_demo():
    for program in ("nsd", "redis-server", "setpriv"):
        if not harness.find(program):
            harness.missing("%s is not installed" % program)
    if not any(map(os.path.exists, clock.PLACES)):
        harness.missing("libfaketime is not installed")


class Demo:
    """One run of the script, in a process group of its own, as a terminal has it."""

    def __init__(self, tree, folder, ports, hours=168):
        self.folder, self.ports = folder, ports
        os.makedirs(folder, exist_ok=True)
        self.output = open(os.path.join(folder, "said"), "w+")
        self.child = subprocess.Popen([os.path.join(tree, "bootstrap"), "demo", "--folder", folder, "--prefer", "%d,%d" % ports,
            "--hours", str(hours)], stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(os.environ, TEREDOWN_BUILD=harness.BUILD))

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def until_said(self, pattern, deadline_s=90):
        def seen():
            found = re.search(pattern, self.said())
            if not found and self.child.poll() is not None:
                raise harness.Failure("the demo ended with %d:\n%s" % (self.child.returncode, self.said()))
            return found
        return until(seen, pattern, deadline_s, 0.05)

    def page(self):
        """Its address and token, once it has said them."""
        self.until_said("Ctrl-C ends")
        return re.search(r"http://[\d.:]+(?=/\n)", self.said()).group(0), re.search(r"token:\s+(\S+)", self.said()).group(1)

    def command(self, *words):
        return subprocess.run([harness.COMMAND, "-c", os.path.join(self.folder, "teredown.conf"), *words], check=True, stdout=subprocess.PIPE,
            universal_newlines=True).stdout

    def status(self):
        return json.loads(self.command("status", "--json"))

    def left(self):
        """Command lines of processes that have to do with it."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    words = file.read().replace(b"\0", b" ").decode(errors="replace")
                if self.folder in words:
                    found.append(words)
        return found

    def end(self, number=signal.SIGINT):
        os.kill(self.child.pid, number)
        assert self.child.wait(30) == 0, self.said()
        assert not self.left()

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.output.close()


def ask_page(page, token, path):
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    sign_in = urllib.request.Request(page + "/api/v1/session", json.dumps({"token": token}).encode(), {"Content-Type": "application/json"})
    opener.open(sign_in, timeout=10).read()
    return json.load(opener.open(page + path, timeout=10))
