#define _GNU_SOURCE 1
#pragma once

// Block device nodes: FUSE mounts, loop devices, the kernel's nbd driver, special files.

#include "CYokeFeatures.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/loop.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const int YOKE_UNMOUNT_DETACH = MNT_DETACH;
static const int YOKE_OPEN_EXCLUSIVE = O_RDONLY | O_EXCL | O_CLOEXEC;

static inline int yoke_mount(const char *source, const char *target, const char *type, unsigned long flags,
                             const char *options) {
    return mount(source, target, type, flags, options);
}
static inline int yoke_unmount(const char *target, int flags) { return umount2(target, flags); }

/// A number whose loop device is free, or -1.
static inline int yoke_loop_free_number(int control) { return ioctl(control, LOOP_CTL_GET_FREE); }
/// Makes loop device `number` appear; -1 with EEXIST when it is there.
static inline int yoke_loop_add(int control, int number) { return ioctl(control, LOOP_CTL_ADD, number); }

/// LOOP_CONFIGURE, Linux 5.8. `flags` are LO_FLAGS_*; `name` is shown by losetup.
static inline int yoke_loop_configure(int loop, int file, uint32_t blockSize, uint32_t flags, const char *name) {
    struct loop_config config;
    memset(&config, 0, sizeof config);
    config.fd = (uint32_t)file;
    config.block_size = blockSize;
    config.info.lo_flags = flags;
    strncpy((char *)config.info.lo_file_name, name, LO_NAME_SIZE - 1);
    return ioctl(loop, LOOP_CONFIGURE, &config);
}

/// The flags of a configured loop device, or -1.
static inline int yoke_loop_flags(int loop) {
    struct loop_info64 info;
    memset(&info, 0, sizeof info);
    return ioctl(loop, LOOP_GET_STATUS64, &info) < 0 ? -1 : (int)info.lo_flags;
}

static inline int yoke_loop_clear(int loop) { return ioctl(loop, LOOP_CLR_FD, 0); }

/// 1 for a block device, whose numbers are stored; 2 for a symbolic link; 0 for anything else; -1 when there is
/// nothing. Links are not followed unless `follow` is set.
static inline int yoke_node_kind(const char *path, int follow, uint32_t *deviceMajor, uint32_t *deviceMinor) {
    struct stat status;
    if (fstatat(AT_FDCWD, path, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    *deviceMajor = major(status.st_rdev);
    *deviceMinor = minor(status.st_rdev);
    return S_ISBLK(status.st_mode) ? 1 : S_ISLNK(status.st_mode) ? 2 : 0;
}

static inline int yoke_make_block_node(const char *path, mode_t permissions, uint32_t deviceMajor,
                                       uint32_t deviceMinor) {
    return mknod(path, S_IFBLK | permissions, makedev(deviceMajor, deviceMinor));
}

static inline int yoke_generic_netlink_socket(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
}
