/* SPDX-License-Identifier: MIT */
/*
 * ortpool for C++17: handles that give back what they hold, failures as exceptions, and nothing else.
 * Header only. What a function does, its units, threads and errors are in the C header of the same
 * name; a handle's get() is the C object, so that both can be mixed.
 *
 *     auto runtime = ortpool::make_runtime(&Ort::GetApi(), env, 64 << 20);    env: an Ort::Env
 *     auto session = ortpool::make_session(runtime, "model.onnx", settings);  settings: Ort::SessionOptions
 *     auto z = ortpool::run(session, input_names, x, 2, output_names, 1);     x: Ort::Value[2]
 *     ortpool::trim(runtime);
 *     std::cout << ortpool::ledger(runtime);
 *
 * Objects of onnxruntime_cxx_api.h are taken as they are. Its header is not needed here, and may be
 * included before this one, after it, or not at all.
 *
 * A handle is a std::unique_ptr: it moves, is not copied, and an empty one is nullptr. Handles must be
 * destroyed in the reverse order of their making, as members and locals are: a runtime that is
 * destroyed while something of it is in use is left as it is (leaked, never dangling).
 * Predictors are in predict.hpp.
 */
#ifndef ORTPOOL_HPP
#define ORTPOOL_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <ortpool/ortpool.h>

namespace ortpool
{

/* A status that is not ORTP_OK. what(): the error's message. */
class failure : public std::runtime_error
{
  public:
    failure(ortp_status status, const ortp_error &error)
        : std::runtime_error(error.message[0] != '\0' ? error.message : ortp_status_text(status)),
          status_(status)
    {
    }
    ortp_status status() const noexcept
    {
        return status_;
    }

  private:
    ortp_status status_;
};

/* Throws failure unless status is ORTP_OK. */
inline void check(ortp_status status, const ortp_error &error = ORTP_ERROR_INIT)
{
    if (status != ORTP_OK) {
        throw failure(status, error);
    }
}

/* The C function that ends each handle. */
struct closer {
    void operator()(ortp_budget *budget) const noexcept
    {
        (void)ortp_budget_destroy(budget, nullptr);
    }
    void operator()(ortp_runtime *runtime) const noexcept
    {
        (void)ortp_runtime_destroy(runtime, nullptr);
    }
    void operator()(ortp_tensor_pool *pool) const noexcept
    {
        (void)ortp_tensor_pool_destroy(pool, nullptr);
    }
    void operator()(ortp_tensor *tensor) const noexcept
    {
        (void)ortp_tensor_release(tensor);
    }
    void operator()(ortp_block *block) const noexcept
    {
        (void)ortp_block_release(block);
    }
    void operator()(ortp_session *session) const noexcept
    {
        (void)ortp_session_destroy(session, nullptr);
    }
};

template <class Object> using handle = std::unique_ptr<Object, closer>;
using budget = handle<ortp_budget>;
using runtime = handle<ortp_runtime>;
using tensor_pool = handle<ortp_tensor_pool>;
using tensor = handle<ortp_tensor>;
using block = handle<ortp_block>;
using session = handle<ortp_session>;

/* ---- making ---- */

inline budget make_budget(const ortp_budget_options &options)
{
    ortp_budget *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_budget_create(&options, &made, &error), error);
    return budget(made);
}

inline runtime make_runtime(const ortp_runtime_options &options)
{
    ortp_runtime *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_runtime_create(&options, &made, &error), error);
    return runtime(made);
}

/* Over the application's own ORT; env nullptr: the runtime makes one. api_version: see runtime.h. */
inline runtime make_runtime(const OrtApi *api, OrtEnv *env, std::size_t limit_bytes,
                            std::uint32_t api_version = 0)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = api;
    options.env = env;
    options.limit_bytes = limit_bytes;
    options.api_version = api_version;
    return make_runtime(options);
}

inline tensor_pool make_tensor_pool(const ortp_tensor_pool_options &options)
{
    ortp_tensor_pool *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_tensor_pool_create(&options, &made, &error), error);
    return tensor_pool(made);
}

inline tensor_pool make_tensor_pool(const runtime &of)
{
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = of.get();
    return make_tensor_pool(options);
}

