# SPDX-License-Identifier: MIT
#
# cmake -DOUTPUT=parts.c -DFILES=a.css,b.js -P OrtpoolEmbed.cmake: C source with the files' bytes, as the
# table that cli/bench/page_parts.h declares; each by its name without a folder.

string(REPLACE "," ";" FILES "${FILES}")
set(arrays)
set(table)
set(number 0)
foreach(file IN LISTS FILES)
    get_filename_component(name "${file}" NAME)
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const unsigned char part_${number}[] = {\n${bytes}};\n")
    string(APPEND table "    {\"${name}\", part_${number}, sizeof(part_${number})},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUTPUT}" "/* Made by cmake/OrtpoolEmbed.cmake. */
#include \"page_parts.h\"

${arrays}
const page_part page_parts[] = {
${table}};
const size_t page_part_count = sizeof(page_parts) / sizeof(page_parts[0]);
")
