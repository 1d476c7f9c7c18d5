# SPDX-License-Identifier: BSD-3-Clause
"""How long scripts block Redis, by its own SLOWLOG, on a machine that others use too.

A single call may take any time there, since it may be interrupted; callers take the best of several runs. And their bound is widened by
slowness(): as far as a plain script of known work is slower at its best, in the same minute, than on a machine at rest.
"""

BOUND_US = 5000
# A thousand ZINCRBY of distinct members, at rest, on the machine that the costs in batch.c were measured on.
CALIBRATION = "for i = 1, 1000 do redis.call('ZINCRBY', 'calibration', 1, 'm' .. i) end"
CALIBRATED_US = 2200


# Commands that a script runs are logged too, where they are not quicker than this.
FLOOR_US = 100


def durations(store, call, command="EVALSHA"):
    """Microseconds of every such command above the floor that Redis ran during the call."""
    store.config_set("slowlog-max-len", 100000)
    store.config_set("slowlog-log-slower-than", FLOOR_US)
    store.slowlog_reset()
    call()
    store.config_set("slowlog-log-slower-than", -1)
    entries = store.slowlog_get(100000)
    return [entry["duration"] for entry in entries if entry["command"].upper().startswith(command.encode() + b" ")]


def duration(store, call):
    """Of a call that is one EVALSHA."""
    return max(durations(store, call), default=FLOOR_US)


def slowness(store):
    store.config_set("maxmemory", 0)
    sha = store.script_load(CALIBRATION)
    taken = [duration(store, lambda: store.evalsha(sha, 0)) for _ in range(20)]
    store.delete("calibration")
    return max(1.0, min(taken) / CALIBRATED_US)
