/* SPDX-License-Identifier: MIT */
/*
 * What a runtime was given and the rooms above it use, too: allocator, clock and log. Includes no
 * header of ONNX Runtime.
 */
#ifndef ORTP_RUNTIME_PARTS_H
#define ORTP_RUNTIME_PARTS_H

#include "private_api.h"

#include <ortpool/runtime.h>

/* Owned by the runtime, unchanged as long as it lives. The allocator has both of its functions. */
ORTP__PRIVATE_API const ortp_alloc *ortp__runtime_alloc(const ortp_runtime *runtime);
ORTP__PRIVATE_API const ortp_clock *ortp__runtime_clock(const ortp_runtime *runtime);
ORTP__PRIVATE_API const ortp_logger *ortp__runtime_log(const ortp_runtime *runtime);
/* Of the OrtApi that the host gave: ONNX Runtime is this version or a later one. */
ORTP__PRIVATE_API uint32_t ortp__runtime_api_version(const ortp_runtime *runtime);

#endif
