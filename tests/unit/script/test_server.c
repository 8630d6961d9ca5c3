/* SPDX-License-Identifier: MIT */
/* The whole command `moonkeeper run` in a child process: what it prints, the four-letter words over
 * a socket, words that fail, signals and exit codes. A child that leaks or trips a sanitizer is
 * seen in its exit code. */
#include "tests/lib/script_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000
#define TEXT_BYTES ((size_t)1 << 16)

struct child {
    pid_t pid;
    FILE *output; /* its stdout */
    int port;
    char script[64]; /* file name */
    char log[80];    /* file name of its stderr */
};

/* The bundle of a test is the checkout, whose files cannot be listed: hand over the words. */
static const struct bundle_file words[] = {
    {"server-scripts/commands/cons.lua", "", 0}, {"server-scripts/commands/conf.lua", "", 0},
    {"server-scripts/commands/crst.lua", "", 0}, {"server-scripts/commands/dump.lua", "", 0},
    {"server-scripts/commands/envi.lua", "", 0}, {"server-scripts/commands/gtmk.lua", "", 0},
    {"server-scripts/commands/isro.lua", "", 0}, {"server-scripts/commands/mntr.lua", "", 0},
    {"server-scripts/commands/ruok.lua", "", 0}, {"server-scripts/commands/srvr.lua", "", 0},
    {"server-scripts/commands/stat.lua", "", 0}, {"server-scripts/commands/stmk.lua", "", 0},
    {"server-scripts/commands/wchp.lua", "", 0}, {"server-scripts/commands/wchs.lua", "", 0},
};

static _Noreturn void run_child(struct child *child, int output, char **sets, int set_count)
{
    dup2(output, STDOUT_FILENO);
    if (!freopen(child->log, "w", stderr))
        abort();
    struct script_options options = {
        .bundle = {.files = words, .count = MK_ARRAY_LENGTH(words), .disk_path = MK_SOURCE_DIR},
        .version = "1.2.3",
        .build_date = "2026-05-24 12:00 UTC"};
    struct script *script = script_new(&options);
    char run[] = "run", set[] = "--set";
    char *arguments[16] = {run, child->script};
    int count = 2;
    for (int i = 0; i < set_count; i++) {
        arguments[count++] = set;
        arguments[count++] = sets[i];
    }
    int code = script_main(script, "moonkeeper.cli.main", count, arguments);
    script_free(script);
    exit(code);
}

static void child_start(struct child *child, const char *text, char **sets, int set_count)
{
    snprintf(child->script, sizeof child->script, "/tmp/moonkeeper-test-%d.lua", (int)getpid());
    snprintf(child->log, sizeof child->log, "%s.log", child->script);
    FILE *file = fopen(child->script, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        close(ends[0]);
        run_child(child, ends[1], sets, set_count);
    }
    close(ends[1]);
    child->output = fdopen(ends[0], "r");
    assert_non_null(child->output);
    setvbuf(child->output, NULL, _IONBF, 0); /* child_line polls: no line may hide in a buffer */
}

/* One line of its output, without the line break; "" at the end. */
static void child_line(struct child *child, char line[256])
{
    struct pollfd wait = {.fd = fileno(child->output), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    if (!fgets(line, 256, child->output))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static void child_wait_until_listening(struct child *child)
{
    char line[256];
    child_line(child, line);
    assert_int_equal(sscanf(line, "listening on 127.0.0.1:%d", &child->port), 1);
    assert_in_range(child->port, 1, 65535);
}

static void read_file(const char *path, char *text)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, TEXT_BYTES - 1, file)] = '\0';
    fclose(file);
}

