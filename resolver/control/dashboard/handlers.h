/* SPDX-License-Identifier: BSD-3-Clause */
/* The handlers of routes.c: a line each. */
#pragma once

#include "resolver/control/dashboard/api.h"

api_handler_fn api_healthz; /* api.c */
api_handler_fn api_session, api_session_begin, api_session_end; /* api_session.c */
api_handler_fn api_policy_mode, api_policy_reset, api_policy_refresh, api_cache_flush, api_reload,
	api_changes; /* api_change.c */
api_handler_fn api_get_who, api_get_timeline, api_get_drops, api_get_verify; /* api_who.c */
api_handler_fn api_get_watch, api_get_watch_zone; /* api_watch.c */
api_handler_fn api_get_policy, api_get_policy_rules, api_get_policy_test; /* api_policy.c */
api_handler_fn api_get_events, api_get_transactions; /* api_events.c */
api_handler_fn api_get_health; /* api_health.c */
api_handler_fn api_client;   /* api_client.c */
api_handler_fn api_clients;  /* api_clients.c */
api_handler_fn api_names;    /* api_clients.c */
api_handler_fn api_hours;    /* api_overview.c */
api_handler_fn api_overview; /* api_overview.c */
api_handler_fn api_metrics; /* metrics.c */
