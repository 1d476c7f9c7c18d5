// SPDX-License-Identifier: BSD-3-Clause
/*
 * Changes of modes, from whatever page shows one. A change is never one click: a dialog (ask-mode.js, fetched when it is wanted) says for
 * whom and until when. Afterwards the daemon's own words stand on the page, with a countdown where there is an end, and Undo.
 */
import { element, fill, modeChip, visible } from './dom.js';
import { moment, when } from './format.js';
import { failed } from './states.js';

export const isTunnel = (zone) => zone.kind === 'tunnel';

/* The rows of the policy that a change of (zone or null, group or null) touches: {zone, mode, from, until}. */
export function affected(policy, zone, group) {
	const wanted = new Set(policy.zones.filter((one) => zone === null ? isTunnel(one) : one.zone === zone).map((one) => one.zone));
	const rows = group === null ? policy.zones : policy.groups.find((one) => one.group === group)?.zones || [];
	const own = rows.filter((one) => wanted.has(one.zone));
	return group === null ? own : [...wanted].map((one) => own.find((row) => row.zone === one) || { zone: one, from: 'none' });
}

/* Asks what shall be, beginning with wanted: {zone or null, group or null, mode, time}; done(words, {until, undo}) after a change. */
export const askMode = (policy, wanted, done) => import('./ask-mode.js').then((dialog) => dialog.askMode(policy, wanted, done),
	() => done(['The dashboard does not answer: nothing was changed.'], {}));

/* --- afterwards --- */

/* What the daemon said to a change: done(words, {until, undo}) for askMode and others. refresh() is called after each change. */
export function notices(place, refresh) {
	async function takeBack(button, act) {
		button.disabled = true;
		try {
			say(await act(), {});
		} catch (problem) {
			place.append(failed(problem));
			button.disabled = false;
		}
	}
	function say(words, { until, undo: act }) {
		const button = act ? element('button', { type: 'button', onclick: () => takeBack(button, act) }, 'Undo') : null;
		const lines = words.length ? words : ['Nothing had to be changed.'];
		const box = element('div', { class: 'done', role: 'status', tabindex: '-1' },
			element('ul', {}, lines.map((one) => element('li', {}, visible(one)))),
			until ? element('p', {}, 'Ends at ', moment(until), ': ', when(until, 'left'), '.') : null,
			element('p', { class: 'row' }, button, element('button', { type: 'button', class: 'quiet', onclick: () => fill(place) }, 'Close')));
		fill(place, box);
		box.focus();
		refresh();
	}
	return say;
}

/* The mode as it is, with its countdown. */
export const modeNow = (row) => [modeChip(row.mode ?? 'unknown'), row.until ? [' ', when(row.until, 'left')] : null];

/* Buttons for a zone, or all tunnel zones (null): the step that is most likely wanted first. */
export function modeButtons(policy, zone, done) {
	const rows = affected(policy, zone, null), blocked = rows.some((row) => row.mode === 'block');
	const button = (label, wanted, primary) => element('button', { type: 'button', class: primary ? 'primary' : null, 'data-key': `${label} ${zone}`,
		onclick: () => askMode(policy, { zone, ...wanted }, done) }, label);
	return element('div', { class: 'row actions' },
		blocked ? [button('Pause 10 min', { mode: 'watch', time: '10min' }), button('Pause 1 h', { mode: 'watch', time: '1h' }),
			button('Pause until tomorrow', { mode: 'watch', time: 'tomorrow' }), button('Unblock', { mode: 'watch' })]
			: button(`Block ${zone === null ? 'all tunnel zones' : visible(zone)}`, { mode: 'block' }, true),
		button('Change …', { mode: rows[0]?.mode || 'watch' }));
}
