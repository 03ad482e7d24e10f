/* SPDX-License-Identifier: MIT */
/*
 * Finds the manifest's roles among the ports of a graph and checks that both say the same.
 */
#include "decode_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define DIM_SOURCE (-2) /* free, or the one bucket that the manifest has */
#define DIM_ROWS (-3)   /* free: as many rows as there are beams */

typedef struct role {
    const char *name; /* the port's name; NULL: the model lacks the role */
    const char *what; /* "features" */
    bool integers;    /* int32 or int64, else `type` */
    ortp_type type;
    size_t rank;
    int64_t dims[4]; /* a size, or one of the two above */
} role;

typedef struct checker {
    const ortp_manifest *manifest;
    const ortp_session *session;
    const char *path;
    ortp_error *error;
    bool has_role[ORTP__STEP_INPUTS_MAX]; /* of each input; more than these no model names */
} checker;

static bool dim_fits(const ortp_manifest *manifest, int64_t found, int64_t wanted)
{
    if (wanted == DIM_ROWS) {
        return found < 0;
    }
    if (wanted == DIM_SOURCE) {
        return found < 0 || (manifest->bucket_count == 1 && found == (int64_t)manifest->max_points);
    }
    return found < 0 || found == wanted;
}

static const char *dim_text(int64_t dim, char text[24])
{
    if (dim == DIM_ROWS) {
        return "rows";
    }
    if (dim == DIM_SOURCE) {
        return "S";
    }
    if (dim < 0) {
        return "?";
    }
    (void)snprintf(text, 24, "%" PRId64, dim);
    return text;
}

static void shape_text(const int64_t *dims, size_t rank, char *text, size_t capacity)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < rank && at < capacity; i++) {
        char dim[24];
        const int wrote =
            snprintf(text + at, capacity - at, "%s%s", i > 0 ? "," : "", dim_text(dims[i], dim));
        at += wrote > 0 ? (size_t)wrote : 0;
    }
}

static ortp_status check_port(const checker *c, const role *wanted, const ortp_port *port)
{
    const bool integer = port->type == ORTP_TYPE_INT32 || port->type == ORTP_TYPE_INT64;
    bool fits = wanted->integers ? integer : port->type == wanted->type;
    fits = fits && port->rank == wanted->rank;
    for (size_t i = 0; fits && i < wanted->rank; i++) {
        fits = dim_fits(c->manifest, port->shape[i], wanted->dims[i]);
    }
    if (fits) {
        return ORTP_OK;
    }
    char found[96];
    char needed[96];
    shape_text(port->shape, port->rank <= ORTP_RANK_MAX ? port->rank : 0, found, sizeof found);
    shape_text(wanted->dims, wanted->rank, needed, sizeof needed);
    return ortp__fail(c->error, ORTP_E_INVAL, "%s: %s '%s': found %s [%s], expected %s [%s]",
                      c->path, wanted->what, wanted->name, ortp_type_name(port->type), found,
                      wanted->integers ? "int32 or int64" : ortp_type_name(wanted->type), needed);
}

static ortp_status find_input(checker *c, const role *wanted, size_t *index, ortp_type *type)
{
    *index = ORTP__PORT_NONE;
    if (wanted->name == NULL) {
        return ORTP_OK;
    }
    const size_t found = ortp_session_find_input(c->session, wanted->name);
    if (found == SIZE_MAX) {
        return ortp__fail(c->error, ORTP_E_INVAL,
                          "%s: no input '%s', which the manifest names as %s", c->path,
                          wanted->name, wanted->what);
    }
    const ortp_port *port = ortp_session_input(c->session, found);
    const ortp_status status = check_port(c, wanted, port);
    if (status == ORTP_OK && (found >= ORTP__COUNT(c->has_role) || c->has_role[found])) {
        return ortp__fail(c->error, ORTP_E_INVAL, "%s: '%s', which the manifest names as %s, %s",
                          c->path, wanted->name, wanted->what,
                          found < ORTP__COUNT(c->has_role)
                              ? "has another role, too"
                              : "comes after more inputs than a model has");
    }
    if (status == ORTP_OK) {
        *index = found;
        c->has_role[found] = true;
        if (type != NULL) {
            *type = port->type;
        }
    }
    return status;
}

