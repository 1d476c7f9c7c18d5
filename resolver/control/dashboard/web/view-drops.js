// SPDX-License-Identifier: BSD-3-Clause
/* The page of addresses without one: a field for it, and the destinations that firewalls drop most. */
import { get } from './api.js';
import { addressLink, clientLink, element, nameLink, pathOf } from './dom.js';
import { count, rate, share } from './format.js';
import { partsPage } from './parts.js';
import { command, empty } from './states.js';

const none = '–';
const column = (key, label, cell, more) => ({ key, label, cell, ...more });
const number = (key, label, more) => ({ key, label, number: true, ...more });

const DESTINATIONS = [column('address', 'Destination', (row) => addressLink(row.address), { head: true }), number('drops', 'Dropped'),
	number('share', 'Share', { cell: (row) => share(row.share) }), column('tunnel', 'Tunnel', (row) => row.udp3544 ? 'UDP 3544' : row.proto41 ? 'protocol 41' : none),
	number('lookups', 'Lookups'), number('ratio', 'Drops for each', { cell: (row) => rate(row.ratio) }),
	column('names', 'Names', (row) => row.names.length ? row.names.map((one) => [nameLink(one), ' ']) : 'no lookup here', { sort: false }),
	column('clients', 'Clients', (row) => [row.clients.slice(0, 3).map((one) => [clientLink(one.client), ' ']), row.clients.length > 3 ? `and ${count(row.clients.length - 3)} more` : null],
		{ sort: false })];

function askForm(navigate) {
	const field = element('input', { name: 'q', type: 'search', required: true, maxlength: 255, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', placeholder: '65.55.158.118' });
	const submit = (event) => {
		event.preventDefault();
		navigate(pathOf('address', field.value.trim()));
	};
	return element('form', { class: 'row', onsubmit: submit }, element('label', {}, 'Address, name or client ', field), element('button', { type: 'submit', class: 'primary' }, 'Look up'));
}

const noDrops = () => empty('No log of a firewall was read.', 'Which destinations it drops, and which names led there: ', command('teredown ingest /var/log/firewall.log'));

export async function show(root, { signal, navigate }) {
	root.append(element('p', { class: 'muted' }, 'Which name gave it, who asked, since when, how often; and whether it is blocked.'), askForm(navigate));
	const draw = (parts, { destinations }) => parts.table('drops', 'What firewalls drop most, in eight days', destinations,
		{ columns: DESTINATIONS, sort: 'drops', order: 'desc', unit: ['destination', 'destinations'], empty: noDrops, page: 50 });
	const load = () => get('drops', { since: '8d', limit: 500 }, signal).catch((problem) => {
		if (problem.status !== 404)
			throw problem;
		return { destinations: [] };
	});
	await partsPage(root, ['drops'], { load, draw }, signal);
}
