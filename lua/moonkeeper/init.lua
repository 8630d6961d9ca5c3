-- SPDX-License-Identifier: MIT
-- The module `moonkeeper`. Says its version; the same as project(VERSION) in CMakeLists.txt.

local M = {}

M.version = "0.1.0"

return M
