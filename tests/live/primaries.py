# SPDX-License-Identifier: BSD-3-Clause
"""Primaries of zones by transfer: NSD and BIND's named with one response policy zone, changed by writing it anew."""

import base64
import os
import signal
import subprocess

import dns.query
import dns.tsigkeyring
import dns.update

import harness
import nsd_config

ZONE = "rpz.test"
SECRET = base64.b64encode(b"a secret of thirty-two octets...").decode()
OTHER_SECRET = base64.b64encode(b"another secret, not that one....").decode()


def zone_text(serial, names, refresh=3600, retry=600, expire=86400):
    """The zone with `name CNAME .` for each of the names; a name may also be a whole line."""
    lines = ["$ORIGIN %s." % ZONE, "@ 60 IN SOA ns.%s. root.%s. %d %d %d %d 60" % (ZONE, ZONE, serial, refresh, retry, expire),
        "@ 60 IN NS localhost."]
    return "\n".join(lines + [name if " " in name else name + " 60 IN CNAME ." for name in names]) + "\n"


class NsdPrimary(harness.Process):
    """keys: name → (algorithm, secret); key: that which a transfer needs, None: none. notify: ports of daemons to tell."""

    def __init__(self, folder, serial=1, names=(), key=None, algorithm="hmac-sha256", secret=SECRET, notify=(), notify_key=None, port=None,
            transfers=True, **times):
        self.folder = os.path.join(folder, "primary")
        os.makedirs(self.folder, exist_ok=True)
        self.port = port or harness.free_port()
        self.times = times
        self.put(serial, names)
        named = key or "NOKEY"
        rows = ["provide-xfr: 127.0.0.1 " + named, "store-ixfr: yes", "create-ixfr: yes"] if transfers else []
        rows += ["notify: 127.0.0.1@%d %s" % (other, notify_key or named) for other in notify]
        config = os.path.join(self.folder, "nsd.conf")
        with open(config, "w") as out:
            out.write(nsd_config.server(self.folder, self.port))
            for name in {key, notify_key} - {None}:
                out.write('key:\n\tname: "%s"\n\talgorithm: %s\n\tsecret: "%s"\n' % (name, algorithm, secret))
            out.write('zone:\n\tname: "%s"\n\tzonefile: "rpz.zone"\n\t%s\n' % (ZONE, "\n\t".join(rows)))
        super().__init__("nsd", [harness.find("nsd"), "-d", "-c", config], self.folder)

    def put(self, serial, names):
        """The zone's file, which NSD reads at a start or when it is told to."""
        path = os.path.join(self.folder, "rpz.zone")
        with open(path + ".new", "w") as out:
            out.write(zone_text(serial, names, **self.times))
        os.rename(path + ".new", path)

    def serial(self):
        answer = harness.ask(self.port, ZONE, "SOA", timeout_s=0.5).answer
        return answer[0][0].serial if answer else None

    def start(self):
        super().start()
        self.until(self.serial, "NSD serves the zone")
        return self

    def change(self, serial, names):
        self.put(serial, names)
        self.send(signal.SIGHUP)
        self.until(lambda: self.serial() == serial, "NSD serves the new zone")

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port


class NamedPrimary(harness.Process):
    """BIND's named; the zone is changed by dynamic update, which it keeps a journal of."""

    def __init__(self, folder, serial=1, names=(), key=None, notify=()):
        self.folder = os.path.join(folder, "named")
        os.makedirs(self.folder, exist_ok=True)
        self.port = harness.free_port()
        with open(os.path.join(self.folder, "rpz.zone"), "w") as out:
            out.write(zone_text(serial, names))
        config = os.path.join(self.folder, "named.conf")
        with open(config, "w") as out:
            out.write("""options {{
	directory "{folder}";
	pid-file "{folder}/named.pid";
	session-keyfile "{folder}/session.key";
	lock-file none;
	managed-keys-directory "{folder}";
	listen-on port {port} {{ 127.0.0.1; }};
	listen-on-v6 {{ none; }};
	recursion no;
	dnssec-validation no;
	notify explicit;
	notify-delay 0;
	serial-query-rate 1000;
}};
controls {{ }};
key "feed.test" {{ algorithm hmac-sha512; secret "{secret}"; }};
zone "{zone}" {{
	type primary;
	file "rpz.zone";
	allow-update {{ 127.0.0.1; }};
	allow-transfer {{ {allow}; }};
	also-notify {{ {notify} }};
}};
""".format(folder=self.folder, port=self.port, secret=SECRET, zone=ZONE, allow='key "%s"' % key if key else "127.0.0.1",
                notify="".join('127.0.0.1 port %d%s; ' % (port, ' key "%s"' % key if key else "") for port in notify)))
        super().__init__("named", [harness.find("named"), "-g", "-c", config, "-n", "1"], self.folder)

    def start(self):
        super().start()
        self.until(lambda: harness.ask(self.port, ZONE, "SOA", timeout_s=0.5).answer, "named serves the zone")
        return self

    def update(self, add=(), remove=()):
        update = dns.update.UpdateMessage(ZONE)
        for name in add:
            update.add(name, 60, "CNAME", ".")
        for name in remove:
            update.delete(name)
        answer = dns.query.tcp(update, "127.0.0.1", timeout=5, port=self.port)
        assert answer.rcode() == 0, answer

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port