/* Outputs without a role are not asked for in runs. */
static ortp_status check_output(const checker *c, const role *output)
{
    const size_t found = ortp_session_find_output(c->session, output->name);
    if (found == SIZE_MAX) {
        return ortp__fail(c->error, ORTP_E_INVAL,
                          "%s: no output '%s', which the manifest names as %s", c->path,
                          output->name, output->what);
    }
    return check_port(c, output, ortp_session_output(c->session, found));
}

/* No input is left over: each needs a value in every run. */
static ortp_status check_inputs_have_roles(const checker *c)
{
    const size_t inputs = ortp_session_input_count(c->session);
    size_t without = inputs;
    size_t with_role = 0;
    for (size_t i = inputs; i > 0; i--) {
        const bool has_role = i <= ORTP__COUNT(c->has_role) && c->has_role[i - 1];
        with_role += has_role ? 1 : 0;
        without = has_role ? without : i - 1;
    }
    if (without < inputs) {
        return ortp__fail(
            c->error, ORTP_E_INVAL,
            "%s: found %zu inputs, expected the %zu that the manifest names: '%s' has "
            "no role",
            c->path, inputs, with_role, ortp_session_input(c->session, without)->name);
    }
    return ORTP_OK;
}

ortp_status ortp__encoder_ports_resolve(const ortp_manifest *manifest, const ortp_session *session,
                                        ortp__encoder_ports *out, ortp_error *error)
{
    checker c = {manifest, session, manifest->encoder_path, error, {false}};
    const int64_t features = (int64_t)manifest->features;
    const int64_t hidden = (int64_t)manifest->hidden;
    const role roles[] = {
        {manifest->encoder.features,
         "features",
         false,
         ORTP_TYPE_FLOAT,
         3,
         {1, DIM_SOURCE, features}},
        {manifest->encoder.keys, "keys", true, ORTP_TYPE_INT32, 2, {1, DIM_SOURCE}},
        {manifest->encoder.length, "length", true, ORTP_TYPE_INT32, 1, {1}},
        {manifest->encoder.source_mask, "source_mask", false, ORTP_TYPE_BOOL, 2, {1, DIM_SOURCE}},
    };
    size_t *indices[] = {&out->features, &out->keys, &out->length, &out->mask};
    ortp_type *types[] = {NULL, &out->key_type, &out->length_type, NULL};
    for (size_t i = 0; i < ORTP__COUNT(roles); i++) {
        const ortp_status status = find_input(&c, &roles[i], indices[i], types[i]);
        if (status != ORTP_OK) {
            return status;
        }
    }
    const role memory = {manifest->encoder.memory, "memory", false,
                         ORTP_TYPE_FLOAT,          3,        {1, DIM_SOURCE, hidden}};
    ortp_status status = check_output(&c, &memory);
    if (status == ORTP_OK && manifest->encoder.ctc != NULL) {
        const role ctc = {
            manifest->encoder.ctc, "ctc", false,
            ORTP_TYPE_FLOAT,       3,     {1, DIM_SOURCE, (int64_t)manifest->vocabulary}};
        status = check_output(&c, &ctc);
    }
    return status == ORTP_OK ? check_inputs_have_roles(&c) : status;
}

ortp_status ortp__decoder_ports_resolve(const ortp_manifest *manifest, const ortp_session *session,
                                        ortp__decoder_ports *out, ortp_error *error)
{
    checker c = {manifest, session, manifest->decoder_path, error, {false}};
    const bool replicated = manifest->decoder.layout == ORTP_MEMORY_REPLICATED;
    const int64_t hidden = (int64_t)manifest->hidden;
    const int64_t tokens = (int64_t)manifest->max_tokens;
    const role roles[] = {
        {manifest->decoder.memory,
         "memory",
         false,
         ORTP_TYPE_FLOAT,
         3,
         {replicated ? DIM_ROWS : 1, DIM_SOURCE, hidden}},
        {manifest->decoder.tokens, "tokens", true, ORTP_TYPE_INT32, 2, {DIM_ROWS, tokens}},
        {manifest->decoder.length, "length", true, ORTP_TYPE_INT32, 1, {1}},
        {manifest->decoder.source_mask,
         "source_mask",
         false,
         ORTP_TYPE_BOOL,
         2,
         {DIM_ROWS, DIM_SOURCE}},
    };
    size_t *indices[] = {&out->memory, &out->tokens, &out->length, &out->mask};
    ortp_type *types[] = {NULL, &out->token_type, &out->length_type, NULL};
    for (size_t i = 0; i < ORTP__COUNT(roles); i++) {
        const ortp_status status = find_input(&c, &roles[i], indices[i], types[i]);
        if (status != ORTP_OK) {
            return status;
        }
    }
    const role logits = {
        manifest->decoder.logits, "logits", false,
        ORTP_TYPE_FLOAT,          3,        {DIM_ROWS, tokens, (int64_t)manifest->vocabulary}};
    const ortp_status status = check_output(&c, &logits);
    return status == ORTP_OK ? check_inputs_have_roles(&c) : status;
}

