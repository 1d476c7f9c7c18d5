// SPDX-License-Identifier: BSD-3-Clause
/*
 * One client: the sentence that `teredown who` says of it, its tunnel, its figures, its hours, and every name it asked with the
 * watched ones marked. Parts come from several answers and fail one by one.
 */
import { get } from './api.js';
import { addressLink, element, fill, modeChip, name, nameLink, zoneLink } from './dom.js';
import { count, plural, share, when } from './format.js';
import { hoursChart, timelineOf } from './hours.js';
import { command, empty, region } from './states.js';
import { table } from './table.js';

const REFRESH_MS = 10000, HOURS_MS = 60000;
const NAMES = 1001; // all that are kept of one client, as long as names-max is not raised
const COUNTERS = [['queries', 'Queries'], ['watched', 'Watched'], ['blocked', 'Blocked'], ['cached', 'From the cache'], ['forwarded', 'Forwarded'], ['local', 'Local'],
	['nxdomain', 'NXDOMAIN'], ['nodata', 'No data'], ['servfail', 'SERVFAIL'], ['refused', 'Refused'], ['truncated', 'Truncated'], ['tcp', 'Over TCP']];

export const title = ([client]) => client;

const facts = (pairs) => element('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== false)
	.map(([label, value]) => element('div', {}, element('dt', {}, label), element('dd', {}, value))));

const section = (words, id) => {
	const body = element('div', { class: 'panel-body' });
	return { body, node: element('section', { class: 'panel', 'aria-labelledby': id }, element('h2', { id }, words), body) };
};

// --- who it is, and its tunnel ---

const STATES = { silent: 'has not asked for a tunnel since', blocked: 'still asks, and is answered NXDOMAIN', active: 'still asks, and is answered' };

function remediation(client, who, verify) {
	const checked = verify?.clients?.find((row) => row.client === client);
	const marked = who?.views?.[0]?.hosts?.[client]?.remediated;
	if (!checked && !marked)
		return ['not marked. Once it is done: ', command(`teredown remediate --client ${client} --mark`)];
	const state = checked?.state;
	return [element('span', { class: `chip ${state === 'silent' ? 'good' : state === 'active' ? 'bad' : 'warn'}` }, state || 'marked'), ' marked ', when(checked?.remediated || marked.at),
		' by ', name(checked?.by || marked.by), STATES[state] ? `; ${STATES[state]}` : null];
}

function identity({ client, who, verify }) {
	const told = client.told_teredo;
	return [
		who?.views?.[0]?.summary ? element('p', { class: 'lead' }, name(who.views[0].summary)) : null,
		facts([
			['Group', client.group ? name(client.group) : null],
			['Looks like a forwarder', client.forwarder ? name(String(client.forwarder)) : null],
			['First seen', when(client.first, 'stamp')],
			['Last seen', when(client.last)],
			['Told a Teredo server', told ? [addressLink(told.server), ', since ', when(told.since, 'stamp'), ', last ', when(told.last)] : 'no'],
			['Remediated', client.watched || client.blocked || told ? remediation(client.client, who, verify) : null],
		]),
	];
}

function zones({ client }) {
	const rows = client.zones || [];
	if (!rows.length)
		return empty('It asked for no name of a watched or blocked zone.');
	return element('table', { class: 'data tight' }, element('caption', { class: 'unseen' }, 'Zones it asked for'),
		element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'Zone'), element('th', { scope: 'col' }, 'Mode for it'), element('th', { scope: 'col', class: 'number' }, 'Hits'), element('th', { scope: 'col' }, 'Last'))),
		element('tbody', {}, rows.map((row) => element('tr', {}, element('th', { scope: 'row', 'data-label': 'Zone' }, zoneLink(row.zone)),
			element('td', { 'data-label': 'Mode' }, row.mode ? modeChip(row.mode) : null), element('td', { class: 'number', 'data-label': 'Hits' }, count(row.hits)),
			element('td', { 'data-label': 'Last' }, when(row.last))))));
}

