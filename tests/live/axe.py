# SPDX-License-Identifier: BSD-3-Clause
"""An audit of accessibility by axe-core, which ./bootstrap check fetches from npm's registry (its version and sum stand there): for tests only."""

import os

import pytest

import harness

# "none" where the registry could not be reached.
FILE = os.environ.get("TEREDOWN_AXE") or os.path.join(harness.SOURCE, "build", "axe", "axe.min.js")
GRAVE = ("serious", "critical")
# preload: it would ask for style sheets again.
RUN = """
    const done = arguments[arguments.length - 1];
    axe.run(document, { preload: false, resultTypes: ['violations'] }).then((result) => done(result.violations.map((one) => ({ id: one.id, impact: one.impact, help: one.help,
        nodes: one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} ${(node.failureSummary || '').replaceAll('\\n', ' ').slice(0, 300)}`) }))), (error) => done([{ id: String(error), impact: 'critical', help: '', nodes: [] }]));
"""


def need_axe():
    """Skips the test where there is none; under ./bootstrap check that is where it could not be fetched, and nowhere else."""
    if FILE == "none":
        pytest.skip("axe-core could not be fetched from npm's registry")
    if not os.path.exists(FILE):
        harness.missing("axe-core is not in %s; ./bootstrap check fetches it" % FILE)


def findings(browser):
    """Lines about what is serious or critical on the page as it is."""
    if not browser.script("return Boolean(window.axe)"):
        with open(FILE, encoding="utf-8") as file:
            browser.script(file.read())
    return ["%s (%s): %s\n    %s" % (one["id"], one["impact"], one["help"], "\n    ".join(one["nodes"]))
        for one in browser.driver.execute_async_script(RUN) if one["impact"] in GRAVE]
