/* SPDX-License-Identifier: MIT */
#include "ctc.h"

#include "decode_internal.h"

#include <math.h>

#define NO_TOKEN (-1)
#define LEAST 1e-300
#define MOST 1.001    /* of a probability: floats that were divided by their sum */
#define ROUNDING 1e-9 /* of a logarithm, far more than all sums' */

size_t ortp__ctc_bytes(size_t width, size_t points, size_t vocabulary)
{
    const size_t tokens = ortp__product(vocabulary, points);
    const size_t prefixes = ortp__product(4 * width, points + 1);
    const size_t numbers = prefixes > SIZE_MAX - tokens ? SIZE_MAX : tokens + prefixes;
    return ortp__product(numbers, sizeof(double));
}

void ortp__ctc_place(ortp__ctc *ctc, void *memory, size_t width, size_t points, size_t vocabulary,
                     int32_t blank)
{
    *ctc = (ortp__ctc){
        .tokens = memory,
        .prefixes = (double *)memory + vocabulary * points,
        .width = width,
        .points_max = points,
        .vocabulary = vocabulary,
        .blank = blank,
    };
}

static const double *token_of(const ortp__ctc *ctc, int32_t token)
{
    return ctc->tokens + (size_t)token * ctc->points_max;
}

/* The numbers of one beam that end with its token; those that end with a blank come after them. */
static double *prefix_of(const ortp__ctc *ctc, size_t half, size_t index)
{
    return ctc->prefixes + (half * ctc->width + index) * 2 * (ctc->points_max + 1);
}

static double *blanks_of(const ortp__ctc *ctc, double *prefix)
{
    return prefix + ctc->points_max + 1;
}

/* The last token of a live beam. */
static int32_t last_token(const ortp__beams *beams, size_t length, uint32_t node)
{
    return length > 0 ? beams->nodes[node].token : NO_TOKEN;
}

bool ortp__ctc_begin(ortp__ctc *ctc, const float *probabilities, size_t points)
{
    ctc->points = points;
    ctc->half = 0;
    double all = 1.0; /* no less than the sum over all sequences: points may have more than 1 */
    for (size_t t = 0; t < points; t++) {
        double sum = 0.0;
        for (size_t token = 0; token < ctc->vocabulary; token++) {
            const double probability = (double)probabilities[t * ctc->vocabulary + token];
            if (!(probability >= 0.0 && probability <= MOST)) {
                return false;
            }
            ctc->tokens[token * ctc->points_max + t] = probability;
            sum += probability;
        }
        all *= sum > 1.0 ? sum : 1.0;
    }
    ctc->most = log(all) + ROUNDING;
    double *prefix = prefix_of(ctc, ctc->half, 0);
    double *blanks = blanks_of(ctc, prefix);
    const double *blank = token_of(ctc, ctc->blank);
    prefix[0] = 0.0;
    blanks[0] = 1.0;
    for (size_t t = 0; t < points; t++) {
        prefix[t + 1] = 0.0;
        blanks[t + 1] = blanks[t] * blank[t];
    }
    return true;
}

static double logarithm(double probability)
{
    return log(probability > LEAST ? probability : LEAST);
}

double ortp__ctc_prefix(const ortp__ctc *ctc, const ortp__beams *beams, size_t index, int32_t token)
{
    const double *prefix = prefix_of(ctc, ctc->half, index);
    const double *blanks = blanks_of(ctc, (double *)prefix);
    const double *now = token_of(ctc, token);
    /* A token again is a new one after a blank only. */
    const bool again = token == last_token(beams, beams->length, beams->live[index].node);
    double sum = 0.0;
    for (size_t t = 0; t < ctc->points; t++) {
        sum += (again ? blanks[t] : prefix[t] + blanks[t]) * now[t];
    }
    return logarithm(sum);
}

double ortp__ctc_whole(const ortp__ctc *ctc, size_t index)
{
    double *prefix = prefix_of(ctc, ctc->half, index);
    return logarithm(prefix[ctc->points] + blanks_of(ctc, prefix)[ctc->points]);
}

/* The numbers of a beam from those of its parent. */
static void extend(const ortp__ctc *ctc, double *parent, bool again, int32_t token, double *child)
{
    const double *parent_blanks = blanks_of(ctc, parent);
    double *blanks = blanks_of(ctc, child);
    const double *now = token_of(ctc, token);
    const double *blank = token_of(ctc, ctc->blank);
    child[0] = 0.0;
    blanks[0] = 0.0;
    for (size_t t = 0; t < ctc->points; t++) {
        const double before = again ? parent_blanks[t] : parent[t] + parent_blanks[t];
        child[t + 1] = (child[t] + before) * now[t];
        blanks[t + 1] = (child[t] + blanks[t]) * blank[t];
    }
}

void ortp__ctc_advance(ortp__ctc *ctc, const ortp__beams *beams)
{
    const size_t before = ctc->half;
    ctc->half = 1 - before;
    for (size_t i = 0; i < beams->live_count; i++) {
        const ortp__beam *beam = &beams->live[i];
        const ortp__node *node = &beams->nodes[beam->node];
        const bool again = node->token == last_token(beams, beams->length - 1, node->parent);
        extend(ctc, prefix_of(ctc, before, beam->row), again, node->token,
               prefix_of(ctc, ctc->half, i));
    }
}
