/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What concerns a configuration as a whole, before and after its files are read. Internal to
 * config/. */
#ifndef OCELLUS_CONFIG_WHOLE_H
#define OCELLUS_CONFIG_WHOLE_H

#include "config/config.h"

void config_set_defaults(struct config *config);

/* List the adapters that cameras name, in that order; the cameras' models are known. Errors:
 * -EBADMSG, *ret_camera is the one that does not fit, *ret_reason a static sentence. */
int config_link_adapters(struct config *config, uint32_t *ret_camera, const char **ret_reason);

#endif
