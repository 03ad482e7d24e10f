# SPDX-License-Identifier: MIT
#
# jansson::jansson and xxhash::xxhash, for src/swipe and the command. Debian's packages ship no
# CMake files, and pkg-config is one more thing to install, so both are looked up directly.

function(ortpool_find_dependency name header library package)
    if(TARGET ${name}::${name})
        return()
    endif()
    string(TOUPPER ${name} upper)
    find_path(ORTPOOL_${upper}_INCLUDE NAMES ${header})
    find_library(ORTPOOL_${upper}_LIBRARY NAMES ${library})
    mark_as_advanced(ORTPOOL_${upper}_INCLUDE ORTPOOL_${upper}_LIBRARY)
    if(NOT ORTPOOL_${upper}_INCLUDE OR NOT ORTPOOL_${upper}_LIBRARY)
        message(FATAL_ERROR "${name} (${header}, lib${library}) was not found.\n"
            "  On Debian: apt-get install ${package} (or `make demo`, which does it)\n"
            "  The memory library alone needs neither: -DORTPOOL_ORT=OFF")
    endif()
    add_library(${name}::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(${name}::${name} PROPERTIES
        IMPORTED_LOCATION ${ORTPOOL_${upper}_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${ORTPOOL_${upper}_INCLUDE})
endfunction()

ortpool_find_dependency(jansson jansson.h jansson libjansson-dev)

# Used inline: a header and nothing to link. Found and missed where src/memory is set up.
if(NOT TARGET xxhash::xxhash)
    find_path(ORTPOOL_XXHASH_INCLUDE NAMES xxhash.h)
    add_library(xxhash::xxhash INTERFACE IMPORTED GLOBAL)
    if(ORTPOOL_XXHASH_INCLUDE)
        target_include_directories(xxhash::xxhash INTERFACE ${ORTPOOL_XXHASH_INCLUDE})
    endif()
endif()
