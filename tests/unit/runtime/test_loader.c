/* SPDX-License-Identifier: MIT */
/*
 * Finding an ONNX Runtime: what is tried, what is said when there is none, which API is asked for.
 */
#define _POSIX_C_SOURCE 200809L

#include "test_ort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

static void the_found_one_is_described(void **state)
{
    (void)state;
    const ort_library *library = test_ort_library();
    assert_non_null(library->api);
    assert_true(library->api_version >= ORT_LOADER_API_MIN);
    assert_true(library->api_version <= ORT_API_VERSION);
    assert_true(strncmp(library->version, "1.", 2) == 0);
    assert_true(strtoul(library->version + 2, NULL, 10) >= library->api_version);
    assert_non_null(strstr(library->path, "onnxruntime"));
    assert_non_null(getenv("ORT_DISABLE_TELEMETRY"));
}

static void a_named_folder_without_a_library_is_an_error(void **state)
{
    (void)state;
    char *before = getenv("ORTPOOL_ONNXRUNTIME");
    char kept[1024] = "";
    if (before) {
        (void)snprintf(kept, sizeof(kept), "%s", before);
    }
    assert_int_equal(setenv("ORTPOOL_ONNXRUNTIME", "/nonexistent/onnxruntime", 1), 0);
    ort_library library;
    char message[1024];
    assert_false(ort_library_open(&library, message, sizeof(message)));
    assert_null(library.api);
    assert_non_null(strstr(message, "ORTPOOL_ONNXRUNTIME=/nonexistent/onnxruntime"));
    char small[16];
    assert_false(ort_library_open(&library, small, sizeof(small)));
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_false(ort_library_open(&library, NULL, 0));

    /* A file of the right name that is no library. */
    char folder[] = "unit_loader_XXXXXX";
    assert_non_null(mkdtemp(folder));
    char lib[64];
    char file[128];
    (void)snprintf(lib, sizeof(lib), "%s/lib", folder);
    (void)snprintf(file, sizeof(file), "%s/libonnxruntime.so.1.99.0", lib);
    assert_int_equal(mkdir(lib, 0700), 0);
    test_write_file(file, "no library", 10);
    assert_int_equal(setenv("ORTPOOL_ONNXRUNTIME", folder, 1), 0);
    assert_false(ort_library_open(&library, message, sizeof(message)));
    assert_non_null(strstr(message, "libonnxruntime.so.1.99.0"));
    (void)unlink(file);
    (void)rmdir(lib);
    (void)rmdir(folder);

    if (before) {
        assert_int_equal(setenv("ORTPOOL_ONNXRUNTIME", kept, 1), 0);
    } else {
        assert_int_equal(unsetenv("ORTPOOL_ONNXRUNTIME"), 0);
    }
}

static void the_newest_fetched_one_is_taken(void **state)
{
    (void)state;
    char *before = getenv("ORTPOOL_ONNXRUNTIME");
    if (!before) {
        skip(); /* no folder to make a link to */
    }
    char kept[1024];
    (void)snprintf(kept, sizeof(kept), "%s", before);
    char cache[] = "unit_loader_XXXXXX";
    assert_non_null(mkdtemp(cache));
    char parent[64];
    char older[128];
    char newer[128];
    char other[128];
    struct utsname machine;
    assert_true(uname(&machine) >= 0);
    (void)snprintf(parent, sizeof(parent), "%s/ortpool", cache);
    (void)snprintf(older, sizeof(older), "%.40s/onnxruntime-1.9.0-%.20s", parent, machine.machine);
    (void)snprintf(newer, sizeof(newer), "%.40s/onnxruntime-1.29.0-%.20s", parent, machine.machine);
    (void)snprintf(other, sizeof(other), "%.40s/onnxruntime-1.30.0-another", parent);
    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(mkdir(older, 0700), 0); /* without a library: taking it would fail */
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(symlink(kept, newer), 0);
    assert_int_equal(unsetenv("ORTPOOL_ONNXRUNTIME"), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", cache, 1), 0);
    ort_library library;
    char message[2048];
    const bool found = ort_library_open(&library, message, sizeof(message));
    const bool fetched = found && strstr(library.path, "onnxruntime-1.29.0-") != NULL;
    const bool installed = found && strchr(library.path, '/') == NULL;
    assert_int_equal(setenv("ORTPOOL_ONNXRUNTIME", kept, 1), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    (void)unlink(newer);
    (void)rmdir(older);
    (void)rmdir(other);
    (void)rmdir(parent);
    (void)rmdir(cache);
    assert_true(fetched || installed);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_found_one_is_described),
        cmocka_unit_test(a_named_folder_without_a_library_is_an_error),
        cmocka_unit_test(the_newest_fetched_one_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