inline session make_session(const ortp_session_options &options)
{
    ortp_session *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_session_create(&options, &made, &error), error);
    return session(made);
}

/* ort_options: an Ort::SessionOptions, an OrtSessionOptions * or nullptr; cloned, never changed. */
inline session make_session(const runtime &in, const char *path,
                            const OrtSessionOptions *ort_options = nullptr)
{
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = in.get();
    options.path = path;
    options.ort_options = ort_options;
    return make_session(options);
}

namespace detail
{

inline OrtSession *release(OrtSession *made) noexcept
{
    return made;
}

/* An Ort::Session. */
template <class Session, class = decltype(std::declval<Session &>().release())>
OrtSession *release(Session made) noexcept
{
    return made.release();
}

template <class Create> struct creation {
    Create &create;
    std::exception_ptr thrown;
};

template <class Create>
OrtStatus *create_session(void *ctx, OrtEnv *env, const OrtSessionOptions *options,
                          OrtSession **out) noexcept
{
    auto *made = static_cast<creation<Create> *>(ctx);
    try {
        *out = release(made->create(env, options));
    } catch (...) {
        made->thrown = std::current_exception();
    }
    return nullptr;
}

} // namespace detail

/*
 * A session that the application creates itself: create(OrtEnv *, const OrtSessionOptions *) returns an
 * OrtSession * or an Ort::Session, which becomes the handle's. What it throws leaves here. See
 * ortp_session_create_fn in session.h.
 */
template <class Create> session make_session(ortp_session_options options, Create &&create)
{
    using callable = std::remove_reference_t<Create>;
    detail::creation<callable> making{create, nullptr};
    options.create = detail::create_session<callable>;
    options.create_ctx = &making;
    ortp_session *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = ortp_session_create(&options, &made, &error);
    if (making.thrown) {
        std::rethrow_exception(making.thrown);
    }
    check(status, error);
    return session(made);
}

/* ---- using ---- */

/* The element type of a C++ type; a type that ortpool has none for does not compile. */
template <class Element> constexpr ortp_type type_of() noexcept
{
    static_assert(std::is_arithmetic<Element>::value, "no element type of ortpool");
    if constexpr (std::is_same<Element, bool>::value) {
        static_assert(sizeof(bool) == 1, "a bool of ortpool is one byte");
        return ORTP_TYPE_BOOL;
    } else if constexpr (std::is_floating_point<Element>::value) {
        static_assert(sizeof(Element) == 4 || sizeof(Element) == 8, "float or double");
        return sizeof(Element) == 4 ? ORTP_TYPE_FLOAT : ORTP_TYPE_DOUBLE;
    } else if constexpr (std::is_signed<Element>::value) {
        return sizeof(Element) == 1   ? ORTP_TYPE_INT8
               : sizeof(Element) == 2 ? ORTP_TYPE_INT16
               : sizeof(Element) == 4 ? ORTP_TYPE_INT32
                                      : ORTP_TYPE_INT64;
    } else {
        return sizeof(Element) == 1   ? ORTP_TYPE_UINT8
               : sizeof(Element) == 2 ? ORTP_TYPE_UINT16
               : sizeof(Element) == 4 ? ORTP_TYPE_UINT32
                                      : ORTP_TYPE_UINT64;
    }
}

/* rank dimensions; the elements are what the last user left there. */
inline tensor acquire(const tensor_pool &pool, ortp_type type, const std::int64_t *shape,
                      std::size_t rank)
{
    ortp_tensor *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_tensor_acquire(pool.get(), type, shape, rank, &made, &error), error);
    return tensor(made);
}

template <class Element>
tensor acquire(const tensor_pool &pool, std::initializer_list<std::int64_t> shape)
{
    return acquire(pool, type_of<Element>(), shape.begin(), shape.size());
}

/* Throws std::invalid_argument where the tensor's elements are of another type. */
template <class Element> Element *data(const tensor &of)
{
    if (ortp_tensor_type(of.get()) != type_of<Element>()) {
        throw std::invalid_argument(std::string("the tensor holds ") +
                                    ortp_type_name(ortp_tensor_type(of.get())) + ", not " +
                                    ortp_type_name(type_of<Element>()));
    }
    return static_cast<Element *>(ortp_tensor_data(of.get()));
}

