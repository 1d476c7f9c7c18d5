# SPDX-License-Identifier: BSD-3-Clause
"""The pages of the dashboard that answer questions and change what applies, in Chromium: what is behind an address with its chart, who tunnels, block and
pause, the journal. A few long walks, since a browser costs a second to start. That no other host is asked, nothing is on the console and the policy
is kept, the fixture itself sees to (browser.py)."""

import base64
import contextlib
import csv
import datetime
import io
import os
import struct
import threading
import time

import dns.name
import pytest

import harness
import logs
from browser import browser, need_browser # noqa: F401 (a fixture)
from browser_site import ADDRESS, ASKING, TEREDO, BrowserSite
from harness import until

pytestmark = pytest.mark.alone # as test_browser_pages.py

LOOKUPS, DROPS = sum(ASKING.values()), 9
HOSTILE = dns.name.Name((b"win<script>alert(1)", b"ipv6", b"microsoft", b"com", b""))
CANVAS = ".story canvas[tabindex]"
PAGES = ["/address", "/address/" + ADDRESS, "/address/" + TEREDO, "/address/nothing.example", "/watch", "/watch/teredo", "/policy", "/changes"]


class Site(BrowserSite):
    """Three clients have looked for a Teredo server, and a firewall has dropped nine packets for each time."""

    def __init__(self, upstream, **options):
        groups = {"gaming": {"clients": ["127.0.60.40"], ("zone", "isatap"): {"mode": "watch"}}}
        super().__init__(upstream, groups, **{"dashboard_reading": "open", **options})

    @contextlib.contextmanager
    def asking(self, client):
        """It asks on and on, whatever it is answered."""
        stop = threading.Event()

        def go_on():
            while not stop.wait(0.05):
                self.ask(client, TEREDO)
        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def fill(self):
        self.look_for_teredo()
        self.ask("127.0.60.77", HOSTILE)
        log = logs.Log()
        now = time.time()
        lines = "".join(log.drop(now, client, ADDRESS) for client, count in ASKING.items() for _ in range(count * DROPS))
        self.daemon.run("ingest", self.folder.write("fw.log", lines))
        until(lambda: self.board.get("who?q=" + ADDRESS)["views"][0]["count"] == LOOKUPS, "all is counted")

    def mode(self, zone="teredo"):
        return next(one for one in self.daemon.json("mode")["zones"] if one["zone"] == zone and not one.get("group"))


@pytest.fixture(scope="module")
def site(nsd):
    need_browser()
    site = Site(nsd.endpoint)
    site.fill()
    yield site
    site.end()


def saved(browser, button):
    """(file's name, its octets) of what a button would save: the link is caught on its way."""
    browser.script("""
        window.saved = null;
        const click = HTMLAnchorElement.prototype.click;
        HTMLAnchorElement.prototype.click = function() {
            HTMLAnchorElement.prototype.click = click;
            const name = this.download, seen = window.blobs.get(this.href);
            const reader = new FileReader();
            reader.onload = () => { window.saved = [name, reader.result.split(',')[1]]; };
            reader.readAsDataURL(seen);
        };
        if (!window.blobs) {
            window.blobs = new Map();
            const make = URL.createObjectURL;
            URL.createObjectURL = (blob) => {
                const url = make.call(URL, blob);
                window.blobs.set(url, blob);
                return url;
            };
        }""")
    browser.click(".chart-tools button", "^%s$" % button)
    name, data = until(lambda: browser.script("return window.saved"), "the file of %s" % button)
    return name, base64.b64decode(data)


def key(browser, *keys):
    browser.wait(CANVAS).send_keys(*keys)


def heard(browser):
    return browser.script("return document.querySelector('.story > .unseen').textContent")


def sign_in(browser, site):
    browser.write("dialog #token", site.board.token(), enter=True)
    browser.gone("dialog #token")


# --- the chart ---

