// SPDX-License-Identifier: BSD-3-Clause
/*
 * Policy: is blocking on, and for whom. The zones in their order with modes, hits and faults; what is changed goes through
 * policy-actions.js. Below, what one asks and does more rarely: what would be answered to a name, the rules that are hit, zones that come
 * by transfer, the cache, the configuration.
 */
import { get, post } from './api.js';
import { clientLink, dnsName, element, fill, modeChip, name, zoneLink } from './dom.js';
import { count, plural, when } from './format.js';
import { partsPage } from './parts.js';
import { askMode, modeButtons, modeNow, notices } from './policy-actions.js';
import { blockingWords, exceptions } from './shell.js';
import { empty, failed } from './states.js';
import { table } from './table.js';

const EVERY_MS = 2000;
const RULES = 100;

export const title = () => 'Policy';

/* --- is blocking on --- */

/* The mode of all tunnel zones is put back by itself when the first of them has an end. */
function state(policy) {
	const tunnels = policy.zones.filter((zone) => zone.kind === 'tunnel'), paused = tunnels.find((zone) => zone.mode !== 'block' && zone.until);
	return { words: blockingWords(policy.zones, exceptions(policy)), until: paused?.until || null };
}

const stateNodes = ({ words: [how, words], until }) => [element('p', { class: `lead state-${how}` }, words, '.'),
	until ? element('p', {}, 'It is as before again at ', when(until, 'moment'), ': ', when(until, 'left'), '.') : null];

/* --- zones --- */

function originCell(row) {
	if (row.from !== 'command')
		return row.from;
	const [program, ...from] = (row.via || '').split('/');
	return [row.via ? [name(program), ' from ', name(from.join('/'))] : ['command of ', name(row.user || 'an unknown user')], row.since ? [', ', when(row.since)] : null];
}

function sourceCell(row) {
	const faults = row.sources.reduce((sum, one) => sum + (one.skipped || 0), 0);
	return [row.fault ? element('p', { class: 'bad' }, name(row.fault)) : null,
		element('details', { 'data-key': `sources ${row.zone}` }, element('summary', {}, plural(row.sources.length, 'source'), faults ? `, ${plural(faults, 'line')} not understood` : ''),
			element('ul', {}, row.sources.map((one) => element('li', {}, name(one.path || one.format || '–'), ': ',
				`${count(one.used)} of ${plural(one.read, 'line')} used`))))];
}

function zoneColumns(latest, done) {
	const change = (row) => element('button', { type: 'button', 'data-key': `change ${row.zone}`,
		onclick: () => askMode(latest(), { zone: row.zone, mode: row.mode }, done) }, 'Change …');
	return [
		{ key: 'zone', label: 'Zone', head: true, sort: false, cell: (row) => [row.kind === 'tunnel' || row.hits ? zoneLink(row.zone) : name(row.zone), ' ', element('small', { class: 'muted' }, row.kind)] },
		{ key: 'mode', label: 'Mode', sort: false, cell: modeNow },
		{ key: 'from', label: 'From', sort: false, cell: originCell },
		{ key: 'rules', label: 'Rules', number: true },
		{ key: 'hits', label: 'Hits', number: true },
		{ key: 'clients', label: 'Clients', number: true },
		{ key: 'sources', label: 'Sources', sort: false, cell: sourceCell },
		{ key: 'act', label: 'Change', sort: false, cell: (row) => row.mode && row.mode !== 'always' ? change(row) : '–' },
	];
}

const groupColumns = [
	{ key: 'group', label: 'Group', head: true, cell: (row) => name(row.group) },
	{ key: 'clients', label: 'Clients', sort: false, cell: (row) => row.clients.map((one, at) => [at ? ', ' : '', /[/]/.test(one) ? name(one) : clientLink(one)]) },
	{ key: 'zones', label: 'Modes of its own', sort: false,
		cell: (row) => row.zones.length ? row.zones.map((one) => [name(one.zone), ' ', modeNow(one), ' ']) : 'none: as everybody' },
];

/* --- forms --- */

/* A form with one place for its answer; act(values) gives nodes. */
function form(words, fields, label, act) {
	const place = element('div', { 'aria-live': 'polite' }), button = element('button', { type: 'submit' }, label);
	async function submit(event) {
		event.preventDefault();
		button.disabled = true;
		try {
			fill(place, await act(Object.fromEntries(new FormData(event.target))));
		} catch (problem) {
			fill(place, failed(problem));
		}
		button.disabled = false;
	}
	return [element('p', { class: 'muted' }, words), element('form', { class: 'row', onsubmit: submit }, fields, button), place];
}

const field = (label, properties) => element('label', {}, label, ' ', element('input', { autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false',
	maxlength: 255, ...properties }));

