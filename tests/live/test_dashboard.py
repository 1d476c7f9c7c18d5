# SPDX-License-Identifier: BSD-3-Clause
"""`teredown dashboard`: what every request meets before a handler runs, and how it starts and ends."""

import json
import signal
import socket

import pytest

import dashboard
import harness

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "font-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def board():
    """A dashboard whose daemon does not even run."""
    folder = harness.Folder()
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon, dashboard_hosts=["dns.example"]).start()
    yield board
    status, log = board.stop(), board.log()
    folder.remove()
    assert status == 0 and not harness.SANITIZER.search(log), log


def raw(board, text):
    """Octets as they are, and all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", board.port), timeout=10) as sock:
        sock.sendall(text)
        answer = b""
        while True:
            got = sock.recv(65536)
            if not got:
                return answer
            answer += got


def problem(reply, status):
    assert reply.status == status and reply.headers["content-type"] == "application/problem+json", reply
    assert set(reply.json()) == {"type", "title", "status", "detail"} and reply.json()["status"] == status
    return reply.json()["detail"]


def test_files(board):
    page = board.request("GET", "/")
    assert page.status == 200 and b"Teredown" in page.body and page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    for path in ("/clients", "/clients/2001%3Adb8%3A%3A7", "/watch/teredo", "/address/65.55.158.118", "/policy", "/health", "/changes"):
        assert board.request("GET", path).body == page.body, path
    style = board.request("GET", "/app.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8" and style.headers["etag"].startswith('"')
    again = board.request("GET", "/app.css", headers={"If-None-Match": style.headers["etag"]})
    assert again.status == 304 and again.body == b"" and again.headers["etag"] == style.headers["etag"]
    packed = board.request("GET", "/api/v1/openapi.json", headers={"Accept-Encoding": "gzip"})
    plain = board.request("GET", "/api/v1/openapi.json", headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.body == plain.body and len(packed.raw) < len(plain.raw) and packed.headers["etag"] != plain.headers["etag"]
    assert json.loads(plain.body)["openapi"].startswith("3.1")


def test_headers(board):
    for path in ("/", "/healthz", "/app.js", "/nothing", "/api/v1/openapi.json"):
        reply = board.request("GET", path)
        for name, value in HEADERS.items():
            assert reply.headers[name] == value, (path, name)
    assert board.request("GET", "/healthz").headers["cache-control"] == "no-store"


def test_methods(board):
    head = board.request("HEAD", "/healthz")
    assert head.status == 200 and head.body == b"" and head.headers["content-length"] == "3"
    connection = board.connect()
    for _ in range(3):
        assert board.request("HEAD", "/", connection=connection).body == b""
        assert board.request("GET", "/healthz", connection=connection).body == b"ok\n"
    connection.close()
    for method, path in (("POST", "/healthz"), ("DELETE", "/app.css"), ("PUT", "/")):
        reply = board.request(method, path)
        problem(reply, 405)
        assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path, status", [
    ("/nothing", 404), ("/api/v1/", 404), ("/clients/", 404), ("//", 404), ("/etc/passwd", 404), ("/%2e%2e%2fetc%2fpasswd", 404),
    ("/../etc/passwd", 400), ("/%2e%2e/etc/passwd", 400), ("/clients/%2E%2e", 400), ("/%00", 400), ("/clients/%ff", 400), ("/%zz", 400),
    ("/healthz?colour=red", 400), ("/healthz?%00=1", 400), ("/" + "a" * 2000, 400), ("/?" + "a" * 9000, 400),
])
def test_paths(board, path, status):
    problem(board.request("GET", path), status)
    assert board.request("GET", "/healthz").status == 200


def test_stranger_is_named(board):
    assert "colour" in problem(board.request("GET", "/healthz?colour=red"), 400)


def test_host(board):
    for host, status in (("127.0.0.1:%d", 200), ("localhost:%d", 200), ("dns.example", 200), ("dns.example:443", 200),
            ("evil.example:%d", 421), ("127.0.0.1", 421), ("localhost.evil.example:%d", 421), ("127.0.0.1:%d.evil.example", 421)):
        host = host % board.port if "%d" in host else host
        reply = board.request("GET", "/healthz", headers={"Host": host})
        assert reply.status == status, (host, reply)
    none = raw(board, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert none.startswith(b"HTTP/1.1 400 ")
    both = raw(board, b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\nHost: evil.example\r\nConnection: close\r\n\r\n" % board.port)
    assert both.startswith(b"HTTP/1.1 400 ")
    proxy = raw(board, b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % board.port)
    assert proxy.startswith(b"HTTP/1.1 400 ")


def test_bounds(board):
    def status(text):
        return raw(board, text).split(b" ")[1:2]
    host = b"Host: localhost:%d\r\nConnection: close\r\n" % board.port
    assert status(b"GET /healthz HTTP/1.1\r\n" + host + b"X-Long: " + b"a" * 17000 + b"\r\n\r\n") in ([b"400"], [b"413"], [])
    assert status(b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: 9000\r\n\r\n" + b"a" * 9000) in ([b"400"], [b"413"], [])
    assert status(b"NONSENSE\r\n\r\n") in ([b"400"], [b"501"], [])
    assert board.request("GET", "/healthz").status == 200


def test_end(folder):
    """Both signals end it at once; what it says at the start is where it is open."""
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    for number in (signal.SIGTERM, signal.SIGINT):
        board = dashboard.Dashboard(folder.path, daemon).start()
        connection = board.connect()
        assert board.request("GET", "/healthz", connection=connection).status == 200
        assert "open at http://127.0.0.1:%d/" % board.port in board.log()
        assert board.stop(number, deadline_s=5) == 0
        connection.close()


def test_reload(folder):
    """SIGHUP brings new names into effect; a file with faults changes nothing."""
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon).start()
    def host(name):
        return board.request("GET", "/healthz", headers={"Host": name}).status
    assert host("new.example") == 421
    board.write_config(dashboard_hosts=["new.example"])
    board.send(signal.SIGHUP)
    board.until(lambda: host("new.example") == 200, "the new name is known")
    board.write_config(dashboard_hosts=["no name"])
    board.send(signal.SIGHUP)
    board.until(lambda: "what was in force stays" in board.log(), "the faults are told")
    assert host("new.example") == 200
    assert board.stop() == 0


def test_taken_port(folder):
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon).start()
    second = dashboard.Dashboard(folder.path, daemon, name="second", dashboard_listen=["127.0.0.1:%d" % board.port])
    harness.Process.start(second)
    assert second.wait() == 1 and "cannot listen on 127.0.0.1:%d" % board.port in second.log()
    assert board.stop() == 0
