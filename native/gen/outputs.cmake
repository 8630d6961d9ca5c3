# SPDX-License-Identifier: MIT
# Files of the generator beyond those that the root CMakeLists.txt names. One line per emitter.
list(APPEND GEN_FILES ${GEN_DIR}/wire/fuzz.gen.h ${GEN_DIR}/wire/fuzz.gen.c)
list(APPEND GEN_FILES ${GEN_DIR}/script/options.gen.h ${GEN_DIR}/script/options.gen.c)
list(APPEND GEN_FILES ${GEN_DIR}/replica/metrics.gen.h ${GEN_DIR}/replica/metrics.gen.c)
