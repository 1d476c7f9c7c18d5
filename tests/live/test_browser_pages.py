# SPDX-License-Identifier: BSD-3-Clause
"""The dashboard's page in Chromium: what stands on every page, the overview, clients, health; each state's face; the keyboard; from 320 pixels
up. That no other host is asked, nothing is on the console and the policy is kept, the fixture itself sees to (browser.py)."""

import itertools
import json
import os
import re

import dns.name
import pytest

import harness
from browser import browser, need_browser # noqa: F401 (a fixture)
from browser_site import ADDRESS, TEREDO, BrowserSite
from harness import until

# Chromium takes a processor for itself: beside it, tests that are particular about milliseconds would fail.
pytestmark = pytest.mark.alone

OTHERS = 130 # more than a page of the table
NAMES_ASKED = 120 # more than the API gives unless it is asked for more
HOSTILE = [dns.name.Name((b"<script>alert(1)</script>", b"example", b"org", b"")), dns.name.Name((b"\xe2\x80\xaegpj.exe\x07", b"example", b"org", b"")),
    dns.name.Name((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61, b""))]
PAGES = ["/", "/clients", "/clients/127.0.60.77", "/health"]
PAGE_MOST = 300000 # octets of one page with everything it loads, not compressed
CHART_MOST_MS = 1000


