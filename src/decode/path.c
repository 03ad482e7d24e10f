/* SPDX-License-Identifier: MIT */
/*
 * Which of a model's decoders runs: by what the manifest has and what this ONNX Runtime can.
 */
#include "decode_internal.h"

#include <string.h>

/*
 * Of a host that does not say its version the least that it can be is known; `said`: it did say it.
 */
static ortp_status running_version(const ortp_manifest *m, const ortp_runtime *runtime,
                                   ortp__version *out, bool *said, ortp_error *error)
{
    const char *text = ortp_runtime_ort_version(runtime);
    *said = text != NULL;
    if (text == NULL) {
        *out = (ortp__version){{1, ortp__runtime_api_version(runtime), 0}};
    } else if (!ortp__version_read(text, true, out)) {
        return ortp__fail(error, ORTP_E_VERSION,
                          "%s: needs ONNX Runtime %s; \"%s\", which the host says, is no version",
                          m->path, m->min_ort, text);
    }
    return ORTP_OK;
}

static bool is_at_least(const ortp__version *found, const char *needed)
{
    ortp__version least;
    (void)ortp__version_read(needed, false, &least); /* the manifest was read */
    return ortp__version_compare(found, &least) >= 0;
}

ortp_status ortp__path_resolve(const ortp_manifest *m, const ortp_runtime *runtime,
                               ortp_path wanted, ortp_path *out, ortp_error *error)
{
    ortp__version found;
    bool said;
    const ortp_status status = running_version(m, runtime, &found, &said, error);
    if (status != ORTP_OK) {
        return status;
    }
    if (!ortp__path_known(wanted)) {
        return ortp__fail(error, ORTP_E_INVAL, "%s: path: %d, unknown", m->path, (int)wanted);
    }
    const bool has_step = m->step_path != NULL;
    if (wanted == ORTP_PATH_INCREMENTAL && !has_step) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "%s: graphs.decoder_step: none, expected for the incremental path",
                          m->path);
    }
    /*
     * A host that does not say its version is not refused the encoder and decoder, which tell by
     * themselves that they cannot load. The step does not: ONNX Runtime 1.20 runs it and its
     * results are wrong.
     */
    const bool step_runs = has_step && is_at_least(&found, m->step.min_ort);
    const bool step = wanted == ORTP_PATH_AUTO ? step_runs : wanted == ORTP_PATH_INCREMENTAL;
    const bool refused = !is_at_least(&found, m->min_ort) || (step && !step_runs);
    if (!said && step && !step_runs) {
        return ortp__fail(
            error, ORTP_E_VERSION,
            "%s: the incremental path needs ONNX Runtime %s or later; the host does not say its "
            "version (ort_version of the runtime's options), expected it, or api_version %s",
            m->path, m->step.min_ort, strchr(m->step.min_ort, '.') + 1);
    }
    if (said && refused) {
        return ortp__fail(error, ORTP_E_VERSION, "%s: needs ONNX Runtime %s or later%s, this is %s",
                          m->path, step && !step_runs ? m->step.min_ort : m->min_ort,
                          step && !step_runs ? " for the incremental path" : "",
                          ortp_runtime_ort_version(runtime));
    }
    if (wanted == ORTP_PATH_AUTO && has_step && !step) {
        ortp__log(ortp__runtime_log(runtime), ORTP_LOG_WARNING,
                  "%s: batched, not incremental: that needs ONNX Runtime %s, %s", m->path,
                  m->step.min_ort,
                  said ? "this is an older one"
                       : "and the host does not say its version (ort_version)");
    }
    *out = step ? ORTP_PATH_INCREMENTAL : ORTP_PATH_BATCHED;
    return ORTP_OK;
}
