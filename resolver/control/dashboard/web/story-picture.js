// SPDX-License-Identifier: BSD-3-Clause
/*
 * The canvas of the chart of the story: lines, axes, numbers under the pointer or the focus, zoom by dragging and by keys. Chart.js draws
 * (window.Chart, which its caller has made sure of); the zoom is a pair of bounds on the horizontal axis, so no plug-in is needed for it.
 * Whatever changes, the options are made anew and drawn without animation: a month of hours takes a few milliseconds.
 *
 * Sources differ by colour, dash and the shape of their points. The colours are those of Okabe and Ito, darkened where the page is light
 * so that each has a contrast of three to one at least.
 */

import { count, rate } from './format.js';
import { decades, height, rowWords, timeLabel, timeTicks, zone } from './story-data.js';

const LOOKS = {
	'dns': { light: '#0066a8', dark: '#56b4e9', dash: [], point: 'circle' },
	'dns-watched': { light: '#8a5a00', dark: '#e6a000', dash: [8, 3, 2, 3], point: 'star' },
	'blocked': { light: '#b3261e', dark: '#ff8f86', dash: [3, 3], point: 'crossRot' },
	'firewall-drop': { light: '#c24e00', dark: '#ff8a3d', dash: [7, 3], point: 'triangle' },
	'firewall-pass': { light: '#00795a', dark: '#2ed3a4', dash: [2, 2], point: 'rect' },
	'proxy': { light: '#a8437f', dark: '#e5a0c8', dash: [10, 3, 2, 3], point: 'rectRot' },
	'eventlog': { light: '#555555', dark: '#f0e442', dash: [4, 2], point: 'crossRot' },
};
const LEAST_ROWS = 4; // at the narrowest zoom
const DRAG_PX = 6; // a shorter drag is a click
const TICK_PX = 64; // room of a time at the axis
const POINT_PX = 9; // a row narrower than that has no room for a point

const look = (source) => LOOKS[source] || LOOKS.eventlog;

// The colours of the page as they are now.
export function palette() {
	const style = getComputedStyle(document.documentElement);
	const context = document.createElement('canvas').getContext('2d');
	const value = (name, other) => {
		context.fillStyle = other;
		context.fillStyle = style.getPropertyValue(name).trim();
		return context.fillStyle;
	};
	const page = value('--surface', '#ffffff');
	const dark = parseInt(page.slice(3, 5), 16) < 128;
	return { dark, page, text: value('--text', dark ? '#eeeeee' : '#222222'), muted: value('--muted', dark ? '#aaaaaa' : '#555555'),
		line: value('--line', dark ? '#444444' : '#dddddd'), of: (source) => look(source)[dark ? 'dark' : 'light'] };
}

// A piece of the line with its point, in a box of 30 by 14 at x, y.
export function drawSwatch(context, source, colours, x, y) {
	context.strokeStyle = context.fillStyle = colours.of(source);
	context.lineWidth = 2;
	context.setLineDash(look(source).dash);
	context.beginPath();
	context.moveTo(x, y + 7);
	context.lineTo(x + 30, y + 7);
	context.stroke();
	context.setLineDash([]);
	window.Chart.helpers.drawPoint(context, { pointStyle: look(source).point, radius: 4, borderWidth: 2 }, x + 15, y + 7);
}

export class Picture {
	// say(text) is told what a reader of the screen should hear.
	constructor(canvas, data, say) {
		Object.assign(this, { canvas, data, say, logarithmic: false, hidden: new Set(), at: -1, drag: null });
		this.view = this.all();
		this.chart = new window.Chart(canvas, { type: 'line', ...this.config(), plugins: [{ id: 'drag', afterDraw: () => this.drawDrag() }] });
		const listen = { keydown: this.key, pointerdown: this.press, pointermove: this.move, pointerup: this.release,
			pointercancel: this.forget, dblclick: this.showAll, blur: this.unpoint };
		for (const [kind, handler] of Object.entries(listen))
			canvas.addEventListener(kind, handler.bind(this));
	}

	end() {
		this.chart.destroy();
	}

	draw() {
		Object.assign(this.chart, { options: this.config().options });
		this.chart.data.datasets = this.config().data.datasets;
		this.chart.update('none');
		this.point(this.at);
	}

