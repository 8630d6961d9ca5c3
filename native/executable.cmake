# SPDX-License-Identifier: MIT
# The executable `moonkeeper`: main.c, all layers, and the Lua files that it carries.
file(GLOB_RECURSE BUNDLE_FILES CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}
  ${CMAKE_SOURCE_DIR}/lua/*.lua ${CMAKE_SOURCE_DIR}/server-scripts/commands/*.lua
  ${CMAKE_SOURCE_DIR}/server-scripts/*.lua)
set(BUNDLE_C ${GEN_DIR}/script/bundle_files.gen.c)
set(BUNDLE_INPUTS)
foreach(file ${BUNDLE_FILES})
  list(APPEND BUNDLE_INPUTS ${CMAKE_SOURCE_DIR}/${file})
endforeach()
add_custom_command(
  OUTPUT ${BUNDLE_C}
  COMMAND luahost ${CMAKE_SOURCE_DIR}/native/gen/emit_bundle.lua ${CMAKE_SOURCE_DIR} ${BUNDLE_C}
    ${BUNDLE_FILES}
  DEPENDS luahost generated ${CMAKE_SOURCE_DIR}/native/gen/emit_bundle.lua ${BUNDLE_INPUTS}
  COMMENT "Bundling Lua files")

# The date of the version line; SOURCE_DATE_EPOCH makes builds repeatable.
string(TIMESTAMP MK_BUILD_DATE "%Y-%m-%d %H:%M UTC" UTC)

add_executable(moonkeeper native/main.c ${BUNDLE_C})
target_include_directories(moonkeeper PRIVATE native ${GEN_DIR})
target_link_libraries(moonkeeper PRIVATE mk_script)
target_compile_definitions(moonkeeper PRIVATE MK_BUILD_DATE="${MK_BUILD_DATE}")
find_library(LUV_LIBRARY NAMES liblua5.4-luv.a lua5.4-luv)
find_path(LUV_INCLUDE luv/luv.h PATH_SUFFIXES lua5.4)
if(LUV_LIBRARY AND LUV_INCLUDE)
  target_include_directories(moonkeeper SYSTEM PRIVATE ${LUV_INCLUDE})
  target_link_libraries(moonkeeper PRIVATE ${LUV_LIBRARY})
  target_compile_definitions(moonkeeper PRIVATE MK_HAVE_LUV)
endif()
set_target_properties(moonkeeper PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
install(TARGETS moonkeeper RUNTIME DESTINATION bin)
install(DIRECTORY server-scripts DESTINATION share/moonkeeper)
# README.md names these by relative paths.
install(FILES README.md LICENSE DESTINATION share/doc/moonkeeper)
install(DIRECTORY docs DESTINATION share/doc/moonkeeper)
install(FILES server-scripts/moonkeeper.conf.lua
  DESTINATION share/doc/moonkeeper/server-scripts)
