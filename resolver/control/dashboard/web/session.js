// SPDX-License-Identifier: BSD-3-Clause
/*
 * Who is signed in. The token goes once to the server, which answers with a cookie that scripts cannot read and a CSRF text
 * that is kept here in memory only. Whoever needs a session calls signIn(reason), which opens one dialog however many wait.
 */
import { askAgain, plain, useSession } from './api.js';

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

/* True when somebody is signed in afterwards. */
export function signIn(reason) {
	waiting ||= import('./sign-in.js').then(({ ask }) => ask(reason, take)).finally(() => { waiting = null; });
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