ortp_status ortp__cross_check(const ortp_manifest *manifest, const ortp_session *encoder,
                              ortp_error *error)
{
    const checker c = {manifest, encoder, manifest->encoder_path, error, {false}};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < manifest->step.cross_count && status == ORTP_OK; i++) {
        const role cross = {
            manifest->encoder.cross[i],
            "cross",
            false,
            ORTP_TYPE_FLOAT,
            4,
            {1, (int64_t)manifest->step.kv_heads, DIM_SOURCE, (int64_t)manifest->step.kv_size}};
        status = check_output(&c, &cross);
    }
    return status;
}

/* Cross keys and values, past and present of each layer. */
static ortp_status resolve_layers(checker *c, ortp__step_ports *out)
{
    const ortp_manifest *m = c->manifest;
    const int64_t heads = (int64_t)m->step.kv_heads;
    const int64_t size = (int64_t)m->step.kv_size;
    const int64_t tokens = (int64_t)m->max_tokens;
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < m->step.cross_count && status == ORTP_OK; i++) {
        const role cross = {m->step.cross[i], "cross", false,
                            ORTP_TYPE_FLOAT,  4,       {1, heads, DIM_SOURCE, size}};
        role kv = {m->step.past[i], "past", false,
                   ORTP_TYPE_FLOAT, 4,      {DIM_ROWS, heads, tokens, size}};
        status = find_input(c, &cross, &out->cross[i], NULL);
        if (status == ORTP_OK) {
            status = find_input(c, &kv, &out->past[i], NULL);
        }
        if (status == ORTP_OK) {
            kv.name = m->step.present[i];
            kv.what = "present";
            status = check_output(c, &kv);
        }
    }
    return status;
}

ortp_status ortp__step_ports_resolve(const ortp_manifest *manifest, const ortp_session *session,
                                     ortp__step_ports *out, ortp_error *error)
{
    checker c = {manifest, session, manifest->step_path, error, {false}};
    const int64_t tokens = (int64_t)manifest->max_tokens;
    const role roles[] = {
        {manifest->step.token, "token", true, ORTP_TYPE_INT32, 1, {DIM_ROWS}},
        {manifest->step.past_length, "past_length", false, ORTP_TYPE_INT32, 1, {1}},
        {manifest->step.length, "length", true, ORTP_TYPE_INT32, 1, {1}},
        {manifest->step.beam_width, "beam_width", false, ORTP_TYPE_INT32, 1, {1}},
        {manifest->step.indirection,
         "indirection",
         false,
         ORTP_TYPE_INT32,
         3,
         {1, DIM_ROWS, tokens}},
    };
    size_t *indices[] = {&out->token, &out->past_length, &out->length, &out->beam_width,
                         &out->indirection};
    ortp_type *types[] = {&out->token_type, NULL, &out->length_type, NULL, NULL};
    for (size_t i = 0; i < ORTP__COUNT(roles); i++) {
        const ortp_status status = find_input(&c, &roles[i], indices[i], types[i]);
        if (status != ORTP_OK) {
            return status;
        }
    }
    ortp_status status = resolve_layers(&c, out);
    if (status == ORTP_OK) {
        const role logits = {
            manifest->step.logits, "logits", false,
            ORTP_TYPE_FLOAT,       2,        {DIM_ROWS, (int64_t)manifest->vocabulary}};
        status = check_output(&c, &logits);
    }
    return status == ORTP_OK ? check_inputs_have_roles(&c) : status;
}
