// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is the resolver healthy: first what needs a person, in words, then the figures behind it: upstreams, Redis and what waits for it, drops by
 * reason, zones, the fleet, the dashboard itself.
 */
import { get } from './api.js';
import { element, fill, modeChip, name, zoneLink } from './dom.js';
import { bytes, count, micros, plural, share, span, when } from './format.js';
import { failing } from './shell.js';
import { command, empty, region } from './states.js';

const REFRESH_MS = 3000;

export const title = () => 'Health';

const facts = (pairs) => element('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
	.map(([label, value]) => element('div', {}, element('dt', {}, label), element('dd', {}, value))));
const panel = (words, ...body) => element('section', { class: 'panel' }, element('h2', {}, words), element('div', { class: 'panel-body' }, body));
const state = (good, words) => element('span', { class: `chip ${good}` }, words);

/* columns: [label, cell(row), number] */
const grid = (caption, columns, rows) => element('table', { class: columns.length > 4 ? 'data' : 'data tight' }, element('caption', { class: 'unseen' }, caption),
	element('thead', {}, element('tr', {}, columns.map(([label, , number]) => element('th', { scope: 'col', class: number ? 'number' : null }, label)))),
	element('tbody', {}, rows.map((row) => element('tr', {}, columns.map(([label, cell, number], at) => {
		const content = cell(row);
		return element(at ? 'td' : 'th', { class: [number ? 'number' : '', content === null ? 'none' : ''].join(' ').trim() || null, scope: at ? null : 'row', 'data-label': label }, content ?? '–');
	})))));

// --- what needs a person ---

const dropsOf = (status) => Object.entries(status).filter(([key, value]) => key.startsWith('dropped_') && value > 0);
/* What was dropped by design (a rule, a rate limit, a repeated or broken packet) is a figure, not a fault. */
const FAULTS = { dropped_overload: 'queries were dropped because more came in than could be answered', dropped_send: 'answers could not be sent', dropped_late: 'queries were dropped after their time' };

function upstreamFaults(status) {
	const down = status.upstream?.filter((one) => failing(one)) || [];
	if (!down.length)
		return [];
	return [[down.length === status.upstream.length ? 'bad' : 'warn', [`${plural(down.length, 'upstream')} of ${status.upstream.length} not answering: `, down.map((one, at) => [at ? ', ' : '', name(one.address)])]]];
}

function statusFaults(status) {
	const list = upstreamFaults(status);
	for (const [key, words] of Object.entries(FAULTS))
		if (status[key] > 0)
			list.push(['warn', `${count(status[key])} ${words}`]);
	for (const zone of status.zone || [])
		if (zone.state && zone.state !== 'ok')
			list.push(['warn', ['zone ', name(zone.zone), ': ', name(zone.state), zone.fault ? [', ', name(zone.fault)] : null]]);
	for (const sink of status.sink || [])
		if (sink.dropped > 0)
			list.push(['warn', [name(sink.sink), `: ${count(sink.dropped)} records were lost`]]);
	if (status.journal_dropped > 0)
		list.push(['bad', `${plural(status.journal_dropped, 'batch', 'batches')} of counts were lost: the journal was full`]);
	return list;
}

/* What is left out of Redis for want of memory. */
const roomWords = (pressure) => pressure > 1 ? 'full: nothing new is kept, no new client either' : 'nearly full: no new detail is kept';

export function faults(health) {
	const list = [];
	const { daemon = {}, redis = {}, fleet = [] } = health;
	if (daemon.state === 'away')
		list.push(['bad', [`The resolver does not answer: `, name(daemon.words || 'away'), '. ', command('teredown status')]]);
	if (redis.state === 'away')
		list.push(['bad', ['Redis is away: ', name(redis.words || ''), '. Queries are answered and counted all the same; the counts wait on disk.']]);
	if (redis.state === 'off')
		list.push(['warn', ['Nothing is recorded: the configuration says ', command('redis = "off"'), '.']]);
	if (redis.state === 'ok' && daemon.status?.redis === 'away')
		list.push(['bad', ['The resolver does not reach Redis: ', name(daemon.status.redis_error || 'away'), '. Queries are answered and counted all the same; the counts wait on disk.']]);
	if (redis.pressure > 0)
		list.push(['warn', ['Redis is ', roomWords(redis.pressure), '. Totals stay exact. Raise ', command('redis-memory'), ', or shorten ', command('retention'), '.']]);
	if (daemon.status)
		list.push(...statusFaults(daemon.status));
	for (const row of fleet)
		if (!['writing', 'ok'].includes(row.state))
			list.push(['warn', ['resolver ', name(row.resolver), ' is ', name(row.state), ', last batch ', when(row.last_batch)]]);
	return list;
}

function attention(health) {
	const list = faults(health);
	return element('section', { class: 'panel', 'aria-label': 'What needs attention' }, element('h2', {}, list.length ? 'Needs attention' : 'All is well'),
		element('div', { class: 'panel-body' }, list.length ? element('ul', { class: 'faults' }, list.map(([kind, words]) => element('li', { class: kind }, words)))
			: element('p', {}, state('good', 'healthy'), health.daemon?.state === 'none' ? ' Every resolver of the fleet writes to Redis.' : ' Upstreams answer, Redis takes the counts, nothing was lost.')));
}

// --- figures ---

