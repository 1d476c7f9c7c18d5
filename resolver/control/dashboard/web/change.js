// SPDX-License-Identifier: BSD-3-Clause
/* Requests that change something. Loaded with the first of them. */
import { Problem, plain } from './api.js';

/* Asks for the token first where nobody is signed in. A session that has ended meanwhile is asked for once more. */
export async function change(session, method, path, body, signal = undefined) {
	const reason = 'Changes need the token of this dashboard.';
	for (let attempt = 0; ; attempt++) {
		if (!session.csrf() && !await session.signIn(reason))
			throw new Problem(401, 'Not signed in', 'Nothing was changed.');
		try {
			return await plain(path, {
				method,
				headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': session.csrf() },
				body: body === undefined ? undefined : JSON.stringify(body),
			}, signal);
		} catch (error) {
			if (attempt || (error.status !== 401 && error.status !== 403))
				throw error;
			await session.changed();
		}
	}
}
