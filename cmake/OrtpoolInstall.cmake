# SPDX-License-Identifier: MIT
#
# What is installed: one library, all rooms in it, as libortpool.a and as libortpool.so; headers; files
# for find_package() and pkg-config. Inside the tree the rooms' own libraries are linked.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(ortpool_objects $<TARGET_OBJECTS:ortpool_memory>)
set(ortpool_private Threads::Threads)
if(ORTPOOL_ORT)
    list(APPEND ortpool_objects $<TARGET_OBJECTS:ortpool_runtime> $<TARGET_OBJECTS:ortpool_decode>
        $<TARGET_OBJECTS:ortpool_swipe>)
    list(APPEND ortpool_private jansson::jansson ${ortpool_refusal_library} m)
endif()

# The rooms' include folders and definitions are the objects'; these have nothing to compile.
add_library(ortpool_static STATIC ${ortpool_objects})
add_library(ortpool_shared SHARED ${ortpool_objects})
set_target_properties(ortpool_static ortpool_shared PROPERTIES
    OUTPUT_NAME ortpool
    LINKER_LANGUAGE C
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set_target_properties(ortpool_static PROPERTIES EXPORT_NAME static)
# Before 1.0 the minor version breaks: 0.1, 0.2.
set_target_properties(ortpool_shared PROPERTIES EXPORT_NAME shared
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/src/ortpool.map)
target_link_libraries(ortpool_shared PRIVATE ${ortpool_private})
if(NOT APPLE)
    target_link_options(ortpool_shared PRIVATE
        LINKER:--version-script=${PROJECT_SOURCE_DIR}/src/ortpool.map
        LINKER:--no-undefined)
endif()
foreach(kind IN ITEMS static shared)
    target_include_directories(ortpool_${kind} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

install(TARGETS ortpool_static EXPORT ortpool-static COMPONENT dev)
install(TARGETS ortpool_shared EXPORT ortpool-shared
    LIBRARY COMPONENT lib NAMELINK_COMPONENT dev)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ortpool
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)

if(TARGET ortpool_cli) # its bench opens the library when it runs
    add_dependencies(ortpool_cli ortpool_shared)
endif()

# find_package(ortpool)
set(ortpool_cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/ortpool)
foreach(kind IN ITEMS static shared)
    install(EXPORT ortpool-${kind} NAMESPACE ortpool:: FILE ortpool-${kind}.cmake
        DESTINATION ${ortpool_cmake_folder} COMPONENT dev)
endforeach()
configure_package_config_file(cmake/ortpoolConfig.cmake.in ${PROJECT_BINARY_DIR}/ortpoolConfig.cmake
    INSTALL_DESTINATION ${ortpool_cmake_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ortpoolConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ortpoolConfig.cmake ${PROJECT_BINARY_DIR}/ortpoolConfigVersion.cmake
    DESTINATION ${ortpool_cmake_folder} COMPONENT dev)

# pkg-config. Relative to the file itself, so that the folder can be moved.
file(RELATIVE_PATH ortpool_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" ortpool_pc_prefix "${ortpool_pc_prefix}")
set(ortpool_pc_requires)
set(ortpool_pc_private "-pthread")
if(ORTPOOL_ORT)
    set(ortpool_pc_requires "Requires.private: jansson")
    set(ortpool_pc_private "-lm -pthread")
    if(ortpool_refusal_library)
        string(PREPEND ortpool_pc_private "-l${ortpool_refusal_library} ")
    endif()
endif()
configure_file(cmake/ortpool.pc.in ${PROJECT_BINARY_DIR}/ortpool.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ortpool.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

# A Debian package: cpack -G DEB.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ortpool)
set(CPACK_PACKAGE_CONTACT "the ortpool developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libjansson-dev, pkgconf, cmake")
include(CPack)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
    ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
