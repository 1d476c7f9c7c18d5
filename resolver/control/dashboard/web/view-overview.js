// SPDX-License-Identifier: BSD-3-Clause
/*
 * The overview: who is tunnelling first, then how the resolver fares, then what it is asked. Fed by the stream once a second; a
 * part is drawn again only when what it shows has changed, so nothing jumps under the pointer or the focus.
 */
import { get } from './api.js';
import { clientLink, element, fill, isMarked, modeChip, name, nameLink, addressLink, zoneLink } from './dom.js';
import { count, micros, now, plural, rate, share, short, when } from './format.js';
import { hoursChart, timelineOf } from './hours.js';
import * as live from './live.js';
import { bars, line } from './spark.js';
import { command, empty, failed, loading, region } from './states.js';

const LISTS_MS = 15000;
const ACTIVE_MS = 15 * 60000; // a Teredo client asks every 30 s; with long caches some ask once in ten minutes
const KEPT = 60;

export const title = () => 'Overview';

/* draw(value) only when value is another than before. */
function part(root, draw) {
	let before = null;
	return (value) => {
		const text = JSON.stringify(value);
		if (text === before || (before && isMarked(root)))
			return;
		before = text;
		fill(root, draw(value));
	};
}

// --- who is tunnelling ---

const isActive = (row) => now() - Date.parse(row.last) < ACTIVE_MS;
const toldCell = (told) => told ? [addressLink(told.server), ' ', when(told.since)] : element('span', { class: 'muted' }, 'no');

function tunnelRow(row) {
	const active = isActive(row);
	return element('tr', {},
		element('th', { scope: 'row', 'data-label': 'Client' }, clientLink(row.client), row.name ? [' ', name(row.name, { class: 'name muted' })] : null),
		element('td', { 'data-label': 'Zone' }, zoneLink(row.zone), row.mode ? [' ', modeChip(row.mode)] : null),
		element('td', { class: 'number', 'data-label': 'Queries' }, count(row.hits)),
		element('td', { 'data-label': 'Since' }, when(row.since), ' ', element('span', { class: 'muted' }, when(row.since, 'moment'))),
		element('td', { 'data-label': 'Last' }, element('span', { class: `pulse ${active ? 'on' : ''}`, 'aria-hidden': 'true' }), when(row.last), active ? null : element('span', { class: 'muted' }, ' (quiet)')),
		element('td', { 'data-label': 'Told a Teredo server' }, toldCell(row.told_teredo)));
}

function tunnelWords(rows) {
	const clients = new Set(rows.map((row) => row.client));
	const active = new Set(rows.filter(isActive).map((row) => row.client)).size;
	const many = rows.length >= 10 ? `At least ${plural(clients.size, 'client')}` : plural(clients.size, 'client');
	return `${many} asked for a tunnel; ${active ? `${active === clients.size ? (active === 1 ? 'it is' : 'all are') : active === 1 ? 'one is' : `${active} are`} still asking` : 'none in the last 15 minutes'}.`;
}

/* Nobody is tunnelling, or nobody has looked? */
const knownOf = ({ day, state }) => day ? 'yes' : state?.redis === 'off' ? 'off' : 'not yet';

function tunnelling({ rows, known }) {
	if (known === 'off')
		return empty('Not known: nothing is recorded here.', 'The configuration says ', command('redis = "off"'), '.');
	if (known === 'not yet')
		return empty('Not known: Redis has not been read since the dashboard started.', 'What is counted meanwhile stands here once it answers.');
	if (!rows.length)
		return empty('Nobody asks for a tunnel.', 'No client has asked for a name of a watched or blocked zone. To see one here: ', command('dig @RESOLVER teredo.ipv6.microsoft.com'));
	const head = ['Client', 'Zone', 'Queries', 'Since', 'Last', 'Told a Teredo server'];
	return [element('p', { class: 'lead' }, tunnelWords(rows)),
		element('table', { class: 'data' }, element('caption', { class: 'unseen' }, 'Clients that asked for a tunnel, newest first'),
			element('thead', {}, element('tr', {}, head.map((words) => element('th', { scope: 'col', class: words === 'Queries' ? 'number' : null }, words)))),
			element('tbody', {}, rows.map(tunnelRow))),
		element('p', { class: 'foot' }, element('a', { href: '/watch' }, 'All tunnel classes and names'), element('a', { href: '/clients?sort=watched' }, 'All clients by watched queries'))];
}

