# SPDX-License-Identifier: MIT
#
# cmake -DPROGRAM=ortpool -DVERSION=0.1.0 -DOUTPUT=ortpool.1 -P OrtpoolMan.cmake: the man page, whose
# options are what the program's own help says, so that they cannot differ.

function(help out)
    execute_process(COMMAND ${EMULATOR} ${PROGRAM} ${ARGN} --help OUTPUT_VARIABLE text
        RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${PROGRAM} ${ARGN} --help: exit status ${result}")
    endif()
    string(REGEX REPLACE "\nTo begin with:[^\n]*\n" "" text "${text}") # has a folder of this machine
    string(REPLACE "\\" "\\e" text "${text}")
    string(REPLACE "-" "\\-" text "${text}")
    string(REGEX REPLACE "\n([.'])" "\n\\\\&\\1" text "${text}")
    set(${out} ".nf\n${text}.fi\n" PARENT_SCOPE)
endfunction()

help(main)
set(commands)
foreach(command IN ITEMS run bench predict eval inspect soak)
    help(text ${command})
    string(APPEND commands ".SS ortpool ${command}\n${text}")
endforeach()
help(text bench pool)
string(APPEND commands ".SS ortpool bench pool\n${text}")
file(WRITE "${OUTPUT}" ".TH ORTPOOL 1 \"\" \"ortpool ${VERSION}\" \"User Commands\"
.SH NAME
ortpool \\- ONNX models and swipe typing with bounded, pooled, pre\\-warmed memory
.SH SYNOPSIS
.B ortpool
.I command
.RI [ options ]
.RI [ file ]
.SH DESCRIPTION
${main}.SH COMMANDS
${commands}.SH ENVIRONMENT
.TP
.B ORTPOOL_ONNXRUNTIME
An unpacked release of ONNX Runtime (lib/libonnxruntime.so); otherwise an installed one is used, or the one that
the project's setup fetched.
.TP
.B ORTPOOL_MODEL
The folder of the model for predict, eval, inspect and soak.
.TP
.B ORT_DISABLE_TELEMETRY
Set to 1 unless it is set: releases of ONNX Runtime for Linux from about 1.29 on otherwise start a telemetry client.
.TP
.B NO_COLOR
Switches colours off.
.SH EXIT STATUS
0: well. 1: a line of the input failed, or outputs differ. 2: usage or set\\-up. 128 and the signal's number: interrupted.
.SH FILES
.TP
.I ../share/ortpool/models/swipe\\-en
The bundled model, seen from the program's folder.
")
