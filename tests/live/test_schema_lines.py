# SPDX-License-Identifier: BSD-3-Clause
"""Every line of doc/redis-schema.md that answers a question is run by a shell, as a person would, and has to answer."""

import os
import re
import subprocess
import time

import pytest

import harness
from batches import Batches
from chunks import Chunks

WATCHED, CLIENT, ADDRESS = "teredo.ipv6.microsoft.com.", "192.0.2.7", "65.55.158.118"


def lines():
    """(question, line) of the table in the document."""
    with open(os.path.join(harness.SOURCE, "doc", "redis-schema.md")) as document:
        text = document.read()
    table = text[text.index("## Questions"):text.index("## Keys")]
    for row in re.findall(r"^\| (.*?\?) \| (.*) \|$", table, re.MULTILINE):
        for line in re.findall(r"`([^`]*)`", row[1].replace(r"\|", "|")):
            if line.startswith(("r ", "for ")):
                yield row[0], line


@pytest.fixture
def answer(redis_server, need):
    """A function that runs a line over counts of today and of yesterday at 14 h UTC."""
    need("redis-cli")
    store = redis_server.client()
    harness.before_the_hour_turns()
    store.hset("teredown:{gw1}:remediated", CLIENT, '{"at":1,"by":"root","method":"gpo","zones":["teredo"]}')
    for now_s in (time.time() // 86400 * 86400 - 10 * 3600, time.time()):
        batches = Batches(store, boot="%016x" % int(now_s), now_s=now_s, resolver="gw1")
        batches.send([batches.client(CLIENT, queries=3, watched=2), batches.total(queries=3, watched=2), batches.query(CLIENT, WATCHED, 2, 2),
            batches.pair(ADDRESS, CLIENT, WATCHED, 2), batches.timeline(ADDRESS, 2), batches.hit("teredo", CLIENT, 2), batches.rule("teredo", WATCHED, 2), batches.told(CLIENT, ADDRESS), batches.top(WATCHED, 3),
            batches.top("*other", 1, 1), batches.line("x", '{"txn":1}'), batches.gauges(received=12, cache_hits=5), ["k", batches.hour - 1]])
        batches.send([["k", batches.hour]])
        batches.lease(0)
    logs = Chunks(store, resolver="gw1")
    logs.send([["d", logs.hour, CLIENT, ADDRESS, "udp3544", 9], ["h", ADDRESS, CLIENT, WATCHED, logs.now_ms, logs.now_ms, 1, "certain"]])

    def run(line):
        script = 'r() { redis-cli -s "%s" "$@"; }\n%s\n' % (redis_server.socket_path, line)
        done = subprocess.run(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20,
            universal_newlines=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout
    return run


def test_every_line_of_the_document(answer):
    rows = list(lines())
    assert len(rows) >= 20
    for question, line in rows:
        text = answer(line)
        assert text.strip() and not re.search(r"\b(ERR|WRONGTYPE|NOSCRIPT)\b", text), "%s\n%s\n%s" % (question, line, text)


@pytest.mark.parametrize("question, words", [
    ("Who asked for this name", [CLIENT, "4"]),
    ("Who asked for a watched name yesterday at 14 h", ["%s %s" % (CLIENT, WATCHED), "2"]),
    ("Who asked for a watched name, all of yesterday", ["%s %s" % (CLIENT, WATCHED)]),
    ("Top clients this hour", [CLIENT, "3"]),
    ("Which names gave this address to this client", ["%s %s" % (CLIENT, WATCHED)]),
    ("To which addresses did a name lead", [ADDRESS]),
    ("Hours of an address", [":dns"]),
    ("Hours of a name", ["watched-names 1"]),
    ("Top names today", [WATCHED, "3"]),
    ("How much of that is not certain", [WATCHED, "3"]),
])
def test_lines_answer_rightly(answer, question, words):
    line = next(line for title, line in lines() if title.startswith(question))
    text = answer(line)
    assert all(word in text for word in words), "%s\n%s" % (line, text)
