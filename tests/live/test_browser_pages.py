# SPDX-License-Identifier: BSD-3-Clause
"""The dashboard's page in Chromium: what stands on every page, the overview, clients, health; each state's face; the keyboard; from 320 pixels
up. That no other host is asked, nothing is on the console and the policy is kept, the fixture itself sees to (browser.py)."""

import dns.name
import pytest

import dashboard
import harness
from browser import browser, need_browser # noqa: F401 (a fixture)
from harness import until

TEREDO, ADDRESS = "teredo.ipv6.microsoft.com", "65.55.158.118"
ASKING = {"127.0.60.77": 30, "127.0.60.41": 20, "127.0.60.40": 10}
NAMES = {"127.0.60.77": "kiosk.corp.example", "127.0.60.41": "lab-pc.corp.example"}
OTHERS = 130 # more than a page of the table
HOSTILE = [dns.name.Name((b"<script>alert(1)</script>", b"example", b"org", b"")), dns.name.Name((b"\xe2\x80\xaegpj.exe\x07", b"example", b"org", b"")),
    dns.name.Name((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61, b""))]
PAGES = ["/", "/clients", "/clients/127.0.60.77", "/health"]
PAGE_MOST = 300000 # octets of one page with everything it loads, not compressed
CHART_MOST_MS = 1000


