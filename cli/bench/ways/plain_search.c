/* SPDX-License-Identifier: MIT */
/* See plain_search.h; src/decode/search.c has the rules. */
#include "plain_search.h"

#include "decode_internal.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

#define TOP 3u
#define STOP_RANK 3u

static void *take(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory) {
        bench_die("a search", "no memory left");
    }
    return memory;
}

void plain_search_open(plain_search *s, const plain *p, plain_logits logits, void *ctx)
{
    const size_t width = p->params.beam_width, tokens = p->manifest->max_tokens;
    const size_t vocabulary = p->manifest->vocabulary;
    s->plain = p;
    s->logits = logits;
    s->ctx = ctx;
    s->memory = take(ortp__beams_bytes(width, tokens));
    ortp__beams_place(&s->beams, s->memory, width, tokens);
    s->ctc_memory = NULL;
    if (p->params.ctc_weight > 0.0) {
        const size_t points = p->manifest->max_points;
        s->ctc_memory = take(ortp__ctc_bytes(width, points, vocabulary));
        ortp__ctc_place(&s->ctc, s->ctc_memory, width, points, vocabulary, p->manifest->pad);
    }
    s->prefixes = take(width * tokens * sizeof(*s->prefixes));
    s->next_tokens = take(vocabulary * sizeof(*s->next_tokens));
    s->next_states = take(vocabulary * sizeof(*s->next_states));
    s->rows = take(width * vocabulary * sizeof(*s->rows));
    s->log_probs = take(vocabulary * sizeof(*s->log_probs));
}

void plain_search_close(plain_search *s)
{
    free(s->memory);
    free(s->ctc_memory);
    free(s->prefixes);
    free(s->next_tokens);
    free(s->next_states);
    free(s->rows);
    free(s->log_probs);
}

static void write_prefixes(plain_search *s)
{
    const ortp_manifest *m = s->plain->manifest;
    const ortp__beams *beams = &s->beams;
    for (size_t i = 0; i < beams->live_count; i++) {
        int32_t *row = s->prefixes + i * m->max_tokens;
        row[0] = m->sos;
        ortp__beams_tokens(beams, beams->live[i].node, beams->length, row + 1);
        for (size_t k = beams->length + 1; k < m->max_tokens; k++) {
            row[k] = m->pad;
        }
    }
}

/* What may follow; without a lexicon all but the special tokens, and any sequence but the empty one may end. */
static size_t allowed(plain_search *s, uint32_t state, bool *may_end)
{
    const plain *p = s->plain;
    const ortp_manifest *m = p->manifest;
    if (p->lexicon != NULL) {
        return p->constraint.next(p->constraint.ctx, state, s->next_tokens, s->next_states,
                                  m->vocabulary, may_end);
    }
    size_t count = 0;
    for (int32_t token = 0; token < (int32_t)m->vocabulary; token++) {
        if (token != m->pad && token != m->unk && token != m->sos && token != m->eos) {
            s->next_tokens[count] = token;
            s->next_states[count++] = 0;
        }
    }
    *may_end = s->beams.length > 0;
    return count;
}

/* What live beam `index` with a token ranks by besides its sum. */
static double hope(const plain_search *s, size_t index, int32_t token, uint32_t state)
{
    const plain *p = s->plain;
    double sum = 0.0;
    if (p->lexicon != NULL && p->constraint.hope != NULL) {
        sum += p->constraint.hope(p->constraint.ctx, state);
    }
    if (s->ctc_memory != NULL) {
        sum += p->params.ctc_weight * ortp__ctc_prefix(&s->ctc, &s->beams, index, token);
    }
    return sum;
}

