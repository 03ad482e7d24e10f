/* SPDX-License-Identifier: MIT */
/* The C++ header without an ONNX Runtime: handles end what they hold, failures are exceptions. */
#include <ortpool/ortpool.hpp>

#include <cstdio>
#include <cstring>

static_assert(ortpool::type_of<long long>() == ORTP_TYPE_INT64, "as wide as an int64");
static_assert(ortpool::type_of<bool>() == ORTP_TYPE_BOOL, "not a uint8");
static_assert(!std::is_copy_constructible<ortpool::runtime>::value, "a handle only moves");

static bool refused(ortp_status expected, void (*attempt)())
{
    try {
        attempt();
    } catch (const ortpool::failure &failed) {
        return failed.status() == expected && std::strlen(failed.what()) > 0;
    }
    return false;
}

int main()
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = 1 << 20;
    {
        ortpool::budget budget = ortpool::make_budget(options);
        ortpool::budget moved = std::move(budget);
        if (budget != nullptr || ortp_budget_usage(moved.get()) >= 1) {
            return 1;
        }
    }
    if (!refused(ORTP_E_INVAL, [] { ortpool::make_runtime(ORTP_RUNTIME_OPTIONS_INIT); }) ||
        !refused(ORTP_E_INVAL, [] { ortpool::make_tensor_pool(ortpool::runtime()); }) ||
        !refused(ORTP_E_INVAL, [] { ortpool::make_session(ORTP_SESSION_OPTIONS_INIT); })) {
        return 1;
    }
    std::printf("ortpool %s in C++\n", ortp_version());
    return 0;
}
