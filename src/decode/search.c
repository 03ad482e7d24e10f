/* SPDX-License-Identifier: MIT */
/*
 * Beam and greedy search. All paths share all of it: a step runs the decoder for all live beams at
 * once (batched, incremental) or one after another (sequential) and expands them in rank order.
 */
#include "decode_internal.h"
#include "model_run.h"

#include <math.h>
#include <string.h>

#define STOP_RANK 3u

typedef struct search {
    ortp_decoder *decoder;
    const ortp_search_params *params;
    ortp__ctc *ctc;                    /* NULL: no second score */
    const ortp_constraint *constraint; /* NULL: every token may follow */
    double token_least;                /* log-probability below which a token is ignored */
    size_t width;                      /* beams at most */
    bool last_step;
    ortp_error *error;
} search;

ortp_status ortp_search_params_from(const ortp_manifest *manifest, ortp_search_params *out)
{
    if (manifest == NULL) {
        return ORTP_E_INVAL;
    }
    const ortp_search_params params = {
        .struct_size = sizeof params,
        .beam_width = manifest->beam_width,
        .length_reward = manifest->length_reward,
        .length_alpha = manifest->length_alpha,
        .stop_margin = manifest->stop_margin,
        .ctc_weight = manifest->ctc_weight,
    };
    return ortp__out_fill(out, &params, sizeof params);
}

/* ---- what is asked for ---- */

/* False for NaN too. */
static bool within(double value, double below)
{
    return value >= 0.0 && value < below;
}

/* Copies the params, zeros replaced by what they stand for. */
static ortp_status resolve(const ortp_decoder *decoder, const ortp_search_params *given,
                           ortp_search_params *out, ortp_error *error)
{
    const ortp_manifest *m = decoder->model->manifest;
    if (given == NULL) {
        *out = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
        (void)ortp_search_params_from(m, out);
        out->beam_width = 0;
    } else {
        const ortp_status status = ortp__options_copy(out, sizeof *out, given);
        if (status != ORTP_OK) {
            return ortp__fail(error, status, "search: params of a later version");
        }
    }
    if (out->beam_width == 0) {
        out->beam_width = m->beam_width < decoder->width_max ? m->beam_width : decoder->width_max;
    }
    if (out->path == ORTP_PATH_AUTO) {
        out->path = decoder->model->path;
    }
    out->max_steps = out->max_steps > 0 ? out->max_steps : m->max_tokens - 1;
    out->stop_rank = out->stop_rank > 0 ? out->stop_rank : STOP_RANK;
    const char *wrong = NULL;
    if (out->strategy != ORTP_STRATEGY_BEAM && out->strategy != ORTP_STRATEGY_GREEDY) {
        wrong = "strategy: unknown";
    } else if (!ortp__path_known(out->path)) {
        wrong = "path: unknown";
    } else if ((out->path == ORTP_PATH_INCREMENTAL) !=
               (decoder->model->path == ORTP_PATH_INCREMENTAL)) {
        wrong = "path: the model was opened for another, expected its own";
    } else if (out->strategy == ORTP_STRATEGY_BEAM && out->beam_width > decoder->width_max) {
        wrong = "beam_width: above what the decoder was created for";
    } else if (out->max_steps > m->max_tokens - 1) {
        wrong = "max_steps: above the model's max_tokens - 1";
    } else if (!isfinite(out->length_reward) || !isfinite(out->length_alpha)) {
        wrong = "length_reward, length_alpha: expected finite numbers";
    } else if (!within(out->prune_gap, INFINITY) || !within(out->stop_margin, INFINITY)) {
        wrong = "prune_gap, stop_margin: expected numbers of at least 0";
    } else if (!within(out->ctc_weight, INFINITY)) {
        wrong = "ctc_weight: expected a number of at least 0";
    } else if (out->ctc_weight > 0.0 && m->encoder.ctc == NULL) {
        wrong = "ctc_weight: the model has no encoder.ctc, expected 0";
    } else if (!within(out->prune_token, 1.0)) {
        wrong = "prune_token: expected a probability below 1";
    }
    return wrong == NULL ? ORTP_OK : ortp__fail(error, ORTP_E_INVAL, "search: %s", wrong);
}

static ortp_status take_constraint(const ortp_constraint *given, ortp_constraint *out,
                                   ortp_error *error)
{
    const ortp_status status = ortp__options_copy(out, sizeof *out, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "search: a constraint of another version");
    }
    if (given != NULL && out->next == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "search: the constraint has no next function");
    }
    return ORTP_OK;
}