/* Waits for its end; `log` gets what it wrote to stderr. */
static int child_end(struct child *child, char *log)
{
    int status = 0;
    for (int waited = 0; waitpid(child->pid, &status, WNOHANG) == 0; waited += 10) {
        if (waited > WAIT_MS) {
            kill(child->pid, SIGKILL);
            waitpid(child->pid, &status, 0);
            break;
        }
        usleep(10000);
    }
    read_file(child->log, log);
    fclose(child->output);
    unlink(child->script);
    unlink(child->log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int dial(const struct child *child)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)child->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

/* Reads until the other side ends, at most TEXT_BYTES. */
static void read_all(int descriptor, char *answer)
{
    size_t length = 0;
    for (;;) {
        struct pollfd wait = {.fd = descriptor, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
        ssize_t got = read(descriptor, answer + length, TEXT_BYTES - 1 - length);
        assert_true(got >= 0);
        if (got == 0)
            break;
        length += (size_t)got;
    }
    answer[length] = '\0';
}

static void ask(const struct child *child, const void *word, size_t size, char *answer)
{
    int descriptor = dial(child);
    assert_int_equal(write(descriptor, word, size), size);
    read_all(descriptor, answer);
    close(descriptor);
}

static void assert_answer(const struct child *child, const char *word, const char *expected)
{
    char answer[TEXT_BYTES];
    ask(child, word, strlen(word), answer);
    assert_string_equal(answer, expected);
}

static void assert_answer_has(const struct child *child, const char *word, const char *part)
{
    char answer[TEXT_BYTES];
    ask(child, word, strlen(word), answer);
    if (!strstr(answer, part))
        fail_msg("the answer to %s lacks \"%s\": %s", word, part, answer);
}

#define SIMPLE                                                                                     \
    "return {memory_only = true, client_address = '127.0.0.1:0', four_letter_words = '*'}"

static void test_words(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES];
    child_start(&child, SIMPLE, NULL, 0);
    child_wait_until_listening(&child);
    int idle = dial(&child);
    assert_answer(&child, "ruok", "imok");
    assert_answer(&child, "isro", "rw");
    assert_answer(&child, "gtmk", "306");
    assert_answer_has(&child, "srvr",
                      "Zookeeper version: 3.9.4-moonkeeper-1.2.3, built on 2026-05-24 12:00 UTC\n");
    assert_answer_has(&child, "srvr", "\nConnections: 2\n");
    assert_answer_has(&child, "srvr", "\nMode: standalone\nNode count: 5\n");
    assert_answer_has(&child, "stat", "[0](queued=0,recved=0,sent=0)\n");
    assert_answer_has(&child, "cons", "[1](queued=0,recved=0,sent=0)\n");
    assert_answer_has(&child, "conf", "\ntickTime=2000\n");
    assert_answer_has(&child, "dump", "Session Sets (0)/(0):\n");
    assert_answer_has(&child, "dump", "sessionId: 0x0\n");
    assert_answer_has(&child, "envi", "Environment:\nzookeeper.version=3.9.4-moonkeeper-1.2.3");
    assert_answer_has(&child, "mntr", "\nzk_znode_count\t5\n");
    assert_answer(&child, "wchs", "0 connections watching 0 paths\nTotal watches:0\n");
    assert_answer(&child, "wchp", "\n");
    assert_answer(&child, "crst", "Connection stats reset.\n");
    char answer[TEXT_BYTES];
    ask(&child, "stmk\0\0\0\0\0\0\1\1", 12, answer);
    assert_string_equal(answer, "257");
    assert_answer(&child, "gtmk", "257");
    close(idle);
    kill(child.pid, SIGTERM);
    assert_int_equal(child_end(&child, log), 0);
}

static void test_allow_list(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES], set[] = "four_letter_words=isro";
    char *sets[] = {set};
    child_start(&child, SIMPLE, sets, 1);
    child_wait_until_listening(&child);
    assert_answer(&child, "isro", "rw");
    assert_answer(&child, "ruok", "ruok is not executed because it is not in the whitelist.\n");
    assert_answer_has(&child, "srvr", "Mode: standalone");
    assert_answer(&child, "what", ""); /* no word: a frame that is too long */
    kill(child.pid, SIGINT);
    assert_int_equal(child_end(&child, log), 0);
}

static void test_words_that_fail(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES];
    child_start(
        &child,
        "local kept\n"
        "return {memory_only = true, client_address = '127.0.0.1:0', commands = {\n"
        "  hiya = function(stats) return 'hi ' .. stats.role end,\n"
        "  fail = function() error('no reason') end,\n"
        "  loop = function() while true do pcall(function() while true do end end) end end,\n"
        "  bomb = function() local t = {} for i = 1, 1e9 do t[i] = {} end end,\n"
        "  none = function() end,\n"
        "  miss = function(stats) return stats.frobnicate end,\n"
        "  keep = function(stats) kept = stats return 'kept' end,\n"
        "  used = function() return tostring(pcall(function() return kept.role end)) end,\n"
        "  list = function() return tostring(pcall(function() return kept:sessions() end))"
        " end,\n"
        "}, limits = {command_instructions = 1000000, lua_memory_bytes = 4 << 20}}",
        NULL, 0);
    child_wait_until_listening(&child);
    assert_answer(&child, "hiya", "hi standalone");
    assert_answer(&child, "fail", "fail failed: it raised an error, see the server's log\n");
    assert_answer(&child, "loop",
                  "loop failed: it ran for too long (limits.command_time_ms, "
                  "limits.command_instructions)\n");
    assert_answer(&child, "bomb",
                  "bomb failed: it needed too much memory (limits.lua_memory_bytes)\n");
    assert_answer(&child, "none", "none failed: it raised an error, see the server's log\n");
    assert_answer(&child, "miss", "miss failed: it raised an error, see the server's log\n");
    assert_answer(&child, "keep", "kept");
    assert_answer(&child, "used", "false");
    assert_answer(&child, "list", "false");
    assert_answer(&child, "hiya", "hi standalone");
    kill(child.pid, SIGTERM);
    assert_int_equal(child_end(&child, log), 0);
    assert_non_null(strstr(log, "fail failed: "));
    assert_non_null(strstr(log, ".lua:4: no reason"));
    assert_non_null(strstr(log, ".lua:5: stopped: it ran for too long"));
    assert_non_null(strstr(log, "the command none returned nil, not a text"));
    assert_non_null(strstr(log, "stats has no field or method named frobnicate"));
}

