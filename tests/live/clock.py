# SPDX-License-Identifier: BSD-3-Clause
"""The clocks of one process, by libfaketime. Of Python's library this needs what Debian's python3-minimal has (tests/live/demo)."""

import os

PLACES = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")


class Clock:
    """The wall clock of one process; its monotonic clock is left alone, so that it sees a clock that was set. With passes, that clock goes
    along, so that it sees time that passed: timers are due, and the cache is older.

    redis-server cannot be started under it (memory is asked for before libfaketime is ready, and neither goes on)."""

    def __init__(self, folder, passes=False):
        self.library = next((place for place in PLACES if os.path.exists(place)), None)
        self.path = os.path.join(folder, "faketime")
        self.set(0)
        self.environment = {"LD_PRELOAD": self.library or "", "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        if not passes:
            self.environment["DONT_FAKE_MONOTONIC"] = "1"

    def set(self, seconds):
        self.seconds = seconds
        with open(self.path + ".new", "w") as out:
            out.write("%+.3f" % seconds if isinstance(seconds, float) else "%+d" % seconds)
        os.rename(self.path + ".new", self.path)
