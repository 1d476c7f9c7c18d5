# SPDX-License-Identifier: BSD-3-Clause
"""NSD's configuration: everything in one folder, nobody limited, no control."""

import os

SERVER = """server:
	server-count: 1
	{listen}
	username: ""
	chroot: ""
	database: ""
	pidfile: "{folder}/nsd.pid"
	zonesdir: "{folder}"
	xfrdfile: "{folder}/xfrd.state"
	xfrdir: "{folder}"
	zonelistfile: "{folder}/zone.list"
	rrl-ratelimit: 0
	rrl-whitelist-ratelimit: 0
	tcp-count: 200
remote-control:
	control-enable: no
"""


def server(folder, port, addresses=("127.0.0.1",)):
    """The head of it; zones follow."""
    return SERVER.format(listen="\n\t".join("ip-address: %s@%d" % (address, port) for address in addresses), folder=folder)


def write(folder, port, zone_text, ipv6=True):
    """For the root of a small world; returns the path."""
    with open(os.path.join(folder, "root.zone"), "w") as out:
        out.write(zone_text)
    path = os.path.join(folder, "nsd.conf")
    with open(path, "w") as out:
        out.write(server(folder, port, ("127.0.0.1", "::1") if ipv6 else ("127.0.0.1",)))
        out.write('zone:\n\tname: "."\n\tzonefile: "root.zone"\n')
    return path
