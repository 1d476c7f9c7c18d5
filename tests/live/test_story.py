# SPDX-License-Identifier: BSD-3-Clause
"""The story that the software exists for, from the firewall's drops to a quiet network: doc/from-drop-to-quiet.md tells it with what this test
prints (TEREDOWN_STORY=FILE keeps it)."""

import contextlib
import json
import os
import re

import harness
from harness import until
from story import Story
from week import ADDRESS, DROPS, HOSTS, NAME, OTHER_ADDRESS, STUBBORN

UNMET = 5


class Telling:
    """Runs commands and keeps what they print, under the names that a reader would type."""

    def __init__(self, daemon, folder):
        self.daemon, self.folder = daemon, folder
        self.out = open(os.environ["TEREDOWN_STORY"], "w") if "TEREDOWN_STORY" in os.environ else None
        self.told = "" # as a terminal would have it

    def __call__(self, *words, code=0):
        done = self.daemon.command(*words, timeout_s=60)
        assert done.returncode == code, "%r: %d\n%s%s" % (words, done.returncode, done.stdout, done.stderr)
        text = "$ teredown %s\n%s%s\n" % (" ".join(words), done.stdout, done.stderr)
        for path, shown in ((harness.COMMAND + " -c " + os.path.join(self.folder, "teredown.conf"), "teredown"), (self.folder, "/var/log")):
            text = text.replace(path, shown)
        self.told += text
        if self.out:
            self.out.write(text)
            self.out.flush()
        return done.stdout

    def json(self, *words, code=0):
        done = self.daemon.command("--json", *words, timeout_s=60)
        assert done.returncode == code, "%r: %d\n%s%s" % (words, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)


def see_drops(tell, lines, lookups, log):
    assert "%d used" % lines in tell("ingest", log)
    tell.json("ingest", log) # read twice, counted once
    tell("drops", "--since", "8d")
    found = tell.json("drops", "--since", "8d")["destinations"]
    assert [row["address"] for row in found] == [ADDRESS, OTHER_ADDRESS] and sum(row["drops"] for row in found) == lines
    first, other = found
    assert first["lookups"] == lookups and first["drops"] == lookups * DROPS and first["ratio"] == 9.0
    assert first["names"] == [NAME + "."] and {row["client"] for row in first["clients"]} == set(HOSTS)
    assert other["hard_coded"] and other["names"] == []


def see_who(tell):
    words = tell("who", ADDRESS)
    first = words.split("\n\n")[0]
    for part in ("teredo.ipv6.microsoft.com, and only that name", "three hosts", "about every 30 seconds", "for seven days", "Nine drops for each lookup"):
        assert part in first, first
    assert "no proxy" in first.lower(), first
    tell("who", STUBBORN)


def see_timeline(tell, lookups):
    tell("timeline", ADDRESS, "--since", "8d", "--span", "6h")
    found = tell.json("timeline", ADDRESS, "--since", "8d")
    assert {row["source"]: row["sum"] for row in found["series"]} == {"dns": lookups, "firewall-drop": lookups * DROPS}
    assert found["ratio"] == 9.0
    # Each hour with lookups has nine times as many drops; since `block on` there is neither.
    assert all(drops == DROPS * dns for dns, drops in (row["counts"] for row in found["rows"]))
    busy = [index for index, row in enumerate(found["rows"]) if row["counts"][0]]
    assert len(busy) == Story.BLOCKS and len(found["rows"]) - 1 - busy[-1] >= 18


def remediate_and_verify(tell, story):
    script = tell("remediate", "--powershell")
    for host in HOSTS.values():
        assert host + ".corp.example" in script
    tell("remediate", "--mark")
    for client in HOSTS:
        assert client in tell("verify")
    story.ask(STUBBORN, NAME, 1)
    story.until_counted()
    until(lambda: "remediated-back" in tell.daemon.command("tail", "--events", "--once", "-n", "50").stdout, "the event")
    tell("tail", "--events", "--once", "-n", "2")
    tell("verify", code=UNMET)
    states = {row["client"]: row["state"] for row in tell.json("verify", code=UNMET)["clients"]}
    assert states.pop(STUBBORN) == "blocked" and set(states.values()) == {"silent"}, states


def compare_with_page(told):
    """What the page shows was typed and printed here, but for figures and times; "..." stands for what is left out there, and a line that says
    how long ago something was has other words at another hour."""
    def in_form(text):
        return " ".join(re.sub(r"\d+", "0", text).split())
    with open(os.path.join(harness.SOURCE, "doc", "from-drop-to-quiet.md"), encoding="utf-8") as page:
        shown = re.findall(r"^    (.*)$", page.read(), re.MULTILINE)
    told = in_form(told)
    assert sum(line.startswith("$ teredown ") for line in shown) >= 9
    missing = [line for line in shown if not line.startswith("...") and not re.search(r"\bago\b|times are", line) and in_form(line) not in told]
    assert not missing, "the page has what is not printed:\n" + "\n".join(missing)


def test_from_a_drop_to_a_quiet_network(folder, nsd, redis_server):
    story = Story(folder, nsd.endpoint, redis_server.url)
    tell = Telling(story.daemon, folder.path)
    log = os.path.join(folder.path, "firewall.log")
    try:
        story.live_through()
        tell("block", "on")
        story.live_on_blocked()
        see_drops(tell, story.firewall_log(log), story.lookups, log)
        see_who(tell)
        see_timeline(tell, story.lookups)
        # The scanner's finding: a Teredo server is listening there. Nothing does.
        assert "1 refused" in tell("probe", "127.0.0.1:%d" % harness.free_port())
        remediate_and_verify(tell, story)
        compare_with_page(tell.told)
        story.daemon.stop()
    finally:
        story.daemon.kill()
        with contextlib.suppress(AttributeError):
            tell.out.close()
