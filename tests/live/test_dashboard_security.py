# SPDX-License-Identifier: BSD-3-Clause
"""Who may read and who may change by the dashboard: nothing without a session, its CSRF token and a page of ours; what is hostile is refused; what
was changed stands in a journal."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import stat
import subprocess

import pytest

import dashboard
import harness
import test_dashboard
from harness import key, until

TEREDO = "teredo.ipv6.microsoft.com"
# Each path that changes something, with a body that would.
CHANGES = [("POST", "policy/mode", {"mode": "block"}), ("POST", "policy/reset", {}), ("POST", "policy/refresh", {}),
    ("POST", "cache/flush", {"name": "www.example.com"}), ("POST", "reload", {}), ("DELETE", "session", None)]
JOURNALS = ("dashboard-changes.jsonl", "dashboard-refused.jsonl")


def problem(reply, status):
    assert reply.status == status and reply.headers["content-type"] == "application/problem+json", reply
    return reply.json()["detail"]


class Site:
    """A daemon on NSD, a Redis, and a dashboard beside it that nobody has signed in to."""

    def __init__(self, nsd, redis=None, **options):
        self.folder = harness.Folder()
        self.daemon = harness.Teredown(self.folder.path, nsd.endpoint, redis=redis.url if redis else "off")
        self.daemon.start()
        self.board = dashboard.Dashboard(self.folder.path, self.daemon, **{"dashboard_reading": "token", **options}).start()

    def close(self):
        status = self.board.stop()
        self.daemon.stop()
        log = self.board.log()
        self.folder.remove()
        assert status == 0 and not harness.SANITIZER.search(log), log

    def state(self, name):
        return os.path.join(self.daemon.state, name)

    def modes(self):
        return [(zone["zone"], zone["mode"]) for zone in self.daemon.json("mode")["zones"]]

    def journal(self):
        rows = []
        for name in JOURNALS:
            if os.path.exists(self.state(name)):
                with open(self.state(name)) as file:
                    rows += [json.loads(line) for line in file]
        return rows

    def post(self, path, body, headers=None):
        return self.board.request("POST", "/api/v1/" + path, body, headers)


@pytest.fixture(scope="module")
def site(nsd):
    site = Site(nsd)
    yield site
    site.close()


@pytest.fixture
def sites(nsd):
    """A function that makes a site; its end is checked."""
    started = []

    def start(redis=None, **options):
        started.append(Site(nsd, redis, **options))
        return started[-1]
    yield start
    for site in started:
        site.close()


@pytest.fixture
def board(site):
    """Signed in, as nobody else is."""
    site.board.cookie = site.board.csrf = None
    site.board.sign_in()
    return site.board


def new_session(site):
    """Another session: its cookie and CSRF token."""
    reply = site.board.request("POST", "/api/v1/session", {"token": site.board.token()}, {"Cookie": ""})
    assert reply.status == 200, reply
    return reply.headers["set-cookie"].split(";")[0], reply.json()["csrf"]


def test_nothing_without_a_session(site):
    site.board.cookie = site.board.csrf = None
    before = site.modes()
    session = site.board.get("session")
    assert session["signed_in"] is False and session["csrf"] is None and session["expires"] is None and session["reading"] == "token"
    assert site.board.get("openapi.json")["paths"] and site.board.request("GET", "/").status == 200
    paths = [path for path, methods in site.board.get("openapi.json")["paths"].items() if path.startswith("/api/v1/") and "get" in methods and "{" not in path]
    for path in set(paths) - {"/api/v1/session", "/api/v1/openapi.json"}:
        assert site.board.request("GET", path).status == 401, path
        assert site.board.request("HEAD", path).status == 401, path
    for method, path, body in CHANGES:
        for cookie in (None, "teredown_session=", "teredown_session=" + "0" * 64, "teredown_session=" + "A" * 5000, "x"):
            headers = {"X-CSRF-Token": "0" * 64, **({"Cookie": cookie} if cookie else {})}
            assert problem(site.board.request(method, "/api/v1/" + path, body, headers), 401) == "sign in first"
    assert site.modes() == before
    # What the loop refused is written a moment later.
    until(lambda: any(row["what"].get("path") == "/api/v1/policy/mode" and row["result"] == "refused" for row in site.journal()), "the refusals are noted")


def test_nothing_without_csrf_or_from_elsewhere(site, board):
    other_cookie, other_csrf = new_session(site)
    before, host = site.modes(), "127.0.0.1:%d" % board.port
    wrong = [({"X-CSRF-Token": ""}, 403), ({"X-CSRF-Token": other_csrf}, 403), ({"Cookie": other_cookie}, 403),
        ({"X-CSRF-Token": board.cookie.split("=")[1]}, 403), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403), ({"Origin": "http://%s.evil.example" % host}, 403), ({"Referer": "http://evil.example/" + host}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403), ({"Host": "evil.example"}, 421)]
    for method, path, body in CHANGES:
        for headers, status in wrong:
            problem(board.request(method, "/api/v1/" + path, body, headers), status)
        for content in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            if method == "POST":
                problem(board.request(method, "/api/v1/" + path, body, {"Content-Type": content}), 415)
        status = board.request("GET", "/api/v1/" + path + "?mode=block", None, {"X-CSRF-Token": board.csrf}).status
        assert status in (400, 405), path # a GET changes nothing
    # Somebody else's page cannot sign a browser in either.
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Content-Type": "text/plain"}):
        assert site.post("session", json.dumps({"token": board.token()}), {"Content-Type": "application/json", **headers}).status in (403, 415)
    assert site.modes() == before and board.get("session")["signed_in"]
    right = {"Origin": "http://" + host, "Sec-Fetch-Site": "same-origin", "Referer": "http://%s/policy" % host}
    assert site.post("policy/mode", {"mode": "watch"}, right).status == 200


def test_changes(site, board):
    daemon = site.daemon
    assert harness.rcode_of(daemon.ask(TEREDO)) == "NOERROR"
    reply = site.post("policy/mode", {"mode": "block", "zone": "teredo", "group": None, "seconds": 3600})
    assert reply.status == 200 and reply.json()["changed"] == [{"zone": "teredo", "from": "watch", "to": "block"}], reply
    assert reply.json()["until"] and reply.json()["changes"][0] == "teredo: watch -> block", reply.json()
    assert reply.json()["changes"][1].startswith("For all clients, until 2"), reply.json()
    assert harness.rcode_of(daemon.ask(TEREDO)) == "NXDOMAIN"
    assert "dashboard from 127.0.0.1 (" in daemon.run("mode") and "command of" not in daemon.run("mode")
    set_by = next(zone for zone in daemon.json("mode")["zones"] if zone["zone"] == "teredo")
    assert (set_by["via"], set_by["address"]) == ("dashboard", "127.0.0.1")
    assert next(zone for zone in board.get("policy")["zones"] if zone["zone"] == "teredo")["via"] == "dashboard/127.0.0.1"
    assert site.post("policy/mode", {"mode": "block", "zone": "teredo", "seconds": 3600}).json()["changed"] == []
    assert site.post("policy/reset", {}).json()["changed"] == [{"zone": "teredo", "from": "block", "to": "watch"}]
    assert harness.rcode_of(daemon.ask(TEREDO)) == "NOERROR"
    assert site.post("policy/reset", {"zone": "teredo"}).json()["changes"] == ["Nothing to take back: the modes are as configured."]
    assert site.post("cache/flush", {"name": TEREDO}).json()["entries"] == 1
    assert site.post("cache/flush", {"name": "microsoft.com", "suffix": True}).json()["changes"][0].startswith("Flushed: ")
    assert site.post("policy/refresh", {}).json()["asked"] == 0
    assert site.post("reload", {}).json()["changes"][0].startswith("Reloaded: ")
    for path, body in (("policy/mode", {"mode": "block", "zone": "no-such"}), ("policy/mode", {"mode": "block", "group": "no-such"}), ("policy/refresh", {"zone": "teredo"})):
        assert problem(site.post(path, body), 422).startswith("teredownd says: "), path

    rows = board.get("changes?limit=20")["rows"]
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
    done = [row["what"] for row in rows if row["result"] == "done"]
    assert {"request": "policy/mode", "mode": "block", "zone": "teredo", "group": None, "seconds": 3600} in done
    assert {"request": "cache/flush", "name": "microsoft.com.", "suffix": True} in done and {"request": "reload"} in done
    assert rows[0]["result"] == "refused" and rows[0]["from"] == "127.0.0.1" and "no such zone" in rows[0]["words"]
    assert len(board.get("changes?limit=2")["rows"]) == 2
    for limit in ("0", "1001", "-1", "x", "1e3"):
        problem(board.request("GET", "/api/v1/changes?limit=" + limit), 400)
    assert "via dashboard from 127.0.0.1" in daemon.log()
    for name in JOURNALS:
        assert not os.path.exists(site.state(name)) or stat.S_IMODE(os.stat(site.state(name)).st_mode) == 0o600


def test_answers_fit_their_description(site, board):
    import test_dashboard_api # skips without jsonschema
    description = test_dashboard_api.Description(board)

    def fits(method, path, reply, status=200):
        responses = description.document["paths"]["/api/v1/" + path][method.lower()]["responses"]
        assert reply.status == status and str(status) in responses, (method, path, reply)
        for content in description.follow(responses[str(status)])["content"].values():
            assert not description.faults(content["schema"], reply.json()), (method, path, reply)
            assert not set(reply.json()) - description.members(content["schema"]), (path, reply)
    fits("GET", "session", board.request("GET", "/api/v1/session"))
    fits("POST", "session", board.sign_in())
    for path, body in (("policy/mode", {"mode": "block", "seconds": 60}), ("policy/mode", {"mode": "watch", "zone": "6to4", "group": None, "seconds": None}),
            ("policy/reset", {"zone": None}), ("policy/refresh", {"zone": None}), ("cache/flush", {"name": "example.com", "suffix": False}), ("reload", {})):
        schema = description.document["paths"]["/api/v1/" + path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert not description.faults(schema, body), (path, body)
        fits("POST", path, site.post(path, body))
        fits("POST", path, site.post(path, {"x": 1}), 400)
    fits("POST", "policy/mode", site.post("policy/mode", {"mode": "block", "zone": "no-such"}), 422)
    fits("GET", "changes", board.request("GET", "/api/v1/changes"))
    fits("DELETE", "session", board.request("DELETE", "/api/v1/session"))
    fits("POST", "policy/mode", site.post("policy/mode", {"mode": "block"}), 401)
    fits("GET", "changes", board.request("GET", "/api/v1/changes"), 401)


NESTED = b'{"mode":' + b"[" * 4000 + b"]" * 4000 + b"}"
HOSTILE = [b"", b"{", b"null", b"[]", b'"mode"', b"1", b'{"mode":"block"} {}', b'{"mode":"block","mode":"watch"}', b'{"mode":1}', b'{"mode":["block"]}',
    b'{"mode":{"a":1}}', b'{"mode":"block","seconds":"60"}', b'{"mode":"block","seconds":0}', b'{"mode":"block","seconds":-1}', b'{"mode":"block","seconds":1.5}',
    b'{"mode":"block","seconds":99999999999999999999}', b'{"mode":"block","seconds":31622401}', b'{"mode":"block","second":60}', b'{"mode":"Block"}', b'{"mode":"reset"}',
    b'{"mode":"block "}', b'{"mode":"block\\u0000"}', b'{"mode":"bl\0ock"}', b'{"mode":"\xff"}', b'{"mode":"block","zone":""}', b'{"mode":"block","zone":"*"}',
    b'{"mode":"block","zone":"teredo group"}', b'{"mode":"block","zone":"teredo\\nreload"}', b'{"mode":"block","zone":"../modes"}', b'{"mode":"block","zone":"via=a/b"}',
    b'{"mode":"block","zone":"%s"}' % (b"a" * 255), b'{"mode":"block","zone":"<script>alert(1)</script>"}', b'{"mode":"block","zone":"\xe2\x80\xaeoderet"}',
    b'{"mode":"block","zone":true}', b'{"mode":"block","group":7}', b'{"mode":"block","zone":"TEREDO"}', NESTED, b"[" * 8000]


def test_hostile_bodies(site, board):
    before = site.modes()
    for body in HOSTILE:
        detail = problem(site.post("policy/mode", body, {"Content-Type": "application/json"}), 400)
        assert all(" " <= c < "\x7f" for c in detail), (body, detail)
    for body in (b'{"name":1}', b'{"name":""}', b'{"name":"a b"}', b'{"name":"%s"}' % (b"a" * 64), b'{"name":"%s"}' % (b"a." * 128), b'{"name":"a..b"}', b'{"suffix":true}',
            b'{"name":"a","suffix":"yes"}', b'{"name":"a","all":true}', b'{"name":"a\\\\300"}'):
        problem(site.post("cache/flush", body, {"Content-Type": "application/json"}), 400)
    problem(site.post("reload", b'{"force":true}', {"Content-Type": "application/json"}), 400)
    assert site.post("policy/mode", b'{"mode":"watch"}' + b" " * 9000, {"Content-Type": "application/json"}).status == 413
    # A name of 255 octets is one, whatever is in it.
    longest = ".".join(["a" * 63] * 3 + ["\\000" + "b" * 60])
    assert site.post("cache/flush", {"name": longest}).json()["entries"] == 0
    problem(site.post("cache/flush", {"name": longest + "b"}), 400)
    assert site.modes() == before
    for path in ("/..%2f..%2fdashboard.token", "/../dashboard.token", "/%2e%2e/dashboard.token", "/dashboard.token", "//etc/passwd", "/api/v1/../../dashboard.token",
            "/app.css/../../x", "/app.css%00.js", "/....//app.css", "/web/app.css", "/app.css/"):
        reply = board.request("GET", path)
        assert reply.status in (400, 404) and b"$y$" not in reply.body, (path, reply)


def test_cookie_and_end_of_a_session(site, board):
    reply = board.sign_in()
    cookie = reply.headers["set-cookie"]
    name, flags = cookie.split(";", 1)
    assert name.startswith("teredown_session=") and len(name) == 17 + 64
    assert {flag.strip() for flag in flags.split(";")} == {"Path=/", "HttpOnly", "SameSite=Strict"}, "no domain, no end of its own"
    assert reply.headers["cache-control"] == "no-store"
    kept, csrf = new_session(site)
    assert board.get("session")["csrf"] == board.csrf != csrf and board.get("session")["expires"] > board.get("session")["time"]
    # Signing in again ends the session that the browser had.
    old = board.cookie
    board.sign_in()
    assert board.get("session", headers={"Cookie": old})["signed_in"] is False
    reply = board.request("DELETE", "/api/v1/session")
    assert reply.status == 200 and reply.json()["signed_in"] is False and "Max-Age=0" in reply.headers["set-cookie"]
    assert board.get("session")["signed_in"] is False
    problem(site.post("policy/mode", {"mode": "block"}), 401)
    assert board.get("session", headers={"Cookie": kept})["signed_in"], "the other one goes on"


def test_token_nowhere(sites, redis_server):
    """Shown once; in no argument, log, journal, file or Redis. A restart and --new-token end sessions; a damaged file is told of."""
    site = sites(redis_server)
    board, token = site.board, site.board.token()
    with open(site.state("dashboard.token")) as file:
        form, hashed = file.read().splitlines()
    assert hashed.startswith("$y$") and stat.S_IMODE(os.stat(site.state("dashboard.token")).st_mode) == 0o600
    problem(site.post("session", {"token": token[:-1] + "a" if token[-1] != "a" else token[:-1] + "q"}), 401)
    board.sign_in(token.upper())
    assert site.post("policy/mode", {"mode": "block", "zone": "teredo"}).status == 200
    until(lambda: any("via dashboard from 127.0.0.1" in "".join(fields.values()) for _, fields in redis_server.client().xrange(key("events"))), "the event names the dashboard")
    assert "via dashboard from 127.0.0.1" in site.daemon.run("tail", "--events", "--once")

    # A new token: every session has ended when the command has.
    new = site.daemon.json("dashboard", "--new-token")["token"]
    assert new != token
    problem(site.post("policy/mode", {"mode": "watch", "zone": "teredo"}), 401)
    assert ("teredo", "block") in site.modes()
    assert board.get("session")["signed_in"] is False
    problem(site.post("session", {"token": token}), 401)
    board.sign_in(new)
    assert [row["what"] for row in board.get("changes")["rows"] if row["result"] == "done"][1] == {"request": "new-token"}

    secrets = [token, new, board.cookie.split("=")[1], board.csrf]
    with open("/proc/%d/cmdline" % board.pid) as file:
        assert not any(secret in file.read() for secret in secrets)
    board.stop()
    assert board.log().count(token) == 1, "on the standard output, once"
    places = [site.daemon.log(), board.log().replace(token, "", 1)]
    # Redis has in its folder each command that it was sent.
    for folder, _, names in [*os.walk(site.folder.path), *os.walk(redis_server.folder)]:
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and name != "dashboard.log":
                with open(path, "rb") as file:
                    places.append(file.read().decode("latin-1"))
    assert any("via dashboard" in place and "XADD" in place.upper() for place in places), "the append-only file was looked at"
    assert not [(secret, place[:80]) for secret in secrets for place in places if secret in place]

    board.start()
    assert board.log().count("The token of the dashboard") == 1 and board.get("session")["signed_in"] is False
    board.sign_in(new)
    board.stop()
    with open(site.state("dashboard.token"), "w") as file:
        file.write(form + "\n$y$j9T$\n")
    ended = subprocess.run(board.argv, capture_output=True, text=True, timeout=harness.DEADLINE_S)
    assert ended.returncode == 1 and "dashboard.token is damaged" in ended.stderr and "--new-token" in ended.stderr, ended
    assert "is damaged" not in site.daemon.run("dashboard", "--new-token")
    board.start()


def test_tries_to_sign_in(sites):
    """From one network five at once, then each has to wait longer; what is looked at is written down, never the token."""
    site = sites()
    board, right = site.board, site.board.token()
    wrong = "a" * 52
    for token in (wrong, "", "short", "x" * 256, wrong):
        detail = problem(site.post("session", {"token": token} if token else {"token": wrong}), 401)
        assert detail == "this is not the token of this dashboard"
    reply = site.post("session", {"token": right})
    assert "too many tries" in problem(reply, 429) and int(reply.headers["retry-after"]) >= 1 and "set-cookie" not in reply.headers

    def signed_in():
        with contextlib.suppress(harness.Failure):
            return board.sign_in(right)
    until(signed_in, "the wait is over", interval_s=0.2)
    rows = [row for row in site.journal() if row["what"] == {"request": "sign-in"}]
    assert [row["result"] for row in rows].count("refused") == 5 and [row["result"] for row in rows].count("done") == 1
    assert wrong not in repr(site.journal()) + board.log()
    figures = board.get("health")["dashboard"]
    assert figures["wrong_tokens"] == 5 and figures["sign_ins_turned_away"] >= 1 and figures["sessions"] == 1 and figures["changes_refused"] == 0
    assert "\nteredown_dashboard_wrong_tokens_total 5\n" in board.request("GET", "/metrics").body.decode()
    for token in (7, None, ["x"], {}, "x" * 257, "a b", "a\u0000"):
        problem(site.post("session", {"token": token}), 400)


def test_reading_open_and_a_torn_journal(sites):
    """Open reading is reading only, and not of the journal. Half a line of a crash is passed over. A daemon that is away is told of, and noted."""
    site = sites(dashboard_reading="open")
    board = site.board
    assert board.get("session")["reading"] == "open"
    problem(board.request("GET", "/api/v1/changes"), 401)
    problem(site.post("policy/mode", {"mode": "block"}, {"X-CSRF-Token": "0" * 64}), 401)
    board.sign_in()
    assert site.post("policy/mode", {"mode": "block"}).status == 200
    with open(site.state(JOURNALS[0]), "a") as file:
        file.write('{"time":"2026-11-22T10:00:00.0')
    board.stop()
    board.start()
    board.sign_in()
    assert site.post("policy/mode", {"mode": "watch"}).status == 200
    rows = [row for row in board.get("changes")["rows"] if row["result"] == "done"]
    assert [row["what"].get("mode") for row in rows] == ["watch", None, "block", None]
    site.daemon.stop()
    assert "teredownd is not running" in problem(site.post("policy/mode", {"mode": "block"}), 503)
    assert board.get("changes?limit=1")["rows"][0]["result"] == "failed"
    # Where it cannot be written, the change is made, and its answer says so.
    site.daemon.start()
    os.rename(site.state(JOURNALS[0]), site.state("away"))
    os.mkdir(site.state(JOURNALS[0]))
    assert "journal of changes cannot be written" in site.post("policy/mode", {"mode": "block"}).json()["changes"][-1]
    assert '"mode":"block"' in board.log()
    os.rmdir(site.state(JOURNALS[0]))


def until_ended(stream, what):
    """Reads a stream until the other side ends it."""
    def ended():
        try:
            stream.next()
        except (harness.Failure, OSError, http.client.HTTPException):
            return True
    until(ended, what, interval_s=0)
    stream.close()


def test_streams_end_with_their_session(sites):
    """What was opened with a session goes on as long as that, and no longer; another one goes on."""
    site = sites()
    board = site.board
    problem(board.request("GET", "/api/v1/live"), 401)
    board.sign_in()
    first = dashboard.Stream(board)
    cookie, csrf = new_session(site)
    assert first.next()[0] == "overview"
    kept, board.cookie = board.cookie, cookie
    second = dashboard.Stream(board)
    assert second.next()[0] == "overview"
    board.cookie = kept
    assert board.request("DELETE", "/api/v1/session").status == 200
    until_ended(first, "who has signed out is told nothing more")
    assert second.next()[0] == "overview"
    site.daemon.run("dashboard", "--new-token")
    until_ended(second, "an old token is worth nothing")


def test_cookie_with_tls(folder):
    """Sent over TLS only, set by nobody else; and the page's address is https."""
    certificate, key = test_dashboard.make_certificate(folder.path)
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon, dashboard_reading="token", dashboard_certificate=certificate, dashboard_key=key)
    context = ssl._create_unverified_context()
    board.connect = lambda timeout_s=20: http.client.HTTPSConnection("127.0.0.1", board.port, timeout=timeout_s, context=context)
    board.start()
    try:
        assert "Sign in with it at https://127.0.0.1:%d/ to read" % board.port in board.log()
        reply = board.sign_in()
        name, flags = reply.headers["set-cookie"].split(";", 1)
        assert name.startswith("__Host-teredown_session=") and {flag.strip() for flag in flags.split(";")} == {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"}
        assert board.get("session")["signed_in"]
        assert board.get("session", headers={"Cookie": board.cookie.replace("__Host-", "")})["signed_in"] is False
        host = "127.0.0.1:%d" % board.port
        problem(board.request("POST", "/api/v1/reload", {}, {"Origin": "http://" + host}), 403)
        problem(board.request("POST", "/api/v1/reload", {}, {"Origin": "https://" + host}), 503)
    finally:
        assert board.stop() == 0 and not harness.SANITIZER.search(board.log()), board.log()


def test_no_token_in_the_systems_journal(nsd):
    """Where the standard output is a socket, as under systemd, no token is made: it would be kept there."""
    folder = harness.Folder()
    daemon = harness.Teredown(folder.path, nsd.endpoint, redis="off")
    board = dashboard.Dashboard(folder.path, daemon, dashboard_reading="token")
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(board.argv, stdout=theirs, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: board.request("GET", "/healthz").status == 200, "the dashboard answers")
        assert not os.path.exists(os.path.join(daemon.state, "dashboard.token"))
        assert "--new-token" in problem(board.request("POST", "/api/v1/session", {"token": "a" * 52}), 503)
        token = daemon.json("dashboard", "--new-token")["token"]
        board.sign_in(token)
    finally:
        process.terminate()
        words = process.communicate(timeout=harness.DEADLINE_S)[1]
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        ours.close(), theirs.close()
        folder.remove()
    assert "there is no token yet" in words and token not in words and process.returncode == 0, words
