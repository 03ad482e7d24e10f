/* SPDX-License-Identifier: MIT */
/* See subject.h. */
#include "subject.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const subject_names[SUBJECT_KINDS] = {"ort", "none", "ortpool"};

/* Takes the status; true where there is none. */
static bool well(const subject *s, OrtStatus *status, subject_error *error)
{
    if (status == NULL) {
        return true;
    }
    snprintf(error->message, sizeof(error->message), "%s", s->api->GetErrorMessage(status));
    s->api->ReleaseStatus(status);
    return false;
}

static bool fine(ortp_status status, const ortp_error *told, subject_error *error)
{
    if (status == ORTP_OK) {
        return true;
    }
    error->budget = status == ORTP_E_BUDGET;
    snprintf(error->message, sizeof(error->message), "%s",
             told->message[0] != '\0' ? told->message : ortp_status_text(status));
    return false;
}

static bool create(subject *s, const subject_options *options, OrtSessionOptions *settings,
                   subject_error *error)
{
    return well(s, s->api->CreateSession(s->env, options->path, settings, &s->ort), error);
}

static bool create_pooled(subject *s, const ort_library *library, const subject_options *options,
                          const OrtSessionOptions *settings, subject_error *error)
{
    ortp_error told = ORTP_ERROR_INIT;
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = s->api;
    runtime.api_version = library->api_version;
    runtime.env = s->env;
    runtime.limit_bytes = options->budget;
    ortp_session_options session = ORTP_SESSION_OPTIONS_INIT;
    if (!fine(ortp_runtime_create(&runtime, &s->runtime, &told), &told, error)) {
        return false;
    }
    session.runtime = s->runtime;
    session.path = options->path;
    session.ort_options = settings;
    if (!fine(ortp_session_create(&session, &s->session, &told), &told, error)) {
        return false;
    }
    s->ort = ortp_session_ort(s->session);
    return true;
}

/* What is plainly wrong with a file is said before ONNX Runtime says it in its own way. */
static bool looks_like_a_model(const char *path, subject_error *error)
{
    struct stat about;
    if (stat(path, &about) != 0 || access(path, R_OK) != 0) {
        snprintf(error->message, sizeof(error->message), "'%s' cannot be read: %s", path,
                 strerror(errno));
    } else if (!S_ISREG(about.st_mode)) {
        snprintf(error->message, sizeof(error->message),
                 "'%s' is not a file; expected an ONNX model", path);
    } else if (about.st_size == 0) {
        snprintf(error->message, sizeof(error->message), "'%s' is empty; expected an ONNX model",
                 path);
    }
    return error->message[0] == '\0';
}

static bool name_outputs(subject *s, subject_error *error)
{
    s->output_names = calloc(s->ports.output_count + 1, sizeof(*s->output_names));
    if (s->output_names == NULL) {
        snprintf(error->message, sizeof(error->message), "no memory for the names of outputs");
        return false;
    }
    for (size_t i = 0; i < s->ports.output_count; i++) {
        s->output_names[i] = s->ports.outputs[i].name;
    }
    return true;
}

bool subject_open(subject *out, const ort_library *library, const subject_options *options,
                  subject_error *error)
{
    *out = (subject){.kind = options->kind, .api = library->api};
    *error = (subject_error){0};
    if (!looks_like_a_model(options->path, error)) {
        return false;
    }
    OrtSessionOptions *settings = NULL;
    bool opened =
        well(out, out->api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "ortpool", &out->env), error) &&
        well(out, out->api->CreateSessionOptions(&settings), error) &&
        well(out, out->api->SetIntraOpNumThreads(settings, (int)options->intra_threads), error) &&
        well(out, out->api->AddSessionConfigEntry(settings, "session.intra_op.allow_spinning", "0"),
             error);
    if (opened && options->kind == SUBJECT_NONE) {
        opened = well(out, out->api->DisableCpuMemArena(settings), error);
    }
    if (opened) {
        opened = options->kind == SUBJECT_ORTPOOL
                     ? create_pooled(out, library, options, settings, error)
                     : create(out, options, settings, error);
    }
    if (settings != NULL) {
        out->api->ReleaseSessionOptions(settings);
    }
    if (opened && options->kind == SUBJECT_ORTPOOL) {
        ortp_session_info info = ORTP_SESSION_INFO_INIT;
        ortp_session_get_info(out->session, &info);
        out->live_bytes = info.live_bytes;
        ortp_budget *const budget = ortp_runtime_budget(out->runtime);
        ortp_budget_info held = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(budget, &held);
        out->mapped_bytes = held.mapped_bytes;
        out->charged_peak = held.peak_bytes;
        ortp_budget_reset_peaks(budget);
    }
    return opened && well(out, ports_load(out->api, out->ort, &out->ports), error) &&
           name_outputs(out, error);
}

void subject_close(subject *s)
{
    ports_free(&s->ports);
    free(s->output_names);
    if (s->session == NULL && s->ort != NULL) { /* else ortpool's */
        s->api->ReleaseSession(s->ort);
    }
    (void)ortp_session_destroy(s->session, NULL);
    (void)ortp_runtime_destroy(s->runtime, NULL);
    if (s->env != NULL) {
        s->api->ReleaseEnv(s->env);
    }
    *s = (subject){0};
}

static bool run_with(const subject *s, const OrtRunOptions *options, const OrtValue *const *inputs,
                     const char *const *input_names, OrtValue **outputs, subject_error *error)
{
    const size_t in = s->ports.input_count, out = s->ports.output_count;
    if (s->kind != SUBJECT_ORTPOOL) {
        return well(
            s, s->api->Run(s->ort, options, input_names, inputs, in, s->output_names, out, outputs),
            error);
    }
    ortp_run_options run = ORTP_RUN_OPTIONS_INIT;
    run.ort = options;
    ortp_error told = ORTP_ERROR_INIT;
    return fine(
        ortp_session_run(s->session, &run, input_names, inputs, in, s->output_names, outputs, out,
                         &told),
        &told, error);
}

bool subject_run(const subject *s, const OrtValue *const *inputs, const char *const *input_names,
                 OrtValue **outputs, bool shrink, subject_error *error)
{
    if (!shrink) {
        return run_with(s, NULL, inputs, input_names, outputs, error);
    }
    OrtRunOptions *options = NULL;
    const bool ran =
        well(s, s->api->CreateRunOptions(&options), error) &&
        well(s, s->api->AddRunConfigEntry(options, "memory.enable_memory_arena_shrinkage", "cpu:0"),
             error) &&
        run_with(s, options, inputs, input_names, outputs, error);
    if (options != NULL) {
        s->api->ReleaseRunOptions(options);
    }
    return ran;
}

void subject_trim(const subject *s, const OrtValue *const *inputs, const char *const *input_names)
{
    if (s->kind == SUBJECT_ORTPOOL) {
        (void)ortp_runtime_trim(s->runtime, ORTP_UNLIMITED, NULL);
    } else if (s->kind == SUBJECT_ORT) {
        subject_error ignored = {0};
        OrtValue **outputs = calloc(s->ports.output_count + 1, sizeof(*outputs));
        if (outputs != NULL && subject_run(s, inputs, input_names, outputs, true, &ignored)) {
            for (size_t i = 0; i < s->ports.output_count; i++) {
                s->api->ReleaseValue(outputs[i]);
            }
        }
        free(outputs);
    }
    (void)malloc_trim(0);
}
