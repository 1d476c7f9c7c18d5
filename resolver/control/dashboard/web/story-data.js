// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the chart of the story shows, without a canvas: the answer of /api/v1/timeline as series and rows, where the ticks of its axes
 * stand, the sentence that says its gist, its rows as CSV. Nothing here touches the page, so each function can be called alone.
 *
 * The horizontal axis counts rows, not milliseconds: a row is an hour of the store, and a day of 23 or 25 hours has 23 or 25 of them.
 * The vertical axis is always linear for Chart.js; its logarithmic form is a height of our own, because a zero has no logarithm and
 * most hours of a quiet client are zero: zero stands on the base line, and the first decade begins half a decade above it.
 */
import { visible } from './dom.js';
import { count, rate } from './format.js';

const SOURCES = {
	'dns': 'lookups',
	'dns-watched': 'watched lookups',
	'blocked': 'blocked lookups',
	'firewall-drop': 'dropped by a firewall',
	'firewall-pass': 'let through by a firewall',
	'proxy': 'proxy requests',
	'eventlog': 'entries of Windows event logs',
};
const NUMBERS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'];
const HOUR_MS = 3600000;
const LOG_GAP = 0.5;

const formats = {
	day: { day: 'numeric', month: 'short' },
	weekday: { weekday: 'short' },
	hour: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
};
for (const name of Object.keys(formats))
	formats[name] = new Intl.DateTimeFormat('en-GB', formats[name]);

export const day = (date) => formats.day.format(date);
export const hour = (date) => formats.hour.format(date);
export const words = (source) => SOURCES[source] || source;

// The zone the page's times are in, as people write it: "Europe/Berlin, GMT+1".
export function zone(date = new Date()) {
	const format = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' });
	const short = format.formatToParts(date).find((part) => part.type === 'timeZoneName').value;
	const long = format.resolvedOptions().timeZone;
	return long && long !== short ? `${long}, ${short}` : short;
}

/* {series: [{source, label, sum, counts}], from: [Date], to: [Date], …} */
export function model(timeline) {
	const rows = timeline.rows || [];
	return {
		series: (timeline.series || []).map((one, at) => ({
			source: one.source,
			label: [one.group && visible(one.group), words(one.source)].filter(Boolean).join(': '),
			sum: one.sum,
			counts: rows.map((row) => row.counts[at] || 0),
		})),
		from: rows.map((row) => new Date(row.from)),
		to: rows.map((row) => new Date(row.to)),
		query: timeline.query || '',
		ratio: timeline.ratio,
		drops: timeline.drops || 0,
		lookups: timeline.lookups || 0,
		unit: timeline.span_hours === 1 ? 'counts an hour' : timeline.span_days ? `counts in ${timeline.span_days} d` : `counts in ${timeline.span_hours} h`,
	};
}

// --- axes ---

export const height = (value, logarithmic) => !logarithmic ? value : value > 0 ? LOG_GAP + Math.log10(value) : 0;

// Heights and words of the logarithmic axis up to `most`: 0, 1, 10, 100, … with a last one at or above it.
export function decades(most) {
	const ticks = [{ value: 0, words: '0' }];
	for (let power = 0; power === 0 || Math.pow(10, power - 1) < most; power++)
		ticks.push({ value: LOG_GAP + power, words: count(Math.pow(10, power)) });
	return ticks;
}

// Rows at which a local day begins, or full hours that divide it, at most `room` of them between from and to.
export function timeTicks(data, from, to, room) {
	const first = Math.max(0, Math.ceil(from)), last = Math.min(data.from.length - 1, Math.floor(to));
	const starts = (at, hours) => data.from[at].getHours() % hours === 0 && (hours < 24 || at === 0 ||
		data.from[at].getDate() !== data.from[at - 1].getDate());
	for (const hours of [1, 2, 3, 6, 12, 24]) {
		const ticks = [];
		for (let at = first; at <= last; at++)
			if (starts(at, hours))
				ticks.push(at);
		if (ticks.length <= room || hours === 24)
			return ticks.filter((_, at) => at % Math.ceil(ticks.length / room) === 0);
	}
}

// A tick's words: the day where one begins, else the hour.
export function timeLabel(data, at) {
	const date = data.from[at];
	return date.getHours() === 0 ? [formats.weekday.format(date), day(date)] : hour(date);
}

// "Sat 21 Nov, 14:00 to 15:00"
export function rowWords(data, at) {
	const from = data.from[at], to = data.to[at];
	const end = to - from > 24 * HOUR_MS ? `${day(to)}, ${hour(to)}` : hour(to);
	return `${formats.weekday.format(from)} ${day(from)}, ${hour(from)} to ${end}`;
}

// --- words ---

const spoken = (value) => NUMBERS[value] || rate(value);
const lastOf = (data) => data.from.findLastIndex((_, at) => data.series.some((one) => one.counts[at]));

function ratioWords(data) {
	if (!data.drops || !data.lookups || data.ratio == null)
		return data.drops ? [`${count(data.drops)} dropped packets`] : [];
	return [`${spoken(data.ratio)} ${data.ratio === 1 ? 'drop' : 'drops'} for each`];
}

function endWords(data, last) {
	if (last === data.from.length - 1)
		return 'still going on in the present hour';
	return `none since ${day(data.to[last])} ${hour(data.to[last])}`;
}

// "60,480 lookups, nine drops for each, none since 21 Nov 15:00"
export function gist(data) {
	const last = lastOf(data);
	if (last < 0)
		return 'nothing was counted in this time';
	const told = new Set(['firewall-drop']), parts = [];
	if (data.lookups) {
		parts.push(`${count(data.lookups)} ${data.lookups === 1 ? 'lookup' : 'lookups'}`);
		['dns', 'dns-watched'].forEach((source) => told.add(source));
	}
	const rest = data.series.filter((one) => one.sum && !told.has(one.source)).map((one) => `${count(one.sum)} ${one.label}`);
	return [...parts, ...ratioWords(data), ...rest, endWords(data, last)].join(', ');
}
