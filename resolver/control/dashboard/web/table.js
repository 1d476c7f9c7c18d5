// SPDX-License-Identifier: BSD-3-Clause
/*
 * A table that is sorted, searched and paged. Either all rows are given (rows; sorted and searched here), or they are fetched a
 * page at a time (fetch; sorted and searched by the server), so that ten thousand clients cost what one page costs. What is
 * chosen stands in the page's address, so Back and a copied link show the same rows.
 *
 * Of many rows those that stand first may be given before the others (total, more): they are shown at once, and who sorts, searches or
 * pages further has the rest fetched first, since an order or a search among some of the rows would be wrong.
 *
 * Headers that sort are buttons (aria-sort says how); the arrow keys walk through the rows' links; on a narrow page each row
 * becomes a block of labels and values (app.css, by the cells' data-label).
 */
import { element, fill, isMarked } from './dom.js';
import { count } from './format.js';
import { failed, loading, staleLine } from './states.js';

const SEARCH_AFTER_MS = 200;
const PAGE = 100;

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/* Numbers by value, texts as people order them ("h2" before "h10"), what is missing always last. */
export function compare(a, b, order) {
	const missing = (value) => value === null || value === undefined || value === '';
	if (missing(a) || missing(b))
		return missing(a) - missing(b);
	const by = typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b));
	return order === 'desc' ? -by : by;
}

/* The page of `rows` that `state` {sort, order, search, offset} asks for: what the server does for a fetched table. */
export function select(rows, columns, state, limit) {
	const column = columns.find((one) => one.key === state.sort);
	const value = column?.value || ((row) => row[state.sort]);
	const words = state.search.toLowerCase();
	const texts = (row) => columns.map((one) => String((one.value || ((r) => r[one.key]))(row) ?? '')).join('\n').toLowerCase();
	const matching = words ? rows.filter((row) => texts(row).includes(words)) : [...rows];
	if (column)
		matching.sort((a, b) => compare(value(a), value(b), state.order));
	return { rows: matching.slice(state.offset, state.offset + limit), matching: matching.length, total: rows.length };
}

const firstOrder = (column) => column.first || (column.number ? 'desc' : 'asc');

/*
 * table({caption, columns, rows | fetch, sort, order, search, page, empty, signal, query, every}) →
 *   caption  what the table is, for all; hidden: 'unseen' with captionClass
 *   columns  [{key, label, cell(row) → node or text, value(row) (for sorting here; default row[key]), number, sort: false, first: 'desc', head (is the row's name)}]
 *   fetch    async ({sort, order, search, offset, limit}, signal) → {rows, matching, total}
 *   total    rows there are, if those given are only the first in the order sort/order
 *   more     () → a promise: asks for all rows, which come by refresh()
 *   search   label of the search field; none: no field
 *   unit     what is counted below it: ['client', 'clients'], or one text for all numbers
 *   empty    () → a face, for no rows at all
 *   tight    few short columns: rows stay rows on a narrow page
 *   query    prefix of what stands in the page's address; none: not kept there
 * Returns {node, refresh(rows, total)}.
 */
