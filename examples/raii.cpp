/* SPDX-License-Identifier: MIT */
/* The same from C++: an application's own OrtSession, pooled tensors, one budget; failures are exceptions. */
#include <cstdio>
#include <onnxruntime_c_api.h>
#include <ortpool/ortpool.hpp>
#include <stdexcept>

static const OrtApi *ort = OrtGetApiBase()->GetApi(18);

static void check(OrtStatus *status)
{
    if (status != nullptr) {
        const std::string message = ort->GetErrorMessage(status);
        ort->ReleaseStatus(status);
        throw std::runtime_error(message);
    }
}

template <class Object, class Release> static auto own(Object *object, Release release)
{
    return std::unique_ptr<Object, Release>(object, release);
}

int main(int argc, char **argv)
try {
    const char *path = argc > 1 ? argv[1] : "add.onnx"; // the graph: z = x + y
    OrtEnv *env = nullptr;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "app", &env));
    auto env_owner = own(env, ort->ReleaseEnv);
    OrtSessionOptions *settings = nullptr;
    check(ort->CreateSessionOptions(&settings));
    auto settings_owner = own(settings, ort->ReleaseSessionOptions);

    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = ort;
    options.env = env;
    options.limit_bytes = 30 << 20;
    auto runtime = ortpool::make_runtime(options);
    auto tensors = ortpool::make_tensor_pool(runtime);

    ortp_session_options prepared = ORTP_SESSION_OPTIONS_INIT;
    prepared.runtime = runtime.get();
    prepared.path = path;
    auto mine = own(static_cast<OrtSession *>(nullptr), ort->ReleaseSession); // outlives the handle
    auto session = ortpool::adopt_session(prepared, settings, [&] {
        OrtSession *made = nullptr;
        check(ort->CreateSession(env, path, settings, &made));
        mine.reset(made);
        return made;
    });

    for (std::int64_t count = 1024; count <= 1 << 22; count *= 64) {
        try {
            auto x = ortpool::acquire<float>(tensors, {count}), z = ortpool::acquire<float>(tensors, {count});
            for (std::int64_t i = 0; i < count; i++) {
                ortpool::data<float>(x)[i] = static_cast<float>(i);
            }
            const char *inputs[] = {"x", "y"}, *outputs[] = {"z"};
            const OrtValue *in[] = {ortp_tensor_value(x.get()), ortp_tensor_value(x.get())};
            OrtValue *out[] = {ortp_tensor_value(z.get())};
            ortpool::run(session, ORTP_RUN_OPTIONS_INIT, inputs, in, 2, outputs, out, 1);
            std::printf("%7d numbers: z[7] = %g\n", static_cast<int>(count), ortpool::data<float>(z)[7]);
        } catch (const ortpool::failure &failed) {
            std::printf("%7d numbers: %s\n", static_cast<int>(count), failed.what());
        }
    }
    std::printf("given back before the end: %zu bytes\n", ortpool::trim(runtime));
} catch (const std::exception &failed) {
    std::fprintf(stderr, "failed: %s\n", failed.what());
    return 1;
}
