# SPDX-License-Identifier: BSD-3-Clause
"""The query log's ways out: a file that is turned, and what `status` says of it."""

import glob
import json
import os
import signal
import socket
import time

import pytest

import harness
from harness import number, until


def sink(status, name):
    return next(line for line in status["sink"] if line["sink"] == name)


def ask_many(daemon, count):
    """That many answered queries, from a cache of names, one socket."""
    harness.ask_often(daemon.port, None, "www.example.org", count)


def until_written(daemon):
    """Waits until every answer so far is in the log; returns their number."""
    answered = number(daemon.status(), "answered")
    until(lambda: sink(daemon.status(), "query-log")["written"] == answered, "all lines written")
    return answered


def old_files(path):
    return sorted((name for name in glob.glob(path + ".*")), key=lambda name: -int(name.rsplit(".", 1)[1]))


def lines_of(paths):
    lines = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert text.endswith("\n"), path
        lines += [json.loads(line) for line in text.splitlines()]
    return lines


def test_a_log_that_turns_itself_loses_nothing(teredown, nsd):
    daemon = teredown(nsd.endpoint, query_log="all", query_log_size="64K", query_log_keep=100)
    ask_many(daemon, 6000)
    answered = until_written(daemon)
    assert sink(daemon.status(), "query-log")["dropped"] == 0
    old = old_files(daemon.query_log)
    assert len(old) >= 20 and all(os.path.getsize(path) <= 64 << 10 for path in old + [daemon.query_log])
    assert [line["txn"] for line in lines_of(old + [daemon.query_log])] == list(range(1, answered + 1))


def test_old_logs_are_bounded_and_a_rename_by_hand_is_followed(teredown, nsd):
    daemon = teredown(nsd.endpoint, query_log="all", query_log_size="64K", query_log_keep=3)
    ask_many(daemon, 3000)
    until_written(daemon)
    assert len(old_files(daemon.query_log)) == 3
    os.rename(daemon.query_log, daemon.query_log + "-moved")
    daemon.send(signal.SIGHUP)
    until(lambda: os.path.exists(daemon.query_log), "a new log file")
    before = lines_of([daemon.query_log + "-moved"])
    ask_many(daemon, 10)
    until(lambda: len(daemon.records()) >= 10, "lines in the new file")
    assert lines_of([daemon.query_log])[0]["txn"] == before[-1]["txn"] + 1
    assert len(old_files(daemon.query_log)) == 3


def test_a_line_torn_by_a_crash_is_mended(teredown, nsd):
    daemon = teredown(nsd.endpoint, query_log="all")
    ask_many(daemon, 10)
    until(lambda: len(daemon.records()) >= 10, "lines")
    daemon.stop()
    whole = len(daemon.records())
    with open(daemon.query_log, "ab") as log:
        log.write(b'{"ts":"2026-11-21T20:52:1')
    daemon.start()
    ask_many(daemon, 10)
    until(lambda: len(daemon.records()) >= whole + 10, "lines behind the mended one")
    lines_of([daemon.query_log])


# --- syslog ---

class Syslog:
    """A syslog daemon of the test's own."""

    def __init__(self, path):
        self.path = path
        self.records = []
        self.start()

    def start(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.setblocking(False)

    def stop(self):
        self.sock.close()
        os.unlink(self.path)

    def read(self):
        while True:
            try:
                message = self.sock.recv(65536).decode()
            except BlockingIOError:
                return len(self.records)
            head, body = message.split("{", 1)
            assert head.startswith("<30>") and " teredownd[" in head
            self.records.append(json.loads("{" + body))


def test_syslog_has_every_answer(teredown, nsd, folder):
    log = Syslog(folder.path + "/log")
    daemon = teredown(nsd.endpoint, query_log="all", query_log_file="syslog:daemon@" + log.path)
    ask_many(daemon, 3000)  # many times what a daemon's queue holds
    answered = number(daemon.status(), "answered")
    until(lambda: log.read() == answered, "all records")
    assert [record["txn"] for record in log.records] == list(range(1, answered + 1))
    assert log.records[-1]["query"] == "www.example.org." and log.records[-1]["addresses"] == ["192.0.2.1"]
    expected = {"sink": "query-log", "to": "syslog:daemon@" + log.path, "state": "writing", "written": answered, "dropped": 0}
    until(lambda: sink(daemon.status(), "query-log") == expected, "the same in status")
    log.sock.close()


@pytest.mark.timed
def test_a_syslog_daemon_that_does_not_read_or_is_gone(teredown, nsd, folder):
    """Queries are answered as before, what waits comes when it is back, and the rest is counted."""
    log = Syslog(folder.path + "/log")
    daemon = teredown(nsd.endpoint, query_log="all", query_log_file="syslog@" + log.path)
    took = []
    for _ in range(120):
        began = time.monotonic()
        ask_many(daemon, 100)
        took.append(time.monotonic() - began)
    until(lambda: sink(daemon.status(), "query-log")["dropped"] > 0, "records that do not fit")
    assert max(took) < 1, "a hundred answers"
    answered = number(daemon.status(), "answered")

    def all_but_the_dropped():
        return log.read() + sink(daemon.status(), "query-log")["dropped"] == answered
    until(all_but_the_dropped, "what waited")
    dropped = sink(daemon.status(), "query-log")["dropped"]

    log.stop()
    ask_many(daemon, 100)
    until(lambda: sink(daemon.status(), "query-log")["state"] == "away", "its absence seen")
    log.start()
    until(lambda: sink(daemon.status(), "query-log")["state"] != "away", "its return seen")
    answered = number(daemon.status(), "answered")
    until(lambda: log.read() + dropped == answered, "what came in the meantime")
    assert number(daemon.status(), "records_dropped") == dropped
    log.sock.close()
