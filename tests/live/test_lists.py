# SPDX-License-Identifier: BSD-3-Clause
"""Zones in every format that people have lists in, several files of one, real lists, and the script that fetches them."""

import http.server
import os
import re
import ssl
import subprocess
import threading

import pytest

import harness
from harness import addresses_of, rcode_of

SHARED = os.path.join(harness.SOURCE, "..", "shared", "data", "lists")
SCRIPT = os.path.join(harness.SOURCE, "doc", "lists", "teredown-lists")

LISTS = {
    "hosts": "127.0.0.1 localhost\r\n0.0.0.0 first.example.org second.example.org\r\n192.0.2.99 h1.example.org\r\n",
    "domains": "h2.example.org\n*.h3.example.org\nhttps://h4.example.org/\n",
    "wildcards": "*.h5.example.org\n",
    "dnsmasq": "address=/h6.example.org/\naddress=/h7.example.org/192.0.2.98\nno-resolv\n",
    "adblock": "! Title: x\n||wild.example.org^\n@@||good.wild.example.org^\nexample.org##.ad\n||h8*.example.org^\n",
    "patterns": "h9*.example.org\n",
}

# What each name is told, by the lists above.
TOLD = {
    "first.example.org": "NXDOMAIN", "second.example.org": "NXDOMAIN", "h1.example.org": "192.0.2.99",
    "h2.example.org": "NXDOMAIN", "h3.example.org": "NXDOMAIN", "h4.example.org": "203.0.113.5",
    "h5.example.org": "NXDOMAIN", "a.h5.example.org": "NXDOMAIN", "h6.example.org": "NXDOMAIN", "x.h6.example.org": "NXDOMAIN",
    "h7.example.org": "192.0.2.98", "x.h7.example.org": "192.0.2.98",
    "a.wild.example.org": "NXDOMAIN", "good.wild.example.org": "192.0.2.77", "x.good.wild.example.org": "192.0.2.77",
    "h80.example.org": "NXDOMAIN", "h90.example.org": "NXDOMAIN", "h10.example.org": "203.0.113.11", "www.example.org": "192.0.2.1",
}


def test_every_format(teredown, nsd, folder):
    """One daemon, one zone a format: each name is told what its list says, and lines that cannot be used cost themselves."""
    zones = {name: {"file": folder.write(name + ".list", text), "format": name, "mode": "block"} for name, text in LISTS.items()}
    daemon = teredown(nsd.endpoint, zones=zones)
    told = {}
    for name in TOLD:
        answer = daemon.ask(name)
        told[name] = (addresses_of(answer) or [rcode_of(answer)])[0]
    assert told == TOLD
    log = daemon.log()
    assert re.search(r"domains\.list:3: not a domain name \(line skipped\)", log)
    assert re.search(r"domains\.list: 3 lines, 2 rules; 1 skipped: 1 no domain name", log)
    assert re.search(r"adblock\.list: 5 lines, 3 rules; 1 not for DNS", log) and "dnsmasq.list:3:" not in log


def test_several_files_of_a_zone(teredown, nsd, folder):
    """A zone of two files has the rules of both; a reload brings one that has changed; at a start each has to be there."""
    first, second = folder.write("first", "0.0.0.0 first.example.org\n"), folder.write("second", "0.0.0.0 second.example.org\n")
    daemon = teredown(nsd.endpoint, zones={"ads": {"file": [first, second], "format": "hosts", "mode": "block"}})
    assert [rcode_of(daemon.ask(name + ".example.org")) for name in ("first", "second", "www")] == ["NXDOMAIN", "NXDOMAIN", "NOERROR"]
    folder.write("second", "0.0.0.0 www.example.org\n")
    daemon.run("reload")
    assert [rcode_of(daemon.ask(name + ".example.org")) for name in ("first", "second", "www")] == ["NXDOMAIN", "NOERROR", "NXDOMAIN"]
    missing = harness.Teredown(folder.path, nsd.endpoint, zones={"ads": {"file": [first, first + ".gone"], "format": "hosts"}})
    missing.start(wait=False)
    assert missing.wait() == 1 and first + ".gone: cannot be read" in missing.log()


def test_many_bad_lines_are_summed_up(teredown, nsd, folder):
    """Twenty are shown, the others counted by reason; the good one behind them is in effect."""
    text = "".join("<td>%d</td>\n" % index for index in range(500)) + "two words\n" + "h1.example.org\nh1.example.org\n"
    daemon = teredown(nsd.endpoint, zones={"page": {"file": folder.write("page", text), "format": "domains", "mode": "block"}}, zone_watch="off")
    assert rcode_of(daemon.ask("h1.example.org")) == "NXDOMAIN"
    log = daemon.log()
    assert log.count("not a domain name (line skipped)") == 20 and "page: 481 more lines like these" in log
    assert "page: 503 lines, 1 rule; 1 repeated, 501 skipped: 1 not of this format, 500 no domain name" in log


