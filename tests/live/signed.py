# SPDX-License-Identifier: BSD-3-Clause
"""A small world that is signed in the test: a root with NSEC, a zone below it with NSEC3, one with another zone's key missing (insecure), one
whose signatures are wrong (bogus). NSD serves all of them from one address, as a recursive server would answer; ldns-signzone signs."""

import os
import re
import subprocess

import harness
import nsd_config

ALGORITHM = "ECDSAP256SHA256"

ROOT = """$TTL 300
. IN SOA ns.example. host.example. 1 3600 600 86400 60
. IN NS ns.example.
ns.example. IN A 127.0.0.1
www.example. IN A 192.0.2.1
www.example. IN AAAA 2001:db8::1
Mixed.Case.example. IN MX 10 Mail.Example.
Mixed.Case.example. IN TXT "as it was written"
srv.example. IN SRV 1 2 853 www.example.
https.example. IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1
*.wild.example. IN A 192.0.2.77
*.wild.example. IN TXT "wild"
alias.example. IN CNAME second.example.
second.example. IN CNAME www.example.
towards-wild.example. IN CNAME any.wild.example.
dangling.example. IN CNAME nothing.example.
old.example. IN DNAME new.example.
a.new.example. IN A 192.0.2.9
deep.empty.example. IN A 192.0.2.10
""" + "".join('big.example. IN TXT "%s"\n' % ("%03d " % index + "x" * 196) for index in range(15))

NSEC3 = """$TTL 300
{zone} IN SOA ns.example. host.example. 1 3600 600 86400 60
{zone} IN NS ns.example.
www.{zone} IN A 192.0.2.30
*.wild.{zone} IN A 192.0.2.31
alias.{zone} IN CNAME www.{zone}
deep.empty.{zone} IN A 192.0.2.32
"""

PLAIN = """$TTL 300
{zone} IN SOA ns.example. host.example. 1 3600 600 86400 60
{zone} IN NS ns.example.
www.{zone} IN A 192.0.2.40
"""

PROGRAMS = ("ldns-keygen", "ldns-signzone", "ldns-key2ds", "nsd")


def _run(folder, *words):
    done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode != 0:
        raise harness.Failure("%s: %s" % (" ".join(words), done.stdout))
    return done.stdout.strip()


def sign(folder, zone, text, nsec3=False):
    """Writes the signed zone to a file of the folder; returns (path, DS record, DNSKEY record)."""
    name = "root" if zone == "." else zone.rstrip(".")
    path = os.path.join(folder, name + ".zone")
    with open(path, "w") as out:
        out.write(text)
    key = _run(folder, "ldns-keygen", "-r", "/dev/urandom", "-k", "-a", ALGORITHM, zone).splitlines()[-1]
    _run(folder, "ldns-signzone", *(["-n"] if nsec3 else []), "-o", zone, "-f", path + ".signed", path, key)
    with open(os.path.join(folder, key + ".key")) as lines:
        dnskey = lines.read().strip()
    return path + ".signed", _run(folder, "ldns-key2ds", "-n", "-2", key + ".key"), dnskey


def spoil(path):
    """Turns around the first octets of every signature over an address."""
    with open(path) as lines:
        text = lines.read()
    text, count = re.subn(r"(RRSIG\s+A\s.*\s)(\S)(\S)(\S+=*)(\s*)$", r"\1\3\2\4\5", text, flags=re.MULTILINE)
    assert count
    with open(path, "w") as out:
        out.write(text)


class SignedNsd(harness.Process):
    """All zones of the world; .anchor is the root's DNSKEY record, .anchor_file the same in a file for Unbound, .delv_file for delv."""

    def __init__(self, folder, root=ROOT):
        self.port = harness.free_port()
        files = {}
        below = ""
        for zone, text, nsec3 in (("three.example.", NSEC3, True), ("bogus.example.", PLAIN, False)):
            files[zone], ds, _ = sign(folder, zone, text.format(zone=zone), nsec3)
            below += "%s IN NS ns.example.\n%s\n" % (zone, ds)
        spoil(files["bogus.example."])
        files["plain.example."] = os.path.join(folder, "plain.example.zone")
        with open(files["plain.example."], "w") as out:
            out.write(PLAIN.format(zone="plain.example."))
        below += "plain.example. IN NS ns.example.\n"
        files["."], _, self.anchor = sign(folder, ".", root + below)
        self._write_anchors(folder)
        config = os.path.join(folder, "nsd.conf")
        with open(config, "w") as out:
            out.write(nsd_config.server(folder, self.port))
            for zone, path in files.items():
                out.write('zone:\n\tname: "%s"\n\tzonefile: "%s"\n' % (zone, path))
        super().__init__("nsd", [harness.find("nsd"), "-d", "-c", config], folder)

    def _write_anchors(self, folder):
        self.anchor_file = os.path.join(folder, "root.key")
        with open(self.anchor_file, "w") as out:
            out.write(self.anchor + "\n")
        flags, protocol, algorithm, octets = self.anchor.split("DNSKEY")[1].split(";")[0].split(None, 3)
        self.delv_file = os.path.join(folder, "delv.keys")
        with open(self.delv_file, "w") as out:
            out.write('trust-anchors { . static-key %s %s %s "%s"; };\n' % (flags, protocol, algorithm, "".join(octets.split())))

    def start(self):
        super().start()
        self.until(lambda: harness.ask(self.port, ".", "SOA", timeout_s=0.5).rcode() == 0, "NSD answers")
        return self

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port


class Validator(harness.Process):
    """Unbound that validates from the test's root on: in front of NSD as the recursive server of the world, or behind us as a client."""

    def __init__(self, folder, name, port_asked, anchor_file, forward):
        self.port = harness.free_port()
        config = os.path.join(folder, name + ".conf")
        with open(config, "w") as out:
            out.write("""server:
	interface: 127.0.0.1@{port}
	port: {port}
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "{folder}"
	pidfile: ""
	use-syslog: no
	module-config: "validator iterator"
	trust-anchor-file: "{anchor}"
	do-not-query-localhost: no
	qname-minimisation: no
	val-clean-additional: no
	aggressive-nsec: no
remote-control:
	control-enable: no
{kind}-zone:
	name: "."
	{kind}-addr: 127.0.0.1@{asked}
""".format(port=self.port, folder=folder, anchor=anchor_file, asked=port_asked, kind="forward" if forward else "stub"))
            if not forward:
                out.write("\tstub-prime: no\n")
        super().__init__(name, [harness.find("unbound"), "-d", "-c", config], folder)

    def start(self):
        super().start()
        self.until(lambda: harness.ask(self.port, ".", "SOA", timeout_s=1.0), "unbound answers")
        return self

    @property
    def endpoint(self):
        return "127.0.0.1:%d" % self.port