export function table(options) {
	const { columns, signal } = options;
	const limit = options.page || PAGE;
	const state = readState(options);
	const body = element('tbody');
	const head = element('tr');
	const grid = element('table', { class: options.tight ? 'data tight' : 'data' }, element('caption', { class: options.captionClass || 'unseen' }, options.caption), element('thead', {}, head), body);
	const foot = element('div', { class: 'table-foot' });
	const place = element('div', { class: 'table-place' });
	const field = options.search ? searchField() : null;
	const node = element('div', { class: 'table-box' }, field ? element('div', { class: 'table-head' }, field) : null, place, foot);
	let rows = options.rows || [], total = options.total || 0, shown = null, shownAt = 0, asked = 0, waiting = null, wanting = null;

	function searchField() {
		return element('input', {
			type: 'search', value: state.search, placeholder: options.search, 'aria-label': options.search, autocomplete: 'off', spellcheck: 'false', maxlength: 255,
			oninput: (event) => {
				clearTimeout(waiting);
				waiting = setTimeout(() => change({ search: event.target.value.trim(), offset: 0 }), SEARCH_AFTER_MS);
			},
		});
	}

	function change(what) {
		Object.assign(state, what);
		writeState(options, state);
		return update();
	}

	function sortBy(column) {
		const same = state.sort === column.key;
		const order = same ? (state.order === 'asc' ? 'desc' : 'asc') : firstOrder(column);
		change({ sort: column.key, order, offset: 0 });
	}

	function drawHead() {
		fill(head, columns.map((column) => {
			const sorted = state.sort === column.key;
			const label = column.sort === false ? column.label : element('button', {
				type: 'button', 'data-key': column.key, onclick: () => sortBy(column),
			}, column.label, element('span', { class: 'arrow', 'aria-hidden': 'true' }, sorted ? (state.order === 'desc' ? '▼' : '▲') : ''));
			return element('th', { scope: 'col', class: column.number ? 'number' : column.class || null,
				'aria-sort': sorted ? (state.order === 'desc' ? 'descending' : 'ascending') : null }, label);
		}));
	}

	function cellOf(column, row) {
		const content = column.cell ? column.cell(row) : row[column.key];
		const kinds = [column.number ? 'number' : null, column.class, content === null || content === undefined ? 'none' : null].filter(Boolean);
		return element(column.head ? 'th' : 'td', {
			class: kinds.join(' ') || null, scope: column.head ? 'row' : null, 'data-label': column.label,
		}, column.number && content === 0 ? element('span', { class: 'muted' }, '0') : column.number && typeof content === 'number' ? count(content) : content ?? '–');
	}

	function draw(page) {
		// There were more rows when this page of them was chosen.
		if (!page.rows.length && page.matching && state.offset)
			return void change({ offset: 0 });
		shown = page;
		shownAt = Date.now();
		place.classList.remove('stale');
		drawHead();
		if (!page.total && !state.search)
			return fill(place, options.empty?.() || element('p', { class: 'face' }, 'Nothing yet.')), fill(foot);
		fill(body, page.rows.map((row) => element('tr', { class: options.rowClass?.(row) || null }, columns.map((column) => cellOf(column, row)))));
		if (!page.rows.length)
			fill(body, element('tr', {}, element('td', { class: 'face', colspan: columns.length }, 'Nothing matches this search.')));
		if (!grid.isConnected)
			fill(place, grid);
		drawFoot(page);
	}

	function unitOf(number) {
		const [one, many] = [options.unit || ['row', 'rows']].flat();
		return many && number !== 1 ? many : one;
	}

	function drawFoot(page) {
		const from = state.offset, to = from + page.rows.length;
		const known = page.matching < page.total ? `${count(page.matching)} of ${count(page.total)}` : count(page.total);
		const move = (label, offset, able) => element('button', { type: 'button', disabled: !able, onclick: () => change({ offset }).then(() => grid.getBoundingClientRect().top < 0 && grid.scrollIntoView()) }, label);
		const pages = page.matching > limit ? [move('‹ Previous', Math.max(0, from - limit), from > 0), move('Next ›', from + limit, to < page.matching)] : null;
		fill(foot, element('span', { class: 'muted', role: 'status' }, page.matching > limit ? `${count(from + 1)} to ${count(to)}, ${known}` : known, ` ${unitOf(page.matching < page.total ? page.total : page.matching)}`), pages);
	}

	function fail(problem) {
		if (!shown)
			return fill(place, failed(problem, update));
		place.classList.add('stale');
		place.querySelector('.stale-line')?.remove();
		place.prepend(staleLine(problem, shownAt, update));
	}

	/* What is chosen cannot be told from the rows that are here. */
	function isBeyond() {
		const usual = state.sort === options.sort && state.order === options.order && !state.search;
		return options.more && rows.length < total && (!usual || state.offset + limit > rows.length);
	}

	/* The rows come by refresh(). */
	function readMore() {
		fill(foot, element('span', { class: 'muted', role: 'status' }, `Loading all ${count(total)} ${unitOf(total)} …`));
		wanting ??= options.more().finally(() => { wanting = null; });
		return wanting;
	}

	function drawGiven() {
		const page = select(rows, columns, state, limit);
		if (!state.search && total > page.total)
			page.matching = page.total = total;
		draw(page);
	}

	async function update() {
		if (!options.fetch)
			return isBeyond() ? readMore() : drawGiven();
		const mine = ++asked;
		const late = shown ? null : setTimeout(() => fill(place, loading()), 150);
		try {
			const page = await options.fetch({ ...state, limit }, signal);
			if (mine === asked && !signal?.aborted) {
				place.querySelector('.stale-line')?.remove();
				draw(page);
			}
		} catch (problem) {
			if (mine === asked && !signal?.aborted)
				fail(problem);
		} finally {
			clearTimeout(late);
		}
	}

	/* Arrow keys: the link in the same column of the row above or below. */
	body.addEventListener('keydown', (event) => {
		const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		const row = event.target.closest('tr');
		if (!step || !row || event.altKey || event.ctrlKey || event.metaKey)
			return;
		const links = [...row.querySelectorAll('a, button')];
		const other = (step > 0 ? row.nextElementSibling : row.previousElementSibling)?.querySelectorAll('a, button');
		if (other?.length) {
			event.preventDefault();
			other[Math.min(links.indexOf(event.target), other.length - 1)].focus();
		}
	});
	drawHead();
	signal?.addEventListener('abort', () => clearTimeout(waiting));
	const ready = update();
	return { node, ready, refresh: (newRows, newTotal) => {
		const few = isBeyond();
		rows = newRows || rows;
		total = newTotal || 0;
		return isMarked(body) && !few ? ready : update();
	} };
}

function readState({ query, sort, order, columns }) {
	const given = query === undefined ? new URLSearchParams() : new URLSearchParams(location.search);
	const key = (name) => given.get(`${query}${name}`);
	const column = columns.find((one) => one.key === key('sort') && one.sort !== false);
	const offset = Number(key('offset'));
	return {
		sort: column ? column.key : sort, order: ['asc', 'desc'].includes(key('order')) ? key('order') : order,
		search: (key('search') || '').slice(0, 255), offset: Number.isSafeInteger(offset) && offset > 0 ? offset : 0,
	};
}

function writeState({ query, sort, order }, state) {
	if (query === undefined)
		return;
	const url = new URL(location.href);
	const usual = { sort, order, search: '', offset: 0 };
	for (const [name, value] of Object.entries(state))
		if (value === usual[name])
			url.searchParams.delete(`${query}${name}`);
		else
			url.searchParams.set(`${query}${name}`, value);
	history.replaceState(history.state, '', url);
}
