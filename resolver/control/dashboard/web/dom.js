// SPDX-License-Identifier: BSD-3-Clause
/*
 * Elements by one helper. Text reaches the page as text nodes only, so nothing that came over the network is ever read as
 * markup. Names of hosts and of DNS go through name(): isolated from the direction of the text around them, and with what
 * cannot be seen (control characters, marks that turn the reading order) shown as its code.
 */
const SVG = 'http://www.w3.org/2000/svg';
// C0, C1, soft hyphen, Arabic letter mark, zero-width and direction marks, separators, isolates, byte order mark, tags, lone surrogates.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

function append(node, children) {
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false)
			node.append(child instanceof Node ? child : String(child));
}

function assign(node, properties) {
	for (const [key, value] of Object.entries(properties)) {
		if (value === null || value === undefined || value === false)
			continue;
		if (key.startsWith('on') && typeof value === 'function')
			node.addEventListener(key.slice(2), value);
		else if (key === 'style')
			for (const [name, setting] of Object.entries(value))
				node.style.setProperty(name, setting);
		else
			node.setAttribute(key, value === true ? '' : value);
	}
}

/* element('a', {href: '/', class: 'x', onclick: f}, 'text', node, [more], null): properties are attributes; on… are listeners;
 * style is an object of CSS properties; null, undefined and false are left out, of properties and of children. */
export function element(tag, properties = {}, ...children) {
	const node = document.createElement(tag);
	assign(node, properties);
	append(node, children);
	return node;
}

export function svg(tag, properties = {}, ...children) {
	const node = document.createElementNS(SVG, tag);
	assign(node, properties);
	append(node, children);
	return node;
}

/* The children anew. What had the focus gives it to what stands in its place, and what was unfolded (details with a data-key) stays so: who reads or goes by
 * keyboard is not thrown out by a refresh. */
export function fill(node, ...children) {
	const had = node.contains(document.activeElement) && node !== document.activeElement ? document.activeElement : null;
	const mark = (one) => one.getAttribute('href') || one.dataset.key || one.textContent;
	const alike = () => [...node.querySelectorAll(had.localName)].filter((one) => mark(one) === mark(had));
	const place = had ? alike().indexOf(had) : 0;
	const unfolded = new Set([...node.querySelectorAll('details[data-key][open]')].map((one) => one.dataset.key));
	const fragment = document.createDocumentFragment();
	append(fragment, children);
	node.replaceChildren(fragment);
	for (const one of node.querySelectorAll('details[data-key]'))
		one.open ||= unfolded.has(one.dataset.key);
	if (had && !had.isConnected)
		(alike()[place] || alike()[0])?.focus({ preventScroll: true });
	return node;
}

const HELD_MS = 30000;
let markedAt = 0;
document.addEventListener('selectionchange', () => { markedAt = Date.now(); });

/* Somebody has marked text in it a moment ago, to copy it: not the moment to draw it anew. Marked text that is left there does not make a page old. */
export function isMarked(node) {
	const selection = getSelection();
	return !selection.isCollapsed && node.contains(selection.anchorNode) && Date.now() - markedAt < HELD_MS;
}

/* A dialog above the page, gone when it is closed. The focus goes back to what opened it, or to what was drawn in its place meanwhile. */
export function showDialog(node) {
	const from = document.activeElement, key = from?.dataset.key;
	node.addEventListener('close', () => {
		node.remove();
		if (key && !from.isConnected && document.activeElement === document.body)
			[...document.querySelectorAll('[data-key]')].find((one) => one.dataset.key === key)?.focus({ preventScroll: true });
	});
	document.body.append(node);
	node.showModal();
}

const code = (character) => `<U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}>`;

/* As text only: for titles, labels and files. */
export const visible = (text) => String(text).replace(UNSEEN, code);

/* A name from outside, safe to stand anywhere. */
export function name(text, properties = {}) {
	const node = element('bdi', { class: 'name', ...properties });
	let from = 0;
	for (const match of String(text).matchAll(UNSEEN)) {
		node.append(String(text).slice(from, match.index), element('span', { class: 'escape' }, code(match[0])));
		from = match.index + match[0].length;
	}
	node.append(String(text).slice(from));
	return node;
}

/* DNS names come with their last dot; people read them without. */
export const dnsName = (text, properties) => name(text.length > 1 && text.endsWith('.') && !text.endsWith('\\.') ? text.slice(0, -1) : text, properties);

/* "." (the root of DNS) and ".." would be taken for steps of a path. */
export const isStep = (what) => /^\.\.?$/.test(what);
export const pathOf = (page, what) => isStep(what) ? `/${page}?q=${what}` : `/${page}/${encodeURIComponent(what)}`;
export const clientLink = (client) => element('a', { href: pathOf('clients', client) }, name(client));
export const nameLink = (text) => element('a', { href: pathOf('address', text.replace(/(?<=[^\\.])\.$/, '')) }, dnsName(text));
export const addressLink = (address) => element('a', { href: pathOf('address', address) }, name(address));
export const zoneLink = (zone) => element('a', { href: pathOf('watch', zone) }, name(zone));
/* A mode that is null is not known: the daemon is away, or another one. */
export const modeChip = (mode, more) => element('span', { class: `chip mode-${/^[a-z]+$/.test(mode ?? '') ? mode : 'other'}` }, mode ?? 'unknown', more ? [' ', more] : null);
