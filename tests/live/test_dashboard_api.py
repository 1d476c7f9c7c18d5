# SPDX-License-Identifier: BSD-3-Clause
"""Every GET of the API against its own description, on a daemon with some days of the story behind it.

A path that is added to openapi.json is asked here by itself. What stands in {…}, and parameters that it requires, are taken from VALUES;
a response has to fit its schema, and to have no member at its top that the schema does not name.
"""

import http.client
import os
import select
import signal
import time

import pytest

import dashboard
import harness
import story
import week

try:
    import jsonschema
except ImportError:
    jsonschema = None

# By the parameter's name, or "path name" for one path only.
VALUES = {"client": week.STUBBORN, "zone": "teredo", "q": week.ADDRESS, "name": week.NAME, "type": "A", "what": week.ADDRESS}
OTHER_VALUES = {"q": [week.NAME, week.STUBBORN]}


class Days(story.Story):
    """Some blocks of the story instead of all of its week."""
    BLOCKS, QUIET_BLOCKS, STEPS = 5, 1, 4

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.per_block = 72


class Description:
    def __init__(self, board):
        self.document = board.get("/api/v1/openapi.json")
        self.resolver = jsonschema.RefResolver.from_schema(self.document)

    def follow(self, value):
        while "$ref" in value:
            value = self.resolver.resolve(value["$ref"])[1]
        return value

    def gets(self):
        for path, methods in self.document["paths"].items():
            if "get" in methods:
                yield path, methods["get"]

    def parameters(self, operation):
        return [self.follow(parameter) for parameter in operation.get("parameters", [])]

    def faults(self, schema, value):
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=jsonschema.FormatChecker())
        return ["%s: %s" % ("/".join(map(str, fault.absolute_path)), fault.message[:300]) for fault in validator.iter_errors(value)]

    def members(self, schema):
        """All that a schema of an object names; None: it says nothing of members."""
        schema = self.follow(schema)
        found = set(schema.get("properties", ()))
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                found |= self.members(part) or set()
        return found or None


@pytest.fixture(scope="module", autouse=True)
def validator():
    if not jsonschema:
        harness.missing("no jsonschema (Debian: python3-jsonschema)")


@pytest.fixture(scope="module")
def lived(nsd):
    """The days, and a dashboard of them."""
    folder = harness.Folder()
    server = harness.Redis(folder.path).start()
    days = Days(folder, nsd.endpoint, server.url)
    days.live_through()
    days.daemon.run("block", "on")
    days.live_on_blocked()
    log = folder.path + "/kern.log"
    days.firewall_log(log)
    days.daemon.run("ingest", log)
    days.daemon.run("remediate", "--mark")
    board = dashboard.Dashboard(folder.path, days.daemon, dashboard_reading="open").start()
    board.sign_in()
    board.redis = server
    yield board
    status, said = board.stop(), board.log()
    days.daemon.stop()
    server.kill()
    folder.remove()
    assert status == 0 and not harness.SANITIZER.search(said), said


def address_of(path, parameters, values):
    query = []
    for parameter in parameters:
        name = parameter["name"]
        if not parameter.get("required"):
            continue
        value = values.get(path + " " + name, values.get(name))
        assert value is not None, "%s needs %s: add one to VALUES" % (path, name)
        if parameter["in"] == "path":
            path = path.replace("{%s}" % name, value)
        else:
            query.append("%s=%s" % (name, value))
    return path + ("?" + "&".join(query) if query else "")


def faults_of(board, description, address, operation):
    reply = board.request("GET", address, headers={"Accept-Encoding": "gzip"})
    kind = reply.headers["content-type"].split(";")[0]
    content = operation["responses"]["200"]["content"]
    if reply.status != 200 or kind not in content:
        return ["%r, %s" % (reply, kind)]
    faults = []
    if len(reply.body) > 1100 and (reply.headers.get("content-encoding") != "gzip" or "Accept-Encoding" not in reply.headers["vary"]):
        faults.append("it is not compressed")
    schema = content[kind]["schema"]
    value = reply.json() if kind == "application/json" else reply.body.decode()
    faults += description.faults(schema, value)
    named = description.members(schema)
    if isinstance(value, dict) and named is not None and not address.startswith("/api/v1/openapi"):
        faults += ["%s has no description" % name for name in sorted(set(value) - named)]
    return faults


def is_stream(operation):
    return "text/event-stream" in operation["responses"]["200"]["content"]


def test_document(lived):
    """It is what it says it is: each reference leads somewhere, each schema is one."""
    description = Description(lived)
    for path, operation in description.gets():
        for status, response in operation["responses"].items():
            for content in description.follow(response).get("content", {}).values():
                jsonschema.Draft202012Validator.check_schema(content["schema"])
                description.members(content["schema"])
        assert operation["summary"], path


def addresses(description, path, operation):
    """What is asked of one path."""
    parameters = description.parameters(operation)
    yield address_of(path, parameters, VALUES)
    for parameter in parameters:
        name = parameter["name"]
        for value in OTHER_VALUES.get(name, []):
            yield address_of(path, parameters, dict(VALUES, **{name: value}))
        if name == "resolver" and not parameter.get("required"):
            address = address_of(path, parameters, VALUES)
            yield address + ("&" if "?" in address else "?") + "resolver=*"


