# SPDX-License-Identifier: MIT
#
# The interface target that every room links privately: warnings, and warnings as errors where asked.
# Sanitizers, visibility and position independence are global, since mixing them breaks a link.

add_library(ortpool_flags INTERFACE)

target_compile_options(ortpool_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wvla -Wundef -pedantic
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<BOOL:${ORTPOOL_WERROR}>:-Werror>)

if(ORTPOOL_SANITIZE)
    # A list separator inside -fsanitize= is a comma; the option takes CMake's semicolon or a comma.
    string(REPLACE ";" "," ortpool_sanitizers "${ORTPOOL_SANITIZE}")
    foreach(name IN LISTS ORTPOOL_SANITIZE)
        if(NOT name MATCHES "^(address|undefined|thread|leak)(,(address|undefined|thread|leak))*$")
            message(FATAL_ERROR "ORTPOOL_SANITIZE: unknown sanitizer '${name}'; "
                "use 'address;undefined' or 'thread'")
        endif()
    endforeach()
    add_compile_options(-fsanitize=${ortpool_sanitizers} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${ortpool_sanitizers})
endif()

# Counters that threads share are updated atomically: TSan-clean, and no count is lost.
if(ORTPOOL_COVERAGE)
    add_compile_options(--coverage -fprofile-update=atomic -fno-inline)
    add_link_options(--coverage)
endif()

# Every object reports its branches to libFuzzer; the targets in tests/fuzz link the fuzzer itself.
if(ORTPOOL_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "ORTPOOL_FUZZ needs clang (libFuzzer), not ${CMAKE_C_COMPILER_ID}: "
            "-DCMAKE_C_COMPILER=clang. Any compiler builds the replay of the corpora without it.")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
