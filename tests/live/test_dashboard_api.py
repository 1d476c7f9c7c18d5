# SPDX-License-Identifier: BSD-3-Clause
"""Every GET of the API against its own description, on a daemon with some days of the story behind it.

A path that is added to openapi.json is asked here by itself. What stands in {…}, and parameters that it requires, are taken from VALUES;
a response has to fit its schema, and to have no member at its top that the schema does not name.
"""

import pytest

import dashboard
import harness
import story
import week

jsonschema = pytest.importorskip("jsonschema")

# By the parameter's name, or "path name" for one path only.
VALUES = {"client": week.STUBBORN, "zone": "teredo", "q": week.ADDRESS, "name": week.NAME, "type": "A", "what": week.ADDRESS}
OTHER_VALUES = {"q": [week.NAME, week.STUBBORN]}


class Days(story.Story):
    """Some blocks of the story instead of all of its week."""
    BLOCKS, QUIET_BLOCKS, STEPS, PERIOD_S = 5, 1, 4, 300


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

    def validate(self, schema, value, what):
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=jsonschema.FormatChecker())
        faults = ["%s: %s" % ("/".join(map(str, fault.absolute_path)), fault.message[:300]) for fault in validator.iter_errors(value)]
        assert not faults, "%s\n%s" % (what, "\n".join(faults[:10]))

    def members(self, schema):
        """All that a schema of an object names; None: it says nothing of members."""
        schema = self.follow(schema)
        found = set(schema.get("properties", ()))
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                found |= self.members(part) or set()
        return found or None


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
    board = dashboard.Dashboard(folder.path, days.daemon, dashboard_reading="open").start()
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


def check(board, description, address, operation):
    reply = board.request("GET", address, headers={"Accept-Encoding": "gzip"})
    assert reply.status == 200, (address, reply)
    kind = reply.headers["content-type"].split(";")[0]
    content = operation["responses"]["200"]["content"]
    assert kind in content, (address, kind)
    if len(reply.body) > 1100:
        assert reply.headers.get("content-encoding") == "gzip" and "Accept-Encoding" in reply.headers["vary"], address
    schema = content[kind]["schema"]
    value = reply.json() if kind == "application/json" else reply.body.decode()
    description.validate(schema, value, address)
    named = description.members(schema)
    if isinstance(value, dict) and named is not None and not address.startswith("/api/v1/openapi"):
        assert not set(value) - named, "%s: members without a description: %s" % (address, sorted(set(value) - named))


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


def test_each_get(lived):
    description = Description(lived)
    for path, operation in description.gets():
        if is_stream(operation):
            continue
        parameters = description.parameters(operation)
        check(lived, description, address_of(path, parameters, VALUES), operation)
        for parameter in parameters:
            name = parameter["name"]
            for value in OTHER_VALUES.get(name, []):
                check(lived, description, address_of(path, parameters, dict(VALUES, **{name: value})), operation)
            if name == "resolver" and not parameter.get("required"):
                address = address_of(path, parameters, VALUES)
                check(lived, description, address + ("&" if "?" in address else "?") + "resolver=*", operation)


def test_wrong_parameters(lived):
    """Numbers out of range and a resolver that cannot be are a 400 that fits the description of problems."""
    description = Description(lived)
    problem = {"$ref": "#/components/schemas/problem"}
    for path, operation in description.gets():
        if is_stream(operation):
            continue
        parameters = description.parameters(operation)
        address = address_of(path, parameters, VALUES)
        wrong = [(parameter["name"], "-1") for parameter in parameters
            if parameter["in"] == "query" and description.follow(parameter["schema"]).get("type") == "integer"]
        wrong += [("resolver", "no%2Fname") for parameter in parameters if parameter["name"] == "resolver"]
        wrong += [("there-is-no-such", "1")]
        for name, value in wrong:
            if name + "=" in address or path.endswith("openapi.json"):
                continue
            reply = lived.request("GET", address + ("&" if "?" in address else "?") + "%s=%s" % (name, value))
            assert reply.status == 400 and name in reply.json()["detail"], (address, name, reply)
            description.validate(problem, reply.json(), address)


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
            description.validate(schema, told, "overview of the stream")
        lived.daemon.run("mode", "watch", "--zone", "6to4")
        for _ in range(10):
            event, told = stream.next()
            if event == "event":
                break
        assert event == "event" and "6to4" in str(told), told
    finally:
        stream.close()
