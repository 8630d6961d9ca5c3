/* SPDX-License-Identifier: MIT */
/* Log lines: their shape as text and JSON, and that nobody can forge one. */
#include "server/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* One line as the logger writes it. */
static void line_of(enum logger_format format, enum mk_level level, const char *text, char *line,
                    size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct logger *logger = logger_new(ends[1], format, MK_LEVEL_INFO);
    mk_trace(logger_trace(logger), level, "part", "%s", text);
    close(ends[1]);
    ssize_t got = read(ends[0], line, size - 1);
    line[got > 0 ? got : 0] = 0;
    close(ends[0]);
    logger_free(logger);
}

static void test_text(void **state)
{
    (void)state;
    char line[512];
    line_of(LOGGER_TEXT, MK_LEVEL_INFO, "all is well", line, sizeof line);
    int year, month, day, hour, minute, second, millisecond, end = 0;
    assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &millisecond, &end),
                     7);
    assert_int_equal(end, 24);
    assert_string_equal(line + end, " INFO  part: all is well\n");
}

static void test_forged_line(void **state)
{
    (void)state;
    char line[512];
    line_of(LOGGER_TEXT, MK_LEVEL_WARN, "/a\n2026-01-01 ERROR x: \x1b[31mfire\xff", line,
            sizeof line);
    assert_string_equal(line + 24, " WARN  part: /a\\x0a2026-01-01 ERROR x: \\x1b[31mfire\\xff\n");
}

static void test_json(void **state)
{
    (void)state;
    char line[512];
    line_of(LOGGER_JSON, MK_LEVEL_ERROR, "he said \"no\"\t\\ \xc3\xa4", line, sizeof line);
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_string_equal(line + 9 + 24,
                        "\",\"level\":\"ERROR\",\"component\":\"part\",\"text\":\"he said "
                        "\\u0022no\\u0022\\u0009\\u005c \xc3\xa4\"}\n");
}

static void test_level(void **state)
{
    (void)state;
    char line[512];
    line_of(LOGGER_TEXT, MK_LEVEL_DEBUG, "hidden", line, sizeof line);
    assert_string_equal(line, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_forged_line),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
