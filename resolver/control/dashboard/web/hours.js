// SPDX-License-Identifier: BSD-3-Clause
/*
 * Counts per hour as the chart of the story, for views that have them as plain lists; as bars until the chart has come. What it is
 * given looks like the answer of /api/v1/timeline.
 */
import { fill } from './dom.js';
import { bars } from './spark.js';

const HOUR_MS = 3600000;

/* lists: {source: [counts]}; from: time of the first hour. */
export function timelineOf(query, from, lists) {
	const begin = Date.parse(from), sources = Object.keys(lists);
	const length = Math.max(0, ...sources.map((source) => lists[source].length));
	const iso = (ms) => new Date(ms).toISOString();
	return {
		query, span_hours: 1,
		series: sources.map((source) => ({ source, sum: lists[source].reduce((sum, value) => sum + value, 0) })),
		rows: Array.from({ length }, (_, at) => ({ from: iso(begin + at * HOUR_MS), to: iso(begin + (at + 1) * HOUR_MS), counts: sources.map((source) => lists[source][at] || 0) })),
	};
}

const plain = (root, timeline, title) => fill(root,
	bars(timeline.series.map((one, at) => ({ kind: one.source, values: timeline.rows.map((row) => row.counts[at]) })), title));

/* Shows bars at once, and the chart when it has come. Returns {update(timeline), end()}. */
export async function hoursChart(root, timeline, title) {
	plain(root, timeline, title);
	const story = await import('./story-chart.js').catch(() => null);
	if (!story || !root.isConnected)
		return { update: (next) => plain(root, next, title), end() {} };
	const chart = await story.storyChart(root, timeline, title);
	performance.mark('chart'); // what is promised of it is measured by the tests
	return chart;
}
