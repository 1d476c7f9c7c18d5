// SPDX-License-Identifier: BSD-3-Clause
/* The chart of the story as files: its numbers as CSV, its picture as PNG. Loaded with the first of them. */
import { count } from './format.js';
import { element } from './dom.js';
import { gist } from './story-data.js';
import { drawSwatch } from './story-picture.js';

function download(blob, file) {
	const url = URL.createObjectURL(blob);
	element('a', { href: url, download: file }).click();
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// --- CSV ---

// RFC 4180; what a spreadsheet would take for a formula gets an apostrophe, as in `teredown export`.
function field(text) {
	const safe = /^[=+\-@'\t\r]/.test(text) ? `'${text}` : text;
	return /[",\r\n]|^ | $/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Every row with all series, shown or not; times are UTC.
export function csv(data) {
	const head = ['from (UTC)', 'to (UTC)', ...data.series.map((one) => one.label)];
	const utc = (date) => date.toISOString().replace('.000Z', 'Z');
	const rows = data.from.map((from, at) => [utc(from), utc(data.to[at]), ...data.series.map((one) => String(one.counts[at]))]);
	return [head, ...rows].map((row) => row.map(field).join(',') + '\r\n').join('');
}

// A file's name out of what was asked for, whatever that was.
export const fileName = (data, extension) =>
	`teredown-${data.query.replace(/[^A-Za-z0-9.-]+/g, '-').replace(/^[.-]+|[.-]+$/g, '').slice(0, 80) || 'chart'}.${extension}`;

// --- the PNG ---

/* The picture with what stands around it on the page: title, gist, legend. */
function picturePng(picture, title, done) {
	const scale = picture.canvas.width / picture.canvas.clientWidth, width = picture.canvas.clientWidth;
	const shown = picture.shown(), colours = picture.colours, head = 62 + 22 * shown.length;
	const sheet = element('canvas', { width: picture.canvas.width, height: picture.canvas.height + head * scale });
	const context = sheet.getContext('2d');
	const write = (text, x, y, font, colour) => {
		Object.assign(context, { font: `${font} system-ui, sans-serif`, fillStyle: colour });
		context.fillText(text, x, y, width - x - 16);
	};
	context.fillStyle = colours.page;
	context.fillRect(0, 0, sheet.width, sheet.height);
	context.drawImage(picture.canvas, 0, head * scale);
	context.scale(scale, scale);
	write(title, 16, 26, '600 16px', colours.text);
	write(gist(picture.data), 16, 46, '13px', colours.muted);
	shown.forEach((one, at) => {
		drawSwatch(context, one.source, colours, 16, 54 + 22 * at);
		write(`${one.label}: ${count(one.sum)}`, 56, 66 + 22 * at, '13px', colours.text);
	});
	sheet.toBlob(done, 'image/png');
}

export const saveCsv = (data) => download(new Blob([csv(data)], { type: 'text/csv' }), fileName(data, 'csv'));
export const savePng = (picture, title) => picturePng(picture, title, (blob) => download(blob, fileName(picture.data, 'png')));
