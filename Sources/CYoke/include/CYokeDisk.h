#define _GNU_SOURCE 1
#pragma once

// Files and block devices.

#include "CYokeFeatures.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

static const int YOKE_O_DIRECT = O_DIRECT;
static const int YOKE_PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
static const int YOKE_ZERO_RANGE = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
static const int YOKE_WRITE_DURABLE = RWF_DSYNC;
static const int YOKE_LOCK_EXCLUSIVE = LOCK_EX | LOCK_NB;

// flock(2) shares its name with a structure, which hides it from Swift.
static inline int yoke_flock(int fd, int operation) { return flock(fd, operation); }

static inline int yoke_is_regular(mode_t mode) { return S_ISREG(mode); }
static inline int yoke_is_block_device(mode_t mode) { return S_ISBLK(mode); }
static inline uint32_t yoke_device_major(dev_t device) { return major(device); }
static inline uint32_t yoke_device_minor(dev_t device) { return minor(device); }

/// Whether a file lives in memory: its reads and writes are copies and never wait for a device.
static inline int yoke_is_in_memory(int fd) {
    struct statfs status;
    return fstatfs(fd, &status) == 0 && (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

/// Size of a block device in bytes.
static inline int yoke_block_device_size(int fd, uint64_t *size) { return ioctl(fd, BLKGETSIZE64, size); }
static inline int yoke_block_logical_size(int fd, int *size) { return ioctl(fd, BLKSSZGET, size); }

static inline int yoke_block_physical_size(int fd, unsigned *size) { return ioctl(fd, BLKPBSZGET, size); }

static inline int yoke_block_discard(int fd, uint64_t offset, uint64_t count) {
    uint64_t range[2] = {offset, count};
    return ioctl(fd, BLKDISCARD, range);
}

static inline ssize_t yoke_read(int fd, void *bytes, size_t count, uint64_t offset) {
    return pread(fd, bytes, count, (off_t)offset);
}

static inline ssize_t yoke_write(int fd, const void *bytes, size_t count, uint64_t offset, int flags) {
    if (flags == 0)
        return pwrite(fd, bytes, count, (off_t)offset);
    struct iovec piece = {(void *)bytes, count};
    return pwritev2(fd, &piece, 1, (off_t)offset, flags);
}

/// What statx(2) says of O_DIRECT: alignment of memory and of offsets; 0 and 0 where it is not supported.
/// Returns -1 when the kernel (before 6.1) or the filesystem does not tell.
static inline int yoke_direct_alignment(int fd, uint32_t *memory, uint32_t *offset) {
#ifdef SYS_statx
    // Offsets of stx_mask, stx_dio_mem_align and stx_dio_offset_align: linux/stat.h. The structure of the C library
    // may be older than these fields; the system call fills 256 bytes.
    unsigned char answer[256] = {0};
    const uint32_t wanted = 0x2000; // STATX_DIOALIGN
    uint32_t mask;
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, wanted, answer) != 0)
        return -1;
    memcpy(&mask, answer, 4);
    if (!(mask & wanted))
        return -1;
    memcpy(memory, answer + 0x98, 4);
    memcpy(offset, answer + 0x9c, 4);
    return 0;
#else
    return -1;
#endif
}
