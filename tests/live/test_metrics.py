# SPDX-License-Identifier: BSD-3-Clause
"""/metrics, and what is made for Prometheus and Grafana out of it and out of Redis (doc/grafana): every format checked by promtool, every query of the
dashboards and rules run against the real servers."""

import glob
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import harness
from dashboard import Dashboard
from harness import key, until
from story import HOSTS, Story

GRAFANA = os.path.join(harness.SOURCE, "doc", "grafana")
TEREDO = "teredo.ipv6.microsoft.com"
SAMPLE = re.compile(r'^([a-z_:]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Samples:
    """The samples of a text, after promtool has nothing to say against it."""

    def __init__(self, text):
        done = subprocess.run([harness.find("promtool"), "check", "metrics"], input=text, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
        self.rows = []
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                self.rows.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def all(self, name, **labels):
        return [(given, value) for found, given, value in self.rows if found == name and labels.items() <= given.items()]

    def __call__(self, name, **labels):
        found = self.all(name, **labels)
        assert len(found) == 1, (name, labels, found)
        return found[0][1]


@pytest.fixture
def boards(folder):
    """A function that starts a dashboard beside a daemon."""
    started = []

    def start(daemon, **options):
        started.append(Dashboard(folder.path, daemon, name="dashboard%d" % len(started), **options))
        return started[-1].start()
    yield start
    for board in started:
        board.stop()


def samples(board, path="/metrics"):
    reply = board.request("GET", path)
    assert reply.status == 200 and reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", reply
    return Samples(reply.body.decode())


def test_metrics(teredown, nsd, boards, need, redis_server):
    """What one resolver says, and what remains of it when its daemon, and then its Redis, is away."""
    need("promtool")
    daemon = teredown(nsd.endpoint, redis=redis_server.url)
    for host in range(1, 5):
        for _ in range(host):
            daemon.ask(TEREDO, source="127.0.71.%d" % host)
    daemon.ask("www.example.org", tcp=True)
    daemon.run("block", "on")
    daemon.ask(TEREDO, source="127.0.71.9")
    daemon.until_counted(12)
    board = boards(daemon, dashboard_metrics_clients=2)
    status, said = daemon.status(), samples(board)
    assert said("teredown_daemon_up") == said("teredown_redis_up") == said("teredown_redis_connected") == 1
    assert said("teredown_answered_total") == status["answered"] == sum(
        value for _, value in said.all("teredown_answer_duration_seconds_count"))
    for name in ("cached", "forwarded"):
        buckets = [value for _, value in said.all("teredown_answer_duration_seconds_bucket", **{"class": name})]
        assert buckets == sorted(buckets) and buckets[-1] == status["latency_" + name]["count"]
    recorded = said("teredown_recorded_queries_total")
    assert recorded == status["answered"] == sum(value for _, value in said.all("teredown_queries_total")) \
        == sum(value for _, value in said.all("teredown_outcomes_total"))
    assert (said("teredown_watched_total"), said("teredown_blocked_total"), said("teredown_tcp_queries_total")) == (10, 1, 1)
    assert said("teredown_events_total", kind="new-client") == 5 and said("teredown_events_total", kind="mode") >= 1
    assert said("teredown_zone_hits_total", zone="teredo") == 11 and said("teredown_zone_info", zone="teredo", mode="block") == 1
    assert {labels["client"]: value for labels, value in said.all("teredown_client_hits", zone="teredo")} == {
        "127.0.71.4": 4, "127.0.71.3": 3, "*other": 4}
    last = dict((labels["client"], value) for labels, value in said.all("teredown_client_last_hit_timestamp_seconds"))
    assert set(last) == {"127.0.71.9", "127.0.71.4"} and all(abs(value - time.time()) < 300 for value in last.values())
    assert [labels["client"] for labels, _ in said.all("teredown_client_told_teredo_timestamp_seconds")] == ["127.0.71.4"]
    assert said("teredown_upstream_info", server=nsd.endpoint, state="ok") == 1
    assert board.request("GET", "/metrics?resolver=a%20b").status == 400

    nobody = samples(boards(daemon, dashboard_metrics_clients=0))
    assert not nobody.all("teredown_client_hits") and not nobody.all("teredown_client_last_hit_timestamp_seconds")
    assert nobody("teredown_zone_hits_total", zone="teredo") == 11

    redis_server.kill()
    gone = until(lambda: (lambda said: said if said("teredown_redis_up") == 0 else None)(samples(board)), "Redis is away")
    assert gone("teredown_daemon_up") == 1 and gone("teredown_answered_total") >= 12 and not gone.all("teredown_queries_total")
    redis_server.start()
    until(lambda: samples(board)("teredown_redis_up") == 1, "Redis is back")
    daemon.stop()
    gone = samples(board)
    assert gone("teredown_daemon_up") == 0


def test_metrics_of_a_fleet(redis_server, teredown, nsd, boards, need):
    """Each resolver under its own label, also those whose daemons are not beside us; a restart takes nothing back."""
    need("promtool")
    first = teredown(nsd.endpoint, redis=redis_server.url, resolver_name="gw1")
    second = teredown(nsd.endpoint, redis=redis_server.url, resolver_name="gw2")
    board = boards(first, fleet=True)
    for daemon, queries in ((first, 2), (second, 5)):
        for _ in range(queries):
            daemon.ask(TEREDO, source="127.0.72.1")
    second.until_counted(5)
    first.until_counted(2)
    said = samples(board)
    assert said("teredown_daemon_up", resolver="gw1") == said("teredown_daemon_up", resolver="gw2") == 1
    assert (said("teredown_zone_hits_total", resolver="gw1", zone="teredo"), said("teredown_zone_hits_total", resolver="gw2", zone="teredo")) == (2, 5)
    assert not samples(board, "/metrics?resolver=gw2").all("teredown_daemon_up", resolver="gw1")
    second.stop()  # and leaves its gauges
    said = samples(board)
    assert said("teredown_daemon_up", resolver="gw2") == 0 and said("teredown_watched_total", resolver="gw2") == 5
    assert sum(value for _, value in said.all("teredown_answer_duration_seconds_count", resolver="gw2")) == said("teredown_answered_total", resolver="gw2")
    second.start()
    second.ask(TEREDO, source="127.0.72.1")
    until(lambda: samples(board)("teredown_watched_total", resolver="gw2") == 6, "one more is counted")


# --- doc/grafana ---

def dashboard_file(name):
    with open(os.path.join(GRAFANA, name)) as file:
        return json.load(file)


def targets_of(board):
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel, target


def test_grafana_files():
    """What an import looks at: the data source that it asks for is the one that all panels use, ids are there once, nothing overlaps."""
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(GRAFANA, "*.json")))
    assert names == ["teredown-prometheus.json", "teredown-redis.json"]
    for name in names:
        board = dashboard_file(name)
        wanted, = board["__inputs"]
        assert wanted["type"] == "datasource" and board["schemaVersion"] == 39
        uid = "${%s}" % wanted["name"]
        places, ids = set(), [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        for panel in board["panels"]:
            grid = panel["gridPos"]
            cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
            assert grid["x"] + grid["w"] <= 24 and not places & cells, panel["title"]
            places |= cells
        for panel, target in targets_of(board):
            assert target["datasource"] == panel["datasource"] == {"type": wanted["pluginId"], "uid": uid}, panel["title"]
        assert board["templating"]["list"][0]["datasource"]["uid"] == uid


def test_alert_rules(need):
    promtool = need("promtool")
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts-test.yml"]):
        done = subprocess.run([promtool] + words, cwd=GRAFANA, capture_output=True, text=True)
        assert done.returncode == 0 and "FAILED" not in done.stdout, done.stdout + done.stderr
    with open(os.path.join(GRAFANA, "alerts.yml")) as rules, open(os.path.join(GRAFANA, "alerts-test.yml")) as tests:
        named = set(re.findall(r"alert: (\w+)", rules.read()))
        assert named == set(re.findall(r"alertname: (\w+)", tests.read()))


class Prometheus(harness.Process):
    """Debian's, on a port of its own, with data in the folder; scrapes one dashboard each second."""

    def __init__(self, folder, program, board):
        self.port = harness.free_port()
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as out:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [os.path.join(GRAFANA, "alerts.yml")],
                "scrape_configs": [{"job_name": "teredown", "static_configs": [{"targets": ["127.0.0.1:%d" % board.port]}]}]}, out)
        super().__init__("prometheus", [program, "--config.file=" + config, "--storage.tsdb.path=" + os.path.join(folder, "tsdb"),
            "--web.listen-address=127.0.0.1:%d" % self.port, "--log.level=error"], folder)

    def start(self):
        super().start()
        ready = "http://127.0.0.1:%d/-/ready" % self.port
        self.until(lambda: subprocess.run(["curl", "-fs", ready], stdout=subprocess.DEVNULL).returncode == 0, "prometheus is ready", 60)
        return self

    def get(self, path, **parameters):
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (self.port, path, urllib.parse.urlencode(parameters))
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            raise harness.Failure("%s: %s" % (url, error.read())) from None
        assert answer["status"] == "success" and not answer.get("warnings"), (path, parameters, answer)
        return answer["data"]

    def result(self, expression):
        return self.get("query", query=expression)["result"]


