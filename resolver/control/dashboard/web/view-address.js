// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is behind an address, a name or a client: the page of `teredown who` and `timeline`. First the sentence with its figures and the
 * chart by source, then what applies now, then the tables the sentence was made of. Without a word to look for, the destinations that
 * firewalls drop most: that is where the question comes from.
 *
 * The answer of `who` has a view for each thing the word can be; mostly there is one, and each is shown under the same headings.
 */
import { get } from './api.js';
import { addressLink, clientLink, dnsName, element, fill, isStep, modeChip, name, nameLink, pathOf, zoneLink } from './dom.js';
import { count, plural, rate, span, when } from './format.js';
import { partsPage } from './parts.js';
import { modeButtons, notices } from './policy-actions.js';
import { command, empty } from './states.js';
import { storyChart } from './story-chart.js';

const EVERY_MS = 2000;
const CHART_MS = 20000;
const FIRST = 200; // rows of a list that are read at first; thousands are read when somebody looks through them
const TIMES = { '1d': 'a day', '3d': 'three days', '7d': 'seven days', '31d': 'a month' };

export const title = ([what]) => what || 'What is behind an address?';

const none = '–';
const column = (key, label, cell, more) => ({ key, label, cell, ...more });
const number = (key, label, more) => ({ key, label, number: true, ...more });
const client = (key = 'client') => column(key, 'Client', (row) => [clientLink(row[key]), row.host ? [' ', name(row.host, { class: 'name muted' })] : null], { head: true });
const time = (key, label) => column(key, label, (row) => when(row[key], 'moment'));
const nameCell = (key) => (row) => row[key] ? nameLink(row[key]) : none;

/* --- tables --- */

function every(row) {
	const approximate = { times: '', hours: '~', mean: 'avg ' }[row.period_of];
	return row.period_ms ? `${approximate ?? '~'}${span(Math.round(row.period_ms / 1000) * 1000)}` : none;
}

const PAIRS = [client(), column('name', 'Name asked', nameCell('name')), column('address', 'Address', (row) => addressLink(row.address)), number('count', 'Times'),
	column('period_ms', 'Every', every, { first: 'asc', class: 'number' }), time('first', 'First'), time('last', 'Last'),
	column('owner', 'By way of', (row) => row.owner && row.owner !== row.name ? dnsName(row.owner) : none)];
const ASKED = [column('name', 'Name', nameCell('name'), { head: true }), number('queries', 'Queries'), number('clients', 'Clients')];
const NAMES = [column('name', 'Name', nameCell('name'), { head: true }), number('queries', 'Queries')];
const CLIENTS = [client(), number('queries', 'Queries')];
const HITS = [column('zone', 'Zone', (row) => zoneLink(row.zone), { head: true }), number('hits', 'Hits'), time('last', 'Last')];
const LOGS = [column('address', 'Address', (row) => addressLink(row.address), { head: true }), number('lookups', 'Lookups'), number('firewall_drop', 'Dropped'),
	number('drops_per_lookup', 'For each lookup', { cell: (row) => rate(row.drops_per_lookup) }), number('firewall_pass', 'Let through'), number('proxy', 'Proxy hits')];
const DROPS = [client(), column('address', 'Address', (row) => addressLink(row.address)),
	column('name', 'Name asked', (row) => row.name ? nameLink(row.name) : row.several_names ? 'several' : 'no lookup here'),
	number('packets', 'Dropped'), number('udp3544', 'UDP 3544'), number('proto41', 'Protocol 41'), time('from', 'From'), time('to', 'To')];
const HISTORY = [client(), column('name', 'Name', nameCell('name')), column('address', 'Address', (row) => addressLink(row.address)), number('count', 'Times'),
	time('first', 'First'), time('last', 'Last'), column('certain', 'Certain', (row) => row.certain ? 'yes' : 'no: that log mixes questions')];
const HOSTS = [client(), column('event', 'Event log says', (row) => row.eventlog ? [name(row.eventlog.text || row.eventlog.state || ''), ', ', when(row.eventlog.at, 'moment')] : none, { sort: false }),
	column('done', 'Remediated', (row) => row.remediated ? [when(row.remediated.at, 'moment'), ' by ', name(row.remediated.by || none), ', ', name(row.remediated.method || none)]
		: none, { sort: false })];
const POLICY = [column('name', 'Name', nameCell('name'), { head: true }), column('verdict', 'A question is', (row) => row.verdict ? modeChip(row.verdict) : none),
	column('zone', 'Zone', (row) => row.zone ? zoneLink(row.zone) : none), column('rule', 'Rule', (row) => row.rule ? dnsName(row.rule) : none),
	column('action', 'Answered', (row) => row.verdict === 'block' && row.action ? row.action.toUpperCase() : 'truthfully'), number('hits', 'Hits of the rule')];

/* --- what is known --- */

