# SPDX-License-Identifier: MIT
# Runs PROGRAM on GRAPH: it must end well, its tensors (x, which is y too, and z) created once for
# all runs.
execute_process(COMMAND "${PROGRAM}" "${GRAPH}" RESULT_VARIABLE result OUTPUT_VARIABLE output)
message("${output}")
if(NOT result EQUAL 0)
    message(FATAL_ERROR "exit status ${result}")
endif()
if(NOT output MATCHES "1000 runs, 2 tensors created\n")
    message(FATAL_ERROR "expected: 1000 runs, 2 tensors created")
endif()
