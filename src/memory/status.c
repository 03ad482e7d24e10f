/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of the status codes, from their one list; and the version.
 */
#include <ortpool/status.h>

const char *ortp_status_name(ortp_status status)
{
    switch (status) {
#define STATUS_NAME(name, value, text)                                                             \
    case ORTP_##name:                                                                              \
        return "ORTP_" #name;
        ORTP_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    }
    return "ORTP_E_?";
}

const char *ortp_status_text(ortp_status status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case ORTP_##name:                                                                              \
        return text;
        ORTP_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *ortp_version(void)
{
    return ORTPOOL_VERSION;
}