@pytest.mark.parametrize("file, format, blocked, passed", [
    ("adaway.hosts", "hosts", "0ce3c-1fd43.api.pushwoosh.com", "x.0ce3c-1fd43.api.pushwoosh.com"),
    ("stevenblack.domains", "domains", "000free.us", "www.000free.us"),
    ("opendns-top-domains.txt", "wildcards", "x.doubleclick.net", "xdoubleclick.net"),
    ("hagezi-light.rpz", "rpz", "x.smetrics.abbott", "abbott"),
    ("hagezi-spam-tlds.rpz", "rpz", None, "example.org"),
])
def test_real_lists(teredown, nsd, file, format, blocked, passed):
    """Lists as they are published: every line that is none of a comment is a rule."""
    path = os.path.join(SHARED, file)
    if not os.path.exists(path):
        pytest.skip("%s is not beside this checkout: a list of the shared data" % file)
    daemon = teredown(nsd.endpoint, zones={"list": {"file": path, "format": format, "mode": "block"}})
    assert blocked is None or rcode_of(daemon.ask(blocked)) == "NXDOMAIN"
    assert "Extended" not in str(daemon.ask(passed))
    assert "line skipped" not in daemon.log()
    with open(path, encoding="utf-8") as lines:
        bare = sum(1 for line in lines if line.strip() and line[0] not in "#;$@ ")
    assert int(harness.zones_of(daemon.status())["list"]["rules"]) >= bare * 0.99


@pytest.mark.parametrize("format, line", [("hosts", "0.0.0.0 %s"), ("wildcards", "*.%s"), ("dnsmasq", "local=/%s/"), ("adblock", "||%s^")])
def test_a_real_list_in_each_format(teredown, nsd, folder, format, line):
    """A published list of 140,000 names, written as each format: all of it is used, none too many is blocked."""
    path = os.path.join(SHARED, "stevenblack.domains")
    if not os.path.exists(path):
        pytest.skip("%s is not beside this checkout: a list of the shared data" % path)
    with open(path, encoding="utf-8") as lines:
        names = [name for name in (text.strip() for text in lines) if name and name[0] != "#"]
    zone = {"file": folder.write("list", "".join(line % name + "\n" for name in names)), "format": format, "mode": "block"}
    daemon = teredown(nsd.endpoint, zones={"list": zone})
    source = daemon.json("policy", "list", "--zone", "list")["zones"][0]["sources"][0]
    assert source["read"] == len(names) and source["used"] + source["repeated"] + source["foreign"] == len(names) and source["foreign"] < 20
    for name in names[1000::20000]:
        assert rcode_of(daemon.ask(name)) == "NXDOMAIN" and daemon.json("policy", "test", name)["steps"][-1]["source"]
    assert addresses_of(daemon.ask("www.example.org")) == ["192.0.2.1"]


# --- the script ---

class Site(http.server.BaseHTTPRequestHandler):
    """Serves lists with an ETag; /broken ends in the middle."""

    def do_GET(self):
        lists, self.server.asked = self.server.lists, self.server.asked + [self.path]
        text = lists.get(self.path)
        tag = '"%d"' % hash(text)
        if text is None:
            self.send_error(404)
        elif self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
        else:
            broken = self.path == "/broken"
            self.send_response(200)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(text) + 1000 * broken))
            self.end_headers()
            self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def site(folder, need):
    openssl = need("openssl")
    key, certificate = os.path.join(folder.path, "key.pem"), os.path.join(folder.path, "certificate.pem")
    subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
        "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.lists, server.asked, server.certificate = {}, [], certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(site, folder, lists):
    text = "".join("%s %s\n" % (name, path if ":" in path else "https://localhost:%d%s" % (site.server_address[1], path))
        for name, path in lists.items())
    environment = dict(os.environ, TEREDOWN_LISTS=folder.write("lists", "# name, URL\n\n" + text), TEREDOWN_LISTS_DIRECTORY=folder.path,
        CURL_CA_BUNDLE=site.certificate, no_proxy="*")
    return subprocess.run(["/bin/sh", SCRIPT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        universal_newlines=True)


def contents(folder, name):
    with open(os.path.join(folder.path, name)) as file:
        return file.read()


def test_fetching(teredown, nsd, folder, site, need):
    """A list is fetched, asked for by its ETag, replaced as a whole; what fails leaves the old one and says so."""
    need("curl")
    site.lists["/ads"] = "0.0.0.0 first.example.org\n"
    assert fetch(site, folder, {"ads": "/ads"}).returncode == 0
    daemon = teredown(nsd.endpoint, zones={"ads": {"file": os.path.join(folder.path, "ads"), "format": "hosts", "mode": "block"}})
    assert rcode_of(daemon.ask("first.example.org")) == "NXDOMAIN"
    before = os.stat(os.path.join(folder.path, "ads"))
    assert fetch(site, folder, {"ads": "/ads"}).returncode == 0 and site.asked.count("/ads") == 2
    assert os.stat(os.path.join(folder.path, "ads")).st_ino == before.st_ino
    site.lists["/ads"] = "0.0.0.0 second.example.org\n"
    assert fetch(site, folder, {"ads": "/ads"}).returncode == 0
    daemon.run("reload")
    assert [rcode_of(daemon.ask(name + ".example.org")) for name in ("first", "second")] == ["NOERROR", "NXDOMAIN"]

    site.lists["/broken"] = "0.0.0.0 www.example.org\n"
    done = fetch(site, folder, {"ads": "/broken", "gone": "/nowhere", "plain": "http://localhost/", "../up": "/ads", "more": "/ads"})
    assert done.returncode == 1
    assert contents(folder, "ads") == "0.0.0.0 second.example.org\n" and contents(folder, "more") == contents(folder, "ads")
    assert not [name for name in os.listdir(folder.path) if name in ("gone", "plain") or re.match(r"\.(ads|gone|plain)\.\w{6}", name)]
    assert not os.path.exists(os.path.join(folder.path, "..", "up"))
