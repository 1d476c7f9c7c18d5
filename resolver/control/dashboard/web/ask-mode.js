// SPDX-License-Identifier: BSD-3-Clause
/*
 * The dialog before a change of a mode: which names, for whom, until when, and who asked for them until now. It also knows how to put back
 * what the policy said just before: the configuration's mode by a reset, a mode set by command by setting it again.
 */
import { get, post } from './api.js';
import { element, fill, name, showDialog, visible } from './dom.js';
import { count, moment, now, plural } from './format.js';
import { affected, isTunnel } from './policy-actions.js';
import { failed } from './states.js';

const MODES = {
	watch: 'Watch: answer truthfully, and record who asks',
	block: 'Block: answer as the rule says (NXDOMAIN for tunnel names), and record who asks',
	ignore: 'Ignore: as if the zone were not there; nothing is recorded',
};
const NAMED = 8; // clients told by name in the dialog

/* --- times --- */

function tomorrow() {
	const at = new Date(now());
	at.setHours(24, 0, 0, 0);
	return at.getTime();
}

const TIMES = [
	{ key: 'always', label: 'until the next change', seconds: () => null },
	{ key: '10min', label: 'for 10 min', seconds: () => 600 },
	{ key: '1h', label: 'for 1 h', seconds: () => 3600 },
	{ key: 'tomorrow', label: 'until tomorrow', seconds: () => Math.max(60, Math.round((tomorrow() - now()) / 1000)) },
];

const untilWords = (time) => time.seconds() === null ? 'until the next change, also over a restart'
	: `until ${moment(now() + time.seconds() * 1000)}; then it is as before`;

/* --- what a change is about --- */

const zoneWords = (zone) => zone === null ? 'all tunnel zones' : `zone ${visible(zone)}`;

/* Groups that have a mode of their own for it are left out of a change for everybody. */
function groupWords(policy, zone, group) {
	if (group !== null)
		return `group ${visible(group)}`;
	const tunnels = new Set(policy.zones.filter(isTunnel).map((one) => one.zone));
	const apart = policy.groups.filter((one) => one.zones.some((row) => zone === null ? tunnels.has(row.zone) : row.zone === zone));
	return `everybody${apart.length ? ` but ${apart.length > 1 ? 'groups' : 'group'} ${apart.map((one) => visible(one.group)).join(', ')}` : ''}`;
}

/* Puts one back; what was left of its time is what is left of it now. */
function putBack(row, group) {
	const seconds = row.until ? Math.round((Date.parse(row.until) - now()) / 1000) : null;
	if (row.from !== 'command' || (seconds !== null && seconds < 1))
		return post('policy/reset', { zone: row.zone, group });
	return post('policy/mode', { mode: row.mode, zone: row.zone, group, seconds });
}

/* A reset for everybody takes the modes of groups along: those that were commanded are set again. */
function before(policy, zone, group) {
	const rows = affected(policy, zone, group).map((row) => [row, group]);
	const reset = new Set(rows.filter(([row]) => row.from !== 'command').map(([row]) => row.zone));
	const taken = group !== null ? [] : policy.groups.flatMap((one) => one.zones.filter((row) => row.from === 'command' && reset.has(row.zone)).map((row) => [row, one.group]));
	return [...rows, ...taken];
}

async function undo(rows) {
	const changes = [];
	for (const [row, group] of rows)
		changes.push(...(await putBack(row, group)).changes);
	return changes;
}

/* --- who it is about --- */

async function whoAsked(zone) {
	const one = zone === null ? null : await get(`watch/${encodeURIComponent(zone)}`, { limit: NAMED });
	const rows = one ? [one] : (await get('watch')).zones.filter((row) => isTunnel(row) && row.clients);
	return { clients: one ? one.clients : null, rows };
}

function clientsLine({ clients, rows }) {
	if (!clients && !rows.length)
		return 'Nobody asked for one of their names yet.';
	if (!clients)
		return ['Asked for until now: ', rows.map((row, at) => [at ? ', ' : '', name(row.zone), ` by ${plural(row.clients, 'client')}`]), '.'];
	if (!clients.length)
		return 'Nobody asked for one of its names yet.';
	const total = Math.max(rows[0].total ?? 0, clients.length);
	return [`Asked by ${plural(total, 'client')}: `,
		clients.slice(0, NAMED).map((one, at) => [at ? ', ' : '', one.name ? [name(one.name), ' (', name(one.client), ')'] : name(one.client)]),
		total > NAMED ? ` and ${count(total - NAMED)} more.` : '.'];
}

/* --- the dialog --- */

function choice(group, key, label, checked, onchange) {
	return element('label', { class: 'choice' }, element('input', { type: 'radio', name: group, value: key, checked, autofocus: checked && group === 'mode', onchange }), ' ', label);
}

function groupChoice(policy, chosen, onchange) {
	if (!policy.groups.length)
		return null;
	return element('label', {}, 'For ', element('select', { onchange: (event) => onchange(event.target.value || null) },
		element('option', { value: '' }, 'everybody'),
		policy.groups.map((one) => element('option', { value: one.group, selected: one.group === chosen }, `group ${visible(one.group)}`))));
}

/*
 * Asks what shall be, and does it. wanted: {zone or null, group or null, mode, time: a key of TIMES}. done(words, {until, undo}) after a
 * change.
 */
export function askMode(policy, wanted, done) {
	const state = { group: null, mode: 'block', time: 'always', ...wanted };
	const line = element('p', { class: 'strong' }), who = element('p', { class: 'muted' }, 'Asking who is concerned …'), place = element('div');
	const act = element('button', { type: 'submit', class: 'primary' });
	const node = element('dialog', { class: 'ask', 'aria-labelledby': 'ask-mode' });
	const time = () => TIMES.find((one) => one.key === state.time);
	const verb = () => `${state.mode[0].toUpperCase()}${state.mode.slice(1)}`;

	function say() {
		line.textContent = `${verb()} the names of ${zoneWords(state.zone)} for ${groupWords(policy, state.zone, state.group)}, ${untilWords(time())}.`;
		act.textContent = state.time === 'always' ? verb() : `${verb()} ${time().label}`;
	}
	function set(what) {
		Object.assign(state, what);
		say();
	}
	async function submit(event) {
		event.preventDefault();
		act.disabled = true;
		const rows = before(policy, state.zone, state.group), seconds = time().seconds(), until = seconds && now() + seconds * 1000;
		try {
			const { changes } = await post('policy/mode', { mode: state.mode, zone: state.zone, group: state.group, seconds });
			node.close();
			done(changes, { until, undo: () => undo(rows) });
		} catch (problem) {
			fill(place, failed(problem));
			act.disabled = false;
		}
	}

	fill(node, element('form', { onsubmit: submit },
		element('h2', { id: 'ask-mode' }, state.zone === null ? 'All tunnel zones' : ['Zone ', name(state.zone)]),
		element('fieldset', {}, element('legend', {}, 'Mode'),
			Object.entries(MODES).map(([key, label]) => choice('mode', key, label, key === state.mode, () => set({ mode: key })))),
		element('fieldset', { class: 'row' }, element('legend', {}, 'How long'),
			TIMES.map(({ key, label }) => choice('time', key, label, key === state.time, () => set({ time: key })))),
		groupChoice(policy, state.group, (group) => set({ group })),
		line, who, place,
		element('p', { class: 'row' }, act, element('button', { type: 'button', onclick: () => node.close() }, 'Leave it as it is'))));
	say();
	showDialog(node);
	whoAsked(state.zone).then((found) => fill(who, clientsLine(found)), () => fill(who, 'Who asked for them is not known just now.'));
}