/* Cancelled, or past the deadline? Asked before each decoder run. */
static ortp_status poll(const search *s)
{
    const ortp_search_params *p = s->params;
    if (p->stop != NULL && p->stop(p->stop_ctx)) {
        return ortp__fail(s->error, ORTP_E_CANCELLED, "search: cancelled after %zu decoder runs",
                          s->decoder->runs);
    }
    if (p->deadline_at_ms > 0 &&
        ortp_runtime_now_ms(s->decoder->model->runtime) >= p->deadline_at_ms) {
        return ortp__fail(s->error, ORTP_E_TIMEOUT,
                          "search: the deadline passed after %zu decoder runs", s->decoder->runs);
    }
    return ORTP_OK;
}

/* ---- one beam ---- */

/* Without a constraint: all but the special tokens; any sequence but the empty one may end. */
static size_t all_tokens(const search *s, bool *may_end)
{
    const ortp_manifest *m = s->decoder->model->manifest;
    size_t count = 0;
    for (int32_t token = 0; token < (int32_t)m->vocabulary; token++) {
        if (token != m->pad && token != m->unk && token != m->sos && token != m->eos) {
            s->decoder->next_tokens[count] = token;
            s->decoder->next_states[count] = 0;
            count++;
        }
    }
    *may_end = s->decoder->beams.length > 0;
    return count;
}

/* What may follow `state`, in the decoder's next_tokens and next_states. */
static ortp_status allowed(const search *s, uint32_t state, size_t *count, bool *may_end)
{
    ortp_decoder *decoder = s->decoder;
    const ortp_manifest *m = decoder->model->manifest;
    *may_end = false;
    if (s->constraint == NULL) {
        *count = all_tokens(s, may_end);
        return ORTP_OK;
    }
    *count = s->constraint->next(s->constraint->ctx, state, decoder->next_tokens,
                                 decoder->next_states, m->vocabulary, may_end);
    if (*count > m->vocabulary) {
        return ortp__fail(s->error, ORTP_E_INVAL,
                          "search: the constraint gave %zu tokens, expected %zu at most", *count,
                          m->vocabulary);
    }
    for (size_t i = 0; i < *count; i++) {
        const int32_t token = decoder->next_tokens[i];
        if (token < 0 || token >= (int32_t)m->vocabulary || token == m->pad || token == m->sos ||
            token == m->eos) {
            return ortp__fail(s->error, ORTP_E_INVAL,
                              "search: the constraint gave token %d, which cannot follow",
                              (int)token);
        }
    }
    return ORTP_OK;
}

static double final_score(const search *s, size_t index, uint32_t state, double sum, size_t tokens)
{
    const ortp_search_params *p = s->params;
    double score = sum + p->length_reward * (double)tokens;
    if (s->ctc != NULL) {
        score += p->ctc_weight * ortp__ctc_whole(s->ctc, index);
    }
    if (s->constraint != NULL && s->constraint->final_score != NULL) {
        score += s->constraint->final_score(s->constraint->ctx, state);
    }
    if (p->length_alpha != 0.0) {
        score /= pow((5.0 + (double)tokens) / 6.0, p->length_alpha);
    }
    return score;
}

/* Live beam `index` may go on with `token`. */
static void offer(const search *s, size_t index, int32_t token, uint32_t state, double log_prob)
{
    ortp__beams *beams = &s->decoder->beams;
    double hope = 0.0;
    if (s->constraint != NULL && s->constraint->hope != NULL &&
        s->params->strategy == ORTP_STRATEGY_BEAM) {
        hope += s->constraint->hope(s->constraint->ctx, state);
    }
    if (s->ctc != NULL) {
        /* The sum over the points is most of a candidate's cost: not for one that comes too late. */
        const double weight = s->params->ctc_weight;
        const double sum = beams->live[index].sum + log_prob;
        if (ortp__beams_full_at(beams, sum + (hope + weight * s->ctc->most))) {
            return;
        }
        hope += weight * ortp__ctc_prefix(s->ctc, beams, index, token);
    }
    ortp__beams_offer(beams, index, token, state, log_prob, hope);
}

