// SPDX-License-Identifier: BSD-3-Clause
/*
 * Who is signed in. The token goes once to the server, which answers with a cookie that scripts cannot read and a CSRF text
 * that is kept here in memory only. Whoever needs a session calls signIn(reason), which opens one dialog however many wait.
 */
import { Problem, askAgain, plain, useSession } from './api.js';
import { element, fill } from './dom.js';
import { failed } from './states.js';

const listeners = new Set();
let known = { signed_in: false, reading: 'token', csrf: null };
let waiting = null; // the promise of the open dialog

export const current = () => known;
export const csrf = () => known.csrf;
/* Called at once, and at every change, with the object of GET session. */
export function on(listener) {
	listeners.add(listener);
	listener(known);
	return () => listeners.delete(listener);
}

function take(object) {
	known = object;
	for (const listener of listeners)
		listener(known);
}

/* Asks the server anew. */
export async function changed() {
	take(await plain('session'));
	return known;
}

export async function signOut() {
	const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': known.csrf || '' };
	await plain('session', { method: 'DELETE', headers }).catch(() => {});
	await changed().catch(() => take({ ...known, signed_in: false, csrf: null }));
}

async function send(token) {
	const object = await plain('session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) });
	if (!object.signed_in)
		throw new Problem(401, 'Not signed in', 'This is not the token of this dashboard.');
	take(object);
}

function dialog(reason, done) {
	const field = element('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, spellcheck: 'false' });
	const place = element('div');
	const button = element('button', { type: 'submit', class: 'primary' }, 'Sign in');
	const node = element('dialog', { class: 'ask', 'aria-labelledby': 'sign-in' });
	async function submit(event) {
		event.preventDefault();
		button.disabled = true;
		fill(place);
		try {
			await send(field.value.trim());
			node.close('signed in');
		} catch (problem) {
			fill(place, failed(problem));
			field.select();
		} finally {
			button.disabled = false;
		}
	}
	fill(node, element('form', { onsubmit: submit },
		element('h2', { id: 'sign-in' }, 'Sign in'),
		element('p', {}, reason),
		element('label', { for: 'token' }, 'Token'), field,
		element('p', { class: 'muted' }, 'It was shown once, when ', element('code', {}, 'teredown dashboard'), ' first started. Lost? ', element('code', {}, 'teredown dashboard --new-token'), ' makes another.'),
		place,
		element('p', { class: 'row' }, button, element('button', { type: 'button', onclick: () => node.close('') }, 'Not now'))));
	node.addEventListener('close', () => {
		node.remove();
		done(node.returnValue === 'signed in');
	});
	document.body.append(node);
	node.showModal();
}

/* True when somebody is signed in afterwards. */
export function signIn(reason) {
	waiting ||= new Promise((resolve) => dialog(reason, resolve)).finally(() => { waiting = null; });
	return waiting;
}

/* again(): shows the page anew after somebody signed in or out. */
export function start(button, again) {
	useSession({ csrf, signIn, changed });
	on((session) => {
		button.hidden = false;
		button.textContent = session.signed_in ? 'Sign out' : 'Sign in';
	});
	button.addEventListener('click', async () => {
		if (known.signed_in)
			await signOut();
		else if (!await signIn(known.reading === 'open' ? 'Changes need the token of this dashboard.' : 'Reading and changes need the token of this dashboard.'))
			return;
		askAgain();
		again();
	});
	return changed().catch(() => known);
}
