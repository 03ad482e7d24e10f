// SPDX-License-Identifier: MIT
// The same from C++, over the objects of onnxruntime_cxx_api.h; failures are exceptions (the graph: z = x + y).
#include <cstdio>
#include <cstdlib>
#include <onnxruntime_cxx_api.h>
#include <ortpool/ortpool.hpp>

int main(int argc, char **argv)
try {
    setenv("ORT_DISABLE_TELEMETRY", "1", 0); // before the first env: ORT would start a telemetry client
    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "app");
    Ort::SessionOptions settings;
    settings.SetIntraOpNumThreads(2);
    auto runtime = ortpool::make_runtime(&Ort::GetApi(), env, 16 << 20, ORT_API_VERSION);
    auto session = ortpool::make_session(runtime, argc > 1 ? argv[1] : "add.onnx", settings);

    const char *inputs[] = {"x", "y"}, *outputs[] = {"z"};
    auto cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    for (std::int64_t count = 1024; count <= 1 << 22; count *= 64) {
        std::vector<float> x(static_cast<std::size_t>(count), 7.0f);
        Ort::Value in[] = {Ort::Value::CreateTensor<float>(cpu, x.data(), x.size(), &count, 1),
                           Ort::Value::CreateTensor<float>(cpu, x.data(), x.size(), &count, 1)};
        try { // in place of Ort::Session::Run
            auto z = ortpool::run(session, inputs, in, 2, outputs, 1);
            std::printf("%7d numbers: z[7] = %g\n", static_cast<int>(count), z[0].GetTensorData<float>()[7]);
        } catch (const ortpool::failure &failed) {
            std::printf("%7d numbers: %s\n", static_cast<int>(count), failed.what());
        }
    }
    std::printf("given back before the end: %zu bytes\n", ortpool::trim(runtime));
    std::fputs(ortpool::ledger(runtime).c_str(), stdout);
} catch (const std::exception &failed) {
    std::fprintf(stderr, "failed: %s\n", failed.what());
    return 1;
}
