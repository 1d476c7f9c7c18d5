// SPDX-License-Identifier: BSD-3-Clause
/*
 * Pages that are drawn again every few seconds while somebody reads them. Each part of a page is made once and given its rows anew,
 * so that the focus, a selection, a search and the place on the page stay; a part without rows is not there at all.
 */
import { element, fill } from './dom.js';
import { region } from './states.js';
import { table } from './table.js';

/* On a narrow page a cell is a grid of its label and one node. */
const oneNode = (column) => column.cell ? { ...column, cell: (row) => {
	const content = column.cell(row);
	return Array.isArray(content) ? element('span', {}, content) : content;
} } : column;

export class Parts {
	/* keys: of all parts, in the order of the page */
	constructor(root, keys, signal) {
		this.signal = signal;
		this.parts = new Map(keys.map((key) => [key, { section: element('section', { class: 'panel', 'data-part': key, hidden: true }) }]));
		root.append(...[...this.parts.values()].map(({ section }) => section));
	}

	/* Nodes made once, by make(body). */
	once(key, heading, make) {
		const part = this.parts.get(key);
		part.section.hidden = false;
		if (!part.body)
			this.head(part, heading).append(...[make(part.body)].flat().filter(Boolean));
	}

	/* Nodes made anew when `data` is another than the last time; null hides the part. */
	show(key, heading, data, make) {
		const part = this.parts.get(key);
		part.section.hidden = data === null || data === undefined;
		if (this.isNew(part, data))
			fill(part.body || this.head(part, heading), make(data));
	}

	/* A table (table.js). Without rows it is there only if options.empty says what to do about that. */
	table(key, heading, rows, options) {
		const part = this.parts.get(key);
		part.section.hidden = !rows.length && !options.empty;
		if (!this.isNew(part, [rows, options.total]))
			return;
		if (part.table)
			return part.table.refresh(rows, options.total);
		part.table = table({ caption: heading, signal: this.signal, ...options, columns: options.columns.map(oneNode), rows });
		this.head(part, heading).append(part.table.node);
	}

	head(part, heading) {
		part.body = element('div', { class: 'panel-body' });
		fill(part.section, heading ? element('h2', {}, heading) : null, part.body);
		return part.body;
	}

	isNew(part, data) {
		const text = JSON.stringify(data), changed = !part.section.hidden && text !== part.text;
		part.text = part.section.hidden ? null : text;
		return changed;
	}
}

/* What takes long to answer is asked less often: it may have at most a tenth of the time. refresh() asks in any case. */
function sparing(load) {
	let data = null, took = 0, at = 0, wanted = true;
	return {
		wish: () => { wanted = true; },
		load: async (signal) => {
			if (!wanted && performance.now() - at < 9 * took)
				return data;
			const begin = performance.now();
			wanted = false;
			data = await load(signal);
			at = performance.now();
			took = at - begin;
			return data;
		},
	};
}

/* Reads every `every` ms what draw(parts, data) shows in the parts with these keys. Returns {refresh()}. */
export async function partsPage(root, keys, { load, draw, every, empty }, signal) {
	const place = element('div', { class: 'parts' }), body = element('div');
	const parts = new Parts(body, keys, signal);
	root.append(place);
	const source = sparing(load);
	const live = region(place, {
		load: source.load, every, empty, signal,
		show: (data) => {
			draw(parts, data);
			return body;
		},
	});
	await live.ready;
	return {
		refresh: () => {
			source.wish();
			return live.refresh();
		},
	};
}
