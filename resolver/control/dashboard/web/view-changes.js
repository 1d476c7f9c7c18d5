// SPDX-License-Identifier: BSD-3-Clause
/*
 * Changes: what was changed from this dashboard, when and from where, with the daemon's words; and what happened by itself or by command,
 * the events of the resolver. Events come with the stream as they happen, and are read anew now and then in case one was missed.
 */
import { get } from './api.js';
import { clientLink, element, modeChip, name } from './dom.js';
import { moment, plural, span, when } from './format.js';
import * as live from './live.js';
import { partsPage } from './parts.js';
import * as session from './session.js';
import { command, empty } from './states.js';

const EVERY_MS = 15000;
const MOST = 100;

export const title = () => 'Changes';

/* {"request":"policy/mode","mode":"block","zone":null,"group":null,"seconds":600} as people say it; what is not known here is shown as it came. */
function what(request) {
	if (!request || typeof request !== 'object')
		return name(String(request ?? '–'));
	const { request: path, mode, zone, group, seconds, ...rest } = request;
	const others = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined);
	return [mode ? [modeChip(mode), ' '] : [name(String(path ?? '')), ' '], zone ? ['zone ', name(zone)] : mode ? 'all tunnel zones' : null, group ? [' for group ', name(group)] : null,
		seconds ? ` for ${span(seconds * 1000)}` : null, others.map(([key, value]) => [` ${key}: `, name(String(value))])];
}

const words = (row) => [row.words ?? []].flat().map((one) => element('p', {}, name(one)));

const changeColumns = [
	{ key: 'time', label: 'When', head: true, cell: (row) => when(row.time, 'moment') },
	{ key: 'from', label: 'From', cell: (row) => row.from === 'command' ? 'command' : clientLink(row.from) },
	{ key: 'what', label: 'What', sort: false, cell: (row) => what(row.what) },
	{ key: 'result', label: 'Result', cell: (row) => element('span', { class: `chip ${row.result === 'done' ? 'good' : 'warn'}` }, name(String(row.result))) },
	{ key: 'words', label: 'What the daemon said', value: (row) => [row.words].flat().join(' '), cell: words },
];

const eventColumns = [
	{ key: 'ts', label: 'When', head: true, cell: (row) => element('span', { title: moment(row.ts) }, when(row.ts)) },
	{ key: 'kind', label: 'Kind', cell: (row) => name(row.kind) },
	{ key: 'text', label: 'What happened', cell: (row) => name(row.text || '') },
];

/* The journal has addresses of people: it is for those who have signed in, and asking for it is not what opens the dialog. */
async function load(signal) {
	const part = (path) => get(path, { limit: MOST }, signal).then(({ rows }) => rows, (problem) => ({ problem }));
	const signed = session.current().signed_in;
	const [changes, events] = await Promise.all([signed ? part('changes') : null, part('events')]);
	if (events.problem && (!changes || changes.problem))
		throw events.problem;
	return { changes, events };
}

const signInNodes = (refresh) => [element('p', {}, 'Who changed what from here is for those who have signed in.'),
	element('p', {}, element('button', { type: 'button', onclick: async () => await session.signIn('The journal of changes needs the token of this dashboard.') && refresh() }, 'Sign in to see it'))];

function draw(parts, { changes, events }, refresh) {
	const failing = [['The journal of changes', changes], ['The events', events]].filter(([, rows]) => rows?.problem);
	parts.show('sign-in', 'Changed from here', changes ? null : 'sign in', () => signInNodes(refresh));
	parts.show('failing', null, failing.length ? failing.map(([label, { problem }]) => `${label} cannot be read: ${problem.message}`) : null,
		(lines) => lines.map((line) => element('p', { class: 'face bad', role: 'alert' }, line)));
	if (!changes?.problem)
		parts.table('changes', 'Changed from here', changes || [], { columns: changeColumns, unit: ['change', 'changes'], sort: 'time', order: 'desc', query: 'j-',
			empty: changes && (() => empty('Nothing was changed from this dashboard.', 'Modes are changed on the page ', element('a', { href: '/policy' }, 'Policy'), '; what is changed by command stands below.')) });
	if (!events.problem)
		parts.table('events', 'Events', events, { columns: eventColumns, unit: ['event', 'events'], sort: 'ts', order: 'desc', search: 'Search events', query: 'e-',
			empty: () => empty('No event has been recorded.', 'The same, as it happens: ', command('teredown tail --events')) });
}

export async function show(root, parts, { signal, announce }) {
	let page = null, waiting = null, seen = 0;
	const refresh = () => page?.refresh();
	page = await partsPage(root, ['failing', 'sign-in', 'changes', 'events'], { load: () => load(signal), draw: (sections, data) => draw(sections, data, refresh), every: EVERY_MS }, signal);
	const offs = [session.on(refresh), live.on('event', () => {
		seen++;
		waiting ??= setTimeout(() => {
			announce(plural(seen, 'new event'));
			waiting = null;
			seen = 0;
			refresh();
		}, 500);
	})];
	return () => offs.forEach((off) => off());
}
