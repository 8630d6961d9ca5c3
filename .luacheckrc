-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 100
files["tests/**/*_spec.lua"] = { std = "lua54+busted" }
files["server-scripts/**"] = { read_globals = { "moonkeeper" } }
