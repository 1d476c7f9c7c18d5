/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys in Redis, version 2 (doc/redis-schema.md describes every field). printf formats; the first %s is the resolver's name.
 * <client> is an address as RFC 5952 text (or as address_put writes any other client), <qname> folded presentation format with the final dot, <H> is UTC YYYYMMDDHH.
 */
#pragma once

#define SCHEMA_VERSION 2

#define KEY_RESOLVERS          "teredown:resolvers"
#define KEY_PREFIX             "teredown:{%s}:"
#define KEY_META               "teredown:{%s}:meta"
#define KEY_APPLIED            "teredown:{%s}:applied"
#define KEY_CLIENT             "teredown:{%s}:client:%s"
#define KEY_CLIENTS            "teredown:{%s}:clients"
#define KEY_CLIENTS_COUNTER    "teredown:{%s}:clients:%s"
#define KEY_CLIENT_NAMES       "teredown:{%s}:client:%s:names"
#define KEY_HOUR               "teredown:{%s}:hour:%s"
#define KEY_HOUR_COUNTER       "teredown:{%s}:hour:%s:%s"
#define KEY_HOUR_WATCHED_NAMES "teredown:{%s}:hour:%s:watched-names"
#define KEY_HOURS              "teredown:{%s}:hours"
#define KEY_WATCH              "teredown:{%s}:watch:%s"
#define KEY_WATCH_LAST         "teredown:{%s}:watch:%s:last"
#define KEY_PAIR               "teredown:{%s}:pair:%s"
#define KEY_NAME               "teredown:{%s}:name:%s"
#define KEY_NAME_CLIENTS       "teredown:{%s}:name:%s:clients"
#define KEY_TIMELINE           "teredown:{%s}:timeline:%s"
#define KEY_TRANSACTIONS       "teredown:{%s}:transactions"
#define KEY_EVENTS             "teredown:{%s}:events"
#define KEY_RULES              "teredown:{%s}:rules:%s"
#define KEY_RULES_ESTIMATE     "teredown:{%s}:rules:%s:estimate"
#define KEY_RULES_ERROR        "teredown:{%s}:rules:%s:error"
#define KEY_TOP                "teredown:{%s}:top:%s"
#define KEY_TOP_ESTIMATE       "teredown:{%s}:top:%s:estimate"
#define KEY_TOP_ERROR          "teredown:{%s}:top:%s:error"
/* Written by a command. */
#define KEY_REMEDIATED         "teredown:{%s}:remediated"
/* Members by the time they were last seen, Unix ms: they bound the families of keys above and say when one has expired. */
#define KEY_NAMES              "teredown:{%s}:names"
#define KEY_ADDRESSES          "teredown:{%s}:addresses"
#define KEY_BOOTS              "teredown:{%s}:boots"
/* What logs say, written by ingest.lua alone. */
#define KEY_TOTALS             "teredown:{%s}:totals"
#define KEY_INGEST             "teredown:{%s}:ingest"
#define KEY_HOUR_DROPS         "teredown:{%s}:hour:%s:drops"
#define KEY_HISTORY            "teredown:{%s}:history:%s"
#define KEY_EVENTLOG           "teredown:{%s}:eventlog"

/* The member that takes what a bound turned away. */
#define SCHEMA_OTHER "*other"

/* The most that Redis holds of each family; more goes to "*other", or what was seen longest ago makes room, and is counted in meta. Those of
 * clients, names and addresses are the defaults of options. */
#define SCHEMA_CLIENTS_MAX        100000 /* clients */
#define SCHEMA_CLIENT_NAMES_MAX   1000   /* names of a client */
#define SCHEMA_NAMES_MAX          100000 /* names with addresses and clients of their own */
#define SCHEMA_NAME_CLIENTS_MAX   10000  /* clients of a name */
#define SCHEMA_NAME_ADDRESSES_MAX 256    /* addresses of a name: the oldest go */
#define SCHEMA_ADDRESSES_MAX      100000 /* addresses with pairs and a timeline */
#define SCHEMA_PAIRS_MAX          10000  /* pairs of an address */
#define SCHEMA_HOUR_NAMES_MAX     2000   /* watched (client, name) of an hour */
#define SCHEMA_TOP_MAX            5000   /* names of a day */
#define SCHEMA_RULES_MAX          1000   /* rules of a zone with hits; script.lua has it too */
#define SCHEMA_STREAM_MAX         10000  /* entries of a stream: the oldest go */
#define SCHEMA_REMEDIATED_MAX     10000  /* marked clients */
#define SCHEMA_HOUR_DROPS_MAX     2000   /* dropped (client, address, kind) of an hour */
#define SCHEMA_HISTORY_MAX        10000  /* (client, name) of an address in logs of DNS servers */
#define SCHEMA_EVENTLOG_MAX       10000  /* computers that event logs tell of */
#define SCHEMA_SOURCES_MAX        1000   /* logs whose position is known: the oldest goes */
