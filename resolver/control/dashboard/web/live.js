// SPDX-License-Identifier: BSD-3-Clause
/*
 * The stream of the overview, once for the whole page: views and the header listen here. Server-sent events where they work;
 * where they do not (a proxy that collects them, no stream left), the overview is asked for every few seconds instead, and
 * the stream is tried again. A page that nobody looks at for a minute lets its stream go.
 *
 * State, as the mark in the header says it: connecting, live, polling, stale (nothing for STALE_MS: what is shown is old),
 * away (the dashboard does not answer).
 */
import { address, chosenResolver, get } from './api.js';
import { clockFrom } from './format.js';

const STALE_MS = 6000;
const POLL_MS = 3000;
const STREAM_AGAIN_MS = 30000;
const HIDDEN_MS = 60000;

const listeners = { overview: new Set(), event: new Set(), state: new Set() };
let source = null, polling = null, hiding = null, streamAgainAt = 0;
let receivedAt = 0, polledAt = 0, openedAt = 0, state = 'connecting', problem = null, last = null;

export const overview = () => last;
export const status = () => ({ state, since: receivedAt, problem });

/* kind: overview (the object), event (a row of events), state (status()). Returns what ends it. A listener of the overview or of the state is
 * called at once with what is known. */
export function on(kind, listener) {
	listeners[kind].add(listener);
	if (kind === 'overview' && last)
		listener(last);
	if (kind === 'state')
		listener(status());
	return () => listeners[kind].delete(listener);
}

function tell(kind, value) {
	for (const listener of [...listeners[kind]])
		listener(value);
}

function become(next, error = null) {
	const changed = next !== state || error?.detail !== problem?.detail;
	state = next;
	problem = error;
	if (changed)
		tell('state', status());
}

function receive(object, how) {
	receivedAt = Date.now();
	clockFrom(object.time);
	last = object;
	become(how);
	tell('overview', object);
}

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

function closeStream() {
	source?.close();
	source = null;
}

/* The stream gives one overview for all pages: of the resolvers the dashboard was started for. Another choice is polled. */
function openStream() {
	streamAgainAt = Date.now() + STREAM_AGAIN_MS;
	if (source || chosenResolver() !== null || document.hidden)
		return;
	openedAt = Date.now();
	source = new EventSource(address('live'));
	source.addEventListener('overview', (event) => {
		const object = parse(event.data);
		if (object)
			receive(object, 'live');
	});
	source.addEventListener('event', (event) => {
		const row = parse(event.data);
		if (row)
			tell('event', row);
	});
	source.addEventListener('error', () => {
		closeStream();
		poll();
	});
}

async function poll() {
	if (polling)
		return;
	const mine = polling = new AbortController();
	polledAt = Date.now();
	try {
		const object = await get('overview', {}, mine.signal, { ask: false });
		if (state === 'away')
			streamAgainAt = 0;
		receive(object, 'polling');
	} catch (error) {
		if (!mine.signal.aborted)
			become(error.away ? 'away' : 'stale', error);
	} finally {
		if (polling === mine)
			polling = null;
	}
}

function tick() {
	if (document.hidden)
		return;
	const age = Date.now() - receivedAt;
	// Open and silent: a connection that died unseen, such as that of a laptop that slept.
	if (source && Math.min(age, Date.now() - openedAt) > STALE_MS)
		closeStream();
	if (!source && Date.now() >= streamAgainAt && state !== 'away')
		openStream();
	if (Date.now() - polledAt >= POLL_MS && age >= POLL_MS - 500 && (!source || age > STALE_MS))
		poll();
	if (receivedAt && age > STALE_MS && state !== 'away')
		become('stale', problem);
}

function hidden() {
	clearTimeout(hiding);
	if (document.hidden)
		hiding = setTimeout(closeStream, HIDDEN_MS);
	else {
		streamAgainAt = 0;
		tick();
	}
}

/* Again from the start: another resolver was chosen, or somebody signed in. */
export function restart() {
	closeStream();
	polling?.abort();
	polling = null;
	last = null;
	receivedAt = 0;
	streamAgainAt = 0;
	become('connecting');
	start();
}

let timer = null;
export function start() {
	if (!timer) {
		timer = setInterval(tick, 1000);
		document.addEventListener('visibilitychange', hidden);
		addEventListener('pagehide', closeStream);
	}
	poll().then(openStream);
}
