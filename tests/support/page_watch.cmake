# SPDX-License-Identifier: MIT
# ortpool_watch_pages(target): counts the pages that ortpool takes in this executable, page_watch.h.
function(ortpool_watch_pages target)
    set(folder ${PROJECT_SOURCE_DIR}/tests/support)
    target_sources(${target} PRIVATE ${folder}/page_watch.c)
    target_include_directories(${target} PRIVATE ${folder})
    foreach(name map reserve commit decommit unmap)
        target_link_options(${target} PRIVATE -Wl,--wrap=ortp__pages_${name})
    endforeach()
endfunction()
