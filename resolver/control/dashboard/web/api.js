// SPDX-License-Identifier: BSD-3-Clause
/*
 * The API: JSON in, JSON out, and one kind of error. A Problem carries words that can be shown (those of the server where it
 * gave some), whether trying again can help, and the status. Reading that needs a session, and any change, asks for the token
 * by the dialog of session.js and goes on where it was.
 */
import { visible } from './dom.js';
import { clockFrom } from './format.js';

const TIMEOUT_MS = 15000;
let resolver = null;
let session = null; // set by session.js: {csrf(), signIn(reason), changed()}
let declined = false; // the dialog was closed: what is read again by itself does not open it again

export class Problem extends Error {
	constructor(status, title, detail) {
		super(detail || title);
		Object.assign(this, { name: 'Problem', status, title, detail: detail || '' });
	}
	/* Nobody answered at all: the dashboard is away, not what it reads. */
	get away() {
		return this.status === 0;
	}
}

export const useSession = (object) => { session = object; };
export const chosenResolver = () => resolver;
/* null: as the dashboard was started; '*': all. */
export const chooseResolver = (name) => { resolver = name; };

export function address(path, parameters = {}) {
	const url = new URL(`/api/v1/${path}`, location.origin);
	if (resolver !== null)
		url.searchParams.set('resolver', resolver);
	for (const [key, value] of Object.entries(parameters))
		if (value !== null && value !== undefined && value !== '')
			url.searchParams.set(key, value);
	return url;
}

async function problemOf(response) {
	let problem = {};
	try {
		problem = await response.json();
	} catch { /* not JSON: the status has to do */ }
	const text = (value) => typeof value === 'string' ? visible(value) : '';
	return new Problem(response.status, text(problem.title) || `HTTP ${response.status}`, text(problem.detail));
}

async function once(url, options, signal) {
	const timeout = AbortSignal.timeout(TIMEOUT_MS);
	const either = new AbortController();
	const stop = (event) => either.abort(event.target.reason);
	for (const one of [timeout, signal])
		if (one?.aborted)
			either.abort(one.reason);
		else
			one?.addEventListener('abort', stop, { once: true });
	try {
		const response = await fetch(url, { ...options, signal: either.signal, credentials: 'same-origin', cache: 'no-store' });
		if (!response.ok)
			throw await problemOf(response);
		const object = response.status === 204 ? {} : await response.json();
		clockFrom(object?.time);
		return object;
	} catch (error) {
		if (error instanceof Problem || signal?.aborted)
			throw error;
		if (timeout.aborted)
			throw new Problem(0, 'No answer in time', `The dashboard did not answer within ${TIMEOUT_MS / 1000} s.`);
		if (error instanceof SyntaxError)
			throw new Problem(502, 'Not understood', 'The answer was not JSON: is something else on this port?');
		throw new Problem(0, 'The dashboard does not answer', 'Is `teredown dashboard` still running?');
	} finally {
		signal?.removeEventListener('abort', stop);
	}
}

/* Somebody wants to see something: the dialog may open again. */
export const askAgain = () => { declined = false; };

/* Reads; parameters that are null or '' are left out. Throws a Problem, or the signal's AbortError. ask: whether the token may be asked for. */
export async function get(path, parameters = {}, signal = undefined, { ask = true } = {}) {
	for (;;) {
		try {
			return await once(address(path, parameters), {}, signal);
		} catch (error) {
			if (error.status !== 401 || !session || !ask || declined)
				throw error;
			declined = !await session.signIn('Reading needs the token of this dashboard.');
			if (declined)
				throw error;
			signal?.throwIfAborted();
		}
	}
}

/* Changes; asks for the token first where nobody is signed in. */
export const post = async (path, body, signal) => (await import('./change.js')).change(session, 'POST', path, body, signal);

/* Without a session's dialog, for session.js and live.js. */
export const plain = (path, options = {}, signal = undefined) => once(new URL(`/api/v1/${path}`, location.origin), options, signal);
