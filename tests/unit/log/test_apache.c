/* SPDX-License-Identifier: MIT */
/* Apache's own programs read what we wrote: every transaction type with our trailer behind it,
 * error transactions (whose missing digest the trailer takes the place of), our snapshot; and what
 * a cut and an installed snapshot leave. Skipped where java or Apache's jar is missing. */
#include "tests/unit/log/files.h"

#include "log/cut.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define JAR "/usr/share/java/zookeeper.jar"
#define CLASS_PATH "/usr/share/java/zookeeper.jar:/usr/share/java/*"
#define START_SECONDS_MAX 30

static char root[] = "/tmp/moonkeeper-apache-XXXXXX";

static bool java_missing(void)
{
    return access(JAR, R_OK) != 0 || system("java -version >/dev/null 2>&1") != 0;
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

/* Copies a snapshot by our reader and writer. */
struct copy {
    struct snapfile_walk walk;
    struct snapfile_writer *writer;
};

static int copy_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                     const char **reason)
{
    struct copy *copy = context;
    struct log_error error;
    int result = snapfile_walk_body(&copy->walk, data, size, consumed, reason);
    assert_int_equal(snapfile_write(copy->writer, data, *consumed, &error), 0);
    return result;
}

/* `received`: under the name of one that comes from a leader. */
static void copy_snapshot(struct memory_store *from, struct memory_store *to, const char *name,
                          int64_t zxid, bool received)
{
    struct copy copy;
    struct snapfile_info info;
    struct log_error error;
    snapfile_walk_init(&copy.walk);
    int result = received ? snapfile_begin_received(memory_store_of(to), &copy.writer, &error)
                          : snapfile_begin(memory_store_of(to), zxid, &copy.writer, &error);
    assert_int_equal(result, 0);
    assert_int_equal(snapfile_read(memory_store_of(from), name, copy_body, &copy, &info, &error),
                     0);
    info.seal.has_last_zxid = true;
    info.seal.last_zxid = zxid;
    assert_int_equal(snapfile_finish(copy.writer, &info.seal, NULL, &error), 0);
}

/* Every entry of the golden logs through our writer: 60 of all types, in three files, the last
 * with padding behind it. */
static void copy_logs(struct memory_store *from, struct memory_store *to)
{
    struct txnlog_scan_options options = {.base_zxid = -1};
    struct txnlog_options log_options;
    struct txnlog_tail tail = {.last_zxid = 0};
    struct txnlog_scan *scan;
    struct txnlog_entry entry;
    struct txnlog *log;
    struct log_error error;
    txnlog_options_init(&log_options);
    log_options.preallocate_bytes = 64 << 10;
    assert_int_equal(txnlog_scan_open(memory_store_of(from), &options, &scan, &error), 0);
    assert_int_equal(txnlog_open(memory_store_of(to), &log_options, &tail, &log, &error), 0);
    int count = 0;
    while (txnlog_scan_next(scan, &entry, &error) == 1) {
        assert_int_equal(txnlog_append(log, entry.zxid, entry.data, entry.length, &error), 0);
        if (++count % 7 == 0)
            assert_int_equal(txnlog_flush(log, &error), 0);
        if (count % 25 == 0)
            assert_int_equal(txnlog_roll(log, &error), 0);
    }
    assert_int_equal(count, 60);
    assert_int_equal(txnlog_flush(log, &error), 0);
    txnlog_free(log);
    txnlog_scan_free(scan);
}

/* Output of a command, zero-terminated. */
static size_t run(const char *command, char *output, size_t size)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, size - 1, pipe);
    for (size_t i = 0; i < got; i++)
        output[i] = output[i] ? output[i] : '.'; /* node data is printed as it is */
    output[got] = '\0';
    pclose(pipe);
    return got;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        count++;
    return count;
}

static void test_toolkit(void **state)
{
    (void)state;
    if (java_missing())
        skip();
    struct memory_store *from = vectors_load("ensemble-3.8.0/version-2"), *to;
    to = memory_store_new(1);
    copy_logs(from, to);
    directory_save(to, root);
    int dumped = 0;
    const char *name;
    for (size_t i = 0; (name = memory_store_name(to, i)) != NULL; i++) {
        char command[512], output[65536];
        if (strncmp(name, "log.", 4) != 0)
            continue;
        snprintf(command, sizeof command,
                 "java -cp '" CLASS_PATH "' org.apache.zookeeper.server.persistence.TxnLogToolkit"
                 " -d %s/%s 2>/dev/null",
                 root, name);
        run(command, output, sizeof output);
        assert_null(strstr(output, "CRC ERROR"));
        assert_null(strstr(output, "partial"));
        dumped += count_of(output, " zxid 0x");
    }
    assert_int_equal(dumped, 60);
    memory_store_free(from);
    memory_store_free(to);
}

/* --- a whole server --------------------------------------------------------------------------- */

/* While nobody listens yet, the kernel may give our end the very same port: then we would be
 * connected to ourselves and read our own word for ever. */
