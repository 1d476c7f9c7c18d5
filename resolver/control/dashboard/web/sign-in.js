// SPDX-License-Identifier: BSD-3-Clause
/* The dialog that asks for the token. Loaded when somebody has to sign in. */
import { Problem, plain } from './api.js';
import { element, fill, showDialog } from './dom.js';
import { failed } from './states.js';

async function send(token, take) {
	const object = await plain('session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) });
	if (!object.signed_in)
		throw new Problem(401, 'Not signed in', 'This is not the token of this dashboard.');
	take(object);
}

function dialog(reason, take, done) {
	const field = element('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, spellcheck: 'false' });
	const place = element('div');
	const button = element('button', { type: 'submit', class: 'primary' }, 'Sign in');
	const node = element('dialog', { class: 'ask', 'aria-labelledby': 'sign-in' });
	async function submit(event) {
		event.preventDefault();
		button.disabled = true;
		fill(place);
		try {
			await send(field.value.trim(), take);
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
	showDialog(node);
	node.addEventListener('close', () => done(node.returnValue === 'signed in'));
}

/* Keeps its promise when the dialog is closed: whether somebody is signed in. take(session): what the server then said. */
export const ask = (reason, take) => new Promise((resolve) => dialog(reason, take, resolve));
