# SPDX-License-Identifier: MIT
#
# What is installed: libortpool (memory, runtime) and libortpool-predict (decode, swipe), each static and shared;
# headers; files for find_package() and pkg-config; pages. Inside the tree the rooms' own libraries are linked.
#
# Components, one Debian package each: lib, dev, predict-lib, predict-dev, command.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(ortpool_abi ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}) # before 1.0 the minor version breaks: 0.1, 0.2

# ortpool_installed_library(TARGET FILE_NAME EXPORT_PREFIX MAP COMPONENT_PREFIX ROOMS... LIBRARIES...): both forms
# of one library from the objects of its rooms. The rooms' include folders and definitions are the objects'; these have
# nothing to compile.
function(ortpool_installed_library target output suffix map component)
    cmake_parse_arguments(PARSE_ARGV 5 arg "" "" "ROOMS;LIBRARIES")
    set(objects)
    foreach(room IN LISTS arg_ROOMS)
        list(APPEND objects $<TARGET_OBJECTS:${room}>)
    endforeach()
    add_library(${target}_static STATIC ${objects})
    add_library(${target}_shared SHARED ${objects})
    foreach(kind IN ITEMS static shared)
        set_target_properties(${target}_${kind} PROPERTIES
            OUTPUT_NAME ${output}
            EXPORT_NAME ${suffix}${kind}
            LINKER_LANGUAGE C
            ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
            LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
        target_include_directories(${target}_${kind} INTERFACE
            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    endforeach()
    set_target_properties(${target}_shared PROPERTIES
        VERSION ${PROJECT_VERSION}
        SOVERSION ${ortpool_abi}
        LINK_DEPENDS ${map})
    target_link_libraries(${target}_shared PRIVATE ${arg_LIBRARIES})
    if(NOT APPLE)
        # A library's own functions are called without its table of symbols.
        target_link_options(${target}_shared PRIVATE LINKER:--version-script=${map} LINKER:--no-undefined
            LINKER:-Bsymbolic-functions)
    endif()
    set(dev ${component}dev)
    install(TARGETS ${target}_static EXPORT ${output}-static COMPONENT ${dev})
    install(TARGETS ${target}_shared EXPORT ${output}-shared LIBRARY COMPONENT ${component}lib
        NAMELINK_COMPONENT ${dev})
endfunction()

set(ortpool_rooms_installed ortpool_memory)
set(ortpool_private Threads::Threads)
if(ORTPOOL_ORT)
    list(APPEND ortpool_rooms_installed ortpool_runtime)
    list(APPEND ortpool_private ${ortpool_refusal_library})
endif()
ortpool_installed_library(ortpool ortpool "" ${PROJECT_SOURCE_DIR}/src/ortpool.map ""
    ROOMS ${ortpool_rooms_installed} LIBRARIES ${ortpool_private})
set(ortpool_names ortpool)
if(ORTPOOL_ORT)
    ortpool_installed_library(ortpool_predict ortpool-predict predict- ${PROJECT_SOURCE_DIR}/src/ortpool-predict.map
        predict- ROOMS ortpool_decode ortpool_swipe LIBRARIES jansson::jansson m)
    target_link_libraries(ortpool_predict_static INTERFACE ortpool_static)
    target_link_libraries(ortpool_predict_shared PUBLIC ortpool_shared)
    # Beside each other they find each other, wherever the folder lies.
    set_target_properties(ortpool_predict_shared PROPERTIES INSTALL_RPATH "$ORIGIN")
    list(APPEND ortpool_names ortpool-predict)
endif()
if(TARGET ortpool_cli) # its bench opens the library when it runs
    add_dependencies(ortpool_cli ortpool_shared)
endif()

# The umbrella predict.h and its like, and the headers that they include.
set(ortpool_predict_headers decoder.h lexicon.h model.h predict.h predict.hpp predictor.h swipe_features.h
    swipe_shape.h)
file(GLOB ortpool_headers RELATIVE ${PROJECT_SOURCE_DIR}/include/ortpool CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/include/ortpool/*)
foreach(header IN LISTS ortpool_headers)
    set(component dev)
    if(header IN_LIST ortpool_predict_headers)
        set(component predict-dev)
        if(NOT ORTPOOL_ORT)
            continue()
        endif()
    endif()
    install(FILES ${PROJECT_SOURCE_DIR}/include/ortpool/${header}
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ortpool COMPONENT ${component})
endforeach()

# find_package(ortpool)
set(ortpool_cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/ortpool)
foreach(name IN LISTS ortpool_names)
    set(component dev)
    if(name STREQUAL "ortpool-predict")
        set(component predict-dev)
    endif()
    foreach(kind IN ITEMS static shared)
        install(EXPORT ${name}-${kind} NAMESPACE ortpool:: FILE ${name}-${kind}.cmake
            DESTINATION ${ortpool_cmake_folder} COMPONENT ${component})
    endforeach()
endforeach()
configure_package_config_file(cmake/ortpoolConfig.cmake.in ${PROJECT_BINARY_DIR}/ortpoolConfig.cmake
    INSTALL_DESTINATION ${ortpool_cmake_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ortpoolConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ortpoolConfig.cmake ${PROJECT_BINARY_DIR}/ortpoolConfigVersion.cmake
    DESTINATION ${ortpool_cmake_folder} COMPONENT dev)

# pkg-config. A folder that the user names can be moved: its file says the prefix relative to itself. What goes
# into a package (DESTDIR) lies where the package puts it: there the prefix is said as it is.
set(ortpool_pc_private "-pthread")
if(ORTPOOL_ORT AND ortpool_refusal_library)
    string(PREPEND ortpool_pc_private "-l${ortpool_refusal_library} ")
endif()
file(RELATIVE_PATH ortpool_pc_relative /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" ortpool_pc_relative "${ortpool_pc_relative}")
foreach(name IN LISTS ortpool_names)
    set(component dev)
    if(name STREQUAL "ortpool-predict")
        set(component predict-dev)
    endif()
    configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc.in @ONLY)
    install(CODE "
        set(ortpool_pc_prefix \"\\\${pcfiledir}/${ortpool_pc_relative}\")
        if(NOT \"\$ENV{DESTDIR}\" STREQUAL \"\")
            set(ortpool_pc_prefix \"\${CMAKE_INSTALL_PREFIX}\")
        endif()
        file(READ \"${PROJECT_BINARY_DIR}/${name}.pc.in\" ortpool_pc)
        string(REPLACE \"[PREFIX]\" \"\${ortpool_pc_prefix}\" ortpool_pc \"\${ortpool_pc}\")
        file(WRITE \"${PROJECT_BINARY_DIR}/${name}.pc\" \"\${ortpool_pc}\")"
        COMPONENT ${component})
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${component})
endforeach()

# Headers name pages by docs/..., seen from this folder.
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
# Each package has these two in a folder of its name; that of the command is this one.
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
    DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT command)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev
    FILES_MATCHING PATTERN "*.md")

# Debian packages: cpack -G DEB. All of them have the same version and ask each other for it.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ortpool)
set(CPACK_PACKAGE_CONTACT "the ortpool developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_COMPONENTS_ALL)

# ortpool_package(COMPONENT PACKAGE SECTION SUMMARY DEPENDS): what a package is called and needs of the others.
function(ortpool_package component package section summary depends)
    string(TOUPPER ${component} upper)
    if(NOT component STREQUAL "command")
        install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
            DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
    endif()
    set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component} PARENT_SCOPE)
    set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package} PARENT_SCOPE)
    set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
    set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}" PARENT_SCOPE)
    set(CPACK_COMPONENT_${upper}_DESCRIPTION "${summary}" PARENT_SCOPE)
    set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
endfunction()

set(same "(= ${PROJECT_VERSION})")
ortpool_package(lib libortpool${ortpool_abi} libs "${PROJECT_DESCRIPTION}" "")
ortpool_package(dev libortpool-dev libdevel "${PROJECT_DESCRIPTION}: headers, static library, pages"
    "libortpool${ortpool_abi} ${same}")
if(ORTPOOL_ORT)
    ortpool_package(predict-lib libortpool-predict${ortpool_abi} libs
        "Encoder-decoder models and swipe typing on the memory of libortpool" "libortpool${ortpool_abi} ${same}")
    ortpool_package(predict-dev libortpool-predict-dev libdevel
        "Encoder-decoder models and swipe typing on the memory of libortpool: headers, static library"
        "libortpool-predict${ortpool_abi} ${same}, libortpool-dev ${same}, libjansson-dev")
endif()
if(TARGET ortpool_cli)
    # Its bench opens the library.
    ortpool_package(command ortpool utils "Runs and measures ONNX models on the memory of libortpool; models, man page"
        "libortpool${ortpool_abi} ${same}")
endif()
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "pkgconf, cmake")
include(CPack)