function daemonPanel({ daemon }) {
	const status = daemon.status;
	if (!status)
		return panel('Resolver', empty(daemon.state === 'none' ? 'None is asked.' : 'The resolver does not answer.', name(daemon.words || '')));
	return panel('Resolver', facts([
		['Name', name(status.resolver)], ['Version', `${status.version}, process ${status.pid}, ${plural(status.workers, 'worker')}`], ['Up for', span(status.uptime_s * 1000)],
		['Listens on', (status.listen || []).map((one, at) => [at ? ', ' : '', name(one)])],
		['Queries', `${count(status.received)} received, ${count(status.answered)} answered, ${count(status.pending)} under way`],
		['Dropped', dropsOf(status).map(([key, value], at) => `${at ? ', ' : ''}${count(value)} ${key.slice(8)}`).join('') || 'none'],
		['Cache', `${count(status.cache_entries)} answers, ${bytes(status.cache_bytes)} of ${bytes(status.cache_limit)}; ${share(status.cache_hits / (status.cache_hits + status.cache_misses))} hits`],
		['Stale answers', status.stale_answers ? count(status.stale_answers) : null],
		['Clock steps', status.clock_steps ? count(status.clock_steps) : null],
	]));
}

function redisPanel({ redis, daemon }) {
	const status = daemon.status || {};
	return panel('Redis', facts([
		['State', [state(redis.state === 'ok' ? 'good' : redis.state === 'off' ? 'warn' : 'bad', redis.state), ' ', name(redis.words || '')]],
		['Since', status.redis_since ? when(status.redis_since, 'stamp') : null], ['Recording since', status.recording_since ? when(status.recording_since, 'stamp') : null],
		['Memory', redis.memory_used === undefined || redis.memory_used === null ? null : `${bytes(redis.memory_used)}${redis.memory_max ? ` of ${bytes(redis.memory_max)}` : ''}${redis.pressure > 0 ? `, ${roomWords(redis.pressure)}` : ''}`],
		['Batches', status.batches_applied === undefined ? null : `${count(status.batches_applied)} applied, ${count(status.batches_waiting)} waiting (${count(status.queries_waiting)} queries)`],
		['Journal', status.journal_bytes === undefined ? null : `${bytes(status.journal_bytes)}, ${count(status.journal_waiting)} waiting, ${count(status.journal_dropped)} lost`],
		['Error', status.redis_error ? name(status.redis_error) : null],
	]));
}

const upstreamState = (one) => state(failing(one) ? 'bad' : one.state === 'ok' ? 'good' : '', one.state);

const upstreamPanel = ({ daemon }) => daemon.status?.upstream ? panel('Upstreams', grid('Upstream servers', [
	['Server', (row) => name(row.address)], ['State', upstreamState], ['Round trip', (row) => row.srtt_us ? micros(row.srtt_us) : null, true], ['Sent', (row) => count(row.sent), true],
	['Answered', (row) => count(row.answered), true], ['Timeouts', (row) => count(row.timeouts), true], ['Failures', (row) => count(row.failures), true],
	['Silent', (row) => row.silent_s ? span(row.silent_s * 1000) : null, true]], daemon.status.upstream)) : null;

const zonePanel = ({ daemon }) => daemon.status?.zone ? panel('Zones', grid('Zones as loaded', [
	['Zone', (row) => zoneLink(row.zone)], ['Mode', (row) => modeChip(row.mode)], ['Rules', (row) => count(row.rules), true], ['State', (row) => state(row.state === 'ok' ? 'good' : 'bad', row.state)]], daemon.status.zone)) : null;

const fleetPanel = ({ fleet = [] }) => fleet.length ? panel('Resolvers that write here', grid('Resolvers of the fleet', [
	['Resolver', (row) => name(row.resolver)], ['State', (row) => state(row.state === 'writing' ? 'good' : 'warn', row.state)], ['Last batch', (row) => when(row.last_batch)], ['Queries', (row) => count(row.queries), true],
	['Dropped', (row) => count(row.dropped), true], ['Upstreams', (row) => row.upstreams_failing ? `${row.upstreams - row.upstreams_failing} of ${row.upstreams}` : count(row.upstreams), true],
	['Version', (row) => name(row.version || '–')]], fleet)) : null;

const sinkPanel = ({ daemon }) => daemon.status?.sink?.length ? panel('Logs', grid('Where records go', [
	['Log', (row) => name(row.sink)], ['To', (row) => name(row.to)], ['State', (row) => state(row.state === 'writing' ? 'good' : 'warn', row.state)], ['Written', (row) => count(row.written), true],
	['Lost', (row) => count(row.dropped), true]], daemon.status.sink)) : null;

const dashboardPanel = ({ dashboard }) => dashboard ? panel('This dashboard', facts([
	['Version', name(dashboard.version)], ['Started', when(dashboard.started)], ['Requests', `${count(dashboard.requests)}, ${count(dashboard.refused)} refused`],
	['Open', `${plural(dashboard.connections, 'connection')}, ${plural(dashboard.streams, 'stream')}`]])) : null;

const face = (health) => [attention(health), element('div', { class: 'columns two' }, daemonPanel(health), redisPanel(health)), upstreamPanel(health), fleetPanel(health),
	element('div', { class: 'columns two' }, zonePanel(health), element('div', {}, sinkPanel(health), dashboardPanel(health)))];

export async function show(root, parts, { signal }) {
	const place = element('div', { class: 'stack' });
	fill(root, place);
	await region(place, { load: () => get('health', {}, signal), show: (health) => face({ ...health, daemon: health.daemon || {}, redis: health.redis || {} }), every: REFRESH_MS, signal }).ready;
}