static void wait_for(const struct child *child, const char *word, const char *expected)
{
    char answer[TEXT_BYTES];
    for (int i = 0; i < WAIT_MS / 10; i++) {
        ask(child, word, strlen(word), answer);
        if (strcmp(answer, expected) == 0)
            return;
        usleep(10000);
    }
    fail_msg("the answer to %s stays %s", word, answer);
}

#define SLICED                                                                                     \
    "local runs, open = 0, false\n"                                                                \
    "return {memory_only = true, client_address = '127.0.0.1:0', commands = {\n"                   \
    "  loop = function(stats) runs = runs + 1 stats:write('begun ', runs, ' ') local n = 0\n"      \
    "    while not open do n = n + 1 end stats:write('ended ') return 'done' end,\n"               \
    "  runs = function() return tostring(runs) end,\n"                                             \
    "  open = function() open = true return 'opened' end,\n"                                       \
    "  fail = function(stats) stats:write('some of it\\n') for i = 1, 1e6 do end error('no') "     \
    "end,\n"                                                                                       \
    "}, limits = {command_instructions = 1 << 40, command_time_ms = 60000},\n"                     \
    "  stop_timeout_ms = 500}"

/* A word that takes long keeps nobody waiting; what it wrote is there before it ends. */
static void test_words_in_slices(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES], answer[TEXT_BYTES];
    child_start(&child, SLICED, NULL, 0);
    child_wait_until_listening(&child);
    int first = dial(&child), second = dial(&child);
    assert_int_equal(write(first, "loop", 4), 4);
    assert_int_equal(read(first, answer, 8), 8);
    assert_memory_equal(answer, "begun 1 ", 8);
    shutdown(first, SHUT_WR); /* a client that will not ask for more still wants the answer */
    assert_int_equal(write(second, "loop", 4), 4);
    wait_for(&child, "runs", "2");
    assert_answer(&child, "fail",
                  "some of it\nfail failed: it raised an error, see the server's log\n");
    assert_answer(&child, "open", "opened");
    read_all(first, answer);
    assert_string_equal(answer, "ended done");
    read_all(second, answer);
    assert_string_equal(answer, "begun 2 ended done");
    close(first);
    close(second);
    kill(child.pid, SIGTERM);
    assert_int_equal(child_end(&child, log), 0);
    assert_non_null(strstr(log, "fail failed: "));
}

/* Nobody waits for it any more, or the server stops: it goes in the middle. */
static void test_words_that_never_end(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES], answer[8];
    child_start(&child, SLICED, NULL, 0);
    child_wait_until_listening(&child);
    int first = dial(&child);
    assert_int_equal(write(first, "loop", 4), 4);
    assert_int_equal(read(first, answer, 8), 8);
    close(first);
    for (int i = 0; i < 3; i++) {
        first = dial(&child);
        assert_int_equal(write(first, "loop", 4), 4);
    }
    wait_for(&child, "runs", "4");
    kill(child.pid, SIGTERM);
    assert_int_equal(child_end(&child, log), 0);
    assert_non_null(strstr(log, "not everything could be answered"));
    close(first);
}

static void test_start_that_fails(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES], line[256];
    child_start(&child, "return {memory_only = true, tick_time_ms = 'x'}", NULL, 0);
    child_line(&child, line);
    assert_string_equal(line, "");
    assert_int_equal(child_end(&child, log), 1);
    assert_non_null(strstr(log, ".lua:1: tick_time_ms is \"x\", but must be an integer"));

    char set[] = "client_address=203.0.113.1:1"; /* an address of nobody (RFC 5737) */
    char *sets[] = {set};
    child_start(&child, SIMPLE, sets, 1);
    child_line(&child, line);
    assert_string_equal(line, "");
    assert_int_equal(child_end(&child, log), 1);
    assert_non_null(strstr(log, "the server did not start: cannot listen on 203.0.113.1 port 1"));
}

static void test_start_message_and_json(void **state)
{
    (void)state;
    struct child child;
    char log[TEXT_BYTES], line[256], expected[256];
    child_start(&child,
                "return {memory_only = true, client_address = '127.0.0.1:0', log_level = 'debug',"
                " log_format = 'json', start_message = 'go to {address}'}",
                NULL, 0);
    child_wait_until_listening(&child);
    child_line(&child, line);
    snprintf(expected, sizeof expected, "go to 127.0.0.1:%d", child.port);
    assert_string_equal(line, expected);
    kill(child.pid, SIGTERM);
    assert_int_equal(child_end(&child, log), 0);
    assert_non_null(strstr(log, "\"text\":\"stopping because of SIGTERM"));
    for (char *rest = log, *next; *rest; rest = next) {
        next = rest + strcspn(rest, "\n") + 1;
        assert_int_equal(rest[0], '{');
        assert_int_equal(next[-2], '}');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_allow_list),
        cmocka_unit_test(test_words_that_fail),
        cmocka_unit_test(test_words_in_slices),
        cmocka_unit_test(test_words_that_never_end),
        cmocka_unit_test(test_start_that_fails),
        cmocka_unit_test(test_start_message_and_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