class ShortStory(Story):
    BLOCKS, PERIOD_S, STEPS = 2, 300, 4


# Of these nothing is to be seen where all is well.
MAY_BE_EMPTY = {"teredown_redis_memory_max_bytes"}


def check_prometheus(prometheus, board):
    """Every query of the dashboard and of the rules gives rows."""
    prometheus.until(lambda: len(prometheus.get("query", query="count_over_time(teredown_answered_total[20s]) > 3")["result"]) == 1, "four scrapes")
    resolver = prometheus.result("teredown_daemon_up")[0]["metric"]["resolver"]
    assert prometheus.get("label/resolver/values") == [resolver]
    for panel, target in targets_of(dashboard_file("teredown-prometheus.json")):
        expression = target["expr"].replace("$resolver", resolver).replace("$__rate_interval", "10s")
        assert "$" not in expression, expression
        if not any(name in expression for name in MAY_BE_EMPTY):
            prometheus.until(lambda: prometheus.result(expression), "rows for %s: %s" % (panel["title"], expression), 20)
    groups = prometheus.get("rules")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert len(rules) == 8 and not [rule for rule in rules.values() if rule.get("lastError")]
    for rule in rules.values():
        prometheus.result(rule["query"])
    targets = prometheus.get("targets")["activeTargets"]
    assert [target["health"] for target in targets] == ["up"] and not targets[0]["lastError"]
    metadata = prometheus.get("metadata")
    for name in set(re.findall(r"teredown_[a-z_]+", json.dumps([target["expr"] for _, target in targets_of(dashboard_file("teredown-prometheus.json"))]))):
        assert re.sub("_bucket$", "", name) in metadata, name


