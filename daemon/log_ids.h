/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The messages of the daemon's log: name, priority, and the id under which the journal's catalog
 * (packaging/systemd/ocellus.catalog) explains it. An id never changes its meaning. */
#ifndef OCELLUS_DAEMON_LOG_IDS_H
#define OCELLUS_DAEMON_LOG_IDS_H

/* clang-format off */
#define LOG_IDS(X) \
    X(READY,                 LOG_INFO,    "12ecd85b09a84c3db2f556e94af1f2ab") \
    X(STOPPING,              LOG_INFO,    "65ce9d9e155a41af9c33e65aa905d703") \
    X(START_FAILED,          LOG_ERR,     "750c53792f9745a0a36f882f15d816ed") \
    X(CONFIG_REFUSED,        LOG_ERR,     "2792e647ea684cb08cb5cb741daf06c4") \
    X(RELOADED,              LOG_INFO,    "b6a9113440a64f40ac399c5883401eb3") \
    X(RELOAD_REFUSED,        LOG_ERR,     "8ae7556ebd84402da7514fd7a35b7513") \
    X(WORKERS_FAILED,        LOG_WARNING, "b60d6dfe38924f5db7ac93d864c40773") \
    X(WATCHDOG_STARVED,      LOG_WARNING, "6642fe5c4bf24cf382acbec1c6795c5a") \
    X(POINT_LOWERED,         LOG_NOTICE,  "de7d4c4c79db4ff4b2aac90890fb6e0b") \
    X(ADAPTER_OPENED,        LOG_INFO,    "6c718fcc1062419c9e53db3f0efe6139") \
    X(ADAPTER_CANNOT_LEARN,  LOG_WARNING, "175840f56f3841ab95c427be71e06f9c") \
    X(ADAPTER_NOT_PUBLISHED, LOG_ERR,     "64470f3f293b4f5398afdc7aa260f1f3") \
    X(MODEL_DAMAGED,         LOG_ERR,     "37984526a1834c7daf75fea0984fc9d2") \
    X(TOKEN_REFUSED,         LOG_WARNING, "226c510559854e1bb4de28de49beb710") \
    X(LEFTOVERS,             LOG_ERR,     "b6dab042efa6444fb124637a108b1756")
/* clang-format on */

#define LOG_ID_NAME(name, priority, id) LOG_ID_##name,
enum log_id { LOG_IDS(LOG_ID_NAME) LOG_ID_COUNT };
#undef LOG_ID_NAME

#endif