function counters({ client }) {
	const values = client.counters || client;
	return element('dl', { class: 'figures' }, COUNTERS.filter(([key], at) => at < 4 || values[key]).map(([key, label]) => element('div', {}, element('dt', {}, label),
		element('dd', {}, count(values[key]), key !== 'queries' && values.queries ? element('small', {}, ' ', share(values[key] / values.queries)) : null))));
}

// --- names ---

const nameColumns = [
	{ key: 'name', label: 'Name', head: true, cell: (row) => row.name === '*other' ? 'others (beyond what is kept of one client)' : [nameLink(row.name), row.watched ? [' ', modeChip('watched')] : null] },
	{ key: 'queries', label: 'Queries', number: true },
	{ key: 'watched', label: 'Watched', class: 'wide', first: 'desc', value: (row) => row.watched ? 1 : 0, cell: (row) => row.watched ? 'yes' : element('span', { class: 'muted' }, 'no') },
];

const optional = (promise) => promise.catch((problem) => {
	if (problem.name === 'AbortError')
		throw problem;
	return null;
});

async function load(client, signal) {
	const [one, who] = await Promise.all([get(`clients/${encodeURIComponent(client)}`, { names: NAMES }, signal), optional(get('who', { q: client, limit: 1 }, signal))]);
	const marked = who?.views?.[0]?.hosts?.[client]?.remediated;
	return { client: one, who, verify: marked ? await optional(get('verify', { client }, signal)) : null };
}

/* The story's own timeline has the firewall's lines too; the client's own hours do where it fails. */
async function hours(client, object, signal) {
	const timeline = await optional(get('timeline', { q: client, since: '7d', span: '1h', by: 'source' }, signal));
	const { from, queries = [], watched = [], blocked = [] } = object.hours || {};
	return timeline?.rows?.length ? timeline : from ? timelineOf(client, from, { dns: queries, 'dns-watched': watched, blocked }) : null;
}

export async function show(root, [client], { signal, heading }) {
	const who = element('div', { class: 'identity' });
	let parts = null, chart = null, hoursAt = 0;

	function build() {
		const figures = section('Figures', 'c-figures'), zone = section('Zones', 'c-zones'), names = section('Names', 'c-names'), week = section('Seven days', 'c-week');
		const list = table({ caption: `Names that ${client} asked`, columns: nameColumns, rows: [], sort: 'queries', order: 'desc', search: 'Search names', unit: ['name', 'names'], page: 50, tight: true, signal, query: 'names-',
			rowClass: (row) => row.watched ? 'told' : '', empty: () => empty('No names are kept of it.') });
		list.node.classList.add('narrow');
		names.body.append(list.node);
		root.append(element('div', { class: 'columns two' }, figures.node, zone.node), week.node, names.node);
		return { figures, zone, list, week };
	}

	/* Its figures change by the hour, and take longer to ask for. */
	async function drawHours(data) {
		if (Date.now() - hoursAt < HOURS_MS)
			return;
		hoursAt = Date.now();
		const timeline = await hours(client, data.client, signal);
		if (chart)
			return timeline && (await chart).update(timeline);
		if (timeline)
			chart = hoursChart(parts.week.body, timeline, `Counts per hour of ${client}`);
		else
			fill(parts.week.body, empty('Nothing is kept of its hours.'));
	}

	function draw(data) {
		if (data.client.name)
			fill(heading, name(client), ' ', name(data.client.name, { class: 'name muted' }));
		parts ||= build();
		fill(parts.figures.body, counters(data));
		fill(parts.zone.body, zones(data));
		parts.list.refresh(data.client.names || []);
		drawHours(data).catch(() => {});
		return identity(data);
	}

	fill(root, who);
	const shown = region(who, { load: () => load(client, signal), show: draw, every: REFRESH_MS, signal });
	await shown.ready;
	return () => chart?.then((one) => one.end());
}