def test_story_as_data(browser, site):
    """Pure parts of the chart: its gist, ticks, heights, CSV, names of files."""
    browser.expect("status of 404").open(site.url + "/policy").wait("h1", "Policy")
    found = browser.in_page("""
        const story = { ...await import('/story-data.js'), ...await import('/story-files.js') };
        const hour = (at) => new Date(Date.UTC(2026, 10, 14, 20) + at * 3600e3).toISOString();
        const make = (lists, more) => story.model({ query: '65.55.158.118', span_hours: 1, ...more,
            series: Object.entries(lists).map(([source, list]) => ({ source, sum: list.reduce((a, b) => a + b, 0) })),
            rows: Object.values(lists)[0].map((_, at) => ({ from: hour(at), to: hour(at + 1), counts: Object.values(lists).map((list) => list[at]) })) });
        const week = (value) => Array.from({ length: 168 }, (_, at) => at < 162 ? value : 0);
        const ended = make({ dns: week(360), 'firewall-drop': week(3240) }, { lookups: 58320, drops: 524880, ratio: 9 });
        const on = make({ dns: [1, 2] }, { lookups: 3, drops: 0, ratio: null });
        const hostile = make({ dns: [0, 7] }, {});
        hostile.series[0].label = '=HYPERLINK("http://x","a,b")';
        hostile.query = '../..\\\\<b>.exe';
        return { gists: [ended, on, make({ dns: [0] }, {}), make({ dns: [4, 0], proxy: [1, 0] }, { lookups: 4, drops: 10, ratio: 2.5 })].map(story.gist),
            ticks: [story.timeTicks(ended, -0.5, 167.5, 8), story.timeTicks(ended, 0, 12, 8)], label: [story.timeLabel(ended, 4), story.timeLabel(ended, 3)].flat(),
            decades: story.decades(6480).map((one) => one.words), heights: [0, 1, 10].map((one) => story.height(one, true)),
            csv: story.csv(hostile), file: story.fileName(hostile, 'csv'), row: story.rowWords(ended, 3) };""")
    assert found["gists"] == ["58,320 lookups, nine drops for each, none since 21 Nov 14:00", "3 lookups, still going on in the present hour",
        "nothing was counted in this time", "4 lookups, 2.5 drops for each, 1 proxy requests, none since 14 Nov 21:00"]
    assert found["ticks"][0] == [4 + 24 * day for day in range(7)] and found["ticks"][1] == [0, 2, 4, 6, 8, 10, 12]
    assert found["label"] == ["Sun", "15 Nov", "23:00"] and found["row"] == "Sat 14 Nov, 23:00 to 00:00"
    assert found["decades"] == ["0", "1", "10", "100", "1,000", "10,000"] and found["heights"] == [0, 0.5, 1.5]
    assert found["csv"] == ("from (UTC),to (UTC),\"'=HYPERLINK(\"\"http://x\"\",\"\"a,b\"\")\"\r\n2026-11-14T20:00:00Z,2026-11-14T21:00:00Z,0\r\n"
        "2026-11-14T21:00:00Z,2026-11-14T22:00:00Z,7\r\n")
    assert found["file"] == "teredown-b-.exe.csv"


def answer_otherwise(browser, pattern, body):
    """What this page is answered by the API where the URL fits the pattern: body makes [status, object] of the object."""
    browser.script("""
        const real = window.real ??= window.fetch;
        window.fetch = async (url, options) => {
            const response = await real(url, options);
            if (!/%s/.test(String(url)))
                return response;
            const [status, object] = ((object) => { %s })(await response.json());
            return new Response(JSON.stringify(object), { status, headers: { 'Content-Type': 'application/json' } });
        };""" % (pattern, body))


def choose_times(browser):
    """A time without counts is said to be so, and is no chart of another time."""
    answer_otherwise(browser, "timeline.*since=1d", "return [404, { title: 'Not found', detail: 'nothing is recorded of it' }]")
    browser.click("[data-part=chart] option", "^a day$").wait("[data-part=chart]", "Nothing was counted in that time")
    browser.gone(CANVAS)
    browser.click("[data-part=chart] option", "three days").wait(CANVAS)


def check_csv(browser, site):
    name, data = saved(browser, "CSV")
    assert name == "teredown-%s.csv" % ADDRESS
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    timeline = site.board.get("timeline?q=%s&since=7d&span=1h&by=source" % ADDRESS)
    assert rows[0] == ["from (UTC)", "to (UTC)", "lookups", "dropped by a firewall"] and len(rows) == len(timeline["rows"]) + 1
    for line, row in zip(rows[1:], timeline["rows"]):
        begin = datetime.datetime.strptime(line[0], "%Y-%m-%dT%H:%M:%SZ")
        assert row["from"].startswith(begin.isoformat()) and [int(text) for text in line[2:]] == row["counts"]


def check_png(browser):
    name, data = saved(browser, "PNG")
    assert name == "teredown-%s.png" % ADDRESS and data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    size = browser.script("const c = document.querySelector(arguments[0]); return [c.width, c.height]", CANVAS)
    assert width == size[0] and height > size[1], "the picture with title and legend"


