/* SPDX-License-Identifier: MIT */
/*
 * ortpool for C++17: handles that give back what they hold, failures as exceptions, and nothing else.
 * Header only. What a function does, its units, threads and errors are in the C header of the same
 * name; a handle's get() is the C object, so that both can be mixed.
 *
 *     auto runtime = ortpool::make_runtime(options);
 *     auto tensors = ortpool::make_tensor_pool(runtime);
 *     auto x = ortpool::acquire<float>(tensors, {1, 1024});
 *     float *numbers = ortpool::data<float>(x);
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
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

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

/*
 * A session that the application creates itself: `create` is called between ortp_session_options_prepare()
 * and ortp_session_adopt(), on this thread, and returns its OrtSession *. That one stays the application's
 * and is released after the handle and before the runtime. Where `create` throws or returns nullptr the
 * preparation is undone.
 */
template <class Create>
session adopt_session(const ortp_session_options &options, OrtSessionOptions *settings,
                      Create &&create)
{
    ortp_session *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_session_options_prepare(&options, settings, &made, &error), error);
    session prepared(made);
    OrtSession *ort = std::forward<Create>(create)();
    check(ortp_session_adopt(made, ort, &error), error);
    return prepared;
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

/* ortp_run(), see session.h: outputs[i] nullptr: ORT allocates it. */
inline void run(const session &in, const ortp_run_options &options, const char *const *input_names,
                const OrtValue *const *inputs, std::size_t input_count,
                const char *const *output_names, OrtValue **outputs, std::size_t output_count)
{
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_run(in.get(), &options, input_names, inputs, input_count, output_names, outputs,
                   output_count, &error),
          error);
}

/* Bytes given back: everything that is idle. */
inline std::size_t trim(const runtime &of)
{
    std::size_t freed = 0;
    check(ortp_runtime_trim(of.get(), ORTP_UNLIMITED, &freed));
    return freed;
}

} // namespace ortpool

#endif
