# SPDX-License-Identifier: MIT
#
# Finds the C header of ONNX Runtime, and the library that the tests run on.
#
# ortpool links no ONNX Runtime: headers are all that the build needs. Places, the first that has
# onnxruntime_c_api.h wins:
#   1. ORTPOOL_ONNXRUNTIME, the CMake variable or else the environment: a release folder with
#      include/ and lib/libonnxruntime.so
#   2. an installed ONNX Runtime with its library, in the compiler's and CMake's system places
#   3. the one that scripts/setup.sh fetched into the user's cache
#   4. installed headers without a library
#
# Nothing found is kept between configure runs, so that a changed environment is seen.
#
# Sets   ORTPOOL_ORT_FOLDER   release folder in use; empty for an installed one
#        ORTPOOL_ORT_LIBRARY  the library of the same place; empty if it has none
# Makes  onnxruntime::headers

set(ORTPOOL_ONNXRUNTIME "" CACHE PATH
    "Release folder of ONNX Runtime with include/ and lib/ (empty: the environment's, then search)")

set(ortpool_ort_looked "")
set(ORTPOOL_ORT_FOLDER "")
set(ORTPOOL_ORT_LIBRARY "" CACHE INTERNAL "ONNX Runtime library that the tests run on")
unset(ortpool_ort_include)
# Release archives have include/; some installed ones add a folder or the source tree's path.
set(ortpool_ort_suffixes onnxruntime onnxruntime/core/session onnxruntime/include)

# 1. the folder that the caller names
set(ortpool_ort_named "${ORTPOOL_ONNXRUNTIME}")
if(NOT ortpool_ort_named)
    set(ortpool_ort_named "$ENV{ORTPOOL_ONNXRUNTIME}")
endif()
if(ortpool_ort_named)
    find_path(ortpool_ort_include NAMES onnxruntime_c_api.h NO_CACHE NO_DEFAULT_PATH
        NO_CMAKE_FIND_ROOT_PATH
        PATHS "${ortpool_ort_named}/include" PATH_SUFFIXES ${ortpool_ort_suffixes})
    if(NOT ortpool_ort_include)
        message(FATAL_ERROR
            "ORTPOOL_ONNXRUNTIME is '${ortpool_ort_named}', and that folder has no "
            "include/onnxruntime_c_api.h.\n"
            "  Name an unpacked ONNX Runtime release (include/, lib/libonnxruntime.so), or unset "
            "it and run scripts/setup.sh, which fetches one.")
    endif()
    set(ORTPOOL_ORT_FOLDER "${ortpool_ort_named}")
endif()

# 2. an installed one: with its library first; headers alone are the last resort
set(ortpool_ort_headers_alone "")
if(NOT ortpool_ort_include)
    find_path(ortpool_ort_include NAMES onnxruntime_c_api.h NO_CACHE
        PATH_SUFFIXES ${ortpool_ort_suffixes})
    find_library(ortpool_ort_installed NAMES onnxruntime NO_CACHE)
    if(ortpool_ort_include AND ortpool_ort_installed)
        set(ORTPOOL_ORT_LIBRARY "${ortpool_ort_installed}" CACHE INTERNAL "")
        # Below a prefix of its own the loader may not find it, so the tests are told the prefix; a
        # multiarch folder of the system needs no telling.
        if(ortpool_ort_installed MATCHES "^(.+)/lib/[^/]+$")
            set(ORTPOOL_ORT_FOLDER "${CMAKE_MATCH_1}")
        endif()
    else()
        if(ortpool_ort_include)
            set(ortpool_ort_headers_alone "${ortpool_ort_include}")
        endif()
        unset(ortpool_ort_include)
        string(APPEND ortpool_ort_looked
            "    an installed one (onnxruntime_c_api.h in the system's include folders)\n")
    endif()
endif()

