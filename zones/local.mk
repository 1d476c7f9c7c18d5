zonesdir = $(pkgdatadir)/zones
dist_zones_DATA = \
	zones/6to4.rpz \
	zones/bypass.rpz \
	zones/isatap.patterns zones/isatap.rpz \
	zones/special-use.rpz \
	zones/teredo.patterns zones/teredo.rpz \
	zones/tunnel-brokers.patterns zones/tunnel-brokers.rpz
