// SPDX-License-Identifier: BSD-3-Clause
/*
 * Watch: who is tunnelling, since when, how much. Without a zone each class of tunnels in a line, hits of today beside those of yesterday,
 * and the clients that are new since then; with one, who asks for its names. Read again every two seconds. Blocked
 * questions are hits, too: after a block they go on until the clients give up.
 */
import { get } from './api.js';
import { clientLink, dnsName, element, name, nameLink, zoneLink } from './dom.js';
import { count, plural, when } from './format.js';
import { timelineOf } from './hours.js';
import { partsPage } from './parts.js';
import { modeButtons, modeNow, notices } from './policy-actions.js';
import { bars } from './spark.js';
import { command, empty } from './states.js';

const EVERY_MS = 2000;
const CLIENTS = 500;

export const title = ([zone]) => zone ? `Watch: ${zone}` : 'Watch';

/* --- all classes --- */

const trendCell = (row) => bars([{ kind: 'watched', values: row.trend.counts }],
	`Hits an hour over ${Math.round(row.trend.counts.length / 24)} days, at most ${count(Math.max(0, ...row.trend.counts))}`);

const classColumns = [
	{ key: 'zone', label: 'Class', head: true, cell: (row) => zoneLink(row.zone) },
	{ key: 'mode', label: 'Mode', cell: modeNow },
	{ key: 'trend', label: 'Seven days', sort: false, cell: trendCell },
	{ key: 'hits_today', label: 'Today', number: true },
	{ key: 'hits_yesterday', label: 'Yesterday', number: true },
	{ key: 'hits', label: 'Hits in all', number: true },
	{ key: 'clients', label: 'Clients', number: true },
	{ key: 'fresh', label: 'New since yesterday', number: true, value: (row) => row.new_count, cell: (row) => row.new_count },
	{ key: 'last', label: 'Last hit', cell: (row) => when(row.last) },
];

const freshColumns = [
	{ key: 'client', label: 'Client', head: true, cell: (row) => clientLink(row.client) },
	{ key: 'name', label: 'Name', cell: (row) => row.name ? name(row.name) : '–' },
	{ key: 'zone', label: 'Class', cell: (row) => zoneLink(row.zone) },
	{ key: 'first', label: 'First asked', cell: (row) => when(row.first) },
];

const nothingAsked = () => empty('Nobody asked for a tunnel.', 'This is the good news. To see that it works: ', command('dig @127.0.0.1 teredo.ipv6.microsoft.com'),
	' at the address the resolver listens on; the hit stands here within seconds.');

/* A sum that is quietly too small is worse than none. */
const unplacedLine = (hits) => element('p', { class: 'muted' }, plural(hits, 'more hit'), ' of these seven days ', hits === 1 ? 'is' : 'are',
	' in no figure by the hour or by name, of whatever class: which zone the name was in is not known any more, or a bound of the store took the name.');

function drawAll(parts, { zones, unplaced }) {
	const asking = zones.filter((zone) => zone.clients), fresh = zones.flatMap((zone) => zone.new_clients.map((one) => ({ ...one, zone: zone.zone })));
	const newcomers = zones.reduce((sum, zone) => sum + zone.new_count, 0); // of each zone the first hundred are listed
	const asked = asking.map((zone, at) => [at ? ', ' : '', at ? `${count(zone.clients)} for ` : `${plural(zone.clients, 'client')} asked for `, zoneLink(zone.zone)]);
	parts.show('gist', null, [asking.map((zone) => [zone.zone, zone.clients]), newcomers], () => asking.length ? element('p', { class: 'lead' }, asked, '. ',
		newcomers ? `${count(newcomers)} ${newcomers === 1 ? 'is' : 'are'} new since yesterday.` : 'Nobody is new since yesterday.') : nothingAsked());
	parts.table('classes', 'Classes of tunnels', zones, { columns: classColumns, unit: ['class', 'classes'],
		empty: () => empty('No zone is watched.', 'Name one in the configuration: ', command('zone "teredo" { file = "teredo.rpz" mode = watch }')) });
	parts.show('unplaced', null, unplaced || null, unplacedLine);
	parts.table('fresh', 'New since yesterday', fresh, { columns: freshColumns, unit: ['client', 'clients'], sort: 'first', order: 'desc' });
}

/* --- one class --- */