/* Offers what may follow live beam `index`, and its end. */
static ortp_status expand(const search *s, size_t index, const double *log_probs)
{
    ortp_decoder *decoder = s->decoder;
    ortp__beams *beams = &decoder->beams;
    const ortp__beam beam = beams->live[index];
    size_t count = 0;
    bool may_end = false;
    const ortp_status status = allowed(s, beam.state, &count, &may_end);
    if (status != ORTP_OK) {
        return status;
    }
    double best = -INFINITY;
    /* After the last step nothing could be run for a longer sequence: it can only end. */
    for (size_t i = 0; i < count && !s->last_step; i++) {
        const double log_prob = log_probs[decoder->next_tokens[i]];
        if (log_prob >= s->token_least) {
            offer(s, index, decoder->next_tokens[i], decoder->next_states[i], log_prob);
            best = log_prob > best ? log_prob : best;
        }
    }
    const double end = log_probs[decoder->model->manifest->eos];
    if (!may_end || !(end >= s->token_least)) {
        return ORTP_OK;
    }
    const bool greedy = s->params->strategy == ORTP_STRATEGY_GREEDY;
    if (greedy && best >= end) {
        return ORTP_OK;
    }
    ortp__beams_finish(beams, index, beam.sum + end,
                       final_score(s, index, beam.state, beam.sum + end, beams->length));
    if (greedy) {
        beams->candidate_count = 0;
    }
    return ORTP_OK;
}

/* ---- one step ---- */

static void set_rows(const search *s, size_t first, size_t rows)
{
    const ortp__beams *beams = &s->decoder->beams;
    int32_t tokens[ORTP_TOKENS_MAX];
    if (s->params->path == ORTP_PATH_INCREMENTAL) {
        ortp__step_set_rows(s->decoder, s->width);
        return;
    }
    for (size_t row = 0; row < rows; row++) {
        ortp__beams_tokens(beams, beams->live[first + row].node, beams->length, tokens);
        ortp__decoder_set_row(s->decoder, row, tokens, beams->length);
    }
}

/* Runs live beams first .. first + rows - 1 and expands them. */
static ortp_status run_rows(const search *s, size_t first, size_t rows)
{
    ortp_decoder *decoder = s->decoder;
    ortp__beams *beams = &decoder->beams;
    const ortp_manifest *m = decoder->model->manifest;
    const bool step = s->params->path == ORTP_PATH_INCREMENTAL;
    set_rows(s, first, rows);
    ortp_status status = poll(s);
    if (status == ORTP_OK) {
        const uint64_t start_us = ortp__now_us();
        status = step ? ortp__step_run(decoder, s->width, s->error)
                      : ortp__decoder_run(decoder, rows, s->error);
        decoder->run_us += ortp__now_us() - start_us;
    }
    const float *logits = ortp_tensor_data(decoder->buffers->tensor[ORTP__BUFFER_LOGITS]);
    double *log_probs = ortp_tensor_data(decoder->buffers->tensor[ORTP__BUFFER_PROBABILITIES]);
    for (size_t row = 0; row < rows && status == ORTP_OK; row++) {
        const size_t at = step ? row : row * m->max_tokens + beams->length;
        ortp__log_softmax(logits + at * m->vocabulary, m->vocabulary, log_probs);
        /* One NaN or a positive infinity makes all of them NaN, and every word would be dropped. */
        status = isnan(log_probs[0])
                     ? ortp__fail(s->error, ORTP_E_INVAL,
                                  "%s: %s: position %zu: no finite probabilities, expected "
                                  "logits that are numbers: a damaged weight, or source_mask_true?",
                                  step ? m->step_path : m->decoder_path,
                                  step ? m->step.logits : m->decoder.logits, beams->length)
                     : expand(s, first + row, log_probs);
    }
    return status;
}

/* Live beams that cannot matter any more. */
static void prune(const search *s)
{
    ortp__beams *beams = &s->decoder->beams;
    const ortp_search_params *p = s->params;
    if (p->prune_gap > 0.0 && beams->live_count > 0) {
        ortp__beams_prune(beams, beams->live[0].rank - p->prune_gap);
    }
    if (p->stop_margin > 0.0 && beams->finished_count >= p->stop_rank) {
        const double rival = beams->finished[p->stop_rank - 1].score;
        ortp__beams_prune(beams, rival - p->stop_margin - p->length_reward * (double)beams->length);
    }
}

static ortp_status run_steps(search *s)
{
    ortp__beams *beams = &s->decoder->beams;
    const ortp_search_params *p = s->params;
    for (size_t step = 0; step < p->max_steps && beams->live_count > 0; step++) {
        const size_t rows = p->path == ORTP_PATH_SEQUENTIAL ? 1 : beams->live_count;
        s->last_step = step + 1 == p->max_steps;
        for (size_t first = 0; first < beams->live_count; first += rows) {
            const ortp_status status = run_rows(s, first, rows);
            if (status != ORTP_OK) {
                return status;
            }
        }
        ortp__beams_advance(beams);
        if (s->ctc != NULL) {
            ortp__ctc_advance(s->ctc, beams);
        }
        prune(s);
    }
    return ORTP_OK;
}