/* An object or text about a tunnel, as it came: its members are few and plain. */
function members(object) {
	if (typeof object !== 'object')
		return name(String(object));
	return Object.entries(object).filter(([, value]) => value !== null && typeof value !== 'object')
		.map(([key, value], at) => [at ? ', ' : '', key.replaceAll('_', ' '), ': ', name(String(value))]);
}

function summaryNodes(view) {
	const known = view.known?.what || view.known_name;
	return [
		element('p', { class: 'lead' }, view.summary ? name(view.summary) : 'Nothing is recorded of it here.'),
		known ? element('p', {}, 'It is ', name(known), '.') : null,
		view.tunnel ? element('p', {}, 'Tunnel: ', members(view.tunnel), '.') : null,
		view.known?.names?.length ? element('details', { 'data-key': 'known' }, element('summary', {}, `${plural(view.known.names.length, 'name')} of such servers`),
			element('ul', {}, view.known.names.map((one) => element('li', {}, nameLink(one))))) : null,
		view.told_teredo ? element('p', {}, 'Told a Teredo server: ', addressLink(view.told_teredo.server), ', since ', when(view.told_teredo.since, 'moment'),
			', last ', when(view.told_teredo.last), '. ', element('a', { href: pathOf('clients', view.client) }, 'All about this client')) : null,
	];
}

function logLines({ read, recording, dropped, beyond, what }) {
	const lines = Object.entries(read || {}).filter(([, one]) => one.files).map(([kind, one]) => element('li', {}, `${plural(one.files, 'log')} of ${kind}, lines from `,
		when(one.first, 'moment'), ' to ', when(one.last, 'moment')));
	return element('ul', { class: 'muted plain' }, element('li', {}, 'Recording since ', when(recording, 'moment'), '.'),
		beyond ? element('li', {}, `${plural(beyond, 'row')} beyond those in the tables: `, command(`teredown who ${what} --json`)) : null,
		dropped ? element('li', {}, `${plural(dropped, 'record')} had to be dropped in that time: counts may be too low.`) : null,
		lines.length ? lines : element('li', {}, 'No log of a firewall or proxy was read. To see drops beside the lookups: ', command('teredown ingest /var/log/firewall.log')));
}

/* --- one word --- */

const PARTS = ['summary', 'policy', 'pairs', 'asked', 'names', 'clients', 'hits', 'logs', 'drops', 'history', 'hosts'];

/* more() has the lists read whole; null: they are. */
function drawView(parts, view, at, { done, policy, more }) {
	const hosts = view.hosts || {}, logs = view.logs || {};
	const hosted = (rows) => (rows || []).map((row) => ({ ...row, host: hosts[row.client]?.host }));
	const key = (part) => `${part}${at}`;
	const part = (name) => more ? { total: view.totals?.[name], more } : {};
	const rules = view.policy || [], zones = [...new Set(rules.filter((row) => row.zone).map((row) => row.zone))];
	parts.show(key('summary'), null, { ...view, policy: null, logs: null, pairs: null }, () => summaryNodes(view));
	parts.show(key('policy'), 'What applies now', rules.length ? { rules, zones: policy?.zones.map((zone) => [zone.zone, zone.mode, zone.until]) } : null,
		() => [policyTable(rules), policy ? zones.slice(0, 4).map((zone) => [zones.length > 1 ? element('p', {}, zoneLink(zone), ':') : null, modeButtons(policy, zone, done)]) : null]);
	parts.table(key('pairs'), view.kind === 'client' ? 'What it was told' : 'Who was told it', hosted(view.pairs), { columns: PAIRS.filter((one) => one.key !== view.kind), sort: 'count', order: 'desc', unit: ['pair', 'pairs'], search: 'Search', page: 50, ...part('pairs') });
	parts.table(key('asked'), 'Names that were asked, whatever was answered', view.asked || [], { columns: ASKED, sort: 'queries', order: 'desc', unit: ['name', 'names'] });
	parts.table(key('names'), 'Names it asked', view.kind === 'client' ? view.names || [] : [], { columns: NAMES, sort: 'queries', order: 'desc', unit: ['name', 'names'], page: 20, ...part('names') });
	parts.table(key('clients'), 'Who asked', (view.clients || []).some((one) => one.client) ? hosted(view.clients) : [], { columns: CLIENTS, sort: 'queries', order: 'desc', unit: ['client', 'clients'], page: 50, ...part('clients') });
	parts.table(key('hits'), 'Zones', view.hits || [], { columns: HITS, sort: 'hits', order: 'desc', unit: ['zone', 'zones'] });
	parts.table(key('logs'), 'Logs beside the lookups', logs.addresses || [], { columns: LOGS, sort: 'firewall_drop', order: 'desc', unit: ['address', 'addresses'] });
	parts.table(key('drops'), 'Packets that firewalls dropped, in whole hours', hosted(logs.drops), { columns: DROPS.filter((one) => one.key !== view.kind), sort: 'packets', order: 'desc', unit: ['row', 'rows'], page: 50, ...part('drops') });
	parts.table(key('history'), 'What logs of other DNS servers say', hosted(view.history), { columns: HISTORY.filter((one) => one.key !== view.kind), sort: null, order: null, unit: ['row', 'rows'], page: 50, ...part('history') });
	parts.table(key('hosts'), 'What is known of these hosts', Object.entries(hosts).map(([one, host]) => ({ client: one, ...host })).filter((one) => one.eventlog || one.remediated),
		{ columns: HOSTS, sort: 'client', order: 'asc', unit: ['host', 'hosts'], page: 50 });
}

