/* SPDX-License-Identifier: MIT */
/*
 * A library that says to be an ONNX Runtime of the version in FAKE_ORT_VERSION, and has no API;
 * with another FAKE_NAME it is no ONNX Runtime at all.
 */
#include <stdlib.h>

#include <onnxruntime_c_api.h>

__attribute__((visibility("default"))) const OrtApiBase *ORT_API_CALL FAKE_NAME(void);

static const OrtApi *ORT_API_CALL get_api(uint32_t version)
{
    (void)version;
    return NULL;
}

static const char *ORT_API_CALL get_version(void)
{
    const char *version = getenv("FAKE_ORT_VERSION");
    return version != NULL ? version : "0.0.0";
}

const OrtApiBase *ORT_API_CALL FAKE_NAME(void)
{
    static const OrtApiBase base = {get_api, get_version};
    return &base;
}
