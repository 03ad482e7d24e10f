/* SPDX-License-Identifier: MIT */
/*
 * replay [--random SEEDS] FOLDER...: a fuzz target without a fuzzer: each file of the folders, and as many
 * inputs made of random bytes. For compilers that have no libFuzzer.
 */
#define _DEFAULT_SOURCE 1

#include "fuzz.h"

#include <dirent.h>
#include <string.h>

#define INPUT_MAX (1u << 20)

static unsigned char input[INPUT_MAX];

static size_t replay_folder(const char *folder)
{
    DIR *stream = opendir(folder);
    if (stream == NULL) {
        perror(folder);
        exit(2);
    }
    size_t count = 0;
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            perror(path);
            exit(2);
        }
        const size_t size = fread(input, 1, sizeof input, file);
        (void)fclose(file);
        /* A copy of its exact size, so that a read past its end is seen by a sanitizer. */
        unsigned char *copy = malloc(size > 0 ? size : 1);
        MUST(copy != NULL);
        memcpy(copy, input, size);
        (void)LLVMFuzzerTestOneInput(copy, size);
        free(copy);
        count++;
    }
    (void)closedir(stream);
    return count;
}

static void replay_random(unsigned long long seeds)
{
    for (unsigned long long seed = 1; seed <= seeds; seed++) {
        uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15);
        const size_t size = 64u + (size_t)(state >> 40) % 4096u;
        for (size_t i = 0; i < size; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            input[i] = (unsigned char)(state >> 56);
        }
        (void)LLVMFuzzerTestOneInput(input, size);
    }
    (void)printf("%llu inputs of random bytes, seeds 1 to %llu\n", seeds, seeds);
}

int main(int argc, char **argv)
{
    size_t files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--random") == 0 && i + 1 < argc) {
            replay_random(strtoull(argv[++i], NULL, 10));
        } else {
            files += replay_folder(argv[i]);
        }
    }
    (void)printf("%zu files of the corpora\n", files);
    return files > 0 ? 0 : 1;
}
