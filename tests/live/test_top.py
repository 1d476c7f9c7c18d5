# SPDX-License-Identifier: BSD-3-Clause
"""`teredown top` on a terminal, through tmux: keys go in, the screen is read."""

import os
import re
import subprocess

import pytest

import harness
from harness import key, until

TEREDO = "teredo.ipv6.microsoft.com"
BUSY, QUIET, TUNNEL = "127.0.71.1", "127.0.71.2", "127.0.71.3"


class Screen:
    """A terminal of its own server, so that a person's tmux is left alone."""

    def __init__(self, folder, columns=110, rows=24):
        self.tmux = [harness.find("tmux"), "-f", "/dev/null", "-S", os.path.join(folder.path, "tmux")]
        self.size = ["-x", str(columns), "-y", str(rows)]

    def __call__(self, *words):
        done = subprocess.run(self.tmux + list(words), capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, words):
        """The shell stays behind, so that what is left on the terminal can be seen."""
        self("new-session", "-d", *self.size, "env", "LC_ALL=C.UTF-8", "TERM=screen", "sh", "-c", "trap : INT; " + words + '; echo "ended with $?"; cat')

    def text(self):
        return self("capture-pane", "-p")

    def lines(self):
        return self.text().split("\n")

    def press(self, *keys):
        self("send-keys", *keys)

    def until(self, pattern, what=None):
        try:
            return until(lambda: (lambda text: text if re.search(pattern, text, re.MULTILINE) else None)(self.text()), "%s on the screen" % (what or pattern))
        except harness.Failure as failure:
            raise harness.Failure("%s\n%s" % (failure, self.text())) from None

    def rows(self, first):
        """The words of the rows below the header that begins so."""
        lines = self.lines()
        header = next((index for index, line in enumerate(lines) if re.search(r"\b%s\b" % first, line) and "QUERIES" in line), len(lines))
        return [line.split() for line in lines[header + 1:] if line.strip()][:-1]

    def end(self):
        subprocess.run(self.tmux + ["kill-server"], capture_output=True, timeout=20)


@pytest.fixture
def daemon(teredown, nsd):
    daemon = teredown(nsd.endpoint, redis="embedded")
    until(lambda: daemon.store().exists(key("meta")), "teredownd has written to Redis")
    for client, name, times in ((BUSY, "www.example.org", 5), (BUSY, "b.example.org", 2), (QUIET, "www.example.org", 1), (TUNNEL, TEREDO, 3)):
        for _ in range(times):
            daemon.ask(name, source=client)
    daemon.until_counted(11)
    return daemon


@pytest.fixture
def screen(folder):
    screen = Screen(folder)
    yield screen
    screen.end()


def start(screen, daemon, *words):
    if not harness.is_built_with("NCURSES"):
        harness.missing("this build has no ncurses: `teredown top` prints once")
    screen.start(" ".join((harness.COMMAND, "-c", daemon.config, "top") + words))


def clients(screen):
    """Those of this test: the harness asks from an address of its own."""
    return [row[0] for row in screen.rows("CLIENT") if row[0].startswith("127.0.71.")]


def test_sort_search_and_drill(daemon, screen):
    """One walk: by queries, by another column, turned around, searched, into a client, into a name, and back."""
    start(screen, daemon)
    until(lambda: clients(screen) == [BUSY, TUNNEL, QUIET], "by queries")
    assert "Clients by queries, resolver %s" % harness.RESOLVER in screen.lines()[0]
    screen.press("s")
    screen.until("WATCHEDv")
    until(lambda: clients(screen)[:1] == [TUNNEL], "by watched ones")
    screen.press("r")
    screen.until(r"WATCHED\^")
    until(lambda: clients(screen)[-1:] == [TUNNEL], "turned around")
    screen.press("/", "7", "1", ".", "2")
    screen.until("search: 71.2_")
    until(lambda: clients(screen) == [QUIET], "the one client that was searched for")
    screen.press("Enter")
    screen.press("Enter")
    screen.until("Names asked by %s" % re.escape(QUIET))
    screen.until(r"1 queries, 0 watched, 0 blocked; first seen")
    screen.until(r"1  www\.example\.org\.")
    screen.press("Enter")
    screen.until(r"Clients that asked www\.example\.org\.")
    screen.until(r"^It led to ")
    screen.until(r"5  %s" % re.escape(BUSY))
    screen.press("Left")
    screen.until("Names asked by %s" % re.escape(QUIET))
    screen.press("Left")
    screen.until("search: 71.2")
    screen.press("Escape")
    until(lambda: len(clients(screen)) == 3, "all clients")
    screen.press("q")
    screen.until("ended with 0")