const policyTable = (rules) => element('table', { class: 'data' }, element('caption', { class: 'unseen' }, 'What applies now'),
	element('thead', {}, element('tr', {}, POLICY.map((one) => element('th', { scope: 'col', class: one.number ? 'number' : null }, one.label)))),
	element('tbody', {}, rules.map((row) => element('tr', {}, POLICY.map((one) => element(one.head ? 'th' : 'td', { class: one.number ? 'number' : null, scope: one.head ? 'row' : null,
		'data-label': one.label }, one.cell ? one.cell(row) : count(row[one.key])))))));

/* The chart has a rhythm of its own: its figures change by the hour. Fills body; returns what ends it. */
function chartPart(body, what, signal) {
	const place = element('div');
	let since = '7d', shown = null, chart = null, asked = 0;
	function drop() {
		chart?.then((one) => one.end());
		chart = null;
	}
	/* What is shown is what was chosen last: an answer that comes late is not, and a time without counts is no chart of another time. */
	async function read() {
		const mine = ++asked, wanted = since;
		try {
			const timeline = await get('timeline', { q: what, since: wanted, span: '1h', by: 'source' }, signal);
			if (mine !== asked)
				return;
			shown = wanted;
			chart ??= storyChart(place, timeline, `Counts an hour of ${what}`);
			(await chart).update(timeline);
		} catch (problem) {
			if (mine !== asked || signal.aborted || (chart && shown === wanted && problem.status !== 404))
				return;
			drop();
			fill(place, problem.status === 404 ? empty('Nothing was counted in that time.') : element('p', { role: 'alert' }, problem.message));
		}
	}
	function choose(event) {
		since = event.target.value;
		read();
	}
	body.append(element('label', { class: 'row' }, 'The last ', element('select', { onchange: choose },
		Object.entries(TIMES).map(([value, label]) => element('option', { value, selected: value === since }, label)))), place);
	const timer = setInterval(() => document.hidden || read(), CHART_MS);
	read();
	return () => {
		clearInterval(timer);
		drop();
	};
}

async function load(what, limit, signal) {
	const nothing = (problem) => {
		if (problem.status !== 404)
			throw problem;
		return { views: [], words: problem.message };
	};
	const [who, policy] = await Promise.all([get('who', { q: what, limit }, signal).catch(nothing), get('policy', {}, signal).catch(() => null)]);
	return { who, policy, isWhole: !limit };
}

const nothingKnown = ({ who }) => who.views.length ? null : empty(who.words.charAt(0).toUpperCase() + who.words.slice(1),
	'Was it asked for before this resolver was recording, or elsewhere? Logs of firewalls, proxies and other DNS servers can be read in: ', command('teredown ingest FILE'),
	'. What firewalls drop most: ', element('a', { href: '/address' }, 'destinations'), '.');

/* Rows that do not fit into an answer. */
const beyond = ({ views }) => views.reduce((sum, view) => sum + Math.max(0, (view.totals?.pairs || 0) - view.pairs.length), 0);

async function showWord(root, what, { signal, policyChanged }) {
	let page = null, end = null, wanted = FIRST, hasWhole = false;
	const place = element('div');
	/* A reading of the first rows may be on its way. */
	const more = async () => {
		wanted = null;
		await page.refresh();
		if (!hasWhole && !signal.aborted)
			await page.refresh();
	};
	const done = notices(place, () => {
		page?.refresh();
		policyChanged();
	});
	function draw(parts, { who, policy, isWhole }) {
		hasWhole = isWhole;
		who.views.forEach((view, at) => drawView(parts, view, at, { done, policy, more: isWhole ? null : more }));
		parts.once('chart', 'Hour by hour', (body) => {
			end = chartPart(body, what, signal);
		});
		const { read } = who.views[0].logs || {};
		parts.show('about', 'What this rests on', { read, recording: who.recording_since, dropped: who.dropped, beyond: isWhole ? beyond(who) : 0, what }, logLines);
	}
	root.append(place);
	const [first, ...others] = PARTS.map((part) => `${part}0`);
	page = await partsPage(root, [first, 'chart', ...others, ...[1, 2].flatMap((at) => PARTS.map((part) => `${part}${at}`)), 'about'],
		{ load: () => load(what, wanted, signal), draw, every: EVERY_MS, empty: nothingKnown }, signal);
	return () => end?.();
}

export async function show(root, [what], context) {
	const asked = what || context.query.get('q')?.trim();
	if (asked && !what && !isStep(asked))
		return context.navigate(pathOf('address', asked));
	return asked ? showWord(root, asked, context) : (await import('./view-drops.js')).show(root, context);
}
