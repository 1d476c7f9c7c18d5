// SPDX-License-Identifier: BSD-3-Clause
/* All clients: sorted, searched and paged by the server, so that ten thousand cost what a hundred do. */
import { get } from './api.js';
import { addressLink, clientLink, element, fill, name } from './dom.js';
import { count, when } from './format.js';
import { command, empty } from './states.js';
import { table } from './table.js';

const REFRESH_MS = 10000;

export const title = () => 'Clients';

const columns = [
	{ key: 'client', label: 'Client', head: true, cell: (row) => [clientLink(row.client), row.forwarder ? element('span', { class: 'chip', title: String(row.forwarder) }, 'forwarder?') : null] },
	{ key: 'name', label: 'Name', cell: (row) => row.name ? name(row.name) : null },
	{ key: 'queries', label: 'Queries', number: true },
	{ key: 'watched', label: 'Watched', number: true, cell: (row) => row.watched ? element('span', { class: 'is-watched' }, count(row.watched)) : 0 },
	{ key: 'blocked', label: 'Blocked', number: true },
	{ key: 'cached', label: 'Cached', number: true },
	{ key: 'nxdomain', label: 'NXDOMAIN', number: true },
	{ key: 'last', label: 'Last seen', first: 'desc', cell: (row) => when(row.last) },
	{ key: 'told', label: 'Told a Teredo server', sort: false, cell: (row) => row.told_teredo ? [addressLink(row.told_teredo.server), ' ', when(row.told_teredo.since)] : null },
];

export async function show(root, parts, { signal }) {
	const clients = table({
		caption: 'Clients with what they asked', columns, sort: 'queries', order: 'desc', search: 'Search by address or name', query: '', unit: ['client', 'clients'], signal,
		fetch: (state) => get('clients', state, signal),
		rowClass: (row) => row.told_teredo ? 'told' : '',
		empty: () => empty('No client has asked anything yet.', 'Point one at this resolver, or try: ', command('dig @RESOLVER www.example.org')),
	});
	fill(root, clients.node);
	const timer = setInterval(() => document.hidden || clients.refresh(), REFRESH_MS);
	await clients.ready;
	return () => clearInterval(timer);
}
