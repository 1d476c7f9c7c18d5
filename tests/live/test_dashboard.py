# SPDX-License-Identifier: BSD-3-Clause
"""`teredown dashboard`: what every request meets before a handler runs, and how it starts and ends."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import time

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
    # Of the stream too: it ends, and nobody follows.
    head = board.request("HEAD", "/api/v1/live", connection=connection)
    assert head.status == 200 and head.headers["content-type"] == "text/event-stream"
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


def test_length_said_twice(board):
    """Nothing is left in the connection that a proxy in front would take for another's request."""
    rest = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % board.port
    for method, path, lengths in ((b"POST", b"/healthz", b"Content-Length: 5\r\nContent-Length: 6"), (b"POST", b"/healthz", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
            (b"POST", b"/%zz", b"Content-Length: 5\r\nContent-Length: 6"), (b"POST", b"/healthz", b"Transfer-Encoding: gzip, chunked"),
            (b"HEAD", b"/healthz", b"Content-Length: 5"), (b"HEAD", b"/healthz", b"Transfer-Encoding: chunked")):
        answer = raw(board, method + b" " + path + b" HTTP/1.1\r\nHost: localhost:%d\r\n%s\r\n\r\n" % (board.port, lengths) + rest)
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1, (method, path, lengths, answer)


def test_bounds(board):
    def status(text):
        return raw(board, text).split(b" ")[1:2]
    host = b"Host: localhost:%d\r\nConnection: close\r\n" % board.port
    assert status(b"GET /healthz HTTP/1.1\r\n" + host + b"X-Long: " + b"a" * 17000 + b"\r\n\r\n") in ([b"400"], [b"413"], [])
    assert status(b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: 900000\r\n\r\n" + b"a" * 9000) in ([b"400"], [b"413"], [])
    assert "8192" in problem(board.request("POST", "/healthz", body=b"a" * 9000), 413)
    assert "8192" in problem(board.request("POST", "/healthz", body=iter([b"a" * 5000, b"a" * 5000])), 413)
    assert status(b"NONSENSE\r\n\r\n") in ([b"400"], [b"501"], [])
    assert board.request("GET", "/healthz").status == 200


def test_chunk_without_end(board):
    """The length of a chunk that goes on and on is not kept until its ten seconds are over."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", board.port), timeout=9) as sock:
        sock.sendall(b"POST /healthz HTTP/1.1\r\nHost: localhost:%d\r\nTransfer-Encoding: chunked\r\n\r\n" % board.port)
        with contextlib.suppress(ConnectionError):
            for _ in range(16):
                sock.sendall(b"0" * 65536)
            while sock.recv(65536):
                pass
        assert time.monotonic() - begin < 9


def test_end(folder):
    """Both signals end it at once; what it says at the start is where it is open."""
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    for number in (signal.SIGTERM, signal.SIGINT):
        board = dashboard.Dashboard(folder.path, daemon).start()
        connection = board.connect()
        assert board.request("GET", "/healthz", connection=connection).status == 200
        assert "open at http://127.0.0.1:%d/" % board.port in board.log()
        assert board.stop(number, deadline_s=9) == 0
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


# --- slow and many clients ---

@pytest.mark.timed
def test_thousand_slow_clients(board):
    """Each sends a part of a request and waits. A page comes at once all the same, and what is open stays bounded."""
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(1000):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", board.port), timeout=10))
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost:%d\r\nX-Slow: %d" % (board.port, number))
            slow.append(sock)
        begin = time.monotonic()
        for _ in range(20):
            assert board.request("GET", "/").status == 200
        assert time.monotonic() - begin < 3
        # The first ones made room for the others.
        assert slow[0].recv(1) == b""
        assert len(os.listdir("/proc/%d/fd" % board.pid)) < 700
        slow[-1].sendall(b"\r\n\r\n")
        assert slow[-1].recv(12) == b"HTTP/1.1 200"
    board.until(lambda: len(os.listdir("/proc/%d/fd" % board.pid)) < 100, "they have gone")


def test_dripping_client(board):
    """An octet a second is not slow for one read, but the whole request has ten seconds."""
    with socket.create_connection(("127.0.0.1", board.port), timeout=1) as sock:
        begin = time.monotonic()
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\nX: " % board.port)
        while True:
            try:
                sock.sendall(b"x")
                if sock.recv(100) == b"":
                    break
            except socket.timeout:
                pass
            except OSError:
                break
            assert time.monotonic() - begin < 20, "it holds its connection"
        assert 8 < time.monotonic() - begin


def test_streams(board):
    """An overview each second for all, at most 64 of them; one that is closed makes room."""
    streams = [dashboard.Stream(board) for _ in range(64)]
    try:
        assert streams[0].reply.headers["Content-Type"] == "text/event-stream"
        for stream in (streams[0], streams[63]):
            times = []
            while len(times) < 2:
                event, told = stream.next()
                assert event == "overview"
                times.append(told["time"])
            assert times[0] < times[1]
        problem(board.request("GET", "/api/v1/live"), 503)
        assert "\nteredown_dashboard_streams_refused_total 1\n" in board.request("GET", "/metrics").body.decode()
        streams.pop().close()
        def again():
            with contextlib.closing(dashboard.Stream(board)) as stream:
                return stream.reply.status == 200
        board.until(again, "there is room again")
    finally:
        for stream in streams:
            stream.close()


def test_end_with_streams(folder):
    """A stream does not hold up the end."""
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon).start()
    stream = dashboard.Stream(board)
    stream.next()
    assert board.stop(deadline_s=9) == 0
    with pytest.raises((harness.Failure, OSError)):
        while True:
            stream.next()


# --- TLS ---

def make_certificate(folder, name="tls", host="localhost"):
    key, certificate = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=" + host, "-addext", "subjectAltName=DNS:%s,IP:127.0.0.1" % host, "-keyout", key, "-out", certificate],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return certificate, key


def test_tls(folder):
    """TLS 1.2 or later with the certificate of the configuration, which SIGHUP reads again."""
    certificate, key = make_certificate(folder.path)
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon, dashboard_certificate=certificate, dashboard_key=key)
    harness.Process.start(board)

    def ask(trusted, least=None, most=None):
        context = ssl.create_default_context(cafile=trusted)
        context.maximum_version = most or context.maximum_version
        if least:
            context.minimum_version = least
        with socket.create_connection(("127.0.0.1", board.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as sock:
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % board.port)
                answer = b""
                while True:
                    got = sock.recv(4096)
                    if not got:
                        return sock.version(), answer
                    answer += got
    version, answer = board.until(lambda: ask(certificate), "the dashboard answers")
    assert version == "TLSv1.3" and answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok\n")
    assert ask(certificate, most=ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
    with pytest.raises((ssl.SSLError, OSError)):
        ask(certificate, least=ssl.TLSVersion.TLSv1, most=ssl.TLSVersion.TLSv1_1)
    assert "open at https://127.0.0.1:%d/" % board.port in board.log()

    with socket.create_connection(("127.0.0.1", board.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP/")

    other = make_certificate(folder.path, "other")
    board.write_config(dashboard_certificate=other[0], dashboard_key=other[1])
    board.send(signal.SIGHUP)
    board.until(lambda: "read again" in board.log(), "the configuration was read again")
    assert ask(other[0])[1].startswith(b"HTTP/1.1 200")
    os.chmod(key, 0o644)
    board.write_config(dashboard_certificate=certificate, dashboard_key=key)
    board.send(signal.SIGHUP)
    board.until(lambda: "the certificate in use stays" in board.log(), "a key that everyone reads is refused")
    assert ask(other[0])[1].startswith(b"HTTP/1.1 200")
    assert board.stop() == 0


def test_tls_faults(folder):
    certificate, key = make_certificate(folder.path)
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    for pair, mode, words in (((certificate, key), 0o604, "everyone may read"), ((certificate, folder.path + "/none"), 0o600, "dashboard-key"),
            ((folder.path + "/none", key), 0o600, "dashboard-certificate")):
        os.chmod(key, mode)
        board = dashboard.Dashboard(folder.path, daemon, dashboard_certificate=pair[0], dashboard_key=pair[1])
        harness.Process.start(board)
        assert board.wait() == 1 and words in board.log(), board.log()
        os.unlink(board.log_path)


def test_beyond_loopback_without_tls(folder):
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="off")
    board = dashboard.Dashboard(folder.path, daemon)
    board.write_config(dashboard_listen=["0.0.0.0:%d" % board.port])
    board.start()
    assert "there is no TLS" in board.log()
    assert board.request("GET", "/healthz", headers={"Host": "127.0.0.1:%d" % board.port}).status == 200
    assert board.request("GET", "/healthz", headers={"Host": "0.0.0.0:%d" % board.port}).status == 200
    assert board.request("GET", "/healthz", headers={"Host": "127.0.0.2:%d" % board.port}).status == 421
    assert board.stop() == 0


def test_redis_user(folder, nsd):
    """A user that may only read is enough, and the daemon's password file need not be readable."""
    server = harness.Redis(folder.path).start()
    try:
        server.client().execute_command("ACL", "SETUSER", "page", "on", ">secret-of-page", "%R~teredown:*", "+@read", "-@dangerous", "+time", "+select",
            "+cluster|slots", "+role")
        daemon = harness.Teredown(folder.path, nsd.endpoint, redis=server.url).start()
        daemon.ask("www.example.net")
        daemon.until_counted(1)
        password = folder.write("page.password", "secret-of-page\n")
        board = dashboard.Dashboard(folder.path, daemon, dashboard_redis_user="page", dashboard_redis_password_file=password, dashboard_reading="open")
        board.start()

        def recording():
            stream = dashboard.Stream(board)
            try:
                return stream.next()[1].get("recording_since")
            finally:
                stream.close()
        board.until(recording, "it reads")
        server.client().execute_command("ACL", "SETUSER", "page", "off")
        server.client().execute_command("CLIENT", "KILL", "USER", "page")
        board.until(lambda: not recording() or "refuses" in str(board.request("GET", "/api/v1/overview").body), "it was this user")
        assert board.stop() == 0 and "secret-of-page" not in board.log()
        daemon.stop()
    finally:
        server.kill()


def test_redis_password_that_is_not_there(folder):
    daemon = harness.Teredown(folder.path, "127.0.0.1:9", redis="redis://127.0.0.1:9")
    board = dashboard.Dashboard(folder.path, daemon, dashboard_redis_user="page", dashboard_redis_password_file=folder.path + "/none")
    harness.Process.start(board)
    assert board.wait() == 1 and "dashboard-redis-password-file" in board.log()
