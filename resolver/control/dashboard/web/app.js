// SPDX-License-Identifier: BSD-3-Clause
/*
 * The page: which view stands under which path, and what happens between two of them. A view is a module view-NAME.js:
 *
 *   title(parts)                 the heading, a text; parts are what stands in the path behind the page's name, decoded
 *   async show(root, parts, context)
 *                                fills root (an empty element under the heading) and returns a function that ends it, or nothing
 *
 * context: signal (aborted when the view is left: give it to everything that is asked for), query (URLSearchParams of the
 * address), heading (the h1), navigate(path), announce(words) for who does not see the page, policyChanged() after a change of a
 * mode. Everything else is imported: api.js (get, post), live.js (on), dom.js, format.js, states.js (region, empty), table.js.
 *
 * A click on a link of ours changes the view without loading the page; the heading takes the focus, so that a screen reader and
 * the Tab key go on there.
 */
import { askAgain } from './api.js';
import { element, fill, name, visible } from './dom.js';
import { refreshTimes } from './format.js';
import * as live from './live.js';
import * as session from './session.js';
import * as shell from './shell.js';
import { failed, loading } from './states.js';

/* Page, its view, and the view of one thing of it. */
const ROUTES = {
	'': ['overview'],
	clients: ['clients', 'client'],
	watch: ['watch', 'watch'],
	address: ['address', 'address'],
	policy: ['policy'],
	health: ['health'],
	changes: ['changes'],
};

const main = document.getElementById('view');
let present = null; // {abort, end}

function decoded(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

function route(path) {
	const [page, ...parts] = path.replace(/^\/|\/$/g, '').split('/').map(decoded);
	const views = ROUTES[page];
	return { page, parts, view: views && views[parts.length] };
}

function announce(words) {
	const place = document.getElementById('announce');
	place.textContent = '';
	setTimeout(() => { place.textContent = words; }, 50);
}

function leave() {
	if (!present)
		return;
	present.abort.abort();
	try {
		present.end?.();
	} catch (error) {
		console.error(error);
	}
	present = null;
}

function nothingHere(heading, root) {
	heading.textContent = 'There is no such page';
	fill(root, element('div', { class: 'face' }, element('p', {}, 'Go to the ', element('a', { href: '/' }, 'overview'), ', or search above for an address, a name or a client.')));
}

/* Focus goes to the heading unless the page has just been loaded. */
async function show(first) {
	leave();
	const { page, parts, view } = route(location.pathname);
	const mine = present = { abort: new AbortController(), end: null };
	const heading = element('h1', { tabindex: '-1' }), root = element('div', { class: 'view', 'data-view': view || 'none' });
	shell.showPlace(page);
	fill(main, heading, root);
	if (!view)
		return nothingHere(heading, root);
	const late = setTimeout(() => fill(root, loading()), 150);
	try {
		const module = await import(`./view-${view}.js`);
		if (mine !== present)
			return;
		const words = module.title(parts);
		fill(heading, name(words));
		document.title = `${visible(words)} · Teredown`;
		if (!first)
			heading.focus({ preventScroll: true });
		clearTimeout(late);
		fill(root);
		const end = await module.show(root, parts, { signal: mine.abort.signal, query: new URLSearchParams(location.search), heading, navigate, announce,
			policyChanged: shell.readPolicy });
		if (mine === present)
			mine.end = end;
		else
			end?.();
	} catch (problem) {
		clearTimeout(late);
		if (mine !== present || mine.abort.signal.aborted)
			return;
		console.error(problem);
		fill(root, failed(problem, () => show(false)));
	}
}

function navigate(path) {
	askAgain();
	const url = new URL(path, location.href);
	history.replaceState({ scroll: scrollY }, '');
	history.pushState({ scroll: 0 }, '', url);
	scrollTo(0, 0);
	show(false);
}

function clicked(event) {
	const link = event.target.closest?.('a[href]');
	if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.target || link.hasAttribute('download'))
		return;
	const url = new URL(link.href);
	if (url.origin !== location.origin || !(route(url.pathname).page in ROUTES) || (url.hash && url.pathname === location.pathname))
		return;
	event.preventDefault();
	navigate(url);
}

document.addEventListener('click', clicked);
addEventListener('popstate', (event) => show(false).then(() => scrollTo(0, event.state?.scroll || 0)));
setInterval(() => document.hidden || refreshTimes(document.body), 1000);
function again() {
	live.restart();
	show(true);
}

session.start(document.getElementById('session'), again).finally(() => {
	shell.start({ navigate, again });
	live.start();
	show(true);
});
