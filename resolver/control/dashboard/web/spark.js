// SPDX-License-Identifier: BSD-3-Clause
/*
 * Small pictures beside a number: a line or bars over the last hours. They say nothing that the text does not, so a screen
 * reader is told their gist in one sentence (or nothing). Drawn as SVG in a box of 100 by 24 that stretches.
 */
import { svg } from './dom.js';

const WIDTH = 100, HEIGHT = 24;

const frame = (label, ...children) => svg('svg', {
	class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': label ? null : 'true', role: label ? 'img' : null,
	'aria-label': label || null, focusable: 'false',
}, children);

const top = (values) => Math.max(1, ...values.map((value) => value || 0));
const high = (value, most) => value / most * (HEIGHT - 3);

export function line(values, kind, label = '') {
	const known = values.map((value) => value ?? null);
	const most = Math.max(...known.map((value) => value || 0)) || 1;
	const x = (at) => (known.length > 1 ? at / (known.length - 1) : 0) * WIDTH;
	let path = '', open = false;
	known.forEach((value, at) => {
		if (value !== null)
			path += `${open ? 'L' : 'M'}${x(at).toFixed(1)} ${(HEIGHT - 1.5 - high(value, most)).toFixed(1)}`;
		open = value !== null;
	});
	const area = known.length && known.every((value) => value !== null) ? `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` : '';
	return frame(label, area ? svg('path', { class: `area ${kind}`, d: area }) : null,
		svg('path', { class: `line ${kind}`, d: path, 'vector-effect': 'non-scaling-stroke' }));
}

/* series: [{kind, values}], drawn one before the other, the first behind. */
export function bars(series, label = '') {
	const count = Math.max(1, ...series.map((one) => one.values.length));
	const most = top(series.flatMap((one) => one.values));
	const step = WIDTH / count;
	const path = (values) => values.map((value, at) => value ? `M${(at * step + step * 0.1).toFixed(2)} ${HEIGHT}v${-Math.max(0.8, high(value, most)).toFixed(2)
	}h${(step * 0.8).toFixed(2)}V${HEIGHT}z` : '').join('');
	return frame(label, series.map((one) => svg('path', { class: `area ${one.kind}`, d: path(one.values) })));
}
