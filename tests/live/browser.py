# SPDX-License-Identifier: BSD-3-Clause
"""A real Chromium for tests of the dashboard's page, without a window.

    from browser import browser  # a fixture

    def test_page(browser, dashboard):
        browser.open(dashboard.url + "/clients")
        browser.wait("table.data tbody tr")
        browser.click("thead button", "Watched")

Every request and every line of the console is kept. When a test ends, nothing may have been asked of another host than those that were
opened, no error may stand on the console, and the Content-Security-Policy may not have been violated; a test that breaks something on
purpose says before what it expects with expect().
"""

import json
import re
import shutil
import tempfile
import urllib.parse

import pytest

from harness import Failure, find, missing, until

try:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = None

FLAGS = ("--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --hide-scrollbars --no-default-browser-check --disable-extensions").split()
# No name is looked up and no other host is reached, whatever a page or Chromium itself would like.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost , EXCLUDE [::1]"
# Before any script of the page: what the policy refused, and errors that nobody caught.
WITNESS = """
    window.witnessed = [];
    addEventListener('securitypolicyviolation', (event) => witnessed.push(`CSP: ${event.violatedDirective}: ${event.blockedURI}`), true);
    addEventListener('error', (event) => event.message && witnessed.push(`error: ${event.message} (${event.filename}:${event.lineno})`), true);
    addEventListener('unhandledrejection', (event) => witnessed.push(`not caught: ${event.reason}`));
"""


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="td-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = find("chromium")
        for flag in FLAGS + [ALONE, "--user-data-dir=" + self.folder, "--window-size=1280,800", "--lang=en"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = webdriver.Chrome(options=options, service=Service(find("chromedriver")))
        except Exception:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.driver.set_page_load_timeout(30)
        self.driver.set_script_timeout(20)
        self.command("Page.addScriptToEvaluateOnNewDocument", source=WITNESS)
        self.command("Emulation.setTimezoneOverride", timezoneId="UTC")
        self.origins, self.expected = set(), []
        self._console, self._requests, self._witnessed = [], [], []

    # --- where one is ---

    def command(self, name, **parameters):
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def open(self, url):
        self.witnessed()
        parts = urllib.parse.urlsplit(url)
        self.origins.add((parts.scheme, parts.netloc))
        self.driver.get(url)
        return self

    @property
    def path(self):
        return self.script("return location.pathname + location.search")

    @property
    def title(self):
        return self.driver.title

    def look(self, width=1280, theme="light", height=800, motion="no-preference"):
        """The size of the window in CSS pixels, and what the system says about colours."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": motion}])
        return self

    def screenshot(self, path, whole=True, most=4000):
        """The page as a PNG, with all of its height."""
        if whole:
            width, height = self.script("return [innerWidth, document.documentElement.scrollHeight]")
            self.command("Emulation.setDeviceMetricsOverride", width=width, height=min(height, most), deviceScaleFactor=1, mobile=False)
        self.driver.save_screenshot(path)
        return path

    # --- what is there ---

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def in_page(self, text):
        """What the body of an asynchronous function returns there."""
        result = self.driver.execute_async_script("""
            const done = arguments[arguments.length - 1];
            (async () => { %s })().then((value) => done({ value }), (error) => done({ error: String(error) }));""" % text)
        assert "error" not in result, result["error"]
        return result["value"]

    def all(self, selector, text=None):
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [one for one in found if text is None or self._has(one, text)]

    def _has(self, one, text):
        try:
            return re.search(text, one.text or one.get_property("textContent")) is not None
        except WebDriverException: # drawn anew meanwhile
            return False

    def wait(self, selector, text=None, deadline_s=15):
        """The first element with this selector (and a text that matches, a regular expression) once it is there."""
        def seen():
            return next(iter(self.all(selector, text)), None)
        try:
            return until(seen, "%s %s" % (selector, text or ""), deadline_s, 0.05)
        except Failure as failure:
            raise Failure("%s\n--- the page ---\n%s" % (failure, self.text("body")[:3000]))

    def gone(self, selector, text=None, deadline_s=15):
        until(lambda: not self.all(selector, text), "no %s %s" % (selector, text or ""), deadline_s, 0.05)

    def text(self, selector="main"):
        found = self.all(selector)
        return found[0].text if found else ""

    def texts(self, selector):
        """Texts of all such elements, in one question to the browser."""
        return self.script("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.trim())", selector)

    # --- what a person does ---

    def click(self, selector, text=None):
        """Where the page draws anew every second an element may be gone before the click: it is looked for again."""
        def clicked():
            try:
                self.wait(selector, text).click()
                return True
            except WebDriverException as error:
                if "stale" not in str(error) and "not clickable" not in str(error) and "intercepted" not in str(error):
                    raise
                return False
        until(clicked, "a click on %s %s" % (selector, text or ""), 15, 0.05)
        return self

    def write(self, selector, text, enter=False):
        field = self.wait(selector)
        field.clear()
        field.send_keys(text + (Keys.ENTER if enter else ""))
        return self

    def keys(self, *keys):
        """Keys to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)
        return self

    def focused(self):
        return self.script("const a = document.activeElement; return a ? a.tagName.toLowerCase() + (a.id ? '#' + a.id : '') : ''")

    # --- what happened ---

    def expect(self, pattern):
        """Lines of the console that this test causes on purpose."""
        self.expected.append(re.compile(pattern))
        return self

    def console(self):
        self._console += [(entry["level"], entry["message"]) for entry in self.driver.get_log("browser")]
        return self._console

    def requests(self):
        """URLs of all requests so far."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                self._requests.append(message["params"]["url"])
        return self._requests

    def witnessed(self):
        try:
            self._witnessed += self.script("return (window.witnessed || []).splice(0)")
        except WebDriverException: # no page, or one of the browser's own
            pass
        return self._witnessed

    def outside(self):
        """Requests to anybody else than the servers that were opened."""
        def is_own(url):
            parts = urllib.parse.urlsplit(url)
            if parts.scheme == "blob": # blob:http://host/…
                parts = urllib.parse.urlsplit(parts.path)
            # chrome: the browser's own first page
            return parts.scheme in ("data", "chrome", "about") or (parts.scheme, parts.netloc) in self.origins
        return [url for url in self.requests() if not is_own(url)]

    def faults(self):
        lines = ["%s: %s" % line for line in self.console() if line[0] == "SEVERE"] + self.witnessed()
        return [line for line in lines if not any(pattern.search(line) for pattern in self.expected)]

    def check(self):
        """Nothing of what may not happen has happened."""
        assert not self.outside(), "requests to other hosts: %s" % self.outside()
        assert not self.faults(), "\n".join(self.faults())

    def close(self):
        try:
            self.driver.quit()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def need_browser():
    if webdriver is None:
        missing("no selenium (Debian: python3-selenium)")
    for program in ("chromium", "chromedriver"):
        if not find(program):
            missing("no %s (Debian: chromium chromium-driver)" % program)


@pytest.fixture
def browser():
    need_browser()
    started = Browser()
    try:
        yield started
        started.check()
    finally:
        started.close()