// --- tiles ---

const tile = (label, value, under, picture, href, kind) => element('a', { class: `tile ${kind || ''}`, href }, element('span', { class: 'label' }, label), element('span', { class: 'value' }, value),
	element('span', { class: 'under' }, under), picture);

const gist = (values, what) => `${what} per hour in the last ${values.length} hours, at most ${count(Math.max(0, ...values))}`;

function queryTiles({ day, hours, now: current, rates }) {
	const list = (key) => hours.map((hour) => hour[key] || 0);
	const counted = (label, key, per, href) => tile(label, short(day[key]), [`${rate(per)}/s now`, day.queries && key !== 'queries' ? `, ${share(day[key] / day.queries)}` : null],
		bars([{ kind: key, values: list(key) }], gist(list(key), label)), href, key);
	return [counted('Queries, 24 h', 'queries', current.queries_per_s, '/clients'), counted('Watched, 24 h', 'watched', current.watched_per_s, '/watch'),
		counted('Blocked, 24 h', 'blocked', current.blocked_per_s, '/watch'),
		tile('From the cache', share(current.cache_hit_rate ?? (day.queries ? day.cached / day.queries : null)), [short(day.cached), ' in 24 h'], line(rates, 'cached', 'Cache hit rate over the last hours'), '/health', 'cached')];
}

function latencyTile(latency) {
	const one = (kind) => latency?.[kind]?.count ? latency[kind] : null;
	const cached = one('cached'), forwarded = one('forwarded');
	return tile('Latency, forwarded', forwarded ? micros(forwarded.p50_us) : '–',
		forwarded || cached ? [forwarded ? `99 %: ${micros(forwarded.p99_us)}` : 'nothing forwarded', cached ? `; cached ${micros(cached.p50_us)}` : null] : 'not measured yet', null, '/health', 'latency');
}

function upstreamTile(upstreams) {
	const good = upstreams.filter((one) => one.state === 'ok').length;
	const fastest = upstreams.filter((one) => one.srtt_us).sort((a, b) => a.srtt_us - b.srtt_us)[0];
	return tile('Upstreams', upstreams.length ? `${good} of ${upstreams.length}` : '–', fastest ? [name(fastest.address), ` ${micros(fastest.srtt_us)}`] : 'none known', null, '/health',
		good < upstreams.length ? 'warn' : 'upstream');
}

const tiles = (overview) => [queryTiles(overview), latencyTile(overview.latency), upstreamTile(overview.upstreams)];

// --- lists beside each other ---

const ranked = (rows, label, cells) => element('table', { class: 'data tight' }, element('caption', { class: 'unseen' }, label), element('tbody', {}, rows.map(cells)));

function zoneTable(zones) {
	const shown = zones.filter((zone) => zone.kind !== 'local');
	return element('table', { class: 'data tight' }, element('caption', { class: 'unseen' }, 'Zones with their mode, clients and hits'),
		element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'Zone'), element('th', { scope: 'col' }, 'Mode'), element('th', { scope: 'col', class: 'number' }, 'Clients'), element('th', { scope: 'col', class: 'number' }, 'Hits'))),
		element('tbody', {}, shown.map((zone) => element('tr', {}, element('th', { scope: 'row', 'data-label': 'Zone' }, zoneLink(zone.zone)),
			element('td', { 'data-label': 'Mode' }, modeChip(zone.mode, zone.until ? when(zone.until, 'left') : null)),
			element('td', { class: 'number', 'data-label': 'Clients' }, count(zone.clients)), element('td', { class: 'number', 'data-label': 'Hits' }, count(zone.hits))))));
}

const topClients = ({ rows }) => ranked(rows, 'Busiest clients', (row) => element('tr', {}, element('th', { scope: 'row' }, clientLink(row.client), row.name ? [' ', name(row.name, { class: 'name muted' })] : null),
	element('td', { class: 'number' }, count(row.queries))));
