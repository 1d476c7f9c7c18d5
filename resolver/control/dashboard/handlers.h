/* SPDX-License-Identifier: BSD-3-Clause */
/* The handlers of routes.c: a line each. */
#pragma once

#include "resolver/control/dashboard/api.h"

api_handler_fn api_healthz; /* api.c */
api_handler_fn api_session, api_session_begin, api_session_end; /* api_session.c */
api_handler_fn api_policy_mode, api_policy_reset, api_policy_refresh, api_cache_flush, api_reload,
	api_changes; /* api_change.c */