def check_redis(store, today):
    """Each query of the dashboard over Redis, as the plugin sends it, gives rows."""
    board = dashboard_file("teredown-redis.json")
    variable = board["templating"]["list"][0]["query"]
    assert harness.RESOLVER.encode() in [name if isinstance(name, bytes) else name.encode() for name in store.execute_command(*variable.split())]

    def filled(text):
        text = text.replace("$resolver", harness.RESOLVER).replace("${__to:date:YYYYMMDD}", today)
        assert "$" not in text
        return text
    for panel, target in targets_of(board):
        name = filled(target["keyName"])
        assert target["type"] == "command" and target["query"] == ""
        if target["command"] == "xrange":  # without a start and an end it is the time range
            end = int(time.time() * 1000)
            rows = store.execute_command("XRANGE", name, end - 7 * 86400000, end)
        elif target["command"] == "xrevrange":
            rows = store.execute_command("XREVRANGE", name, target["start"], target["end"], "COUNT", target["count"])
        elif target["command"] == "zrange":
            rows = store.execute_command("ZRANGE", name, target["min"], target["max"], *target["zrangeQuery"].split(), "WITHSCORES")
        else:
            assert target["command"] == "hmget"
            fields = target["field"].split()
            rows = [value for value in store.execute_command("HMGET", name, *fields) if value is not None]
            assert len(rows) >= len(fields) - 3 # a counter that is 0 is absent
        assert rows, (panel["title"], name)
        for conversion in [step for step in panel.get("transformations", []) if step["id"] == "convertFieldType"]:
            known = {field for _, entry in store.xrange(name) for field in entry}
            used = {entry["targetField"] for entry in conversion["options"]["conversions"]}
            assert used - known <= {"blocked", "nxdomain"}, used - known


def test_prometheus_and_grafana(folder, nsd, redis_server, need, boards):
    """The story, short; then every query of both dashboards and of the rules, and two alerts that it has to raise."""
    need("promtool")
    program = need("prometheus")
    story = ShortStory(folder, nsd.endpoint, redis_server.url)
    try:
        story.live_through()
        story.set_clock(time.time())
        board = boards(story.daemon)
        prometheus = Prometheus(folder.path, program, board).start()
        try:
            prometheus.until(lambda: prometheus.result("teredown_answered_total"), "the first scrape", 30)
            today = time.strftime("%Y%m%d", time.gmtime()) # though it may end before Redis is asked
            story.ask(next(iter(HOSTS)), TEREDO, 5)
            story.ask("127.0.73.1", TEREDO, 1)  # somebody new
            story.ask("127.0.73.1", "nosuch.example.org", 2)
            story.until_counted()
            check_prometheus(prometheus, board)
            until(lambda: {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]} >= {"TeredoClientNew", "TeredoClientTold"},
                "the new client raises alerts", 20)
            told = [alert["labels"]["client"] for alert in prometheus.get("alerts")["alerts"] if alert["labels"]["alertname"] == "TeredoClientTold"]
            assert told == ["127.0.73.1"]
        finally:
            prometheus.stop()
        check_redis(redis_server.client(), today)
    finally:
        story.daemon.stop()
