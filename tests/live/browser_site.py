# SPDX-License-Identifier: BSD-3-Clause
"""What a browser looks at: a daemon, its Redis and a dashboard, whose clients ask what a test has them ask."""

import dashboard
import harness

TEREDO, ADDRESS = "teredo.ipv6.microsoft.com", "65.55.158.118"
ASKING = {"127.0.60.77": 30, "127.0.60.41": 20, "127.0.60.40": 10}
NAMES = {"127.0.60.77": "kiosk.corp.example", "127.0.60.41": "lab-pc.corp.example"}


class BrowserSite:
    def __init__(self, upstream, groups, **options):
        """groups: of the daemon; the rest are the dashboard's options."""
        self.folder = harness.Folder()
        self.redis = harness.Redis(self.folder.path).start()
        hosts = self.folder.write("hosts", "".join("%s %s\n" % pair for pair in NAMES.items()))
        self.daemon = harness.Teredown(self.folder.path, upstream, redis=self.redis.url, allow=["127.0.0.0/8"], client_names=["hosts:" + hosts],
            groups=groups).start()
        self.board = dashboard.Dashboard(self.folder.path, self.daemon, **options).start()
        self.url = "http://127.0.0.1:%d" % self.board.port

    def ask(self, client, name, count=1):
        harness.ask_often(self.daemon.port, client, name, count)

    def look_for_teredo(self):
        """Three clients look for a Teredo server, each as often as ASKING says."""
        for client, count in ASKING.items():
            self.ask(client, TEREDO, count)

    def end(self):
        for part in (self.board, self.daemon, self.redis):
            if part.running():
                part.stop() if part is not self.redis else part.kill()
        self.folder.remove()