# 3. the fetched one; its folder's name is in the lock file, the same line that setup.sh reads
if(NOT ortpool_ort_include)
    set(ortpool_ort_cache "$ENV{XDG_CACHE_HOME}")
    if(NOT ortpool_ort_cache)
        set(ortpool_ort_cache "$ENV{HOME}/.cache")
    endif()
    file(STRINGS ${PROJECT_SOURCE_DIR}/third_party/onnxruntime.lock ortpool_ort_line
        REGEX "^folder[ \t]+${CMAKE_SYSTEM_PROCESSOR}[ \t]")
    string(REGEX REPLACE "^folder[ \t]+[^ \t]+[ \t]+" "" ortpool_ort_name "${ortpool_ort_line}")
    if(ortpool_ort_name)
        set(ortpool_ort_fetched "${ortpool_ort_cache}/ortpool/${ortpool_ort_name}")
        find_path(ortpool_ort_include NAMES onnxruntime_c_api.h NO_CACHE NO_DEFAULT_PATH
            NO_CMAKE_FIND_ROOT_PATH
            PATHS "${ortpool_ort_fetched}/include")
        if(ortpool_ort_include)
            set(ORTPOOL_ORT_FOLDER "${ortpool_ort_fetched}")
        else()
            string(APPEND ortpool_ort_looked "    the fetched one: ${ortpool_ort_fetched}\n")
        endif()
    else()
        string(APPEND ortpool_ort_looked
            "    a fetched one: none is known for ${CMAKE_SYSTEM_PROCESSOR}\n")
    endif()
endif()

if(NOT ortpool_ort_include AND ortpool_ort_headers_alone)
    set(ortpool_ort_include "${ortpool_ort_headers_alone}")
endif()
if(NOT ortpool_ort_include)
    message(FATAL_ERROR
        "onnxruntime_c_api.h, the C header of ONNX Runtime, was not found. Looked for:\n"
        "    ORTPOOL_ONNXRUNTIME (not set)\n"
        "${ortpool_ort_looked}"
        "  Remedies, any of:\n"
        "    scripts/setup.sh (or `make demo`), which fetches it\n"
        "    ORTPOOL_ONNXRUNTIME=FOLDER, an unpacked release with include/ and lib/\n"
        "    -DORTPOOL_ORT=OFF for the memory library alone, which needs no ONNX Runtime")
endif()

if(ORTPOOL_ORT_FOLDER AND NOT ORTPOOL_ORT_LIBRARY)
    file(GLOB ortpool_ort_libraries
        "${ORTPOOL_ORT_FOLDER}/lib/libonnxruntime.so"
        "${ORTPOOL_ORT_FOLDER}/lib/libonnxruntime.so.*"
        "${ORTPOOL_ORT_FOLDER}/lib/libonnxruntime.dylib")
    if(ortpool_ort_libraries)
        list(GET ortpool_ort_libraries 0 ortpool_ort_first)
        set(ORTPOOL_ORT_LIBRARY "${ortpool_ort_first}" CACHE INTERNAL "")
    endif()
endif()

add_library(ortpool_ort_headers INTERFACE)
add_library(onnxruntime::headers ALIAS ortpool_ort_headers)
target_include_directories(ortpool_ort_headers SYSTEM INTERFACE
    $<BUILD_INTERFACE:${ortpool_ort_include}>)

file(STRINGS "${ortpool_ort_include}/onnxruntime_c_api.h" ortpool_ort_api
    REGEX "^#define ORT_API_VERSION[ \t]+[0-9]+")
string(REGEX REPLACE "^#define ORT_API_VERSION[ \t]+" "" ortpool_ort_api "${ortpool_ort_api}")
message(STATUS "ONNX Runtime headers: ${ortpool_ort_include} (API ${ortpool_ort_api})")
if(ORTPOOL_ORT_LIBRARY)
    message(STATUS "ONNX Runtime for tests: ${ORTPOOL_ORT_LIBRARY}")
else()
    message(STATUS "ONNX Runtime for tests: none beside the headers; tests that run models skip")
endif()
