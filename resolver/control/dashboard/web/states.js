// SPDX-License-Identifier: BSD-3-Clause
/*
 * The faces of whatever is loaded: loading, empty, error, stale. A region shows one thing that comes from the API and keeps it
 * fresh; when a later reading fails, what was shown stays, dimmed, under a line that says since when it is old.
 */
import { askAgain } from './api.js';
import { element, fill, isMarked } from './dom.js';
import { now, when } from './format.js';

const LOADING_AFTER_MS = 150; // a face that is gone at once only flickers

export const loading = () => element('div', { class: 'face loading', role: 'status' }, element('span', { class: 'unseen' }, 'Loading'),
	element('span', { class: 'bar' }), element('span', { class: 'bar' }), element('span', { class: 'bar' }));

/* What is not there, and what to do next; `next` may be text or nodes. */
export const empty = (words, ...next) => element('div', { class: 'face' }, element('p', { class: 'strong' }, words),
	next.length ? element('p', { class: 'muted' }, next) : null);

/* A command to type. */
export const command = (text) => element('code', { class: 'command' }, text);

export function failed(problem, retry) {
	const title = problem.title || 'Something went wrong';
	return element('div', { class: 'face bad', role: 'alert' },
		element('p', { class: 'strong' }, title),
		problem.message && problem.message !== title ? element('p', {}, problem.message) : null,
		retry ? element('p', {}, element('button', { type: 'button', onclick: () => { askAgain(); retry(); } }, 'Try again')) : null);
}

export const staleLine = (problem, since, retry) => element('p', { class: 'stale-line', role: 'status' },
	element('strong', {}, 'Stale'), ' since ', when(since), ': ', problem.title ? `${problem.title}. ${problem.detail}` : problem.message, ' ',
	retry ? element('button', { type: 'button', class: 'quiet', onclick: retry }, 'Try again') : null);

/*
 * region(root, {load, show, empty, every, signal}) →
 *   load(signal)  promise of the data
 *   show(data)    nodes for it; called again for each new reading
 *   empty(data)   a face (see above) instead of show(), or null
 *   every         ms between readings; none: once
 *   signal        ends it (the view's)
 * Returns {refresh()}, a promise that is kept when the region has been drawn.
 */
export function region(root, { load, show, empty: faceOf, every, signal }) {
	let shownAt = 0, timer = null, running = null;

	function draw(data) {
		if (shownAt && isMarked(root))
			return;
		const nodes = faceOf?.(data) || show(data);
		shownAt = now();
		root.classList.remove('stale');
		// What keeps its nodes and only changes them keeps its focus, too.
		if (nodes instanceof Node && nodes.parentNode === root)
			root.querySelector(':scope > .stale-line')?.remove();
		else
			fill(root, nodes);
	}

	function fail(problem) {
		if (!shownAt)
			return fill(root, failed(problem, refresh));
		root.classList.add('stale');
		root.querySelector(':scope > .stale-line')?.remove();
		root.prepend(staleLine(problem, shownAt, refresh));
	}

	async function read() {
		const late = shownAt ? null : setTimeout(() => fill(root, loading()), LOADING_AFTER_MS);
		root.setAttribute('aria-busy', 'true');
		try {
			const data = await load(signal);
			clearTimeout(late);
			if (!signal?.aborted)
				draw(data);
		} catch (problem) {
			clearTimeout(late);
			if (!signal?.aborted)
				fail(problem);
		} finally {
			root.removeAttribute('aria-busy');
		}
	}

	function refresh() {
		clearTimeout(timer);
		running ||= read().finally(() => {
			running = null;
			if (every && !signal?.aborted)
				timer = setTimeout(whenSeen, every);
		});
		return running;
	}

	/* What nobody looks at is not read. */
	function whenSeen() {
		if (document.hidden)
			document.addEventListener('visibilitychange', whenSeen, { once: true, signal });
		else
			refresh();
	}

	signal?.addEventListener('abort', () => clearTimeout(timer));
	return { refresh, ready: refresh() };
}
