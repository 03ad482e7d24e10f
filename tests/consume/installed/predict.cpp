/* SPDX-License-Identifier: MIT */
/* The C++ header of both libraries, as program.cpp. */
#include <ortpool/predict.hpp>

#include <cstdio>

int main()
{
    try {
        ortpool::make_predictor(ORTP_PREDICTOR_OPTIONS_INIT);
    } catch (const ortpool::failure &failed) {
        std::printf("ortpool %s with its predictor in C++\n", ortp_version());
        return failed.status() == ORTP_E_INVAL ? 0 : 1;
    }
    return 1;
}
