// SPDX-License-Identifier: BSD-3-Clause
/*
 * Numbers and times as people read them. Everything is pure but the clock: ages are counted by the server's clock (clockFrom
 * takes it from each answer), so that a browser whose clock is wrong still says "3 min ago" rightly.
 */
import { element } from './dom.js';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const NONE = '–';
let offset = 0;

export const now = () => Date.now() + offset;
export function clockFrom(time) {
	const at = Date.parse(time);
	if (!Number.isNaN(at))
		offset = at - Date.now();
}

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const digits = (value, count) => value.toFixed(count).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');

/* 60665 → 60,665: exact, because counts are exact here. */
export const count = (value) => isNumber(value) ? whole.format(value) : NONE;

/* For a tile or an axis: exact up to 999,999, then 1.23 M. */
export function short(value) {
	if (!isNumber(value))
		return NONE;
	for (const [size, unit] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M']])
		if (Math.abs(value) >= size)
			return `${(value / size).toPrecision(3)} ${unit}`;
	return whole.format(value);
}

export const share = (value) => isNumber(value) ? `${digits(value * 100, value > 0.9995 || value === 0 ? 0 : 1)} %` : NONE;
export function rate(value) {
	if (!isNumber(value))
		return NONE;
	if (value > 0 && value < 0.01)
		return '<0.01';
	return value >= 100 ? whole.format(value) : digits(value, value < 1 ? 2 : 1);
}

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export function micros(value) {
	if (!isNumber(value))
		return NONE;
	if (value < 1000)
		return `${Math.round(value)} µs`;
	return value < 1e6 ? `${digits(value / 1000, value < 1e4 ? 1 : 0)} ms` : `${digits(value / 1e6, 1)} s`;
}

export function bytes(value) {
	if (!isNumber(value))
		return NONE;
	let unit = 0;
	for (; value >= 1024 && unit < 4; unit++)
		value /= 1024;
	return `${digits(value, value < 10 && unit ? 1 : 0)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

/* The two largest units: "2 d 4 h", "3 min", "12 s". */
export function span(ms) {
	const parts = [];
	let left = Math.max(0, Math.floor(ms / 1000));
	for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]]) {
		const n = Math.floor(left / size);
		left -= n * size;
		if (n && parts.length < 2 && !(unit === 's' && parts.length))
			parts.push(`${n} ${unit}`);
		else if (parts.length)
			break;
	}
	return parts.join(' ') || '0 s';
}

const two = (n) => String(n).padStart(2, '0');
const date = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

const parsed = (time) => {
	const at = time === null || time === undefined ? NaN : typeof time === 'number' ? time : Date.parse(time);
	return Number.isNaN(at) ? null : new Date(at);
};

/* 2026-11-14 20:00:00, in the browser's zone, as the commands print it. */
export function stamp(time) {
	const at = parsed(time);
	return at ? `${date(at)} ${clock(at)}:${two(at.getSeconds())}` : NONE;
}

/* 14:03 of today, else 2026-11-14 14:03. */
export function moment(time) {
	const at = parsed(time);
	if (!at)
		return NONE;
	return date(at) === date(new Date(now())) ? clock(at) : `${date(at)} ${clock(at)}`;
}

export function ago(time) {
	const at = parsed(time);
	if (!at)
		return NONE;
	const age = now() - at.getTime();
	if (age < -1500)
		return `in ${span(-age)}`;
	return age < 1500 ? 'now' : `${span(age)} ago`;
}

/* <time>: its age, which goes on by itself, and the moment on hovering; `form`: ago, left ("9 min left"), stamp or moment. */
export function when(time, form = 'ago') {
	const at = parsed(time);
	if (!at)
		return element('span', { class: 'muted' }, NONE);
	return element('time', { datetime: at.toISOString(), title: stamp(time), 'data-form': form === 'ago' || form === 'left' ? form : null }, words(at, form));
}

function words(at, form) {
	if (form === 'left')
		return at > now() ? `${span(at - now() + 999)} left` : 'ended';
	return form === 'stamp' ? stamp(at.getTime()) : form === 'moment' ? moment(at.getTime()) : ago(at.getTime());
}

/* Once a second from the page: ages of what stands on it. Only texts that change are touched. */
export function refreshTimes(root) {
	for (const node of root.querySelectorAll('time[data-form]')) {
		const text = words(new Date(node.dateTime), node.dataset.form);
		if (node.textContent !== text)
			node.textContent = text;
	}
}
