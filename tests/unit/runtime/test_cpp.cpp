/* SPDX-License-Identifier: MIT */
/*
 * ortpool.hpp over the objects of onnxruntime_cxx_api.h: what is taken, what is given, what is thrown.
 */
extern "C" {
#include "test_ort.h"
}

#define ORT_API_MANUAL_INIT /* the library is opened by the test */
#include <onnxruntime_cxx_api.h>
#include <ortpool/ortpool.hpp>

#include <csetjmp>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
extern "C" {
#include <cmocka.h>
}

static const char *const inputs[] = {"x", "y"};
static const char *const outputs[] = {"z"};

static Ort::Value value_over(std::vector<float> &data)
{
    const auto cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    const std::int64_t count = static_cast<std::int64_t>(data.size());
    return Ort::Value::CreateTensor<float>(cpu, data.data(), data.size(), &count, 1);
}

/* The 15 lines that a program over Ort:: objects needs, and what they give. */
static void a_program_over_orts_objects(void **state)
{
    (void)state;
    Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "app");
    Ort::SessionOptions settings;
    settings.SetIntraOpNumThreads(2);
    auto runtime = ortpool::make_runtime(test_ort_api(), env, 64 << 20);
    auto session =
        ortpool::make_session(runtime, test_file("tests/graphs/shapes/add.onnx"), settings);
    for (std::size_t count = 1; count <= 1 << 16; count *= 4) {
        std::vector<float> x(count, 1.5f), y(count, 2.0f);
        const Ort::Value in[] = {value_over(x), value_over(y)};
        const std::vector<Ort::Value> z = ortpool::run(session, inputs, in, 2, outputs, 1);
        assert_int_equal(z.size(), 1);
        assert_int_equal(z[0].GetTensorTypeAndShapeInfo().GetElementCount(), count);
        assert_true(z[0].GetTensorData<float>()[count - 1] == 3.5f);
        std::vector<float> place(count);
        Ort::Value both[] = {value_over(place)}; /* preallocated, names left out */
        ortpool::run(session, nullptr, in, 2, nullptr, both, 1);
        assert_true(place[count - 1] == 3.5f);
        Ort::Value empty[] = {Ort::Value(nullptr)}; /* ORT's to allocate */
        ortpool::run(session, inputs, in, 2, outputs, empty, 1);
        assert_true(empty[0].GetTensorData<float>()[0] == 3.5f);
    }
    assert_true(ortpool::trim(runtime) > 0);
    const std::string ledger = ortpool::ledger(runtime);
    assert_true(ledger.find("charged: mapped + declared") != std::string::npos);
    assert_true(ledger.find("allocations outside of session runs") != std::string::npos);
}

static void failures_are_exceptions(void **state)
{
    (void)state;
    auto runtime = ortpool::make_runtime(test_ort_api(), nullptr, 64 << 20);
    auto session = ortpool::make_session(runtime, test_file("tests/graphs/shapes/add.onnx"));
    std::vector<float> x(4);
    const Ort::Value in[] = {value_over(x)};
    try {
        ortpool::run(session, nullptr, in, 1, outputs, 1);
        fail_msg("a wrong count was let through");
    } catch (const ortpool::failure &failed) {
        assert_int_equal(failed.status(), ORTP_E_INVAL);
        assert_non_null(std::strstr(failed.what(), "the graph has 2"));
    }
    try {
        (void)ortpool::make_session(runtime, test_file("README.md"));
        fail_msg("a page was taken for a graph");
    } catch (const ortpool::failure &failed) {
        assert_int_equal(failed.status(), ORTP_E_INVAL);
        assert_non_null(std::strstr(failed.what(), "README.md"));
    }
}

/* A callback may give an Ort::Session or a pointer, and may throw what it likes. */
static void a_callback_creates_or_throws(void **state)
{
    (void)state;
    auto runtime = ortpool::make_runtime(test_ort_api(), nullptr, 64 << 20);
    const std::string path = test_file("tests/graphs/shapes/add.onnx");
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime.get();
    const auto raw = [&](OrtEnv *env, const OrtSessionOptions *prepared) {
        OrtSession *made = nullptr;
        Ort::ThrowOnError(test_ort_api()->CreateSession(env, path.c_str(), prepared, &made));
        return made;
    };
    auto first = ortpool::make_session(options, raw);
    auto second = ortpool::make_session(
        options, [&](OrtEnv *env, const OrtSessionOptions *prepared) {
            return Ort::Session(raw(env, prepared));
        });
    std::vector<float> x(4, 2.0f);
    const Ort::Value in[] = {value_over(x), value_over(x)};
    for (const ortpool::session *made : {&first, &second}) {
        const auto z = ortpool::run(*made, inputs, in, 2, outputs, 1);
        assert_true(z[0].GetTensorData<float>()[3] == 4.0f);
    }
    try {
        (void)ortpool::make_session(options, [](OrtEnv *, const OrtSessionOptions *) {
            return static_cast<OrtSession *>(nullptr);
        });
        fail_msg("no session was taken for one");
    } catch (const ortpool::failure &failed) {
        assert_int_equal(failed.status(), ORTP_E_INVAL);
    }
    try {
        (void)ortpool::make_session(options,
                                    [](OrtEnv *, const OrtSessionOptions *) -> OrtSession * {
                                        throw std::runtime_error("the callback's own");
                                    });
        fail_msg("what the callback threw was lost");
    } catch (const std::runtime_error &failed) {
        assert_string_equal(failed.what(), "the callback's own");
    }
}

/* More values than have room in the object itself. */
static void pointers_of_many_values(void **state)
{
    (void)state;
    for (std::size_t count = 7; count <= 10; count++) {
        OrtValue *values[10];
        for (std::size_t i = 0; i < count; i++) {
            values[i] = reinterpret_cast<OrtValue *>(i + 1);
        }
        auto all = ortpool::detail::pointers_to(values, count);
        auto moved = std::move(all);
        assert_memory_equal(moved.data(), values, count * sizeof *values);
        assert_int_equal(reinterpret_cast<std::size_t>(moved[count - 1]), count);
    }
}

int main()
{
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    if (test_ort_library()->api_version < ORT_API_VERSION) { /* the C++ header calls what this library lacks */
        return TEST_SKIPPED;
    }
    Ort::InitApi(test_ort_api());
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_program_over_orts_objects),
        cmocka_unit_test(failures_are_exceptions),
        cmocka_unit_test(pointers_of_many_values),
        cmocka_unit_test(a_callback_creates_or_throws),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
