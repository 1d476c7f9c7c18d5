# SPDX-License-Identifier: BSD-3-Clause
"""The Splunk add-on and the Elastic table against records that the daemon wrote: every field they name is there, times are understood.

Splunk itself is not at hand; its files are read as it reads them (stanzas, key = value), its regular expressions by Python's re.
"""

import configparser
import datetime
import os
import re

import pytest

import harness
from harness import until

ADDON = os.path.join(harness.SOURCE, "doc", "splunk", "TA-teredown", "default")
TRANSACTION = "teredown:transaction"
ELSEWHERE = {"address", "cut"} # where clients are not addresses, and of long records in syslog


def stanzas(name):
    """Splunk's .conf: as an INI file, but for interpolation, and keys keep their case. A stanza or key that comes twice is an error."""
    parser = configparser.ConfigParser(strict=True, interpolation=None, delimiters=("=",), comment_prefixes=("#",), default_section="default")
    parser.optionxform = str
    with open(os.path.join(ADDON, name + ".conf")) as conf:
        parser.read_file(conf)
    return {section: dict(parser[section]) for section in parser.sections()}


def paths(value, prefix=""):
    """The field names that Splunk gives a JSON value: "a.b", and "list{}" for the members of a list."""
    if isinstance(value, dict):
        return {path for name, below in value.items() for path in paths(below, prefix + "." + name if prefix else name)}
    if isinstance(value, list):
        return {path for below in value for path in paths(below, prefix + "{}")}
    return {prefix}


@pytest.fixture
def records(teredown, nsd):
    """Watched, cached, blocked and truthful answers, with the lines they stand in."""
    daemon = teredown(nsd.endpoint, query_log="all", mode="watch")
    for name in ("teredo.ipv6.microsoft.com", "teredo.ipv6.microsoft.com", "www.example.org"):
        daemon.ask(name)
    for name in ("tunnel.example.org", "sixtofour.example.org"):
        daemon.ask(name, "AAAA")
    daemon.run("block", "on")
    daemon.ask("teredo.ipv6.microsoft.com")
    until(lambda: any(record["action"] == "block" for record in daemon.records()), "the last record")
    with open(daemon.query_log, encoding="utf-8") as log:
        return list(zip(daemon.records(), log.read().splitlines()))


def test_splunk_fields(records):
    props = stanzas("props")[TRANSACTION]
    known = set().union(*(paths(record) for record, _ in records))
    for key, value in props.items():
        if key.startswith("FIELDALIAS-"):
            source, target = re.fullmatch(r"(\S+) AS (\w+)", value).groups()
            assert source in known, key
            assert target not in known or target == source, "%s hides a field of the record" % key
        if key.startswith("EVAL-"):
            for source in re.findall(r"'([^']+)'", value):
                assert source in known, key


def test_splunk_time(records):
    props = stanzas("props")[TRANSACTION]
    for record, line in records:
        begin = re.match(props["TIME_PREFIX"], line)
        text = line[begin.end():begin.end() + int(props["MAX_TIMESTAMP_LOOKAHEAD"])].split('"')[0]
        layout = props["TIME_FORMAT"].replace("%6N", "%f").replace("%Z", "%z")
        told = datetime.datetime.strptime(text, layout)
        assert text == record["ts"]
        assert abs((datetime.datetime.now(datetime.timezone.utc) - told).total_seconds()) < 120


def test_splunk_record_in_syslog(records):
    """The header of a syslog daemon goes, what is no record stays as it is."""
    rules = stanzas("transforms")
    body, sourcetype = re.compile(rules["teredown_body"]["REGEX"]), re.compile(rules["teredown_sourcetype"]["REGEX"])
    assert rules["teredown_sourcetype"]["FORMAT"] == "sourcetype::" + TRANSACTION
    for _, line in records:
        raw = body.search("<30>Nov 21 20:52:11 gw1 teredownd[811]: " + line).group(1)
        assert raw == line and sourcetype.search(raw)
    assert body.search("<30>Nov 21 20:52:11 gw1 teredownd[811]: teredownd: info: ready") is None
    used = stanzas("props")["teredown:syslog"]["TRANSFORMS-teredown"]
    assert [name.strip() for name in used.split(",")] == list(rules)


def test_splunk_names_that_lead_somewhere():
    """Tags stand on event types that exist, searches on macros that exist."""
    types, macros = stanzas("eventtypes"), stanzas("macros")
    assert set(stanzas("tags")) == {"eventtype=" + name for name in types}
    searches = stanzas("savedsearches")
    assert len(searches) == 3
    for name, search in searches.items():
        used = re.findall(r"`(\w+)`", search["search"])
        assert set(used) <= set(macros), name
        assert set(re.findall(r"eventtype=(\w+)", search["search"])) <= set(types), name
        assert search["search"].count("[") == search["search"].count("]"), name
    with open(os.path.join(harness.SOURCE, "doc", "siem.md"), encoding="utf-8") as page:
        text = page.read()
    assert all("| %s |" % name in text for name in searches)


def test_elastic_table(records):
    """Each field of a record has its row, each row is of a field."""
    known = {name for record, _ in records for name in record} | ELSEWHERE
    with open(os.path.join(harness.SOURCE, "doc", "siem.md"), encoding="utf-8") as page:
        rows = re.findall(r"^\| `(\w+)` \| `", page.read(), re.MULTILINE)
    assert sorted(rows) == sorted(known)
