/* SPDX-License-Identifier: MIT */
/* splitmix64. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014. */
#include "random.h"

#include <math.h>

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* Box and Muller's transform, of which one of two values is used. */
double random_log_normal(uint64_t *state, double median, double sigma)
{
    const double turn = 6.283185307179586;
    const double radius = sqrt(-2 * log(1 - random_unit(state)));
    return median * exp(sigma * radius * cos(turn * random_unit(state)));
}
