// SPDX-License-Identifier: BSD-3-Clause
/* What words mean here, and the keys. Loaded when somebody asks for it. */
import { element, fill, modeChip, showDialog } from './dom.js';

const rows = (pairs) => element('dl', { class: 'facts' }, pairs.map(([what, words]) => element('div', {}, element('dt', {}, what), element('dd', {}, words))));
const key = (text) => element('kbd', {}, text);

/* keys: whether single keys do something; setKeys(on) keeps the choice. */
export function show(keys, setKeys) {
	if (document.querySelector('dialog[open]'))
		return;
	const node = element('dialog', { class: 'ask wide', 'aria-labelledby': 'help-title' });
	fill(node, element('form', { method: 'dialog' },
		element('h2', { id: 'help-title' }, 'Help'),
		element('h3', {}, 'Words'),
		rows([
			[modeChip('watch'), 'names of the zone are answered truthfully, and who asks is recorded'],
			[modeChip('block'), 'they are answered as the rule says (NXDOMAIN for tunnels), and who asks is recorded'],
			[modeChip('ignore'), 'as if the zone were not there'],
			['told a server', 'the client was told the address of a Teredo server: from then on it could tunnel without asking again'],
			['watched', 'queries that a rule matched and that were answered; blocked ones are counted apart'],
		]),
		element('h3', {}, 'Keys'),
		rows([
			[key('/'), 'what is behind an address, a name or a client'], [[key('g'), ' ', key('o c w a p h j')], 'go to Overview, Clients, Watch, Address, Policy, Health, Changes'],
			[[key('↑'), ' ', key('↓')], 'the row above or below, in a table'], [key('Esc'), 'closes a dialog'], [key('?'), 'this help'],
		]),
		element('p', {}, element('label', {}, element('input', { type: 'checkbox', checked: keys, onchange: (event) => setKeys(event.target.checked) }), ' Keys are on')),
		element('p', { class: 'row' }, element('button', { class: 'primary', autofocus: true }, 'Close'))));
	showDialog(node);
}
