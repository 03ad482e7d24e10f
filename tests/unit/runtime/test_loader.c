/* SPDX-License-Identifier: MIT */
/*
 * Finding an ONNX Runtime: what is tried, what is said when there is none, which API is asked for.
 * Every test has a folder of its own, below the current one, and an environment that is put back.
 * Each opening is in a process of its own: one that is loaded already would be found by its name.
 */
#define _XOPEN_SOURCE 700 /* nftw() */

#include "test_ort.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_BYTES 1024 /* of the loader */

static const char *const names[] = {"ORTPOOL_ONNXRUNTIME", "XDG_CACHE_HOME", "HOME",
                                    "FAKE_ORT_VERSION", "ORT_DISABLE_TELEMETRY"};
#define NAMES (sizeof(names) / sizeof(names[0]))
static char *kept[NAMES];
static char folder[] = "unit_loader_XXXXXX";

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        const char *value = getenv(names[i]);
        kept[i] = value ? strdup(value) : NULL;
    }
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at)
{
    (void)about;
    (void)kind;
    (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        if (kept[i]) {
            (void)setenv(names[i], kept[i], 1);
        } else {
            (void)unsetenv(names[i]);
        }
        free(kept[i]);
    }
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path below the test's folder; valid until the fourth call after it. */
__attribute__((format(printf, 1, 2))) static const char *below(const char *format, ...)
{
    static char paths[4][4096];
    static size_t next;
    char *path = paths[next++ % 4];
    const int used = snprintf(path, sizeof(paths[0]), "%s/", folder);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(path + used, sizeof(paths[0]) - (size_t)used, format, arguments);
    va_end(arguments);
    return path;
}

typedef struct outcome {
    bool found, telemetry_off;
    ort_library library; /* the API is the other process's */
    char message[8192];
} outcome;

/* What opening with `bytes` for the message gives, in a process of its own. */
static const outcome *open_apart(size_t bytes)
{
    static outcome out;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        memset(&out, 0, sizeof(out));
        out.found = ort_library_open(&out.library, bytes > 0 ? out.message : NULL, bytes);
        out.telemetry_off = getenv("ORT_DISABLE_TELEMETRY") != NULL;
        exit(write(ends[1], &out, sizeof(out)) == (ssize_t)sizeof(out) ? 0 : 1);
    }
    (void)close(ends[1]);
    size_t got = 0;
    for (ssize_t part = 1; part > 0; got += (size_t)part) {
        part = read(ends[0], (char *)&out + got, sizeof(out) - got);
        assert_true(part >= 0);
    }
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(got, sizeof(out));
    return &out;
}

/* Opens with these two set; NULL: not set. */
static const outcome *open_with(const char *release, const char *cache)
{
    (void)(release ? setenv("ORTPOOL_ONNXRUNTIME", release, 1) : unsetenv("ORTPOOL_ONNXRUNTIME"));
    (void)(cache ? setenv("XDG_CACHE_HOME", cache, 1) : unsetenv("XDG_CACHE_HOME"));
    return open_apart(sizeof(((outcome *)NULL)->message));
}

static void found_at(const char *release, const char *cache, const char *place)
{
    const outcome *out = open_with(release, cache);
    if (!out->found || strstr(out->library.path, place) == NULL) {
        fail_msg("not \"%s\" but \"%s\"\n%s", place, out->library.path, out->message);
    }
}

static void refused(const char *release, const char *cache, const char *said)
{
    const outcome *out = open_with(release, cache);
    assert_false(out->found);
    assert_null(out->library.api);
    if (strstr(out->message, said) == NULL) {
        fail_msg("\"%s\"\n  is not in \"%s\"", said, out->message);
    }
    assert_int_not_equal(out->message[strlen(out->message) - 1], '\n');
}

/* The one that all tests use; and whether it is the system's own, which comes before a fetched. */
static char found_file[4096];
static bool installed;

static void the_found_one_is_described(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("ORT_DISABLE_TELEMETRY"), 0);
    const outcome *out = open_apart(sizeof(out->message));
    const ort_library *library = &out->library;
    assert_true(out->found);
    assert_non_null(library->api);
    assert_true(library->api_version >= ORT_LOADER_API_MIN);
    assert_true(library->api_version <= ORT_API_VERSION);
    assert_true(strncmp(library->version, "1.", 2) == 0);
    assert_true(strtoul(library->version + 2, NULL, 10) >= library->api_version);
    assert_non_null(strstr(library->path, "onnxruntime"));
    assert_true(out->telemetry_off);
}

static void a_named_folder_without_a_library_is_an_error(void **state)
{
    (void)state;
    refused("/nonexistent/onnxruntime", NULL,
            "\n    ORTPOOL_ONNXRUNTIME=/nonexistent/onnxruntime: no lib");
    const outcome *out = open_apart(16);
    assert_false(out->found);
    assert_int_equal(strlen(out->message), 15);
    assert_false(open_apart(0)->found);

    /* A file of the right name that is no library, and one that is not there. */
    assert_int_equal(mkdir(below("lib"), 0700), 0);
    test_write_file(below("lib/libonnxruntime.so.1.99.0"), "no library", 10);
    static const char *const older[] = {"1.99", "1.98.7", "1.9.9", "0.100", "1.99-rc", "1.99."};
    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++) {
        test_write_file(below("lib/libonnxruntime.so.%s", older[i]), "no library", 10);
    }
    refused(folder, NULL, "libonnxruntime.so.1.99.0: ");
    assert_int_equal(symlink("nowhere", below("lib/libonnxruntime.so.1.100")), 0);
    refused(folder, NULL, "no lib/libonnxruntime.so in it");
}

