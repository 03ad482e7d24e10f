/* SPDX-License-Identifier: MIT */
/*
 * libortpool-predict for C++17, as ortpool.hpp is for libortpool, which it includes.
 */
#ifndef ORTPOOL_PREDICT_HPP
#define ORTPOOL_PREDICT_HPP

#include <memory>

#include <ortpool/ortpool.hpp>
#include <ortpool/predict.h>

namespace ortpool
{

/* The C function that ends a predictor. */
struct predictor_closer {
    void operator()(ortp_predictor *predictor) const noexcept
    {
        (void)ortp_predictor_destroy(predictor, nullptr);
    }
};
using predictor = std::unique_ptr<ortp_predictor, predictor_closer>;

inline predictor make_predictor(const ortp_predictor_options &options)
{
    ortp_predictor *made = nullptr;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_predictor_create(&options, &made, &error), error);
    return predictor(made);
}

inline ortp_prediction predict(const predictor &with, const ortp_swipe &swipe,
                               const ortp_predict_options &options = ORTP_PREDICT_OPTIONS_INIT)
{
    ortp_prediction found = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    check(ortp_predictor_predict(with.get(), &swipe, &options, &found, &error), error);
    return found;
}

} // namespace ortpool

#endif