const topNames = ({ rows }) => ranked(rows, 'Most asked names today', (row) => element('tr', {}, element('th', { scope: 'row' }, row.name === '*other' ? 'others' : nameLink(row.name)), element('td', { class: 'number' }, count(row.queries))));
const eventLine = (row) => element('li', {}, when(row.ts, 'ago'), ' ', element('span', { class: 'kind' }, row.kind), ' ', name(row.text || ''));
const eventList = (rows) => element('ol', { class: 'events' }, rows.slice(0, 8).map(eventLine));

function panel(words, id, more) {
	const body = element('div', { class: 'panel-body' });
	return { body, node: element('section', { class: 'panel', 'aria-labelledby': id }, element('h2', { id }, words, more ? element('a', { class: 'more', href: more[0] }, more[1]) : null), body) };
}

function lists(root, signal) {
	const clients = panel('Busiest clients', 'o-clients', ['/clients', 'all']), names = panel('Names today', 'o-names'), events = panel('What happened', 'o-events', ['/changes', 'all']);
	root.append(clients.node, names.node);
	root.after(events.node);
	region(clients.body, { load: () => get('clients', { limit: 8 }, signal), show: topClients, every: LISTS_MS, signal,
		empty: ({ rows }) => rows.length ? null : empty('No client has asked anything yet.', 'Point one at this resolver.') });
	region(names.body, { load: () => get('names', { days: 1, limit: 8 }, signal), show: topNames, every: LISTS_MS, signal,
		empty: ({ rows }) => rows.length ? null : empty('No name has been asked since midnight UTC.') });
	const happened = region(events.body, { load: () => get('events', { limit: 8 }, signal), show: ({ rows }) => eventList(rows), every: 4 * LISTS_MS, signal,
		empty: ({ rows }) => rows.length ? null : empty('No event has been recorded so far.') });
	return live.on('event', () => happened.refresh());
}

export async function show(root, parts, { signal }) {
	const who = panel('Who is tunnelling', 'o-tunnel'), zones = panel('Zones', 'o-zones', ['/policy', 'policy']), day = panel('The last 24 hours', 'o-hours');
	const tileBox = element('section', { class: 'tiles', 'aria-label': 'Figures' });
	const columns = element('div', { class: 'columns' });
	who.body.append(loading());
	zones.node.hidden = day.node.hidden = true; // until there is something to show
	fill(root, who.node, tileBox, day.node, columns);
	columns.append(zones.node);
	const rates = [];
	const drawWho = part(who.body, tunnelling), drawTiles = part(tileBox, tiles), drawZones = part(zones.body, zoneTable);
	let chart = null, drawnHours = '';

	async function drawHours(hours) {
		const text = JSON.stringify(hours);
		if (text === drawnHours)
			return;
		drawnHours = text;
		const list = (key) => hours.map((hour) => hour[key] || 0);
		const timeline = hours.length ? timelineOf('all clients', hours[0].hour, { dns: list('queries'), 'dns-watched': list('watched'), blocked: list('blocked') }) : null;
		if (!timeline)
			fill(day.body, empty('Nothing has been counted yet.'));
		else if (chart)
			(await chart).update(timeline);
		else
			chart = hoursChart(day.body, timeline, 'Queries per hour, the last 24 hours');
	}

	const offOverview = live.on('overview', (overview) => {
		const { tunnelling: rows = [], zones: all = [], day: sums, hours = [], now: current = {}, latency, upstreams = [] } = overview;
		const cached = hours.map((hour) => hour.queries ? hour.cached / hour.queries : null);
		rates.splice(0, rates.length, ...cached.slice(-KEPT));
		zones.node.hidden = day.node.hidden = false;
		drawWho({ rows, known: knownOf(overview), active: rows.map(isActive) });
		drawTiles({ day: sums ?? {}, hours, now: current, rates, latency, upstreams });
		drawZones(all);
		drawHours(hours);
	});
	const offState = live.on('state', ({ state, problem }) => {
		root.classList.toggle('stale', (state === 'stale' || state === 'away') && live.overview() !== null);
		if (problem && !live.overview())
			fill(who.body, failed(problem, () => live.restart()));
	});
	const offEvents = lists(columns, signal);
	return () => {
		[offOverview, offState, offEvents].forEach((off) => off());
		chart?.then((one) => one.end());
	};
}
