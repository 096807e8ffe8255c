/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target once over each file of the given folders, without a fuzzer: the corpus as a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
        FILE *file = fopen(path, "rb");
        uint8_t *data = malloc(INPUT_MAX), *exact;
        size_t size;

        if (!file || !data) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        size = fread(data, 1, INPUT_MAX, file);
        fclose(file);
        exact = realloc(data, size ? size : 1);
        fprintf(stderr, "%s\n", path); /* the last one named is the one that fails */
        (void)LLVMFuzzerTestOneInput(exact ? exact : data, size);
        free(exact ? exact : data);
        return 1;
}

static int replay_folder(const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        char path[4096];
        int count = 0;

        if (!dir) {
                perror(folder);
                exit(EXIT_FAILURE);
        }
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                count += replay_file(path);
        }
        closedir(dir);
        return count;
}

int main(int argc, char **argv)
{
        int count = 0;

        for (int i = 1; i < argc; i++)
                count += replay_folder(argv[i]);
        printf("%d inputs\n", count);
        return count ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus proves nothing */
}
