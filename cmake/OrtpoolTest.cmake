# SPDX-License-Identifier: MIT
#
# ortpool_add_test(NAME name SOURCES file... [LIBRARIES lib...] [LABELS label...] [TIMEOUT seconds]
#                  [SERIAL] [ARGS arg...] [ENVIRONMENT VAR=value...])
#     builds the executable `name` against cmocka and registers it with ctest under the same name.
#
# ortpool_test_setup(name [LABELS label...] [TIMEOUT seconds] [SERIAL] [ENVIRONMENT VAR=value...])
#     gives a test made with add_test() the same properties.
#
# What every test gets:
#   TIMEOUT             120 seconds unless told, five times that under a sanitizer or an emulator
#   failure             of a group's teardown, too
#   SKIP_RETURN_CODE    77: data or a machine's ability is missing, visibly skipped
#   ORTPOOL_ONNXRUNTIME in its environment, where the library was found in a folder of its own;
#                       -DORTPOOL_TESTS_PIN_ORT=OFF leaves it to the environment that ctest runs in
#   ORT_DISABLE_TELEMETRY=1, PYTHONDONTWRITEBYTECODE=1
#   suppressions        tests/suppressions/{lsan,tsan}.txt under the sanitizer that reads them
#
# Labels with a meaning to the presets (CMakePresets.json):
#   long           not in `make test`: over ten seconds of processor time, or needs a package of
#                  test-all's list; test-all runs it in the release build
#   world          needs package registries when it runs: `make test-world` alone
#   release-only   only in the optimised builds: counted allocations and timings mean nothing under
#                  a sanitizer, and a test of texts, pages or packages says the same in every build
#   unit, ort, integration, budget, seed, stress, soak, oom, cli, fuzz, docs, ...   what a test is about;
#                  tsan runs those where several threads may be in ortpool's code, clang-debug the units

find_path(ORTPOOL_CMOCKA_INCLUDE NAMES cmocka.h)
find_library(ORTPOOL_CMOCKA_LIBRARY NAMES cmocka)
mark_as_advanced(ORTPOOL_CMOCKA_INCLUDE ORTPOOL_CMOCKA_LIBRARY)
if(NOT ORTPOOL_CMOCKA_INCLUDE OR NOT ORTPOOL_CMOCKA_LIBRARY)
    message(FATAL_ERROR "the tests need cmocka and it was not found.\n"
        "  On Debian: apt-get install libcmocka-dev (or `make test`, which does it)\n"
        "  Without tests: -DORTPOOL_TESTS=OFF")
endif()
add_library(ortpool_cmocka INTERFACE)
target_include_directories(ortpool_cmocka SYSTEM INTERFACE ${ORTPOOL_CMOCKA_INCLUDE})
target_link_libraries(ortpool_cmocka INTERFACE ${ORTPOOL_CMOCKA_LIBRARY})

# The environment of every test, as VAR=value; only files that exist are named.
function(ortpool_test_environment out)
    # ORT's client for telemetry would add a thread, files in the home and a leak of its own.
    # Python's caches would stay in the source tree.
    set(environment ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1)
    if(ORTPOOL_ORT_FOLDER AND ORTPOOL_TESTS_PIN_ORT)
        list(APPEND environment "ORTPOOL_ONNXRUNTIME=${ORTPOOL_ORT_FOLDER}")
    endif()
    set(suppressions ${PROJECT_SOURCE_DIR}/tests/suppressions)
    if(ORTPOOL_SANITIZE MATCHES "address|leak")
        set(options "print_suppressions=0")
        if(EXISTS ${suppressions}/lsan.txt)
            string(APPEND options ":suppressions=${suppressions}/lsan.txt")
        endif()
        list(APPEND environment "LSAN_OPTIONS=${options}")
    endif()
    if(ORTPOOL_SANITIZE MATCHES "undefined")
        list(APPEND environment "UBSAN_OPTIONS=print_stacktrace=1")
    endif()
    if(ORTPOOL_SANITIZE MATCHES "thread")
        set(options "halt_on_error=1:second_deadlock_stack=1")
        if(EXISTS ${suppressions}/tsan.txt)
            string(APPEND options ":suppressions=${suppressions}/tsan.txt")
        endif()
        list(APPEND environment "TSAN_OPTIONS=${options}")
    endif()
    set(${out} "${environment}" PARENT_SCOPE)
endfunction()

function(ortpool_test_setup name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "LABELS;ENVIRONMENT")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "ortpool_test_setup(${name}): unknown: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    if(ORTPOOL_SANITIZE OR CMAKE_CROSSCOMPILING_EMULATOR)
        math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 5")
    endif()
    ortpool_test_environment(environment)
    list(APPEND environment ${arg_ENVIRONMENT})
    set_tests_properties(${name} PROPERTIES
        LABELS "${arg_LABELS}"
        TIMEOUT ${arg_TIMEOUT}
        SKIP_RETURN_CODE 77
        FAIL_REGULAR_EXPRESSION "GROUP TEARDOWN" # cmocka tells of one that failed and returns 0
        RUN_SERIAL ${arg_SERIAL}
        ENVIRONMENT "${environment}")
endfunction()

function(ortpool_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "SERIAL" "NAME;TIMEOUT"
        "SOURCES;LIBRARIES;LABELS;ARGS;ENVIRONMENT")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
        message(FATAL_ERROR "ortpool_add_test: needs NAME and SOURCES; "
            "unknown: '${arg_UNPARSED_ARGUMENTS}'")
    endif()
    add_executable(${arg_NAME} ${arg_SOURCES})
    target_link_libraries(${arg_NAME} PRIVATE ortpool_flags ${arg_LIBRARIES} ortpool_cmocka)
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${arg_ARGS})

    set(serial)
    if(arg_SERIAL)
        set(serial SERIAL)
    endif()
    ortpool_test_setup(${arg_NAME} ${serial} TIMEOUT ${arg_TIMEOUT}
        LABELS ${arg_LABELS} ENVIRONMENT ${arg_ENVIRONMENT})
endfunction()
