// SPDX-License-Identifier: BSD-3-Clause
/*
 * What stands on every page above the view: is blocking on and for whom (the band), is the resolver healthy (a dot with words), is
 * what is shown live, the search for what is behind an address, the choice of a resolver, help and keys.
 */
import { chooseResolver, chosenResolver, get } from './api.js';
import { element, fill, modeChip, name, pathOf, visible } from './dom.js';
import { plural, stamp, when } from './format.js';
import * as live from './live.js';

const POLICY_MS = 60000;
const KEYS_OFF = 'teredown-keys-off';
const at = (id) => document.getElementById(id);

// --- is blocking on, and for whom ---

/* How much is blocked (on, part, off, unknown), and the sentence. groups: those for which it is otherwise; null: not known. */
export function blockingWords(zones, groups) {
	const tunnels = zones.filter((zone) => zone.kind === 'tunnel');
	const blocked = tunnels.filter((zone) => zone.mode === 'block').length;
	if (!tunnels.length)
		return ['off', 'No tunnel zone is loaded'];
	if (tunnels.some((zone) => !zone.mode))
		return ['unknown', 'Whether blocking is on is not known now'];
	const but = groups?.length ? `; ${plural(groups.length, 'group differs', 'groups differ')}` : '';
	if (!blocked)
		return ['off', (tunnels.some((zone) => zone.mode === 'watch') ? 'Blocking is off: tunnels are answered and watched' : 'Blocking is off, and nothing is watched') + but];
	return blocked === tunnels.length ? ['on', `Blocking is on${but || (groups ? ' for everyone' : '')}`] : ['part', `Blocking is on for ${blocked} of ${tunnels.length} tunnel zones${but}`];
}

const zoneItem = (zone) => element('li', {}, element('a', { href: '/policy' }, name(zone.zone)), ' ',
	modeChip(zone.mode, zone.until ? when(zone.until, 'left') : null));

/* Groups for which a tunnel zone has another mode than for everyone. */
export function exceptions({ zones, groups }) {
	const tunnels = new Map(zones.filter((zone) => zone.kind === 'tunnel').map((zone) => [zone.zone, zone.mode]));
	return groups.map((group) => ({ ...group, zones: group.zones.filter((one) => tunnels.has(one.zone) && tunnels.get(one.zone) !== one.mode) }))
		.filter((group) => group.zones.length);
}

let policy = null, drawn = '';

function drawBand() {
	const zones = policy?.zones || live.overview()?.zones;
	if (!zones)
		return;
	const groups = policy && exceptions(policy);
	const tunnels = zones.filter((zone) => zone.kind === 'tunnel');
	const alone = policy?.daemon?.state === 'none';
	const face = JSON.stringify([tunnels.map((zone) => [zone.zone, zone.mode, zone.until]), groups, alone]);
	if (face === drawn)
		return;
	drawn = face;
	const [state, words] = alone ? ['unknown', 'Modes are not known here: no resolver runs beside this dashboard'] : blockingWords(zones, groups);
	const band = at('band');
	band.hidden = false;
	band.dataset.state = state;
	fill(band, element('span', {}, element('strong', { role: 'status' }, words), ' ', alone ? null : element('a', { href: '/policy' }, 'Change')),
		element('ul', {}, tunnels.map(zoneItem), (groups || []).map((group) => element('li', {}, 'group ', name(group.group), ': ',
			group.zones.map((one) => [name(one.zone), ' ', modeChip(one.mode, one.until ? when(one.until, 'left') : null), ' '])))));
}

/* After a change of a mode, and when the overview shows one. */
export async function readPolicy() {
	policy = await get('policy').catch(() => policy && live.overview() ? { ...policy, zones: live.overview().zones } : null);
	drawBand();
}

const modesOf = (zones) => JSON.stringify((zones || []).map((zone) => [zone.zone, zone.mode, zone.until]));
let seenModes = null;
function noticeModes(overview) {
	const modes = modesOf(overview.zones);
	if (modes === seenModes)
		return;
	seenModes = modes;
	readPolicy();
}

// --- is it healthy ---

export const failing = (upstream) => !['ok', 'slow'].includes(upstream.state);

/* [good | warn | bad | none, words] */
export function healthWords(overview) {
	if (!overview)
		return ['none', 'asking …'];
	const { state = {}, upstreams = [] } = overview;
	const down = upstreams.filter(failing).length;
	if (state.daemon === 'away')
		return ['bad', 'resolver away'];
	if (upstreams.length && down === upstreams.length)
		return ['bad', 'no upstream answers'];
	if (state.redis === 'away')
		return ['bad', 'Redis away'];
	if (overview.missing?.length)
		return ['warn', `${plural(overview.missing.length, 'resolver')} missing`];
	if (down)
		return ['warn', `${down} of ${upstreams.length} upstreams failing`];
	return state.redis === 'off' ? ['warn', 'healthy, not recording'] : ['good', 'healthy'];
}

function mark(node, kind, words, title = '') {
	node.dataset.kind = kind;
	if (node.title !== title)
		node.title = title;
	const place = node.querySelector('.words');
	if (place.textContent !== words)
		place.textContent = words;
}

function drawHealth() {
	const { state } = live.status();
	const [kind, words] = state === 'away' || (state === 'stale' && !live.overview()) ? ['none', 'unknown'] : healthWords(live.overview());
	const detail = live.overview()?.state || {};
	mark(at('healthy'), kind, words, [detail.daemon_words, detail.redis_words].filter(Boolean).join(' · '));
	at('healthy').setAttribute('aria-label', `Health: ${words}`);
}

