/* SPDX-License-Identifier: MIT */
/* See machine.h. */
#include "machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define DIGITS 9 /* of a number: jansson reads it again without a loss that matters */

#if defined(__clang__)
#define COMPILER                                                                                   \
    "clang " TEXT_OF(__clang_major__) "." TEXT_OF(__clang_minor__) "." TEXT_OF(__clang_patchlevel__)
#elif defined(__GNUC__)
#define COMPILER                                                                                   \
    "gcc " TEXT_OF(__GNUC__) "." TEXT_OF(__GNUC_MINOR__) "." TEXT_OF(__GNUC_PATCHLEVEL__)
#else
#define COMPILER "unknown"
#endif

/* The value of a line "name   : value" in the file; false: none. */
static bool line_of(const char *file, const char *name, char *value, size_t capacity)
{
    FILE *in = fopen(file, "r");
    if (in == NULL) {
        return false;
    }
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof(line), in) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, name, strlen(name)) == 0 && colon != NULL) {
            const char *from = colon + 1 + strspn(colon + 1, " \t");
            snprintf(value, capacity, "%.*s", (int)strcspn(from, "\n"), from);
            found = value[0] != '\0';
        }
    }
    (void)fclose(in);
    return found;
}

static json_t *cpu(void)
{
    static const char *const names[] = {"model name", "Hardware", "cpu model", "uarch"};
    char value[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (line_of("/proc/cpuinfo", names[i], value, sizeof(value))) {
            /* Anybody's bytes: what is no UTF-8 is no string of JSON. */
            json_t *text = json_string(value);
            return text != NULL ? text : json_null();
        }
    }
    return json_null();
}

static json_t *number_or_null(long long value)
{
    return value > 0 ? json_integer(value) : json_null();
}

json_t *machine_json(void)
{
    struct utsname system = {0};
    char name[sizeof(system.sysname) + sizeof(system.release) + sizeof(system.machine) + 4] = "";
    if (uname(&system) == 0) {
        snprintf(name, sizeof(name), "%s %s %s", system.sysname, system.release, system.machine);
    }
    const struct {
        const char *key;
        json_t *value;
    } members[] = {
        {"cpu", cpu()},
        {"cores", number_or_null(sysconf(_SC_NPROCESSORS_ONLN))},
        {"memory_bytes",
         number_or_null((long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE))},
        {"system", name[0] != '\0' ? json_string(name) : json_null()},
        {"compiler", json_string(COMPILER)},
    };
    json_t *out = json_object();
    bool whole = out != NULL;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        whole = json_object_set_new(out, members[i].key, members[i].value) == 0 && whole;
    }
    if (!whole) {
        json_decref(out);
        return NULL;
    }
    return out;
}

void machine_date(char date[MACHINE_DATE_BYTES])
{
    const time_t now = time(NULL);
    struct tm parts;
    date[0] = '\0';
    if (gmtime_r(&now, &parts) != NULL) {
        (void)strftime(date, MACHINE_DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

char *machine_document(const json_t *json)
{
    const size_t flags = JSON_INDENT(1) | JSON_REAL_PRECISION(DIGITS);
    const size_t bytes = json_dumpb(json, NULL, 0, flags);
    char *text = bytes > 0 ? malloc(bytes + 1) : NULL;
    if (text == NULL || json_dumpb(json, text, bytes, flags) != bytes) {
        free(text);
        return NULL;
    }
    text[bytes] = '\0';
    return text;
}