	// New counts of the same story: what is shown of it stays, and the end moves along when it is in view.
	update(data) {
		const moved = data.from.findIndex((from) => +from === +this.data.from[0]), whole = !this.zoomed();
		const shift = moved > 0 ? moved : 0;
		this.data = data;
		this.at = Math.min(this.at, data.from.length - 1);
		if (whole)
			this.showAll();
		else
			this.zoom(this.view.from + shift, this.view.to + shift);
	}

	// --- what Chart.js is told ---

	config() {
		this.colours = palette();
		return {
			data: { datasets: this.data.series.map((one) => this.dataset(one)) },
			options: {
				animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
				events: ['mousemove', 'mouseout'], interaction: { mode: 'index', intersect: false },
				scales: { x: this.timeAxis(), y: this.countAxis() },
				plugins: { legend: { display: false }, tooltip: this.tooltip() },
			},
		};
	}

	dataset(one) {
		const room = this.canvas.clientWidth / (this.view.to - this.view.from) >= POINT_PX;
		const own = this.colours.of(one.source);
		return {
			label: one.label, hidden: this.hidden.has(one.label), stepped: 'middle', borderWidth: 2, borderDash: look(one.source).dash,
			borderColor: own, backgroundColor: `${own}1c`, fill: 'origin', pointBackgroundColor: own, pointStyle: look(one.source).point, pointHoverRadius: 5,
			pointRadius: (context) => room && one.counts[context.dataIndex] ? 3 : 0,
			data: one.counts.map((value, at) => ({ x: at, y: height(value, this.logarithmic) })),
		};
	}

	timeAxis() {
		return {
			type: 'linear', min: this.view.from, max: this.view.to,
			afterBuildTicks: (scale) => {
				const room = Math.max(2, Math.floor(this.canvas.clientWidth / TICK_PX));
				scale.ticks = timeTicks(this.data, scale.min, scale.max, room).map((value) => ({ value }));
			},
			ticks: { autoSkip: false, maxRotation: 0, color: this.colours.muted, callback: (value) => timeLabel(this.data, value) },
			grid: { color: this.colours.line, borderColor: this.colours.muted },
			title: {display: true, text: `Time (${zone(this.data.from[0])})`, color: this.colours.muted},
		};
	}

	countAxis() {
		const most = (scale) => Math.pow(10, scale.max - height(1, true));
		return {
			type: 'linear', min: 0,
			afterDataLimits: (scale) => {
				scale.max = this.logarithmic ? decades(most(scale)).at(-1).value : Math.max(scale.max, 1);
			},
			afterBuildTicks: (scale) => {
				if (this.logarithmic)
					scale.ticks = decades(most(scale));
			},
			ticks: { precision: 0, color: this.colours.muted, callback: (value, at, ticks) => ticks[at].words ?? count(value) },
			grid: { color: this.colours.line, borderColor: this.colours.muted },
			title: {display: true, text: `${this.data.unit}${this.logarithmic ? ', logarithmic' : ''}`, color: this.colours.muted},
		};
	}

	tooltip() {
		const ratio = (items) => {
			const sum = (source) => this.data.series.filter((one) => one.source === source)
				.reduce((all, one) => all + one.counts[items[0].dataIndex], 0);
			const drops = sum('firewall-drop'), lookups = sum('dns');
			return drops && lookups ? `${rate(drops / lookups)} dropped for each lookup` : '';
		};
		return {
			usePointStyle: true, boxPadding: 4, backgroundColor: this.colours.page, borderColor: this.colours.muted, borderWidth: 1,
			titleColor: this.colours.text, bodyColor: this.colours.text, footerColor: this.colours.text, footerFont: { weight: 'normal' },
			callbacks: {
				title: (items) => items.length ? rowWords(this.data, items[0].dataIndex) : '',
				label: (item) => `${count(this.data.series[item.datasetIndex].counts[item.dataIndex])} ${item.dataset.label}`,
				footer: ratio,
			},
		};
	}

	// --- zoom ---

	all() {
		return { from: -0.5, to: Math.max(this.data.from.length, LEAST_ROWS) - 0.5 };
	}

	zoomed() {
		return this.view.to - this.view.from < this.data.from.length && this.data.from.length > LEAST_ROWS;
	}

