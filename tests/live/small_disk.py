# SPDX-License-Identifier: BSD-3-Clause
"""Small file systems that a test can fill: tmpfs in a mount namespace of the test's own, so that nothing is left behind."""

import contextlib
import os
import subprocess
import sys

import harness

_MARK = "TEREDOWN_OWN_MOUNTS"


def enter_namespace():
    """Runs this program again in a mount namespace of its own; returns where there is none to be had (or it is in one already)."""
    if _MARK in os.environ:
        return
    words = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if harness.find("unshare") is None or subprocess.run(words + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
        return
    os.environ[_MARK] = "1"
    os.execvp(words[0], words + [sys.executable] + sys.argv)


class Disk:
    """A tmpfs of so many MiB on a folder. why is None, or words why there is no such thing here (then it is a plain folder)."""

    def __init__(self, path, mib):
        self.path, self.why = path, None
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._filler = os.path.join(path, "filler")
        if _MARK not in os.environ:
            self.why = "no mount namespace is to be had (unshare --mount)"
            return
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=700" % mib, "tmpfs", path], stderr=subprocess.PIPE,
            universal_newlines=True)
        if done.returncode != 0:
            self.why = done.stderr.strip()

    def fill(self):
        """Until not one octet is left."""
        fd = os.open(self._filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            at = 0
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(fd, at, size)
                        at += size
        finally:
            os.close(fd)

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._filler)

    def close(self):
        if self.why is None:
            subprocess.run(["umount", "--lazy", self.path], stderr=subprocess.DEVNULL)