/* A release folder, the test's own, whose library is this file. */
static void use(const char *library)
{
    (void)mkdir(below("lib"), 0700);
    (void)unlink(below("lib/libonnxruntime.so"));
    assert_int_equal(symlink(library, below("lib/libonnxruntime.so")), 0);
}

static void a_library_that_is_no_onnx_runtime_is_said(void **state)
{
    (void)state;
    use(NO_ORT);
    refused(folder, NULL, "/lib/libonnxruntime.so: no OrtGetApiBase in it");
}

static void an_onnx_runtime_of_another_time_is_said(void **state)
{
    (void)state;
    use(FAKE_ORT);
    static const char *const versions[] = {"1.9.0", "1.17.3", "2", "1.999.0"};
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        char said[64];
        (void)snprintf(said, sizeof(said), ": version %s, 1.%u or newer is needed", versions[i],
                       ORT_LOADER_API_MIN);
        assert_int_equal(setenv("FAKE_ORT_VERSION", versions[i], 1), 0);
        refused(folder, NULL, said);
    }
}

/* Paths are cut nowhere: one that is too long for the loader is as one that is not there. */
static void long_names_are_not_found(void **state)
{
    (void)state;
    char name[2048];
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = 0;
    refused(name, NULL, "no lib/libonnxruntime.so in it");
    if (!installed) {
        refused(NULL, name, "none fetched");
    }

    /* A folder whose own name fits, as does lib/ below it, but no library's below that. */
    char deep[1024] = "";
    const size_t wanted = PATH_BYTES - sizeof("/lib/libonnxruntime.so.1.99.0") + 1;
    (void)snprintf(deep, sizeof(deep), "%s", folder);
    while (strlen(deep) < wanted) {
        const size_t length = strlen(deep);
        const size_t more = wanted - length < 202 ? wanted - length : 101;
        deep[length] = '/';
        memset(deep + length + 1, 'd', more - 1);
        deep[length + more] = 0;
        assert_int_equal(mkdir(deep, 0700), 0);
    }
    char lib[1200];
    (void)snprintf(lib, sizeof(lib), "%s/lib", deep);
    assert_int_equal(mkdir(lib, 0700), 0);
    (void)snprintf(lib, sizeof(lib), "%s/lib/libonnxruntime.so.1.99.0", deep);
    test_write_file(lib, "no library", 10);
    refused(deep, NULL, "no lib/libonnxruntime.so in it");
}

/* A release folder in the test's cache, of this machine's kind unless told. */
static const char *release(const char *version, const char *kind)
{
    struct utsname machine;
    assert_true(uname(&machine) >= 0);
    return below("ortpool/onnxruntime-%s-%s", version, kind ? kind : machine.machine);
}

static void the_newest_fetched_one_is_taken(void **state)
{
    (void)state;
    if (installed) {
        skip();
    }
    static const char *const older[] = {"1.9.0",     "1.29.0", "1.28.9",
                                        "1.29.0-rc", "1.29",   "0.100.0"};
    assert_int_equal(mkdir(below("ortpool"), 0700), 0);
    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++) {
        assert_int_equal(mkdir(release(older[i], NULL), 0700), 0); /* taking one would fail */
    }
    assert_int_equal(mkdir(release("1.31.0", "another"), 0700), 0);
    assert_int_equal(mkdir(below("ortpool/onnxruntime-1"), 0700), 0);
    assert_int_equal(mkdir(below("ortpool/other-9.0"), 0700), 0);
    assert_int_equal(mkdir(release("1.30.0", NULL), 0700), 0);
    char lib[2048];
    (void)snprintf(lib, sizeof(lib), "%s/lib", release("1.30.0", NULL));
    assert_int_equal(mkdir(lib, 0700), 0);
    (void)snprintf(lib, sizeof(lib), "%s/lib/libonnxruntime.so", release("1.30.0", NULL));
    assert_int_equal(symlink(found_file, lib), 0);
    found_at(NULL, folder, "onnxruntime-1.30.0-");
    found_at("", folder, "onnxruntime-1.30.0-"); /* an empty name is as none */

    /* The same below the home folder, with an empty cache. */
    assert_int_equal(mkdir(below(".cache"), 0700), 0);
    assert_int_equal(rename(below("ortpool"), below(".cache/ortpool")), 0);
    assert_int_equal(setenv("HOME", folder, 1), 0);
    found_at(NULL, NULL, "/.cache/ortpool/onnxruntime-1.30.0-");
    found_at(NULL, "", "/.cache/ortpool/onnxruntime-1.30.0-");

    /* A newest one that cannot be used is said: no older one is taken in its place. */
    assert_int_equal(rename(below(".cache/ortpool"), below("ortpool")), 0);
    assert_int_equal(unlink(lib), 0);
    refused(NULL, folder, "/ortpool/onnxruntime-*: none fetched");
    assert_int_equal(symlink(NO_ORT, lib), 0);
    refused(NULL, folder, "libonnxruntime.so: no OrtGetApiBase in it");
    refused(NULL, folder, "ORTPOOL_ONNXRUNTIME is not set");
}

#define OWN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const outcome *out = open_apart(sizeof(out->message));
    if (!out->found) {
        (void)fprintf(stderr, "skipped: %s\n", out->message);
        return TEST_SKIPPED;
    }
    installed = !realpath(out->library.path, found_file);
    const struct CMUnitTest tests[] = {
        OWN_FOLDER(the_found_one_is_described),
        OWN_FOLDER(a_named_folder_without_a_library_is_an_error),
        OWN_FOLDER(a_library_that_is_no_onnx_runtime_is_said),
        OWN_FOLDER(an_onnx_runtime_of_another_time_is_said),
        OWN_FOLDER(long_names_are_not_found),
        OWN_FOLDER(the_newest_fetched_one_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