const stepColumns = [
	{ key: 'zone', label: 'Zone', head: true, sort: false, cell: (row) => name(row.zone) },
	{ key: 'mode', label: 'Mode', sort: false, cell: (row) => modeChip(row.mode) },
	{ key: 'outcome', label: 'Outcome', sort: false },
	{ key: 'rule', label: 'Rule', sort: false, cell: (row) => row.rule ? dnsName(row.rule) : '–' },
	{ key: 'action', label: 'Action', sort: false },
	{ key: 'source', label: 'Where it stands', sort: false, cell: (row) => row.source ? name(`${row.source}${row.line ? `:${row.line}` : ''}`) : '–' },
];

async function test({ name: asked, type, client }) {
	const answer = await get('policy/test', { name: asked.trim(), type, client: client.trim() });
	const decided = answer.steps.filter((step) => step.outcome !== 'none');
	return [
		element('p', { class: 'strong' }, dnsName(answer.name), ` ${answer.type}: `, modeChip(answer.verdict), answer.reply ? ` the answer is ${answer.reply}` : null),
		element('p', {}, answer.access ? [name(answer.access), '. '] : null, answer.decided ? name(answer.decided) : 'No zone has a rule for it: it is answered as usual.'),
		decided.length ? table({ caption: 'Zones that had a say', columns: stepColumns, rows: decided, unit: ['zone', 'zones'] }).node : null,
	];
}

function testForm() {
	return form('The rules are followed as for a query of this client; it is counted nowhere. Where rules on the answer matter, one is taken from the cache or asked for.', [
		field('Name', { name: 'name', required: true, placeholder: 'teredo.ipv6.microsoft.com' }),
		element('label', {}, 'Type ', element('select', { name: 'type' }, ['A', 'AAAA', 'HTTPS', 'TXT', 'MX', 'PTR', 'ANY'].map((one) => element('option', {}, one)))),
		field('For client', { name: 'client', placeholder: 'anybody' }),
	], 'Follow the rules', test);
}

const ruleColumns = [
	{ key: 'rule', label: 'Rule', head: true, cell: (row) => dnsName(row.rule) },
	{ key: 'zone', label: 'Zone', cell: (row) => name(row.zone) },
	{ key: 'hits', label: 'Hits', number: true },
];

function rulesTable(signal) {
	const load = async () => {
		const { rules } = await get('policy/rules', { limit: RULES }, signal);
		return { rows: rules, matching: rules.length, total: rules.length };
	};
	return table({ caption: 'Rules that are hit', columns: ruleColumns.map((one) => ({ ...one, sort: false })), fetch: load, signal,
		unit: ['rule', 'rules'], empty: () => empty('No rule was hit yet.', 'Hits are counted as soon as a client asks for a name of a zone.') }).node;
}

function cacheForm(done) {
	return form('The next question for it goes upstream. Answers that are blocked are not cached, so a change of mode needs no flush.', [
		field('Name', { name: 'name', required: true, placeholder: 'example.com' }),
		element('label', { class: 'choice' }, element('input', { type: 'checkbox', name: 'suffix' }), ' with all names below it'),
	], 'Flush', async ({ name: flushed, suffix }) => done((await post('cache/flush', { name: flushed.trim(), suffix: Boolean(suffix) })).changes, {}));
}

const reloadForms = (done) => [
	form('Reads the configuration and the lists of the daemon again, as SIGHUP does. What has a fault stays as it was.', [], 'Reload',
		async () => done((await post('reload', {})).changes, {})),
	form('Zones that come by transfer are asked for at their primaries now, and not when their SOA says so.', [], 'Look at primaries',
		async () => done((await post('policy/refresh', { zone: null })).changes, {})),
];

/* --- the page --- */

export async function show(root, parts, { signal, policyChanged }) {
	let policy = null, page = null;
	const place = element('div');
	const done = notices(place, () => {
		page?.refresh();
		policyChanged();
	});
	const columns = zoneColumns(() => policy, done);
	function draw(sections, data) {
		policy = data;
		sections.show('away', null, data.daemon?.state === 'away' ? data.daemon.words : null,
			(words) => element('p', { class: 'face bad', role: 'alert' }, 'The resolver beside this dashboard is away: ', name(words), '. Modes are not known until it answers, and nothing can be changed.'));
		sections.show('none', null, data.daemon?.state === 'none' ? data.daemon.words : null, (words) => element('p', { class: 'muted' }, name(words), '.'));
		sections.show('state', null, [state(data), data.zones.map((zone) => [zone.zone, zone.mode, zone.until])], ([now]) => [stateNodes(now), modeButtons(data, null, done)]);
		sections.table('zones', 'Zones, in their order', data.zones, { columns, unit: ['zone', 'zones'] });
		sections.table('groups', 'Groups', data.groups, { columns: groupColumns, unit: ['group', 'groups'] });
		sections.once('test', 'What would be answered?', testForm);
		sections.once('rules', 'Rules that are hit', () => rulesTable(signal));
		sections.once('cache', 'The cache', () => cacheForm(done));
		sections.once('reload', 'Configuration and lists', () => reloadForms(done).flat());
	}
	root.append(place);
	page = await partsPage(root, ['away', 'none', 'state', 'zones', 'groups', 'test', 'rules', 'cache', 'reload'],
		{ load: () => get('policy', {}, signal), draw, every: EVERY_MS }, signal);
}