def test_address_and_its_chart(browser, site):
    """The first question: what is behind this address. Figures, keys, scale, zoom, series, files, table."""
    browser.look().open(site.url + "/address/" + ADDRESS)
    browser.wait(".lead", "teredo.ipv6.microsoft.com, and only that name. Asked by three hosts")
    assert "Teredo server of Microsoft" in browser.text("[data-part=summary0]")
    canvas = browser.wait(CANVAS)
    assert "%d lookups, nine drops for each, still going on" % LOOKUPS in canvas.get_attribute("aria-label")
    key(browser, "\ue012") # left: the newest hour, with the focus
    assert "%d lookups, %d dropped by a firewall" % (LOOKUPS, LOOKUPS * DROPS) in heard(browser)
    reset = browser.wait(".chart-tools button", "Show all")
    assert not reset.is_enabled()
    key(browser, "+", "+", "\ue012")
    assert reset.is_enabled() and "0 lookups, 0 dropped" in heard(browser)
    key(browser, "\ue011") # Home
    assert not reset.is_enabled()
    drag = browser.script("const r = arguments[0].getBoundingClientRect(); return [r.left + r.width * 0.4, r.top + r.height / 2, r.width * 0.3]", canvas)
    for kind, x in (("mousePressed", 0), ("mouseMoved", drag[2]), ("mouseReleased", drag[2])):
        browser.command("Input.dispatchMouseEvent", type=kind, x=drag[0] + x, y=drag[1], button="left", buttons=1, clickCount=1)
    until(reset.is_enabled, "zoomed by dragging")
    browser.click(".chart-tools button", "Show all")
    browser.click(".chart-tools button", "Logarithmic")
    assert browser.wait(".chart-tools [aria-pressed=true]").text == "Logarithmic"
    ticks = browser.script("return window.Chart.getChart(arguments[0]).scales.y.ticks.map((one) => one.label)", canvas)
    assert ticks[:4] == ["0", "1", "10", "100"]
    browser.click("button.legend", "lookups")
    assert browser.wait("button.legend", "lookups").get_attribute("aria-pressed") == "false"
    key(browser, "\ue012")
    assert "lookups" not in heard(browser) and "dropped by a firewall" in heard(browser)
    check_csv(browser, site)
    check_png(browser)
    browser.click("summary", "The numbers as a table")
    browser.wait(".story tbody td", "^%d$" % (LOOKUPS * DROPS))
    assert browser.texts("[data-part=pairs0] tbody tr")[0].split()[0] == "127.0.60.77"
    choose_times(browser)
    assert "kiosk.corp.example" in browser.text("[data-part=pairs0]") and "9" in browser.text("[data-part=logs0] tbody")
    browser.command("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
    browser.open(site.url + "/address/" + ADDRESS).wait(CANVAS)
    title = browser.script("return window.Chart.getChart(document.querySelector(arguments[0])).options.scales.x.title.text", CANVAS)
    assert title in ("Time (Asia/Calcutta, GMT+5:30)", "Time (Asia/Kolkata, GMT+5:30)", "Time (Asia/Calcutta, IST)")


def test_many_pairs(browser, site):
    """The first rows are read, and it is said how many there are; who searches, sorts or turns pages beyond them finds every one."""
    now_ms = int(time.time() * 1000)
    pairs = {"127.1.%d.%d teredo.ipv6.microsoft.com." % divmod(number, 256): "%d %d %d " % (now_ms, now_ms, 1000 - number) for number in range(450)}
    site.redis.client().hset("teredown:{%s}:pair:198.51.100.80" % harness.RESOLVER, mapping=pairs)
    site.redis.client().hset("teredown:{%s}:timeline:198.51.100.80" % harness.RESOLVER, time.strftime("%Y%m%d%H:dns", time.gmtime()), len(pairs))
    foot, asked = "[data-part=pairs0] .table-foot", """return performance.getEntriesByType('resource').map((one) => one.name)
        .filter((one) => one.includes('/who?')).map((one) => new URL(one).searchParams.get('limit'))"""
    browser.look().open(site.url + "/address/198.51.100.80").wait(foot, "1 to 50, 450 pairs")
    browser.click(foot + " button", "Next").wait(foot, "51 to 100, 450 pairs")
    assert set(browser.script(asked)) == {"200"}, "pages of what is here are turned without another reading"
    browser.wait("[data-part=pairs0] input").send_keys("127.1.1.193")
    browser.wait(foot, "1 of 450 pairs")
    assert browser.texts("[data-part=pairs0] tbody tr")[0].split()[0] == "127.1.1.193"
    assert None in browser.script(asked)
    browser.open(site.url + "/address/198.51.100.80").wait(foot, "1 to 50, 450 pairs")
    browser.click("[data-part=pairs0] th button", "Times").wait("[data-part=pairs0] tbody tr", "127.1.1.193")
    assert "450 pairs" in browser.text(foot)


def test_without_the_library(browser, site):
    """Chart.js is not there: the numbers are, and a sentence says why."""
    browser.command("Network.enable")
    browser.command("Network.setBlockedURLs", urls=["*/chart.js"])
    browser.expect("/chart.js").open(site.url + "/address/" + ADDRESS)
    browser.wait(".story", "No chart: Chart.js is not installed")
    browser.wait(".story tbody td", "^%d$" % LOOKUPS)


# --- changes ---

def times_told(browser):
    """The count of the first client on the page of an address."""
    cells = browser.texts("[data-part=pairs0] tbody tr td.number")
    return int(cells[0].replace(",", "")) if cells and cells[0].replace(",", "").isdigit() else None


def standing(browser, seconds=3):
    """The count once it has been the same for so long."""
    last, since = None, time.monotonic()

    def stands():
        nonlocal last, since
        now = times_told(browser)
        if now != last:
            last, since = now, time.monotonic()
        return last is not None and time.monotonic() - since > seconds
    until(stands, "the count stands still", 30, 0.1)
    return last


def test_block_from_the_address(browser, site):
    """From the address to quiet: sign in, block, the count stops although the client goes on; undo, and it goes on; pause with a countdown; the journal."""
    browser.look().open(site.url + "/address/" + ADDRESS)
    first = until(lambda: times_told(browser), "a count")
    with site.asking("127.0.60.77"):
        until(lambda: times_told(browser) > first, "the count goes on by itself")
        browser.click("[data-part=policy0] button", "^Block teredo$")
        dialog = browser.wait("dialog[open]")
        browser.wait("dialog[open]", "Asked by 3 clients: .*kiosk.corp.example")
        assert "Block the names of zone teredo for everybody, until the next change" in dialog.text
        browser.click("dialog[open] button[type=submit]", "^Block$")
        sign_in(browser, site)
        browser.wait(".done", "teredo: watch -> block")
        assert browser.focused() == "div" and site.mode()["mode"] == "block"
        stopped = standing(browser)
        answered = harness.number(site.daemon.status(), "answered")
        until(lambda: harness.number(site.daemon.status(), "answered") > answered + 20, "the client goes on")
        assert times_told(browser) == stopped
        browser.click(".done button", "^Undo$")
        browser.wait(".done", "teredo: block -> watch")
        until(lambda: times_told(browser) > stopped, "the count goes on after undo")
    assert site.mode()["mode"] == "watch" and site.mode()["from"] == "configuration"
    pause_and_journal(browser, site)


def focus_after_dialog(browser, site):
    """Back to the button, although its table was drawn anew behind the dialog."""
    row = lambda: next(row for row in browser.texts("[data-part=zones] tbody tr") if row.startswith("teredo"))
    browser.click("[data-part=zones] tbody tr:nth-child(2) button", "Change").wait("dialog[open] h2", "teredo")
    assert browser.script("return document.activeElement.checked"), "the mode as it is"
    before = row()
    site.ask("127.0.60.77", TEREDO)
    until(lambda: row() != before, "the hit stands there")
    browser.keys("\ue00c")
    browser.gone("dialog")
    assert browser.script("return document.activeElement.dataset.key") == "change teredo"


def pause_and_journal(browser, site):
    browser.click("nav a", "Policy").wait("[data-part=state] .lead", "Blocking is off")
    focus_after_dialog(browser, site)
    browser.click("[data-part=state] button", "Block all tunnel zones").wait("dialog[open]", "for everybody but group gaming")
    browser.click("dialog[open] button[type=submit]").wait("[data-part=state] .lead", "Blocking is on; 1 group differs")
    browser.click("[data-part=state] button", "Pause 10 min").wait("dialog[open]", "then it is as before")
    browser.click("dialog[open] button[type=submit]", "Watch for 10 min").wait(".done", "9 min|10 min")
    browser.wait("[data-part=zones] tbody tr", "teredo[^$]*watch[^$]*min left")
    until_s = datetime.datetime.fromisoformat(site.mode()["until"].replace("Z", "+00:00")).timestamp()
    assert 500 < until_s - time.time() <= 601
    browser.click("[data-part=zones] tbody tr:nth-child(3) button", "Change").wait("dialog[open]", "6to4")
    browser.click("dialog[open] .choice", "Ignore").click("dialog[open] .choice", "for 1 h").click("dialog[open] button[type=submit]", "Ignore for 1 h")
    browser.wait("[data-part=zones] tbody tr", "6to4[^$]*ignore[^$]*left")
    browser.write("[name=name]", TEREDO).click("button", "Follow the rules")
    browser.wait("[data-part=test]", "teredo mode=watch action=nxdomain rule=teredo.ipv6.microsoft.com.")
    browser.click("button", "^Reload$").wait(".done li")
    browser.write("[data-part=cache] [name=name]", TEREDO).click("button", "^Flush$").wait(".done", "[Ff]lush|taken|cache")
    browser.click("nav a", "Changes").wait("[data-part=changes] tbody tr", "policy/mode|ignore[^$]*zone 6to4[^$]*for 1 h")
    rows = browser.texts("[data-part=changes] tbody tr")
    assert any("all tunnel zones" in row and "for 10 min" in row and "127.0.0.1" in row and "done" in row for row in rows), rows
    browser.wait("[data-part=events] tbody tr", "6to4: .* to ignore")
    site.daemon.run("mode", "reset")


# --- who tunnels, and every page's looks ---

def test_watch(browser, site):
    """Who is tunnelling, since when, how much: the classes, one class live, names that would deceive as text."""
    browser.look().open(site.url + "/watch").wait("[data-part=gist]", "3 clients asked for teredo. 3 are new since yesterday.")
    browser.wait("[data-part=classes] tbody tr", "teredo[^$]*watch")
    browser.wait("[data-part=fresh] tbody tr", "kiosk.corp.example")
    assert not browser.all("[data-part=unplaced]:not([hidden])")
    answer_otherwise(browser, "v1.watch$", "object.zones.find((one) => one.zone === 'teredo').new_count = 250; object.unplaced = 1234; return [200, object]")
    browser.wait("[data-part=gist]", "250 are new since yesterday") # of which the first hundred would be listed
    browser.wait("[data-part=unplaced]", "1,234 more hits of these seven days are in no figure")
    browser.click("[data-part=classes] tbody a", "^teredo$").wait("h1", "Watch: teredo")

    def hits():
        return int(browser.texts("[data-part=figures] dd")[0].replace(",", ""))
    until(lambda: browser.texts("[data-part=figures] dd"), "figures")
    before = hits()
    browser.wait("[data-part=clients] input").send_keys("kiosk")
    browser.wait("[data-part=clients] .table-foot", "1 of 3")
    with site.asking("127.0.60.77"):
        until(lambda: hits() > before + 10, "hits go on by themselves")
        assert browser.script("return document.activeElement.type") == "search", "what is drawn anew leaves the focus where it is"
    browser.wait("[data-part=names] tbody tr", r"win<script>alert\\\(1\\\)\.ipv6")
    assert not browser.all("main script")
    assert "hits" in browser.wait(CANVAS).get_attribute("aria-label").lower()
    browser.expect("status of 404").open(site.url + "/address/" + "nothing.example").wait(".face", "teredown ingest FILE")
    browser.open(site.url + "/address").wait("[data-part=drops] tbody tr", ADDRESS)
    browser.write("main [name=q]", TEREDO, enter=True).wait(".lead", "was asked by three hosts")


def test_every_width(browser, site):
    """No page is wider than its window, from the narrowest phone up; light and dark."""
    browser.expect("status of 404")
    for page in PAGES:
        browser.open(site.url + page).wait("main h1")
        until(lambda: browser.all("main :is(.panel, .face:not(.loading))"), "something on " + page)
        for width, theme in ((320, "light"), (360, "dark"), (768, "light"), (1280, "dark")):
            browser.look(width, theme)
            until(lambda: browser.script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
                "%s fits into %d px" % (page, width), 5)
    if os.environ.get("TEREDOWN_PICTURES"):
        for width, theme in ((360, "light"), (768, "dark"), (1280, "light")):
            for page in PAGES:
                browser.look(width, theme).open(site.url + page).wait("main h1")
                browser.gone(".loading")
                time.sleep(1)
                browser.screenshot(os.path.join(os.environ["TEREDOWN_PICTURES"], "%s-%d-%s.png" % (page.strip("/").replace("/", "_"), width, theme)))