// --- is it live ---

const liveFaces = {
	connecting: ['none', () => 'connecting …'],
	live: ['good', () => 'live'],
	polling: ['good', () => 'every 3 s'],
	stale: ['warn', (since) => since ? `stale since ${stamp(since).slice(11)}` : 'no data'],
	away: ['bad', (since) => since ? `away since ${stamp(since).slice(11)}` : 'away'],
};

function drawLive() {
	const { state, since, problem } = live.status();
	const asOf = live.overview()?.state?.redis === 'away' ? live.overview().state.as_of : null;
	const [kind, words] = liveFaces[state];
	if (asOf && (state === 'live' || state === 'polling'))
		mark(at('live'), 'warn', `figures of ${stamp(asOf).slice(11)}`, 'Redis is away: these are the last figures that were read');
	else
		mark(at('live'), kind, words(since), problem?.message || '');
	document.body.dataset.live = state;
	drawNotices();
}

/* What is away, and what that means for what is shown. */
function notices() {
	const { state, since, problem } = live.status();
	const overview = live.overview(), { redis, redis_words: redisWords, daemon, daemon_words: daemonWords, as_of: asOf } = overview?.state || {};
	if (state === 'away')
		return [['bad', [problem?.title || 'The dashboard does not answer', since ? [': what is shown is of ', when(since, 'stamp'), ', ', when(since)] : null, '. ', problem?.detail || '']]];
	const list = [];
	if (state === 'stale' && problem)
		list.push(['warn', [problem.title, ': ', name(problem.message), since ? [' What is shown is of ', when(since, 'stamp'), '.'] : null]]);
	if (redis === 'away')
		list.push(['warn', ['Redis is away', redisWords ? [' (', name(redisWords), ')'] : null, ': figures are of ', when(asOf, 'stamp'), '. Queries are answered and counted all the same.']]);
	if (daemon === 'away')
		list.push(['bad', ['The resolver does not answer', daemonWords ? [' (', name(daemonWords), ')'] : null, '. Figures come from Redis; nothing can be changed.']]);
	if (overview?.missing?.length)
		list.push(['warn', ['Without: ', overview.missing.map((one, at) => [at ? ', ' : '', name(typeof one === 'string' ? one : one.resolver || '')])]]);
	return list;
}

let noticed = '';
function drawNotices() {
	const lines = notices().map(([kind, words]) => element('p', { class: kind }, words));
	const text = lines.map((line) => line.textContent).join();
	if (text !== noticed)
		fill(at('notice'), lines);
	noticed = text;
}

// --- which resolver ---

/* Where the dashboard was started for a fleet; the names come with each overview of all. */
let offered = '';
function offerResolvers(overview, again) {
	const names = overview.resolvers?.map((one) => typeof one === 'string' ? one : one.resolver) || [];
	const select = at('resolver');
	if (chosenResolver() !== null || names.length < 2 || names.join() === offered)
		return;
	offered = names.join();
	fill(select, element('option', { value: '' }, 'all resolvers'), names.map((one) => element('option', { value: one }, visible(one))));
	select.hidden = false;
	select.onchange = () => {
		chooseResolver(select.value || null);
		again();
	};
}

// --- help and keys ---

let keys = true;
function setKeys(on) {
	keys = on;
	try {
		localStorage.setItem(KEYS_OFF, on ? '' : '1');
	} catch { /* as long as the page */ }
}

const help = () => import('./help.js').then(({ show }) => show(keys, setKeys));

const PAGES = { o: '/', c: '/clients', w: '/watch', a: '/address', p: '/policy', h: '/health', j: '/changes' };
let gone = 0;

function pressed(event, navigate) {
	const target = event.target;
	const typing = target.isContentEditable || target.closest?.('input:not([type=checkbox]), textarea, select, dialog');
	if (!keys || typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented)
		return;
	if (event.key === '/') {
		event.preventDefault();
		at('q').focus();
		at('q').select();
	} else if (event.key === '?') {
		help();
	} else if (event.key === 'g') {
		gone = Date.now();
	} else if (PAGES[event.key] && Date.now() - gone < 1500) {
		gone = 0;
		navigate(PAGES[event.key]);
	}
}

function search(event, navigate) {
	event.preventDefault();
	const what = at('q').value.trim();
	if (!what)
		return at('q').focus();
	at('q').blur();
	navigate(pathOf('address', what));
}

/* navigate(path) goes to a page; again() shows the present one anew. */
export function start({ navigate, again }) {
	try {
		keys = localStorage.getItem(KEYS_OFF) !== '1';
	} catch { /* on */ }
	at('search').addEventListener('submit', (event) => search(event, navigate));
	at('help').addEventListener('click', help);
	document.addEventListener('keydown', (event) => pressed(event, navigate));
	live.on('overview', (overview) => {
		noticeModes(overview);
		offerResolvers(overview, again);
		drawHealth();
		drawLive();
	});
	live.on('event', (event) => ['mode', 'policy', 'reload'].includes(event.kind) && readPolicy());
	live.on('state', () => {
		drawHealth();
		drawLive();
	});
	setInterval(() => document.hidden || readPolicy(), POLICY_MS);
}

/* Which link of the navigation is the present page. */
export function showPlace(page) {
	for (const link of document.querySelectorAll('nav a')) {
		const here = new URL(link.href).pathname === `/${page}`;
		link[here ? 'setAttribute' : 'removeAttribute']('aria-current', 'page');
		if (here)
			link.scrollIntoView({ block: 'nearest', inline: 'nearest' });
	}
}
