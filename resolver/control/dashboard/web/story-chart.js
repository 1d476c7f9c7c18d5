// SPDX-License-Identifier: BSD-3-Clause
/*
 * The chart of the story: counts an hour by source, with what a person does with it: series on and off, linear or logarithmic, zoom,
 * exact numbers, CSV and PNG. story-picture.js draws it; here is what stands around it.
 *
 * The legend and the buttons are elements of the page and not drawn by Chart.js, so they have a focus and a name. The numbers stand in a
 * table below as well, for whoever cannot see the picture, and open where Chart.js is missing. Chart.js is fetched when the first chart is
 * wanted: pages without one do not wait for it.
 */
import { element, fill, visible } from './dom.js';
import { count } from './format.js';
import { gist, model, rowWords, zone } from './story-data.js';
import { Picture, drawSwatch, palette } from './story-picture.js';

const HELP = 'Drag across the chart to zoom. With the keyboard: arrows walk through the hours, + and − zoom, Home shows all, Escape hides the numbers.';
const SWATCH = { width: 30, height: 14 };
let library = null;

/* True when window.Chart is there; asked for once, and again when that failed. */
export function chartLibrary() {
	if (window.Chart)
		return Promise.resolve(true);
	library ??= new Promise((resolve) => {
		const done = () => {
			library = window.Chart ? library : null;
			resolve(Boolean(window.Chart));
		};
		document.head.append(element('script', { src: '/chart.js', onload: done, onerror: done }));
	});
	return library;
}

// --- the table ---

function numbersTable(data, title) {
	const rows = [...data.from.keys()].filter((at) => data.series.some((one) => one.counts[at]));
	const left = data.from.length - rows.length;
	return element('table', {},
		element('caption', {}, `${title}; times are ${zone()}. `, left ? `${count(left)} rows without anything are left out.` : null),
		element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'Time'),
			data.series.map((one) => element('th', { scope: 'col', class: 'number' }, one.label)))),
		element('tbody', {}, rows.map((at) => element('tr', {}, element('th', { scope: 'row' }, rowWords(data, at)),
			data.series.map((one) => element('td', { class: 'number' }, count(one.counts[at])))))));
}

// --- around the picture ---

function legendButton(story, one) {
	const { picture } = story;
	const swatch = element('canvas', { ...SWATCH, 'aria-hidden': 'true' });
	const ratio = window.devicePixelRatio || 1;
	Object.assign(swatch, { width: SWATCH.width * ratio, height: SWATCH.height * ratio });
	swatch.style.width = `${SWATCH.width}px`;
	const context = swatch.getContext('2d');
	context.scale(ratio, ratio);
	drawSwatch(context, one.source, picture.colours, 0, 0);
	const toggle = () => {
		picture.hidden[picture.hidden.has(one.label) ? 'delete' : 'add'](one.label);
		picture.draw();
		button.setAttribute('aria-pressed', String(!picture.hidden.has(one.label)));
	};
	const button = element('button', { type: 'button', class: 'quiet legend', 'aria-pressed': String(!picture.hidden.has(one.label)), onclick: toggle },
		swatch, ` ${visible(one.label)} `, element('span', { class: 'muted' }, count(one.sum)));
	return button;
}

function scaleButton(story, words, logarithmic) {
	const pressed = () => String(story.picture.logarithmic === logarithmic);
	const choose = () => {
		story.picture.logarithmic = logarithmic;
		story.picture.draw();
		for (const one of button.parentNode.children)
			one.setAttribute('aria-pressed', String(one === button));
	};
	const button = element('button', { type: 'button', 'aria-pressed': pressed(), onclick: choose }, words);
	return button;
}

function toolbar(story, title) {
	const { picture } = story;
	const files = (act) => import('./story-files.js').then(act, () => picture.say('The dashboard does not answer: nothing was saved.'));
	const reset = element('button', { type: 'button', disabled: true, onclick: () => picture.showAll() }, 'Show all');
	picture.onzoom = () => { reset.disabled = !picture.zoomed(); };
	return element('div', { class: 'chart-tools' },
		element('div', { role: 'group', 'aria-label': 'Scale', class: 'joined' }, scaleButton(story, 'Linear', false), scaleButton(story, 'Logarithmic', true)),
		reset,
		element('button', { type: 'button', onclick: () => files((module) => module.saveCsv(story.data)) }, 'CSV'),
		element('button', { type: 'button', onclick: () => files((module) => module.savePng(picture, title)) }, 'PNG'));
}

class Story {
	constructor(timeline, title) {
		this.title = visible(title);
		this.text = JSON.stringify(timeline);
		this.data = model(timeline);
		this.head = element('p', { class: 'gist' });
		this.legend = element('div', { class: 'chart-legend', role: 'group', 'aria-label': 'Series shown' });
		this.heard = element('div', { class: 'unseen', 'aria-live': 'polite' });
		this.table = element('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Numbers of the chart' });
		this.details = element('details', { ontoggle: () => this.showTable() }, element('summary', {}, 'The numbers as a table'), this.table);
		this.element = element('figure', { class: 'story' }, this.head);
	}

	async open(root) {
		fill(root, this.element);
		if (await chartLibrary())
			this.addPicture();
		else
			this.addNotice();
		this.element.append(this.details);
		this.showWords();
		return this;
	}

	addPicture() {
		this.canvas = element('canvas', { tabindex: '0', role: 'application', 'aria-roledescription': 'chart' }, HELP);
		const box = element('div', { class: 'chart-box' }, this.canvas);
		this.element.append(this.legend, box, this.heard, element('figcaption', { class: 'muted' }, HELP));
		this.picture = new Picture(this.canvas, this.data, (text) => { this.heard.textContent = text; });
		this.legend.before(toolbar(this, this.title));
		this.repaint = () => {
			this.picture.draw();
			this.showLegend();
		};
		document.addEventListener('teredown-theme', this.repaint);
		this.showLegend();
	}

	addNotice() {
		this.element.append(element('p', { class: 'notice' },
			'No chart: Chart.js is not installed beside the dashboard (Debian: libjs-chart.js). The numbers are the same.'));
		this.details.open = true;
	}

	showLegend() {
		fill(this.legend, this.data.series.map((one) => legendButton(this, one)));
	}

	showWords() {
		const words = gist(this.data);
		this.head.textContent = `${words[0].toUpperCase()}${words.slice(1)}.`;
		this.canvas?.setAttribute('aria-label', `${this.title}: ${words}`);
	}

	showTable() {
		if (this.details.open)
			fill(this.table, numbersTable(this.data, this.title));
	}

	/* The same story, counted anew: zoom, scale and series stay as they were set. */
	update(timeline) {
		const text = JSON.stringify(timeline);
		if (text === this.text)
			return;
		this.text = text;
		this.data = model(timeline);
		this.showWords();
		this.showTable();
		if (!this.picture)
			return;
		this.picture.update(this.data);
		if (!this.legend.contains(document.activeElement))
			this.showLegend();
	}

	end() {
		document.removeEventListener('teredown-theme', this.repaint);
		this.picture?.end();
	}
}

/* Fills root, which stands on the page, with the chart of an answer of /api/v1/timeline. Returns {update(timeline), end()}. */
export const storyChart = (root, timeline, title) => new Story(timeline, title).open(root);
