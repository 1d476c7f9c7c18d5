// SPDX-License-Identifier: BSD-3-Clause
/*
 * Light, dark, or as the system says. A plain script, not a module: it runs before the first paint, so that a page that was set
 * to dark never flashes white; the sheet knows but html[data-theme]. Who draws by script (charts) hears "teredown-theme" on the document.
 */
(() => {
	const key = 'teredown-theme';
	const order = ['system', 'light', 'dark'];
	const faces = { system: ['◐', 'as the system'], light: ['☀', 'light'], dark: ['☾', 'dark'] };
	const system = matchMedia('(prefers-color-scheme: dark)');
	let chosen = 'system';

	// Storage may be refused: then the choice lasts as long as the page.
	try {
		chosen = localStorage.getItem(key) || chosen;
	} catch { /* as the system */ }
	if (!order.includes(chosen))
		chosen = 'system';

	function apply() {
		document.documentElement.dataset.theme = chosen === 'system' ? (system.matches ? 'dark' : 'light') : chosen;
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
	system.addEventListener('change', apply);
	document.addEventListener('DOMContentLoaded', () => {
		const button = document.getElementById('theme');
		label(button);
		button.addEventListener('click', () => next(button));
	});
})();
