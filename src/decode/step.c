/* SPDX-License-Identifier: MIT */
/*
 * The incremental path's run: one token of each beam, over the KV cache of the tokens before it.
 *
 * Row i of a run writes its keys and values at the run's position of row i of the cache. A beam's
 * history is then scattered over the rows that its ancestors had, and the indirection table says
 * where:
 *
 *     table[i][t] = the row that holds position t of the beam that is now row i
 *
 * so that a beam that moves takes a row of small numbers with it, and no keys. Rows are as many as
 * the search is wide, whatever lives, so that shapes never change. Those without a beam are row 0
 * once more, so that in int8 graphs, where rows share the range of their values, they widen it for
 * nobody.
 */
#include "decode_internal.h"
#include "model_run.h"

#include <string.h>

static int32_t *ints_of(const ortp_decoder *decoder, ortp__buffer which)
{
    return ortp_tensor_data(decoder->buffers->tensor[which]);
}

/* The table of this step from that of the one before, given where each beam came from. */
static void move_rows(ortp_decoder *decoder, size_t rows)
{
    const ortp__beams *beams = &decoder->beams;
    const size_t width = decoder->model->manifest->max_tokens;
    const size_t last = beams->length - 1; /* the position that was written last */
    int32_t *table = ints_of(decoder, ORTP__BUFFER_INDIRECTION);
    int32_t before[ORTP_BEAM_MAX * ORTP_TOKENS_MAX];
    memcpy(before, table, rows * width * sizeof *table);
    for (size_t row = 0; row < rows; row++) {
        const size_t beam = row < beams->live_count ? row : 0;
        const size_t from = beams->live[beam].row;
        memcpy(table + row * width, before + from * width, last * sizeof *table);
        table[row * width + last] = (int32_t)from;
    }
}

void ortp__step_set_rows(ortp_decoder *decoder, size_t rows)
{
    const ortp_model *model = decoder->model;
    const ortp_manifest *m = model->manifest;
    const ortp__beams *beams = &decoder->beams;
    if (beams->length == 0) {
        memset(ints_of(decoder, ORTP__BUFFER_INDIRECTION), 0,
               rows * m->max_tokens * sizeof(int32_t));
        *ints_of(decoder, ORTP__BUFFER_BEAM_WIDTH) = (int32_t)rows;
    } else {
        move_rows(decoder, rows);
    }
    *ints_of(decoder, ORTP__BUFFER_PAST_LENGTH) = (int32_t)beams->length;
    void *tokens = ortp_tensor_data(decoder->buffers->tensor[ORTP__BUFFER_TOKENS]);
    for (size_t row = 0; row < rows; row++) {
        const size_t beam = row < beams->live_count ? row : 0;
        const int32_t token =
            beams->length == 0 ? m->sos : beams->nodes[beams->live[beam].node].token;
        ortp__int_set(tokens, model->step_ports.token_type, row, token);
    }
}

/* The values of a run: inputs in the session's order; logits, then each part of the present. */
typedef struct values {
    const OrtValue *inputs[ORTP__STEP_INPUTS_MAX];
    OrtValue *outputs[ORTP__STEP_OUTPUTS_MAX];
} values;

static ortp_status place_rows(ortp_decoder *decoder, ortp__buffer which, size_t rows,
                              const OrtValue **out, ortp_error *error)
{
    OrtValue *value = NULL;
    const ortp_status status =
        ortp__buffers_rows(decoder->buffers, which, rows, decoder->source, &value, error);
    *out = value;
    return status;
}

/* Cross keys and values of the encoder; past and present are one value. */
static ortp_status place_layers(ortp_decoder *decoder, size_t rows, values *v, ortp_error *error)
{
    const ortp_model *model = decoder->model;
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < model->manifest->step.cross_count && status == ORTP_OK; i++) {
        OrtValue *cross = NULL;
        OrtValue *kv = NULL;
        status = ortp__encoded_part(model, decoder->encoded, decoder->source, i, &cross, error);
        if (status == ORTP_OK) {
            status = ortp__buffers_kv(decoder->buffers, i, rows, &kv, error);
        }
        v->inputs[model->step_ports.cross[i]] = cross;
        v->inputs[model->step_ports.past[i]] = kv;
        v->outputs[1 + i] = kv;
    }
    return status;
}

static ortp_status place_all(ortp_decoder *decoder, size_t rows, values *v, ortp_error *error)
{
    const ortp__step_ports *ports = &decoder->model->step_ports;
    ortp_tensor *const *tensors = decoder->buffers->tensor;
    v->inputs[ports->past_length] = ortp_tensor_value(tensors[ORTP__BUFFER_PAST_LENGTH]);
    v->inputs[ports->beam_width] = ortp_tensor_value(tensors[ORTP__BUFFER_BEAM_WIDTH]);
    v->inputs[ports->length] = ortp_tensor_value(tensors[ORTP__BUFFER_LENGTH]);
    ortp_status status =
        place_rows(decoder, ORTP__BUFFER_TOKENS, rows, &v->inputs[ports->token], error);
    if (status == ORTP_OK) {
        status = place_rows(decoder, ORTP__BUFFER_INDIRECTION, rows, &v->inputs[ports->indirection],
                            error);
    }
    if (status == ORTP_OK) {
        status = ortp__buffers_rows(decoder->buffers, ORTP__BUFFER_LOGITS, rows, decoder->source,
                                    &v->outputs[0], error);
    }
    return status == ORTP_OK ? place_layers(decoder, rows, v, error) : status;
}

ortp_status ortp__step_run(ortp_decoder *decoder, size_t rows, ortp_error *error)
{
    const ortp_model *model = decoder->model;
    values v = {0};
    ortp_status status = place_all(decoder, rows, &v, error);
    if (status != ORTP_OK) {
        return status;
    }
    const ortp__outputs outputs = {model->step_outputs, v.outputs,
                                   1 + model->manifest->step.cross_count};
    decoder->logits_rows = 0;
    const uint64_t key = (uint64_t)rows << 32 | decoder->source;
    status =
        ortp__session_run_keyed(model->decoder, key, &decoder->patience, v.inputs, &outputs, error);
    if (status == ORTP_OK) {
        decoder->logits_rows = rows;
        decoder->runs++;
    }
    return status;
}
