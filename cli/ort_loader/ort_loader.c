/* SPDX-License-Identifier: MIT */
/*
 * See ort_loader.h. The only place of the project that opens a library at run time.
 */
#define _POSIX_C_SOURCE 200809L

#include "ort_loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PATH_BYTES 1024

typedef struct text {
    char *at;
    size_t left; /* including the final 0 */
} text;

__attribute__((format(printf, 2, 3))) static void say(text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(out->at, out->left, format, arguments);
    va_end(arguments);
    const size_t used = length < 0 ? 0 : (size_t)length;
    const size_t taken = used < out->left ? used : (out->left > 0 ? out->left - 1 : 0);
    out->at += taken;
    out->left -= taken;
}

static bool join(char *path, const char *folder, const char *name)
{
    const int length = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return (size_t)length < PATH_BYTES;
}

static bool starts_with(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

/* Compares "onnxruntime-1.9.0-x" and "onnxruntime-1.29.0-x" as people do: numbers by value. */
static int compare_versions(const char *a, const char *b)
{
    while (*a && *b) {
        if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
            char *a_end = NULL;
            char *b_end = NULL;
            const unsigned long a_number = strtoul(a, &a_end, 10);
            const unsigned long b_number = strtoul(b, &b_end, 10);
            if (a_number != b_number) {
                return a_number < b_number ? -1 : 1;
            }
            a = a_end;
            b = b_end;
        } else if (*a != *b) {
            return *a < *b ? -1 : 1;
        } else {
            ++a;
            ++b;
        }
    }
    return *a ? 1 : -1; /* one folder has no two names that are equal */
}

static bool ends_with(const char *name, const char *end)
{
    const size_t name_length = strlen(name);
    const size_t end_length = strlen(end);
    return name_length >= end_length && strcmp(name + name_length - end_length, end) == 0;
}

/* The entry of `folder` that starts and ends like this and is the newest of them by its name. */
static bool newest_entry(const char *folder, const char *start, const char *end, char *name)
{
    DIR *directory = opendir(folder);
    if (!directory) {
        return false;
    }
    name[0] = 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (starts_with(entry->d_name, start) && ends_with(entry->d_name, end) &&
            (!name[0] || compare_versions(name, entry->d_name) < 0)) {
            memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
        }
    }
    (void)closedir(directory);
    return name[0] != 0;
}

/* The library inside a release folder. */
static bool find_in_release(const char *folder, char *path)
{
    static const char *const names[] = {"lib/libonnxruntime.so", "lib/libonnxruntime.so.1",
                                        "lib/libonnxruntime.dylib"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (join(path, folder, names[i]) && access(path, R_OK) == 0) {
            return true;
        }
    }
    char lib[PATH_BYTES];
    char name[PATH_BYTES];
    return join(lib, folder, "lib") && newest_entry(lib, "libonnxruntime.so.", "", name) &&
           join(path, lib, name) && access(path, R_OK) == 0;
}

/* The user's folder by the environment, or else by the system's list of users; "": none known. */
static const char *find_home(char *fields, size_t bytes)
{
    const char *given = getenv("HOME");
    if (given && given[0]) {
        return given;
    }
    struct passwd entry;
    struct passwd *found = NULL;
    (void)getpwuid_r(geteuid(), &entry, fields, bytes, &found);
    return found ? found->pw_dir : "";
}

/* The newest release folder that setup.sh left for this kind of machine; *looked: where. */
static bool find_fetched(char *path, char *looked)
{
    const char *base = getenv("XDG_CACHE_HOME");
    const char *below = "ortpool";
    char fields[4 * PATH_BYTES];
    if (!base || !base[0]) {
        base = find_home(fields, sizeof(fields));
        below = ".cache/ortpool";
    }
    if (!base[0] || !join(looked, base, below)) {
        return false;
    }
    struct utsname machine; /* a home may be shared by machines of several kinds */
    (void)uname(&machine);  /* fails for a bad address alone */
    char name[PATH_BYTES];
    char folder[PATH_BYTES];
    return newest_entry(looked, "onnxruntime-", machine.machine, name) &&
           join(folder, looked, name) && find_in_release(folder, path);
}

static uint32_t minor_of(const char *version)
{
    const char *dot = strchr(version, '.');
    return dot ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;
}

/* Opens one candidate; says why not. */
static bool open_at(const char *path, ort_library *library, text *out)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        say(out, "\n    %s", dlerror());
        return false;
    }
    /* POSIX has function addresses come as void *; ISO C wants them copied. */
    void *symbol = dlsym(handle, "OrtGetApiBase");
    const OrtApiBase *(ORT_API_CALL * get_base)(void) = NULL;
    memcpy(&get_base, &symbol, sizeof(get_base));
    if (!symbol) {
        say(out, "\n    %s: no OrtGetApiBase in it", path);
        (void)dlclose(handle);
        return false;
    }
    const OrtApiBase *base = get_base();
    const char *version = base->GetVersionString();
    const uint32_t minor = minor_of(version);
    const uint32_t wanted = minor < ORT_API_VERSION ? minor : ORT_API_VERSION;
    const OrtApi *api = wanted >= ORT_LOADER_API_MIN ? base->GetApi(wanted) : NULL;
    if (!api) {
        say(out, "\n    %s: version %s, 1.%u or newer is needed", path, version,
            ORT_LOADER_API_MIN);
        return false; /* stays open: it may have started threads */
    }
    library->api = api;
    library->api_version = wanted;
    (void)snprintf(library->version, sizeof(library->version), "%s", version);
    (void)snprintf(library->path, sizeof(library->path), "%s", path);
    return true;
}

static bool open_installed(ort_library *library, text *out)
{
    static const char *const names[] = {"libonnxruntime.so.1", "libonnxruntime.so",
                                        "libonnxruntime.dylib"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (open_at(names[i], library, out)) {
            return true;
        }
    }
    return false;
}

/* For a program that is installed and for one in the folder of the sources. */
static void say_help(text *out)
{
    say(out, "\nInstall ONNX Runtime 1.%u or newer, or unpack a release of it and set ORTPOOL_ONNXRUNTIME to its "
             "folder.\nIn the folder of ortpool's sources, `make demo` fetches one.",
        ORT_LOADER_API_MIN);
}

bool ort_library_open(ort_library *library, char *message, size_t message_bytes)
{
    memset(library, 0, sizeof(*library));
    if (message_bytes > 0) {
        message[0] = 0;
    }
    (void)setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* 0: who set it has decided */
    text out = {message, message_bytes};
    say(&out, "no ONNX Runtime could be opened:");
    char path[PATH_BYTES];
    const char *folder = getenv("ORTPOOL_ONNXRUNTIME");
    if (folder && folder[0]) {
        if (find_in_release(folder, path)) {
            if (open_at(path, library, &out)) {
                return true;
            }
        } else {
            say(&out, "\n    ORTPOOL_ONNXRUNTIME=%s: no lib/libonnxruntime.so in it", folder);
        }
        say_help(&out);
        return false;
    }
    say(&out, "\n    ORTPOOL_ONNXRUNTIME is not set");
    if (open_installed(library, &out)) {
        return true;
    }
    char looked[PATH_BYTES] = "";
    if (find_fetched(path, looked)) {
        if (open_at(path, library, &out)) {
            return true;
        }
    } else {
        say(&out, "\n    %s/onnxruntime-*: none fetched",
            looked[0] ? looked : "(no home folder)");
    }
    say_help(&out);
    return false;
}
