// SPDX-License-Identifier: BSD-3-Clause
/*
 * Light, dark, or as the system says. A plain script, not a module: it runs before the first paint, so that a page that was set
 * to dark never flashes white. Who draws by script (charts) hears "teredown-theme" on the document.
 */
(() => {
	const key = 'teredown-theme';
	const order = ['system', 'light', 'dark'];
	const faces = { system: ['◐', 'as the system'], light: ['☀', 'light'], dark: ['☾', 'dark'] };
	let chosen = 'system';

	// Storage may be refused: then the choice lasts as long as the page.
	try {
		chosen = localStorage.getItem(key) || chosen;
	} catch { /* as the system */ }
	if (!order.includes(chosen))
		chosen = 'system';

	function apply() {
		const root = document.documentElement;
		if (chosen === 'system')
			delete root.dataset.theme;
		else
			root.dataset.theme = chosen;
		document.dispatchEvent(new Event('teredown-theme'));
	}

	function label(button) {
		const [face, words] = faces[chosen];
		button.textContent = face;
		button.setAttribute('aria-label', `Colours: ${words}`);
		button.title = `Colours: ${words}`;
	}

	function next(button) {
		chosen = order[(order.indexOf(chosen) + 1) % order.length];
		try {
			localStorage.setItem(key, chosen);
		} catch { /* lasts as long as the page */ }
		apply();
		label(button);
	}

	apply();
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
	document.addEventListener('DOMContentLoaded', () => {
		const button = document.getElementById('theme');
		label(button);
		button.addEventListener('click', () => next(button));
	});
})();