def test_each_get(lived):
    description, faults = Description(lived), []
    for path, operation in description.gets():
        for address in [] if is_stream(operation) else addresses(description, path, operation):
            faults += ["%s: %s" % (address, fault) for fault in faults_of(lived, description, address, operation)[:5]]
    assert not faults, "\n".join(faults)


def test_wrong_parameters(lived):
    """Numbers out of range, a resolver that cannot be and a name that is none are a 400 that names the parameter and fits the description."""
    description, faults = Description(lived), []
    for path, operation in description.gets():
        if is_stream(operation) or path.endswith("openapi.json"):
            continue
        parameters = description.parameters(operation)
        address = address_of(path, parameters, VALUES)
        wrong = [(parameter["name"], "-1") for parameter in parameters
            if parameter["in"] == "query" and description.follow(parameter["schema"]).get("type") == "integer"]
        wrong += [("resolver", "no%2Fname") for parameter in parameters if parameter["name"] == "resolver"]
        for name, value in wrong + [("there-is-no-such", "1")]:
            full = address + ("&" if "?" in address else "?") + "%s=%s" % (name, value)
            reply = lived.request("GET", full)
            if reply.status != 400 or name not in reply.json()["detail"]:
                faults.append("%s: %r" % (full, reply))
            else:
                faults += description.faults({"$ref": "#/components/schemas/problem"}, reply.json())
    assert not faults, "\n".join(faults)


def test_stream(lived):
    """What the stream tells is the object of the overview; an event is told when it comes."""
    description = Description(lived)
    paths = dict(description.gets())
    stream = dashboard.Stream(lived)
    try:
        event, told = stream.next()
        assert event == "overview" and told["time"]
        if "/api/v1/overview" in paths:
            schema = paths["/api/v1/overview"]["responses"]["200"]["content"]["application/json"]["schema"]
            assert not description.faults(schema, told)
        lived.daemon.run("mode", "watch", "--zone", "6to4")
        told = None
        for _ in range(10):
            event, told = stream.next()
            if event == "event" and "6to4" in str(told):
                break
        assert event == "event" and told["kind"] == "mode", told
    finally:
        stream.close()


def test_too_many_wait(lived):
    """Redis hangs: four requests wait for it, 64 for them, and more are told to come again; what asks nobody goes on."""
    redis_pid = lived.redis.pid
    connections = [lived.connect() for _ in range(90)]
    try:
        os.kill(redis_pid, signal.SIGSTOP)
        for connection in connections:
            connection.request("GET", "/api/v1/hours?resolver=nobody-yet", headers={"Cookie": lived.cookie})
        begin = time.monotonic()
        assert lived.request("GET", "/healthz").status == 200 and lived.request("GET", "/").status == 200
        assert time.monotonic() - begin < 2
        def told():
            return [connection for connection in connections if select.select([connection.sock], [], [], 0)[0]]
        refused = harness.until(lambda: (lambda some: some if len(some) >= 90 - 4 - 64 else None)(told()), "who is too many is told", interval_s=0)
        for connection in refused[:22]:
            reply = dashboard.Reply(connection.getresponse())
            assert reply.status == 503 and reply.headers["retry-after"], reply
    finally:
        os.kill(redis_pid, signal.SIGCONT)
    statuses = [connection.getresponse().status for connection in connections if connection not in refused[:22]]
    # Redis has to be asked whether there is such a resolver, and says no when it answers again.
    assert set(statuses) <= {404, 503} and 404 in statuses
    lived.until(lambda: lived.request("GET", "/api/v1/hours").status == 200, "it answers again")
    for connection in connections:
        connection.close()


def test_other_user(lived):
    """Who may not ask the daemon is told why, and what is in Redis is shown all the same."""
    if os.getuid() != 0 or not harness.find("setpriv"):
        harness.missing("needs root and setpriv")
    folder = harness.Folder()
    try:
        os.chmod(folder.path, 0o755)
        os.chmod(os.path.dirname(lived.redis.socket_path), 0o755)
        os.chmod(lived.redis.socket_path, 0o777)
        other = dashboard.Dashboard(folder.path, lived.daemon, dashboard_reading="open")
        os.chmod(other.config, 0o644)
        other.argv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] + other.argv
        other.start()
        state = other.get("overview")["state"]
        assert state["redis"] == "ok" and state["daemon"] == "away" and "user" in state["daemon_words"], state
        assert other.get("clients")["total"] >= 3
        assert other.stop() == 0
    finally:
        folder.remove()


def test_stream_ends_with_its_session(lived):
    """Where reading needs a session, so does reading on."""
    lived.write_config(dashboard_reading="token")
    lived.send(signal.SIGHUP)
    lived.until(lambda: lived.request("GET", "/api/v1/overview", headers={"Cookie": ""}).status == 401, "reading needs a token")
    lived.sign_in()
    stream = dashboard.Stream(lived)
    assert stream.next()[0] == "overview"
    assert lived.request("DELETE", "/api/v1/session").status == 200
    begin = time.monotonic()
    with pytest.raises((harness.Failure, OSError, http.client.HTTPException)):
        while time.monotonic() - begin < 15:
            stream.next()
    assert lived.request("GET", "/api/v1/live", headers={"Cookie": lived.cookie}).status == 401
    stream.close()
