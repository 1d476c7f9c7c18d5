/* SPDX-License-Identifier: BSD-3-Clause */
/* The handlers of routes.c: a line each. */
#pragma once

#include "resolver/control/dashboard/api.h"

api_handler_fn api_healthz; /* api.c */
