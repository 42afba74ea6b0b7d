/* Preloaded into a program, it lets some writes to a database fail as a failing disk does.

   FAULTY_DISK names a file of 8 bytes, which may change at any time: the percentage of writes that
   fail, their errno, two bytes of nothing, and a count of those that have failed (32 bits). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct faults {
    volatile uint8_t percentage, error, nothing[2];
    uint32_t count;
};

static struct faults *faults;

__attribute__((constructor)) static void open_faults(void)
{
    const char *name = getenv("FAULTY_DISK");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        faults = mapped;
    close(file);
}

static int fails(int file)
{
    char link[64], path[4096];
    if (!faults || random() % 100 >= faults->percentage)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, "/adapter.db"))
        return 0;
    __atomic_add_fetch(&faults->count, 1, __ATOMIC_RELAXED);
    errno = faults->error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at)
{
    return fails(file) ? -1 : REAL(pwrite64)(file, bytes, count, at);
}

ssize_t write(int file, const void *bytes, size_t count)
{
    return fails(file) ? -1 : REAL(write)(file, bytes, count);
}

int ftruncate64(int file, off64_t length)
{
    return fails(file) ? -1 : REAL(ftruncate64)(file, length);
}

int fsync(int file)
{
    return fails(file) ? -1 : REAL(fsync)(file);
}

int fdatasync(int file)
{
    return fails(file) ? -1 : REAL(fdatasync)(file);
}