/* Reads what the encoder itself says of the points. */
static ortp_status begin_ctc(search *s, const ortp_tensor *encoded)
{
    ortp_decoder *decoder = s->decoder;
    const ortp_manifest *m = decoder->model->manifest;
    ortp_decoder_buffers *buffers = decoder->buffers;
    const ortp_status status = ortp__buffers_weigh(buffers, decoder->width_max, s->error);
    if (status != ORTP_OK) {
        return status;
    }
    s->ctc = &decoder->ctc;
    ortp__ctc_place(s->ctc, ortp_tensor_data(buffers->tensor[ORTP__BUFFER_CTC]), buffers->weighed,
                    buffers->source, m->vocabulary, m->pad);
    if (!ortp__ctc_begin(s->ctc, ortp__encoded_ctc(decoder->model, encoded, decoder->source),
                         decoder->length)) {
        return ortp__fail(
            s->error, ORTP_E_INVAL,
            "%s: %s: no probabilities, expected numbers from 0 to 1: a damaged weight, "
            "or no softmax?",
            m->encoder_path, m->encoder.ctc);
    }
    return ORTP_OK;
}

/* The first result's struct_size is the size of each. */
static size_t collect(const ortp__beams *beams, ortp_hypothesis *results, size_t capacity)
{
    const size_t stride = capacity > 0 ? results->struct_size : 0;
    const size_t count = beams->finished_count < capacity ? beams->finished_count : capacity;
    for (size_t i = 0; i < count; i++) {
        const ortp__finished *finished = &beams->finished[i];
        ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
        ortp__beams_tokens(beams, finished->node, finished->length, result.tokens);
        result.length = finished->length;
        result.score = finished->score;
        result.log_prob = finished->log_prob;
        result.state = finished->state;
        ortp__out_copy((unsigned char *)results + i * stride, stride, &result, sizeof result);
    }
    return count;
}

ortp_status ortp_decoder_search(ortp_decoder *decoder, ortp_tensor *encoded, size_t length,
                                const ortp_search_params *params, const ortp_constraint *constraint,
                                ortp_hypothesis *results, size_t capacity, size_t *count,
                                ortp_error *error)
{
    if (decoder == NULL || encoded == NULL || count == NULL || (results == NULL && capacity > 0)) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_decoder_search: decoder, encoded, results and count are required");
    }
    *count = 0;
    decoder->runs = 0;
    decoder->run_us = 0;
    ortp_status status = capacity > 0 ? ortp__out_check(results) : ORTP_OK;
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_decoder_search: results without struct_size");
    }
    ortp_search_params resolved;
    status = resolve(decoder, params, &resolved, error);
    ortp_constraint taken;
    if (status == ORTP_OK) {
        status = take_constraint(constraint, &taken, error);
    }
    if (status != ORTP_OK) {
        return status;
    }
    const size_t width = resolved.strategy == ORTP_STRATEGY_GREEDY ? 1 : resolved.beam_width;
    status = ortp__decoder_prepare(decoder, encoded, length,
                                   resolved.path == ORTP_PATH_SEQUENTIAL ? 1 : width, error);
    if (status != ORTP_OK) {
        return status;
    }
    decoder->patience = (ortp__patience){resolved.deadline_at_ms, resolved.stop, resolved.stop_ctx,
                                         decoder->beside};
    search s = {
        .decoder = decoder,
        .params = &resolved,
        .width = width,
        .constraint = constraint != NULL ? &taken : NULL,
        .token_least = resolved.prune_token > 0.0 ? log(resolved.prune_token) : -INFINITY,
        .error = error,
    };
    ortp__beams_begin(&decoder->beams, width, constraint != NULL ? taken.root : 0,
                      resolved.keep_duplicates);
    if (resolved.ctc_weight > 0.0 && resolved.strategy == ORTP_STRATEGY_BEAM) {
        status = begin_ctc(&s, encoded);
    }
    if (status == ORTP_OK) {
        status = run_steps(&s);
    }
    decoder->encoded = NULL;
    if (status == ORTP_OK) {
        *count = collect(&decoder->beams, results, capacity);
    }
    return status;
}