	// The bounds are kept within the rows, and their distance if that is possible.
	zoom(from, to) {
		const all = this.all(), width = Math.min(Math.max(to - from, LEAST_ROWS), all.to - all.from);
		const middle = (from + to) / 2;
		const begin = Math.min(Math.max(middle - width / 2, all.from), all.to - width);
		this.view = { from: begin, to: begin + width };
		this.draw();
		if (this.onzoom)
			this.onzoom();
	}

	zoomBy(factor) {
		const { from, to } = this.view, width = (to - from) * factor;
		const middle = this.at >= 0 ? this.at : (from + to) / 2;
		const share = (middle - from) / (to - from);
		this.zoom(middle - width * share, middle + width * (1 - share));
		this.say(`Shown from ${this.words(Math.ceil(this.view.from))} on, ${count(Math.round(this.view.to - this.view.from))} rows.`);
	}

	showAll() {
		const all = this.all();
		this.zoom(all.from, all.to);
	}

	words(at) {
		return rowWords(this.data, Math.min(Math.max(at, 0), this.data.from.length - 1));
	}

	// --- keys ---

	key(event) {
		const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -24, PageDown: 24 };
		const acts = { '+': () => this.zoomBy(0.5), '=': () => this.zoomBy(0.5), '-': () => this.zoomBy(2), 'Home': () => this.showAll(),
			'Escape': () => this.point(-1) };
		if (event.ctrlKey || event.altKey || event.metaKey || !(acts[event.key] || steps[event.key]))
			return;
		event.preventDefault();
		if (acts[event.key])
			acts[event.key]();
		else
			this.walk(steps[event.key]);
	}

	// To the next row, and with the view where that ends; the first step begins at the newest row in view.
	walk(step) {
		const last = this.data.from.length - 1, { from, to } = this.view;
		const next = this.at < 0 ? Math.floor(to) : this.at + step;
		this.at = Math.min(Math.max(next, 0), last);
		const over = Math.max(this.at + 0.5 - to, 0) + Math.min(this.at - 0.5 - from, 0);
		if (over)
			this.zoom(from + over, to + over);
		this.point(this.at);
		this.say(`${this.words(this.at)}: ${this.shown().map((one) => `${count(one.counts[this.at])} ${one.label}`).join(', ')}.`);
	}

	shown() {
		return this.data.series.filter((one) => !this.hidden.has(one.label));
	}

	// The numbers of a row, as under a pointer; -1 hides them.
	point(at) {
		this.at = at;
		const active = at < 0 ? [] : this.data.series.map((_, datasetIndex) => ({ datasetIndex, index: at }))
			.filter(({ datasetIndex }) => this.chart.isDatasetVisible(datasetIndex));
		this.chart.setActiveElements(active);
		this.chart.tooltip.setActiveElements(active, { x: 0, y: 0 });
		this.chart.update('none');
	}

	unpoint() {
		this.point(-1);
	}

	// --- dragging ---

	position(event) {
		const { left, right } = this.chart.chartArea;
		return Math.min(Math.max(event.clientX - this.canvas.getBoundingClientRect().left, left), right);
	}

	press(event) {
		if (event.button !== 0)
			return;
		this.drag = { begin: this.position(event), end: this.position(event) };
		this.canvas.setPointerCapture(event.pointerId);
	}

	move(event) {
		if (!this.drag)
			return;
		this.drag.end = this.position(event);
		this.chart.draw();
	}

	release() {
		const drag = this.drag;
		this.forget();
		if (!drag || Math.abs(drag.end - drag.begin) < DRAG_PX)
			return;
		const [from, to] = [drag.begin, drag.end].sort((a, b) => a - b).map((x) => this.chart.scales.x.getValueForPixel(x));
		this.zoom(Math.floor(from + 0.5) - 0.5, Math.ceil(to - 0.5) + 0.5);
	}

	forget() {
		this.drag = null;
		this.chart.draw();
	}

	drawDrag() {
		if (!this.drag)
			return;
		const { ctx, chartArea: { top, bottom } } = this.chart;
		ctx.save();
		ctx.globalAlpha = 0.2;
		ctx.fillStyle = this.colours.text;
		ctx.fillRect(this.drag.begin, top, this.drag.end - this.drag.begin, bottom - top);
		ctx.restore();
	}
}