class Site:
    """A daemon, its Redis and a dashboard, and what some clients have asked."""

    def __init__(self, upstream, **options):
        self.folder = harness.Folder()
        self.redis = harness.Redis(self.folder.path).start()
        hosts = self.folder.write("hosts", "".join("%s %s\n" % pair for pair in NAMES.items()))
        self.daemon = harness.Teredown(self.folder.path, upstream, redis=self.redis.url, allow=["127.0.0.0/8"], client_names=["hosts:" + hosts],
            groups={"kiosks": {"clients": ["127.0.60.77"]}}).start()
        self.board = dashboard.Dashboard(self.folder.path, self.daemon, **options).start()
        self.url = "http://127.0.0.1:%d" % self.board.port

    def ask(self, client, name, count=1):
        with harness.udp_socket(self.daemon.port, source=client) as sock:
            query = harness.make_query(name).to_wire()
            for ident in range(count):
                sock.send(ident.to_bytes(2, "big") + query[2:])
                sock.recv(4096)

    def until_counted(self):
        def counted():
            status = self.daemon.status()
            return harness.number(status, "queries_waiting") == 0 and harness.number(status, "queries_applied") == harness.number(status, "answered")
        until(counted, "all is counted", interval_s=0.05)

    def crowd(self):
        for client, count in ASKING.items():
            self.ask(client, TEREDO, count)
        for name in HOSTILE:
            self.ask("127.0.60.77", name)
        for other in range(OTHERS):
            self.ask("127.1.%d.%d" % (other // 100, 1 + other % 100), "www.example.org")
        self.until_counted()

    def end(self):
        for part in (self.board, self.daemon, self.redis):
            if part.running():
                part.stop() if part is not self.redis else part.kill()
        self.folder.remove()


@pytest.fixture(scope="module")
def site(nsd):
    need_browser()
    site = Site(nsd.endpoint, dashboard_reading="open")
    site.crowd()
    yield site
    site.end()


@pytest.fixture
def own(nsd):
    """A site of the test's own, which it may break: own(option=value …)."""
    need_browser()
    started = []

    def start(**options):
        started.append(Site(nsd.endpoint, **options))
        return started[-1]
    yield start
    for site in started:
        site.end()


def in_page(browser, text):
    """What the body of an asynchronous function returns there."""
    result = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        (async () => { %s })().then((value) => done({ value }), (error) => done({ error: String(error) }));""" % text)
    assert "error" not in result, result["error"]
    return result["value"]


def test_modules(browser, site):
    """What has no page of its own: numbers and times as words, order and pages of a table, names that would deceive."""
    browser.expect("status of 40[0-9]").open(site.url + "/health").wait("h1", "Health")
    words = in_page(browser, """
        const f = await import('/format.js');
        f.clockFrom('2026-11-22T12:00:00Z');
        return [f.count(60665), f.count(undefined), f.short(1234567), f.share(0.934), f.share(0), f.share(1), f.share(0.9996), f.rate(0.03), f.rate(0.001), f.rate(1234.5),
            f.micros(106), f.micros(8210), f.micros(61000), f.micros(2300000), f.bytes(525488), f.bytes(0), f.span(7 * 86400e3 + 5 * 3600e3 + 61e3), f.span(185000), f.span(999), f.span(86400e3),
            f.ago('2026-11-22T11:57:00Z'), f.ago('2026-11-22T12:09:30Z'), f.ago(null), f.ago('nonsense'), f.stamp('2026-11-14T20:00:00.8Z'), f.moment('2026-11-22T08:05:00Z'), f.moment('2026-11-14T08:05:00Z'),
            f.when('2026-11-22T12:09:30Z', 'left').textContent, f.when('2026-11-22T11:00:00Z', 'left').textContent];""")
    assert words == ["60,665", "–", "1.23 M", "93.4 %", "0 %", "100 %", "100 %", "0.03", "<0.01", "1,235",
        "106 µs", "8.2 ms", "61 ms", "2.3 s", "513 KiB", "0 B", "7 d 5 h", "3 min", "0 s", "1 d",
        "3 min ago", "in 9 min", "–", "–", "2026-11-14 20:00:00", "08:05", "2026-11-14 08:05", "9 min left", "ended"]
    orders = in_page(browser, """
        const { compare, select } = await import('/table.js');
        const sorted = (list, order) => [...list].sort((a, b) => compare(a, b, order));
        const columns = [{ key: 'name' }, { key: 'n', number: true }];
        const rows = Array.from({ length: 5000 }, (_, n) => ({ name: `h${n}`, n }));
        const begun = performance.now();
        const page = select(rows, columns, { sort: 'n', order: 'desc', search: 'H49', offset: 100, limit: 0 }, 100);
        return { numbers: sorted([3, null, 20, 1], 'desc'), texts: sorted(['h10', '', 'h2', 'H1'], 'asc'), matching: page.matching, total: page.total, first: page.rows[0].name, rows: page.rows.length, ms: performance.now() - begun };""")
    assert orders["numbers"] == [20, 3, 1, None] and orders["texts"] == ["H1", "h2", "h10", ""]
    assert (orders["matching"], orders["total"], orders["first"], orders["rows"]) == (111, 5000, "h499", 11) and orders["ms"] < 2000
    names = in_page(browser, """
        const { name, dnsName, visible, pathOf } = await import('/dom.js');
        const node = name('a\\u202eb<i>\\u0000\\ud800');
        return { text: node.textContent, tag: node.tagName, children: [...node.children].map((one) => one.className), bidi: getComputedStyle(document.body.appendChild(node)).unicodeBidi,
            dot: dnsName('www.example.org.').textContent, escaped: dnsName('a\\\\.').textContent, root: dnsName('.').textContent, title: visible('\\u200f'), path: pathOf('clients', 'a/b?#%') };""")
    assert names == {"text": "a<U+202E>b<i><U+0000><U+D800>", "tag": "BDI", "children": ["escape"] * 3, "bidi": "isolate",
        "dot": "www.example.org", "escaped": "a\\.", "root": ".", "title": "<U+200F>", "path": "/clients/a%2Fb%3F%23%25"}
    blocking = in_page(browser, """
        const { blockingWords, healthWords } = await import('/shell.js');
        const zones = (...modes) => modes.map((mode, n) => ({ zone: `z${n}`, kind: 'tunnel', mode }));
        return [blockingWords(zones('block', 'block'), []), blockingWords(zones('block', 'watch'), [{}]), blockingWords(zones('watch', 'ignore'), []), blockingWords(zones('ignore'), []),
            healthWords({ state: { daemon: 'away', redis: 'ok' }, upstreams: [] }), healthWords({ state: { redis: 'away' }, upstreams: [{ state: 'ok' }] }),
            healthWords({ state: {}, upstreams: [{ state: 'ok' }, { state: 'backoff' }] }), healthWords({ state: {}, upstreams: [{ state: 'backoff' }] }), healthWords({ state: {}, upstreams: [{ state: 'slow' }, { state: 'ok' }] })];""")
    assert [one[0] for one in blocking] == ["on", "part", "off", "off", "bad", "bad", "warn", "bad", "good"]
    assert blocking[0][1] == "Blocking is on for everyone" and blocking[1][1] == "Blocking is on for 1 of 2 tunnel zones; 1 group differs"