static void expand(plain_search *s, size_t index, const float *logits, bool last)
{
    const plain *p = s->plain;
    ortp__beams *beams = &s->beams;
    const ortp__beam beam = beams->live[index];
    ortp__log_softmax(logits, p->manifest->vocabulary, s->log_probs);
    bool may_end = false;
    const size_t count = allowed(s, beam.state, &may_end);
    for (size_t i = 0; i < count && !last; i++) {
        ortp__beams_offer(beams, index, s->next_tokens[i], s->next_states[i],
                          s->log_probs[s->next_tokens[i]],
                          hope(s, index, s->next_tokens[i], s->next_states[i]));
    }
    if (may_end) {
        const double sum = beam.sum + s->log_probs[p->manifest->eos];
        double score = sum + p->params.length_reward * (double)beams->length;
        if (s->ctc_memory != NULL) {
            score += p->params.ctc_weight * ortp__ctc_whole(&s->ctc, index);
        }
        if (p->lexicon != NULL) {
            score += p->constraint.final_score(p->constraint.ctx, beam.state);
        }
        const double penalty = pow((5.0 + (double)beams->length) / 6.0, p->params.length_alpha);
        ortp__beams_finish(beams, index, sum,
                           p->params.length_alpha != 0.0 ? score / penalty : score);
    }
}

static void stop_early(plain_search *s)
{
    const ortp_search_params *params = &s->plain->params;
    ortp__beams *beams = &s->beams;
    if (params->stop_margin > 0.0 && beams->finished_count >= STOP_RANK) {
        const double rival = beams->finished[STOP_RANK - 1].score;
        ortp__beams_prune(beams, rival - params->stop_margin -
                                     params->length_reward * (double)beams->length);
    }
}

static void name(const plain *p, const int32_t *tokens, size_t length, char *word)
{
    if (p->lexicon == NULL) {
        way_name_tokens(tokens, length, word);
        return;
    }
    for (size_t k = 0; k < length; k++) {
        word[k] = (char)('a' + (tokens[k] - p->config.first_letter));
    }
    word[length] = '\0';
}

void plain_search_see(plain_search *s, const float *features, size_t points)
{
    if (s->plain->lexicon != NULL && s->plain->config.shape_weight > 0.0) {
        s->shape.struct_size = sizeof(s->shape);
        (void)ortp_swipe_shape_of(&s->plain->config, features, points, &s->shape);
    }
}

/* The score less what the shape tells against the word. */
static double weighed(const plain_search *s, const char *word, double score)
{
    const ortp_swipe_config *config = &s->plain->config;
    return s->plain->lexicon != NULL && config->shape_weight > 0.0
               ? score - config->shape_weight * ortp_swipe_shape_distance(config, &s->shape, word)
               : score;
}

static void collect(const plain_search *s, ortp_prediction *out)
{
    const ortp__beams *beams = &s->beams;
    const size_t count =
        beams->finished_count < ORTP_CANDIDATES_MAX ? beams->finished_count : ORTP_CANDIDATES_MAX;
    for (size_t i = 0; i < count; i++) {
        const ortp__finished *found = &beams->finished[i];
        int32_t tokens[ORTP_TOKENS_MAX];
        ortp_candidate next = {.score = 0.0};
        ortp__beams_tokens(beams, found->node, found->length, tokens);
        name(s->plain, tokens, found->length, next.word);
        next.score = weighed(s, next.word, found->score);
        size_t at = i;
        for (; at > 0 && out->candidates[at - 1].score < next.score; at--) {
            out->candidates[at] = out->candidates[at - 1];
        }
        out->candidates[at] = next;
    }
    out->candidate_count = count < TOP ? count : TOP;
}

void plain_search_run(plain_search *s, const float *ctc, size_t points, ortp_prediction *out)
{
    const ortp_manifest *m = s->plain->manifest;
    ortp__beams *beams = &s->beams;
    ortp__beams_begin(beams, s->plain->params.beam_width,
                      s->plain->lexicon != NULL ? s->plain->constraint.root : 0, false);
    if (s->ctc_memory != NULL && !ortp__ctc_begin(&s->ctc, ctc, points)) {
        bench_die(m->encoder_path, "ctc: no probabilities");
    }
    for (size_t step = 1; step < m->max_tokens && beams->live_count > 0; step++) {
        write_prefixes(s);
        s->logits(s->ctx, s->prefixes, beams->live_count, beams->length + 1, s->rows);
        for (size_t i = 0; i < beams->live_count; i++) {
            expand(s, i, s->rows + i * m->vocabulary, step + 1 == m->max_tokens);
        }
        ortp__beams_advance(beams);
        if (s->ctc_memory != NULL) {
            ortp__ctc_advance(&s->ctc, beams);
        }
        stop_early(s);
    }
    collect(s, out);
}
