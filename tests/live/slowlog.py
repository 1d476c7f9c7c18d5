# SPDX-License-Identifier: BSD-3-Clause
"""How long scripts block Redis, by its own SLOWLOG, on a machine that others use too.

A single call may take any time there, since it may be interrupted; callers take the best or the median of several runs. And their bound
is widened by slowness(): as far as a plain script of known work is slower, in the same minute, than on a machine at rest.
"""

import statistics

BOUND_US = 5000
# A thousand ZINCRBY of distinct members, at rest, on the machine that the costs in batch.c were measured on.
CALIBRATION = "for i = 1, 1000 do redis.call('ZINCRBY', 'calibration', 1, 'm' .. i) end"
CALIBRATED_US = 2200


def durations(store, calls, command="EVALSHA"):
    """Microseconds of every such command that Redis ran during the calls."""
    store.config_set("slowlog-max-len", 100000)
    store.config_set("slowlog-log-slower-than", 0)
    store.slowlog_reset()
    for call in calls:
        call()
    entries = store.slowlog_get(100000)
    store.config_set("slowlog-log-slower-than", -1)
    return [entry["duration"] for entry in entries if entry["command"].upper().startswith(command.encode() + b" ")]


def slowness(store):
    store.config_set("maxmemory", 0)
    sha = store.script_load(CALIBRATION)
    taken = durations(store, [lambda: store.evalsha(sha, 0)] * 20)
    store.delete("calibration")
    return max(1.0, statistics.median(taken) / CALIBRATED_US)