def test_live_figures_and_the_other_rankings(daemon, screen):
    start(screen, daemon, "names")
    screen.until(r"5? *[0-9]+  www\.example\.org\.")
    for _ in range(4):
        daemon.ask("new.example.org", source=QUIET)
    screen.until(r"4  new\.example\.org\.", "what was asked meanwhile")
    screen.press("Tab")
    screen.until(r"^%s +teredo +3 " % re.escape(TUNNEL))
    screen.press("4")
    screen.until(r"3  teredo  %s\." % re.escape(TEREDO))
    screen.press("Enter")
    screen.until(r"3  %s" % re.escape(TUNNEL), "who asked for what the rule names")
    screen.press("?")
    screen.until("Any key goes back")
    screen.press("x")
    until(lambda: "Any key goes back" not in screen.text(), "the table again")


def test_pause_keeps_what_is_shown(daemon, screen):
    start(screen, daemon)
    screen.until(r"^%s +7 " % re.escape(BUSY))
    screen.press("Space")
    screen.until("^paused")
    daemon.ask("www.example.org", source=BUSY)
    daemon.until_counted(12)
    screen.press("Space")
    screen.until(r"^%s +8 " % re.escape(BUSY))


def test_resize(daemon, screen):
    start(screen, daemon)
    screen.until(r"^%s " % re.escape(BUSY))
    screen("resize-window", "-x", "40", "-y", "8")
    until(lambda: max(map(len, screen.lines())) <= 40 and len(clients(screen)) == 3, "all rows on a small screen")
    screen("resize-window", "-x", "20", "-y", "3")
    screen("resize-window", "-x", "110", "-y", "24")
    screen.until(r"LAST SEEN")
    screen.press("C-c")
    screen.until("ended with 0")


def test_hostile_names_stay_in_their_cell(daemon, screen):
    """What a client asked for moves no cursor: every octet that is no plain character is escaped."""
    store = daemon.store()
    name = "\x1b[2J\x1b]0;owned\x07\u202efdp.example."
    store.zadd(key("client", QUIET, "names"), {name: 77})
    store.hset(key("client", QUIET), "name", "\x1b[31mred\x9b")
    start(screen, daemon)
    screen.until(re.escape(r"\027[31mred"))
    screen.press("Down", "Down", "Enter")
    screen.until(r"77  " + re.escape(r"\027[2J\027]0;owned\007\226\128\174fdp.example."))


@pytest.mark.waits
def test_redis_goes_away_and_comes_back(teredown, nsd, redis_server, screen):
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    daemon.ask("www.example.org", source=BUSY)
    daemon.until_counted(1)
    start(screen, daemon)
    screen.until(r"^%s " % re.escape(BUSY))
    redis_server.kill()
    screen.until("^(Redis|redis)", "that Redis is away")
    assert clients(screen) == [BUSY], "what was read last stays"
    redis_server.launch()
    daemon.ask("b.example.org", source=QUIET)
    screen.until(r"^%s " % re.escape(QUIET))
    screen.press("q")
    screen.until("ended with 0")


def test_no_terminal_to_draw_on(daemon, screen):
    """A terminal that cannot move its cursor gets it printed once; so does any in a build without ncurses."""
    screen.start("TERM=dumb " + " ".join((harness.COMMAND, "-c", daemon.config, "top")))
    screen.until("ended with 0")
    assert BUSY in screen.text()