static bool is_own(int descriptor, int port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    return getsockname(descriptor, (struct sockaddr *)&address, &length) == 0 &&
           ntohs(address.sin_port) == port;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval patience = {.tv_sec = 5, .tv_usec = 0};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        !is_own(descriptor, port))
        return descriptor;
    close(descriptor);
    return -1;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
    close(descriptor);
    return ntohs(address.sin_port);
}

static pid_t start_server(const char *data, int port)
{
    char config[256], text[512];
    snprintf(config, sizeof config, "%s/zoo.cfg", root);
    snprintf(text, sizeof text,
             "dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\ntickTime=2000\n"
             "admin.enableServer=false\n4lw.commands.whitelist=*\nextendedTypesEnabled=true\n",
             data, port);
    FILE *file = fopen(config, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(1);
        execlp("java", "java", "-Dzookeeper.extendedTypesEnabled=true", "-Xmx64m", "-cp",
               CLASS_PATH, "org.apache.zookeeper.server.ZooKeeperServerMain", config, (char *)NULL);
        _exit(1);
    }
    return child;
}

/* The answer to a four-letter word; asks until the server is there. */
static bool ask(int port, const char *word, char *answer, size_t size)
{
    for (int i = 0; i < START_SECONDS_MAX * 5; i++) {
        int descriptor = connect_to(port);
        if (descriptor >= 0) {
            size_t length = 0;
            ssize_t got = write(descriptor, word, 4);
            while (got > 0 && length < size - 1) {
                got = read(descriptor, answer + length, size - 1 - length);
                length += got > 0 ? (size_t)got : 0;
            }
            close(descriptor);
            answer[length] = '\0';
            if (length && !strstr(answer, "not currently serving"))
                return true;
        }
        usleep(200000);
    }
    return false;
}

/* Apache's server on these files: it must come to `zxid` and find no digest that differs. Then what
 * it left behind (a snapshot of its own), read by us. */
static void serve(struct memory_store *files, int64_t zxid)
{
    static int number;
    char data[128], path[256], line[64], answer[16384];
    snprintf(data, sizeof data, "%s/data%d", root, number++);
    assert_int_equal(mkdir(data, 0755), 0);
    snprintf(path, sizeof path, "%s/version-2", data);
    assert_int_equal(mkdir(path, 0755), 0);
    directory_save(files, path);
    snprintf(line, sizeof line, "Zxid: 0x%llx\n", (unsigned long long)zxid);

    int port = free_port(), status;
    pid_t server = start_server(data, port);
    bool answered = ask(port, "srvr", answer, sizeof answer);
    bool zxid_good = answered && strstr(answer, line) != NULL;
    if (!zxid_good)
        print_error("not %s: %s\n", line, answered ? answer : "no answer");
    bool digests_good =
        ask(port, "mntr", answer, sizeof answer) && strstr(answer, "digest_mismatches_count\t0");
    if (!digests_good)
        print_error("mntr: %s\n", answer);
    kill(server, SIGKILL);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_true(zxid_good);
    assert_true(digests_good);

    struct memory_store *back = memory_store_new(1);
    directory_load(back, path);
    struct replay replay;
    struct log_recover_result recovered;
    struct log_report report;
    struct log_error error;
    log_report_init(&report);
    int result = replay_all(back, (struct log_recover_options){.clean_up = true}, &replay,
                            &recovered, &report, &error);
    if (result < 0)
        print_error("%s\n", error.text);
    assert_int_equal(result, 0);
    assert_true(recovered.last_zxid >= zxid);
    log_report_fini(&report);
    memory_store_free(back);
}

static struct memory_store *copy_all(void)
{
    struct memory_store *from = vectors_load("ensemble-3.8.0/version-2"), *to;
    to = memory_store_new(1);
    copy_logs(from, to);
    copy_snapshot(from, to, "snapshot.0", 0, false);
    copy_snapshot(from, to, "snapshot.100000012", 0x100000012, false);
    memory_store_free(from);
    return to;
}

static void test_server(void **state)
{
    (void)state;
    if (java_missing())
        skip();
    struct memory_store *files = copy_all();
    serve(files, 0x200000008);
    memory_store_free(files);
}

static void test_server_after_cut(void **state)
{
    (void)state;
    if (java_missing())
        skip();
    struct memory_store *files = copy_all();
    struct log_stores stores = {memory_store_of(files), memory_store_of(files)};
    struct txnlog_tail tail;
    struct log_error error;
    assert_int_equal(log_truncate(&stores, 0x100000021, &tail, &error), 0);
    serve(files, 0x100000021);
    memory_store_free(files);
}

static void test_server_after_install(void **state)
{
    (void)state;
    if (java_missing())
        skip();
    struct memory_store *files = copy_all();
    struct memory_store *from = vectors_load("ensemble-3.8.0-leader/version-2");
    struct log_stores stores = {memory_store_of(files), memory_store_of(files)};
    struct txnlog_tail tail;
    struct log_error error;
    copy_snapshot(from, files, "snapshot.100000034", 0x100000034, true);
    assert_int_equal(log_install_snapshot(&stores, 0x100000034, &tail, &error), 0);
    serve(files, 0x100000034);
    memory_store_free(from);
    memory_store_free(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toolkit),
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_server_after_cut),
        cmocka_unit_test(test_server_after_install),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