/* ortp_session_run(), see session.h: names nullptr: the session's own; outputs[i] nullptr: ORT allocates it. */
inline void run(const session &in, const ortp_run_options &options, const char *const *input_names,
                const OrtValue *const *inputs, std::size_t input_count,
                const char *const *output_names, OrtValue **outputs, std::size_t output_count)
{
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_session_run(in.get(), &options, input_names, inputs, input_count, output_names,
                           outputs, output_count, &error),
          error);
}

namespace detail
{

/* Pointers for one call: few of them take no memory. */
class pointers
{
  public:
    explicit pointers(std::size_t count) : more_(count > few ? new OrtValue *[count]() : nullptr)
    {
    }
    OrtValue **data() noexcept
    {
        return more_ ? more_.get() : few_;
    }
    OrtValue *&operator[](std::size_t i) noexcept
    {
        return data()[i];
    }

  private:
    static constexpr std::size_t few = 8;
    OrtValue *few_[few] = {};
    std::unique_ptr<OrtValue *[]> more_;
};

/* Ort::Value, or what else converts to OrtValue * and is made of one. */
template <class Value>
using if_value = std::enable_if_t<!std::is_pointer<Value>::value &&
                                  std::is_convertible<const Value &, OrtValue *>::value>;

template <class Value> pointers pointers_to(const Value *values, std::size_t count)
{
    pointers all(count);
    for (std::size_t i = 0; i < count; i++) {
        all[i] = values[i];
    }
    return all;
}

} // namespace detail

/*
 * In place of Ort::Session::Run: its names, values and counts, with the session first and ortpool's run
 * options last, which may be left out. An empty output is ORT's to allocate and is
 * filled in; others are preallocated, with their exact shapes.
 */
template <class Value, class = detail::if_value<Value>>
void run(const session &in, const char *const *input_names, const Value *inputs,
         std::size_t input_count, const char *const *output_names, Value *outputs,
         std::size_t output_count, const ortp_run_options &options = ORTP_RUN_OPTIONS_INIT)
{
    auto from = detail::pointers_to(inputs, input_count);
    auto to = detail::pointers_to(outputs, output_count);
    run(in, options, input_names, from.data(), input_count, output_names, to.data(), output_count);
    for (std::size_t i = 0; i < output_count; i++) {
        if (static_cast<OrtValue *>(outputs[i]) == nullptr) {
            outputs[i] = Value(to[i]);
        }
    }
}

/* All outputs are ORT's to allocate. */
template <class Value, class = detail::if_value<Value>>
std::vector<Value> run(const session &in, const char *const *input_names, const Value *inputs,
                       std::size_t input_count, const char *const *output_names,
                       std::size_t output_count,
                       const ortp_run_options &options = ORTP_RUN_OPTIONS_INIT)
{
    std::vector<Value> outputs;
    outputs.reserve(output_count);
    for (std::size_t i = 0; i < output_count; i++) {
        outputs.emplace_back(static_cast<OrtValue *>(nullptr));
    }
    run(in, input_names, inputs, input_count, output_names, outputs.data(), output_count, options);
    return outputs;
}

/* Bytes given back: everything that is idle. */
inline std::size_t trim(const runtime &of)
{
    std::size_t freed = 0;
    check(ortp_runtime_trim(of.get(), ORTP_UNLIMITED, &freed));
    return freed;
}

/* The statistics of a runtime as a table, a line each. */
inline std::string ledger(const runtime &of)
{
    ortp_stats stats = ORTP_STATS_INIT;
    check(ortp_stats_collect(of.get(), &stats));
    std::size_t length = 0;
    check(ortp_stats_write(&stats, ORTP_STATS_TABLE, nullptr, 0, &length));
    std::string text(length + 1, '\0');
    check(ortp_stats_write(&stats, ORTP_STATS_TABLE, &text[0], text.size(), nullptr));
    text.resize(length);
    return text;
}

} // namespace ortpool

#endif
