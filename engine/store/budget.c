/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The write budget as a token bucket; BUDGET in store.h. Arithmetic alone. */
#include "engine/store/store_internal.h"

#define DAY_US INT64_C(86400000000)

void store_budget_init(struct store_budget *budget, uint64_t budget_day, int64_t real,
                       int64_t monotonic)
{
    *budget = (struct store_budget){
        .capacity = budget_day / 4,
        .day = budget_day - budget_day / 4,
        .allowed = (int64_t)(budget_day / 4),
        .real = real,
        .monotonic = monotonic,
        .start_real = real,
        .start_monotonic = monotonic,
    };
}

/* Time passed, at most a day: more than a full bucket never comes back. */
static void give_back(struct store_budget *budget, int64_t elapsed)
{
    if (elapsed <= 0) {
        return;
    }
    elapsed = elapsed < DAY_US ? elapsed : DAY_US;
    /* day < 2^53 and elapsed < 2^37: 128 bit */
    __extension__ const unsigned __int128 grown =
        (unsigned __int128)budget->day * (uint64_t)elapsed + budget->rest;
    budget->rest = (uint64_t)(grown % (uint64_t)DAY_US);
    budget->allowed += (int64_t)(grown / (uint64_t)DAY_US);
    if (budget->allowed >= (int64_t)budget->capacity) {
        budget->allowed = (int64_t)budget->capacity;
        budget->rest = 0;
    }
}

void store_budget_resume(struct store_budget *budget, const struct store_times *times)
{
    const int64_t now = budget->real;
    budget->charged = times->charged;
    budget->allowed =
        times->allowed < (int64_t)budget->capacity ? times->allowed : (int64_t)budget->capacity;
    budget->rest = 0;
    if (now > times->time) {
        /* Both are times of a clock that may be anything: the difference need not fit. */
        const uint64_t elapsed = (uint64_t)now - (uint64_t)times->time;
        give_back(budget, elapsed < (uint64_t)DAY_US ? (int64_t)elapsed : DAY_US);
    } else {
        budget->real = budget->start_real = times->time;
    }
}

void store_budget_tick(struct store_budget *budget, int64_t monotonic)
{
    give_back(budget, monotonic - budget->monotonic);
    budget->monotonic = monotonic > budget->monotonic ? monotonic : budget->monotonic;
    const int64_t now = budget->start_real + (budget->monotonic - budget->start_monotonic);
    budget->real = now > budget->real ? now : budget->real;
}

void store_budget_charge(struct store_budget *budget, uint64_t cost)
{
    budget->charged += cost;
    budget->allowed -= (int64_t)cost;
}

int64_t store_budget_wait(const struct store_budget *budget, uint64_t cost)
{
    if (cost > budget->capacity || budget->day == 0) {
        return INT64_MAX;
    }
    if ((int64_t)cost <= budget->allowed) {
        return 0;
    }
    __extension__ const unsigned __int128 missing =
        (unsigned __int128)((int64_t)cost - budget->allowed) * (uint64_t)DAY_US - budget->rest;
    return (int64_t)((missing + budget->day - 1) / budget->day);
}

struct store_times store_budget_times(const struct store_budget *budget)
{
    return (struct store_times){budget->charged, budget->allowed, budget->real};
}