const clientColumns = [
	{ key: 'client', label: 'Client', head: true, cell: (row) => [clientLink(row.client), row.new ? element('span', { class: 'chip new' }, 'new') : null] },
	{ key: 'name', label: 'Name', cell: (row) => row.name ? name(row.name) : '–' },
	{ key: 'hits', label: 'Hits', number: true },
	{ key: 'first', label: 'Since', cell: (row) => when(row.first, 'moment') },
	{ key: 'last', label: 'Last', cell: (row) => when(row.last) },
	{ key: 'told_teredo', label: 'Was told a Teredo server', value: (row) => row.told_teredo?.since,
		cell: (row) => row.told_teredo ? [when(row.told_teredo.since, 'moment'), ' ', dnsName(row.told_teredo.server)] : '–' },
];

const nameColumns = [
	{ key: 'name', label: 'Name', head: true, cell: (row) => nameLink(row.name) },
	{ key: 'hits', label: 'Hits', number: true },
	{ key: 'clients', label: 'Clients', number: true },
];

const figures = (zone) => [element('dl', { class: 'figures' }, [['Hits', count(zone.hits)], ['Today', count(zone.hits_today)], ['Yesterday', count(zone.hits_yesterday)],
	['Clients', count(zone.clients_total)], ['Last hit', when(zone.last)]].map(([label, value]) => element('div', {}, element('dt', {}, label), element('dd', {}, value)))),
	zone.clients_total > zone.clients.length ? element('p', { class: 'muted' }, `Below are the ${count(zone.clients.length)} clients with the most hits.`) : null];

function modeNodes(zone, policy, done) {
	const rows = (policy?.groups || []).flatMap((group) => group.zones.filter((one) => one.zone === zone.zone).map((one) => ({ ...one, group: group.group })));
	return [element('p', {}, 'For everybody: ', modeNow(zone), rows.map((row) => ['; for group ', name(row.group), ': ', modeNow(row)]), '.'),
		zone.mode === 'block' ? element('p', { class: 'muted' }, 'Blocked questions are hits, too: they go on as long as a client asks.') : null,
		policy && zone.mode !== 'always' ? modeButtons(policy, zone.zone, done) : null];
}

async function loadZone(zone, signal) {
	const [found, policy] = await Promise.all([get(`watch/${encodeURIComponent(zone)}`, { limit: CLIENTS }, signal), get('policy', {}, signal).catch(() => null)]);
	return { zone: { ...found, clients_total: found.total ?? found.clients.length }, policy };
}

async function showZone(root, zone, { signal, policyChanged }) {
	let page = null, chart = null;
	const place = element('div');
	const done = notices(place, () => {
		page?.refresh();
		policyChanged();
	});
	function drawChart(parts, { from, counts }) {
		const timeline = timelineOf(zone, from, { 'dns-watched': counts });
		parts.once('chart', 'Seven days', (body) => {
			chart = import('./story-chart.js').then(({ storyChart }) => storyChart(body, timeline, `Hits an hour of ${zone}`));
		});
		chart.then((story) => story.update(timeline), () => { /* the page says itself that the dashboard is away */ });
	}
	function draw(parts, { zone: one, policy }) {
		parts.show('mode', null, [one.mode, one.until, policy?.zones.map((row) => [row.mode, row.until]), policy?.groups], () => modeNodes(one, policy, done));
		parts.show('figures', null, [one.hits, one.hits_today, one.hits_yesterday, one.clients_total, one.last], () => figures(one));
		drawChart(parts, one.trend);
		parts.table('clients', 'Who asks', one.clients, { columns: clientColumns, unit: ['client', 'clients'], sort: 'hits', order: 'desc', search: 'Search clients', query: 'c-', empty: nothingAsked });
		parts.table('names', 'Names', one.names || [], { columns: nameColumns, unit: ['name', 'names'], sort: 'hits', order: 'desc' });
		parts.show('unplaced', null, one.unplaced || null, unplacedLine);
	}
	root.append(element('p', {}, element('a', { href: '/watch' }, '‹ All classes')), place);
	page = await partsPage(root, ['mode', 'figures', 'chart', 'clients', 'names', 'unplaced'], { load: () => loadZone(zone, signal), draw, every: EVERY_MS }, signal);
	return () => chart?.then((story) => story.end(), () => {});
}

export async function show(root, [zone], context) {
	if (zone)
		return showZone(root, zone, context);
	const { signal } = context;
	root.append(element('p', { class: 'muted' }, 'Who tries to open a tunnel through the network, by class.'));
	await partsPage(root, ['gist', 'classes', 'unplaced', 'fresh'], { load: () => get('watch', {}, signal), draw: drawAll, every: EVERY_MS }, signal);
}
