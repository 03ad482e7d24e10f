# SPDX-License-Identifier: MIT
# Runs PROGRAM on GRAPH: it must end with RESULT, and what it writes must match each of EXPECTED.
execute_process(COMMAND "${PROGRAM}" "${GRAPH}" RESULT_VARIABLE result OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
message("${output}")
if(NOT result EQUAL RESULT)
    message(FATAL_ERROR "exit status ${result}")
endif()
foreach(expected IN LISTS EXPECTED)
    if(NOT output MATCHES "${expected}")
        message(FATAL_ERROR "expected: ${expected}")
    endif()
endforeach()
