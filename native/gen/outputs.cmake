# SPDX-License-Identifier: MIT
# Files of the generator beyond those that the root CMakeLists.txt names. One line per emitter.
list(APPEND GEN_FILES ${GEN_DIR}/wire/fuzz.gen.h ${GEN_DIR}/wire/fuzz.gen.c)
