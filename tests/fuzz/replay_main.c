/* SPDX-License-Identifier: MIT */
/* main() of a fuzz target that is built without libFuzzer: runs the target over every file that
 * is given, or that is in a directory that is given, and prints TAP. A crash ends the process
 * with the name of the file as the last line on stderr. Each file is copied to the heap in its
 * exact size, so that sanitizers see a read beyond the end. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct replay {
    int count;
    int failures;
};

static void report(struct replay *replay, const char *path, const char *trouble)
{
    replay->count++;
    if (trouble) {
        replay->failures++;
        printf("not ok %d - %s: %s\n", replay->count, path, trouble);
    } else {
        printf("ok %d - %s\n", replay->count, path);
    }
}

static void run_file(struct replay *replay, const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        report(replay, path, strerror(errno));
        return;
    }
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) {
        report(replay, path, "cannot be read");
    } else {
        fprintf(stderr, "%s\n", path);
        LLVMFuzzerTestOneInput(data, size);
        report(replay, path, NULL);
    }
    free(data);
    fclose(file);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_path(struct replay *replay, const char *path)
{
    struct stat status;
    struct dirent **entries;
    if (stat(path, &status) != 0) {
        report(replay, path, strerror(errno));
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        run_file(replay, path, (size_t)status.st_size);
        return;
    }
    int count = scandir(path, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char inner[PATH_MAX_BYTES];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && length > 0 && length < PATH_MAX_BYTES)
            run_path(replay, inner);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    struct replay replay = {0, 0};
    for (int i = 1; i < argc; i++)
        run_path(&replay, argv[i]);
    printf("1..%d\n", replay.count);
    if (replay.count == 0)
        fprintf(stderr, "no file to run: give corpus files or directories\n");
    return replay.count == 0 || replay.failures > 0;
}