class Site(BrowserSite):
    """Many clients have asked, some for names that would deceive."""

    def __init__(self, upstream, **options):
        super().__init__(upstream, {"kiosks": {"clients": ["127.0.60.77"]}}, **options)

    def crowd(self):
        self.look_for_teredo()
        for name in HOSTILE:
            self.ask("127.0.60.77", name)
        for other in range(NAMES_ASKED):
            self.ask("127.0.60.41", "n%d.example.org" % other)
        for other in range(OTHERS):
            self.ask("127.1.%d.%d" % (other // 100, 1 + other % 100), "www.example.org")
        self.daemon.until_counted(0)


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


def test_modules(browser, site):
    """What has no page of its own: numbers and times as words, order and pages of a table, names that would deceive."""
    browser.open(site.url + "/health").wait("h1", "Health")
    words = browser.in_page("""
        const f = await import('/format.js');
        f.clockFrom('2026-11-22T12:00:00Z');
        return [f.count(60665), f.count(undefined), f.short(1234567), f.share(0.934), f.share(0), f.share(1), f.share(0.9996), f.rate(0.03), f.rate(0.001), f.rate(1234.5),
            f.micros(106), f.micros(8210), f.micros(61000), f.micros(2300000), f.bytes(525488), f.bytes(0), f.span(7 * 86400e3 + 5 * 3600e3 + 61e3), f.span(185000), f.span(999), f.span(86400e3),
            f.ago('2026-11-22T11:57:00Z'), f.ago('2026-11-22T12:09:30Z'), f.ago(null), f.ago('nonsense'), f.stamp('2026-11-14T20:00:00.8Z'), f.moment('2026-11-22T08:05:00Z'), f.moment('2026-11-14T08:05:00Z'),
            f.when('2026-11-22T12:09:30Z', 'left').textContent, f.when('2026-11-22T11:00:00Z', 'left').textContent];""")
    assert words == ["60,665", "–", "1.23 M", "93.4 %", "0 %", "100 %", "100 %", "0.03", "<0.01", "1,235",
        "106 µs", "8.2 ms", "61 ms", "2.3 s", "513 KiB", "0 B", "7 d 5 h", "3 min", "0 s", "1 d",
        "3 min ago", "in 9 min", "–", "–", "2026-11-14 20:00:00", "08:05", "2026-11-14 08:05", "9 min left", "ended"]
    orders = browser.in_page("""
        const { compare, select } = await import('/table.js');
        const sorted = (list, order) => [...list].sort((a, b) => compare(a, b, order));
        const columns = [{ key: 'name' }, { key: 'n', number: true }];
        const rows = Array.from({ length: 5000 }, (_, n) => ({ name: `h${n}`, n }));
        const begun = performance.now();
        const page = select(rows, columns, { sort: 'n', order: 'desc', search: 'H49', offset: 100, limit: 0 }, 100);
        return { numbers: sorted([3, null, 20, 1], 'desc'), texts: sorted(['h10', '', 'h2', 'H1'], 'asc'), matching: page.matching, total: page.total, first: page.rows[0].name, rows: page.rows.length, ms: performance.now() - begun };""")
    assert orders["numbers"] == [20, 3, 1, None] and orders["texts"] == ["H1", "h2", "h10", ""]
    assert (orders["matching"], orders["total"], orders["first"], orders["rows"]) == (111, 5000, "h499", 11) and orders["ms"] < 2000
    names = browser.in_page("""
        const { name, dnsName, visible, pathOf } = await import('/dom.js');
        const node = name('a\\u202eb<i>\\u0000\\ud800');
        return { text: node.textContent, tag: node.tagName, children: [...node.children].map((one) => one.className), bidi: getComputedStyle(document.body.appendChild(node)).unicodeBidi,
            dot: dnsName('www.example.org.').textContent, escaped: dnsName('a\\\\.').textContent, root: dnsName('.').textContent, title: visible('\\u200f'), path: pathOf('clients', 'a/b?#%') };""")
    assert names == {"text": "a<U+202E>b<i><U+0000><U+D800>", "tag": "BDI", "children": ["escape"] * 3, "bidi": "isolate",
        "dot": "www.example.org", "escaped": "a\\.", "root": ".", "title": "<U+200F>", "path": "/clients/a%2Fb%3F%23%25"}
    blocking = browser.in_page("""
        const { blockingWords, healthWords } = await import('/shell.js');
        const zones = (...modes) => modes.map((mode, n) => ({ zone: `z${n}`, kind: 'tunnel', mode }));
        return [blockingWords(zones('block', 'block'), []), blockingWords(zones('block', 'watch'), [{}]), blockingWords(zones('watch', 'ignore'), []), blockingWords(zones('ignore'), []),
            healthWords({ state: { daemon: 'away', redis: 'ok' }, upstreams: [] }), healthWords({ state: { redis: 'away' }, upstreams: [{ state: 'ok' }] }),
            healthWords({ state: {}, upstreams: [{ state: 'ok' }, { state: 'backoff' }] }), healthWords({ state: {}, upstreams: [{ state: 'backoff' }] }), healthWords({ state: {}, upstreams: [{ state: 'slow' }, { state: 'ok' }] }),
            healthWords({ state: { daemon: 'none', redis: 'ok' }, upstreams: [] }),
            blockingWords(zones(null, null), []), blockingWords(zones('block'), null), blockingWords(zones('watch'), [{}])];""")
    assert [one[1] for one in blocking[10:]] == ["Whether blocking is on is not known now", "Blocking is on", "Blocking is off: tunnels are answered and watched; 1 group differs"]
    del blocking[10:]
    assert [one[0] for one in blocking] == ["on", "part", "off", "off", "bad", "bad", "warn", "bad", "good", "good"]
    assert blocking[0][1] == "Blocking is on for everyone" and blocking[1][1] == "Blocking is on for 1 of 2 tunnel zones; 1 group differs"


def test_drawn_anew(browser, site):
    """Who reads or goes by keyboard stays where they are when a part is drawn anew; what needs a person is said in words."""
    browser.open(site.url + "/health").wait("h1", "Health")
    found = browser.in_page("""
        const { element, fill, modeChip, pathOf } = await import('/dom.js');
        const place = document.body.appendChild(element('div'));
        const links = () => [1, 2, 3].map(() => element('a', { href: '/address/192.0.2.1' }, 'x'));
        const folded = (key) => element('details', { 'data-key': key }, element('summary', {}, 'source'));
        fill(place, links(), folded('a'), folded('b'));
        place.querySelectorAll('a')[1].focus();
        place.querySelector('[data-key=b]').open = true;
        fill(place, links(), folded('b'), folded('a'), folded('c'));
        const { faults } = await import('/view-health.js');
        const words = (health) => faults(health).map(([kind, nodes]) => `${kind}: ${element('p', {}, nodes).textContent}`);
        return { focused: [...place.querySelectorAll('a')].indexOf(document.activeElement), open: [...place.querySelectorAll('details')].map((one) => one.open),
            chip: modeChip(null).textContent, root: [pathOf('address', '.'), pathOf('address', '..'), pathOf('address', '...')],
            faults: [words({ redis: { state: 'ok', pressure: 0 } }), words({ redis: { state: 'ok', pressure: 1 } }), words({ redis: { state: 'ok', pressure: 2 } }),
                words({ redis: { state: 'ok' }, daemon: { state: 'ok', status: { redis: 'away', redis_error: 'NOPERM' } } })] };""")
    assert (found["focused"], found["open"], found["chip"]) == (1, [True, False, False], "unknown")
    assert found["root"] == ["/address?q=.", "/address?q=..", "/address/..."]
    calm, nearly, full, unreached = found["faults"]
    assert calm == [] and "no new detail is kept. Totals stay exact" in nearly[0] and "no new client either" in full[0]
    assert unreached == ["bad: The resolver does not reach Redis: NOPERM. Queries are answered and counted all the same; the counts wait on disk."]


def test_walk(browser, site):
    """The questions of an administrator, with a mouse and with the keyboard alone."""
    browser.open(site.url + "/")
    browser.wait(".panel .lead", "3 clients asked for a tunnel; all are still asking")
    rows = browser.texts("[aria-labelledby=o-tunnel] tbody tr")
    assert len(rows) == 3 and re.search(r"127\.0\.60\.77 kiosk\.corp\.example\s+teredo watch\s+30\s", next(row for row in rows if "60.77" in row)), rows
    assert all(ADDRESS in row for row in rows), "told a Teredo server"
    browser.wait("#live", "^live$")
    browser.wait("#healthy", "^healthy")
    browser.wait("#band", "Blocking is off: tunnels are answered and watched")
    before = browser.texts(".tile .value")[0]
    site.ask("127.0.60.77", "www.example.org", 5)
    until(lambda: browser.texts(".tile .value")[0] != before, "the tile of queries goes on by itself")

    site.daemon.run("mode", "block", "--zone", "teredo", "--for", "10m")
    browser.wait("#band", r"Blocking is on for 1 of \d+ tunnel zones")
    browser.wait("#band .chip.mode-block", r"block (9|10) min left")
    site.daemon.run("mode", "ignore", "--zone", "teredo", "--group", "kiosks")
    browser.wait("[aria-labelledby=o-tunnel] tbody tr", r"127\.0\.60\.77 kiosk[^$]*teredo ignore")
    browser.wait("[aria-labelledby=o-tunnel] tbody tr", r"127\.0\.60\.41[^$]*teredo block")
    site.daemon.run("mode", "reset", "--zone", "teredo", "--group", "kiosks")
    site.daemon.run("mode", "watch", "--zone", "teredo")
    browser.wait("#band", "Blocking is off")

    browser.click("[aria-labelledby=o-tunnel] a", r"^127\.0\.60\.77$")
    browser.wait("h1", r"127\.0\.60\.77")
    assert browser.path == "/clients/127.0.60.77" and browser.focused() == "h1" and browser.title == "127.0.60.77 · Teredown"
    browser.wait(".identity .lead", "teredo.ipv6.microsoft.com")
    browser.wait(".identity", r"Group\s+kiosks[\s\S]*Told a Teredo server\s+65\.55\.158\.118[\s\S]*not marked")
    browser.wait("[aria-labelledby=c-zones] tbody tr", r"teredo\s+watch\s+\d")
    browser.wait("[aria-labelledby=c-names] tr.told", TEREDO)
    names = browser.texts("[aria-labelledby=c-names] tbody th")
    assert any(name.startswith("<script>alert") for name in names) and any("a" * 63 in name.replace("\n", "") for name in names), names
    assert not any("\u202e" in name for name in names) and not browser.all("main script")
    browser.write("[aria-labelledby=c-names] input[type=search]", "SCRIPT")
    until(lambda: len(browser.texts("[aria-labelledby=c-names] tbody tr")) == 1, "the search finds one name")
    browser.driver.back()
    browser.wait("h1", "Overview")

    browser.wait("nav a", "Clients").send_keys("")
    browser.keys("g", "c")
    browser.wait("table.data tbody tr")
    assert browser.path == "/clients" and browser.title == "Clients · Teredown"
    assert len(browser.texts("table.data tbody tr")) == 100 and "1 to 100, 13" in browser.text(".table-foot")
    assert browser.texts("[aria-sort=descending]") == ["Queries▼"]
    browser.click(".table-foot button", "Next")
    until(lambda: "101 to" in browser.text(".table-foot"), "the second page")
    browser.click("thead button", "Watched")
    until(lambda: browser.texts("tbody th")[0] == "127.0.60.77", "sorted by watched")
    assert "sort=watched" in browser.path and "offset" not in browser.path
    assert browser.script("return document.activeElement.textContent").startswith("Watched"), "the focus stays on the header"
    browser.write("main input[type=search]", "lab-pc")
    until(lambda: browser.texts("tbody th") == ["127.0.60.41"], "found by its name")
    assert "search=lab-pc" in browser.path
    browser.driver.refresh()
    until(lambda: browser.texts("tbody th") == ["127.0.60.41"], "the address of the page says what is shown")
    browser.write("main input[type=search]", "nobody")
    browser.wait("tbody td", "Nothing matches")
    browser.open(site.url + "/clients?offset=5000").wait(".table-foot", "^1 to 100, 13")
    browser.open(site.url + "/clients/127.0.60.41").wait("[aria-labelledby=c-names] .table-foot", "^1 to 50, 121 names")

    browser.wait("h1").click()
    browser.keys("/")
    assert browser.focused() == "input#q"
    browser.keys(ADDRESS + "\n")
    until(lambda: browser.path == "/address/" + ADDRESS, "the page of the address")
    until(lambda: browser.focused() == "h1", "its heading has the focus")
    browser.keys("?")
    browser.wait("dialog[open]", "answered as the rule says")
    browser.keys("\ue00c") # Escape
    browser.gone("dialog")
    browser.click("nav a", "Health")
    browser.wait(".panel", "Upstreams answer, Redis takes the counts")
    browser.wait(".panel", re.escape(site.daemon.settings["listen"][0]))
    assert browser.script("return document.querySelector('nav [aria-current]').textContent") == "Health"
    assert site.board.request("GET", "/nowhere").status == 404


def test_widths(browser, site, tmp_path):
    """Nothing has to be scrolled sideways, headings come in order, each table and landmark has a name; in both themes, from 320 pixels up."""
    pictures = os.environ.get("TEREDOWN_PICTURES") or str(tmp_path)
    for page, width in itertools.product(PAGES, (320, 1280)):
        theme = "dark" if width == 320 else "light"
        browser.look(width, theme).open(site.url + page)
        browser.wait(".panel, table.data")
        until(lambda: not browser.all("[aria-busy], .loading"), "%s is loaded" % page)
        wide, inner = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= inner, "%s is %d wide in %d" % (page, wide, inner)
        beyond = browser.script("""return [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1
            && !one.closest('.scroll, .unseen, nav') && one.offsetParent).map((one) => one.outerHTML.slice(0, 120))""")
        assert not beyond, (page, width, beyond)
        levels = browser.script("return [...document.querySelectorAll('h1, h2, h3')].filter((one) => one.offsetParent).map((one) => +one.tagName[1])")
        assert levels[0] == 1 and levels.count(1) == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:])), (page, levels)
        assert browser.script("return [...document.querySelectorAll('table')].every((one) => one.caption && one.caption.textContent)"), page
        ground = browser.script("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (theme == "dark"), ground
        browser.screenshot(os.path.join(pictures, "%s-%d.png" % (page.strip("/").replace("/", "-") or "overview", width)))
    browser.look(1280, "light").click("#theme").click("#theme")
    assert browser.script("return document.documentElement.dataset.theme") == "dark"
    browser.driver.refresh()
    browser.wait("h1")
    assert browser.script("return getComputedStyle(document.body).colorScheme || getComputedStyle(document.documentElement).colorScheme") == "dark", "kept"


def test_states(browser, own):
    """Empty, away, stale, and live again, without a reload."""
    browser.expect(r"Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY")
    site = own(dashboard_reading="open")
    browser.open(site.url + "/").wait("[aria-labelledby=o-tunnel]", "Nobody asks for a tunnel[\\s\\S]*dig @")
    site.ask("127.0.60.77", TEREDO)
    browser.wait("[aria-labelledby=o-tunnel] .lead", "1 client asked for a tunnel; it is still asking")

    site.redis.kill()
    browser.wait("#notice", "Redis is away.*figures are of 20", 30)
    browser.wait("#healthy", "Redis away")
    assert "127.0.60.77" in browser.text("[aria-labelledby=o-tunnel]"), "what was known stays"
    site.redis.start()
    browser.wait("#healthy", "^healthy", 30)
    browser.gone("#notice p")

    site.daemon.stop()
    browser.wait("#notice", "The resolver does not answer.*nothing can be changed")
    browser.wait("#healthy", "resolver away")
    browser.wait("#band", "Whether blocking is on is not known")
    browser.click("nav a", "Health")
    browser.wait(".faults .bad", "The resolver does not answer")
    site.daemon.start()
    browser.wait("#healthy", "^healthy", 30)
    browser.wait(".panel", "Upstreams answer")

    browser.click("nav a", "Clients")
    browser.wait("table.data tbody tr")
    site.board.stop()
    browser.wait("#live", "^away since ")
    browser.wait("#notice", "The dashboard does not answer")
    browser.click("thead button", "Last seen")
    browser.wait(".stale-line", "Stale since.*does not answer")
    assert browser.texts("tbody th"), "what was known stays"
    site.board.start()
    browser.wait("#live", "^(live|every 3 s)$", 30)
    browser.click(".stale-line button", "Try again")
    browser.gone(".stale-line")

    site.redis.kill()
    site.board.stop()
    site.board.start()
    browser.open(site.url + "/").wait("[aria-labelledby=o-tunnel]", "Not known: Redis has not been read", 30)


def test_fleet_without_a_stream(browser, own):
    """Two resolvers in one page, all or one. Where server-sent events do not come through the overview is asked for, and goes on; what
    comes slowly has a face until it is there."""
    browser.expect(r"/api/v1/live")
    site = own(dashboard_reading="open", fleet=True)
    folder = harness.Folder()
    other = harness.Teredown(folder.path, "127.0.0.1:9", redis=site.redis.url, allow=["127.0.0.0/8"], resolver_name="gw2").start()
    try:
        site.ask("127.0.60.41", TEREDO)
        harness.ask(other.port, "localhost", source="127.0.60.99")
        browser.command("Network.enable")
        browser.command("Network.setBlockedURLs", urls=["*/api/v1/live*"])
        browser.open(site.url + "/").wait("#live", "every 3 s")
        browser.wait("[aria-labelledby=o-tunnel]", r"127\.0\.60\.41")
        until(lambda: browser.texts("#resolver option") == ["all resolvers", "gw2", harness.RESOLVER], "both are offered")
        browser.command("Network.emulateNetworkConditions", offline=False, latency=600, downloadThroughput=-1, uploadThroughput=-1)
        browser.click("nav a", "Clients").wait("main .loading")
        browser.wait("table.data tbody th", r"127\.0\.60\.41")
        browser.command("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        browser.click("#resolver option", "gw2")
        until(lambda: "127.0.60.99" in browser.texts("tbody th") and "127.0.60.41" not in browser.texts("tbody th"), "the clients of one resolver")
    finally:
        other.stop()
        folder.remove()


def test_sign_in(browser, own):
    """Reading may need the token: asked for once, refused when wrong, not asked again by what refreshes itself."""
    browser.expect(r"status of 40[013]|status of 429")
    site = own(dashboard_reading="token")
    token = site.board.token()
    browser.open(site.url + "/clients").wait("dialog[open] h2", "Sign in")
    assert browser.focused() == "input#token"
    browser.write("#token", "wrong", enter=True).wait("dialog .face.bad")
    browser.click("dialog button", "Not now")
    browser.gone("dialog")
    browser.wait("main .face.bad button", "Try again")
    asked = len(browser.requests())
    until(lambda: len(browser.requests()) > asked + 1, "the page goes on asking for the overview")
    assert not browser.all("dialog")
    browser.click("main .face.bad button", "Try again").write("#token", token, enter=True)
    browser.gone("dialog")
    browser.wait(".table-foot, .face", "client")
    browser.wait("#session", "Sign out")
    browser.wait("#live", "^(live|every 3 s)$")
    assert not browser.in_page("return document.cookie"), "scripts cannot read the session"
    browser.driver.refresh()
    browser.wait("#session", "Sign out").click()
    browser.wait("dialog[open] h2", "Sign in")


@pytest.mark.timed
def test_size_and_time(browser, site):
    """What each page with a chart weighs with all that it loads, and when the first chart of the first one stands."""
    browser.command("Network.enable")
    best = None
    for _ in range(3):
        browser.command("Network.clearBrowserCache")
        browser.open(site.url + "/").wait(".story canvas")
        chart_ms = browser.in_page("""
            while (!performance.getEntriesByName('chart').length)
                await new Promise(requestAnimationFrame);
            return performance.getEntriesByName('chart')[0].startTime;""")
        best = min(best or chart_ms, chart_ms)
    print("first chart %.0f ms" % best)
    for page in ("/", "/address/" + ADDRESS, "/watch/teredo", "/clients/127.0.60.77"):
        browser.command("Network.clearBrowserCache")
        browser.open(site.url + page).wait(".story canvas[tabindex]")
        loaded = browser.in_page("""
            const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter((one) => !one.name.includes('/api/'));
            return all.map((one) => [new URL(one.name).pathname, one.decodedBodySize, one.encodedBodySize]);""")
        whole, sent = sum(size for _, size, _ in loaded), sum(size for _, _, size in loaded)
        print("%s: %d files, %d octets, %d as sent: %s" % (page, len(loaded), whole, sent, json.dumps(loaded)))
        assert any(path == "/chart.js" and size > 100000 for path, size, _ in loaded), loaded
        assert whole < PAGE_MOST, (page, whole, loaded)
    assert best < CHART_MOST_MS
