/* link_delay PREFIX HOSTS: links with a rate and a delay between network namespaces, for
 * kernels without netem. Creates the TAP devices PREFIX0, PREFIX1, ..., which the caller moves
 * into the namespaces, and prints a line. Then every line "RATE DELAY" on standard input
 * (bit/s, ns; a rate of 0 has no limit) sets all links and is answered by "FRAMES DROPPED
 * CPU_SECONDS" since the start. Ends with its input.
 *
 * Each host sends at the rate, one frame after another, and what it has sent arrives the delay
 * later at the device with the address, 02:00:00:00:00:NN with NN = number + 1. A queue that is
 * full drops frames, as a switch does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_HOSTS = 64,
    HEAD = sizeof(struct virtio_net_hdr), /* in front of every frame */
    ADDRESS = 6,
    MOST_BYTES = HEAD + 14 + 65535,
    MOST_QUEUED = 256 << 20,
    BURST = 32 /* frames of one host before the others' turn */
};

typedef struct frame {
    struct frame *next;
    int64_t due; /* ns */
    size_t bytes;
    unsigned char data[];
} frame;

typedef struct host {
    int device;
    frame *first, *last; /* on their way; ascending in `due` */
    size_t queued;       /* bytes */
    int64_t sent;        /* when its link is free again; ns */
} host;

static host hosts[MOST_HOSTS];
static int count;
static int64_t rate, delay; /* bit/s, ns */
static uint64_t frames, dropped;

static void die(const char *what)
{
    fprintf(stderr, "link_delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void open_device(host *h, const char *prefix, int number)
{
    struct ifreq name = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}, address;
    const int socket_of = socket(AF_INET, SOCK_DGRAM, 0);
    int length;

    h->device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (h->device < 0)
        die("/dev/net/tun");
    length = snprintf(name.ifr_name, IFNAMSIZ, "%s%d", prefix, number);
    if (length < 0 || length >= IFNAMSIZ || ioctl(h->device, TUNSETIFF, &name) != 0)
        die("TUNSETIFF");
    /* The kernel passes long pieces of TCP whole, and leaves out checksums. */
    if (ioctl(h->device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0)
        die("TUNSETOFFLOAD");
    address = name;
    address.ifr_hwaddr = (struct sockaddr){.sa_family = ARPHRD_ETHER};
    memcpy(address.ifr_hwaddr.sa_data, (char[ADDRESS]){2, 0, 0, 0, 0, (char)(number + 1)},
           ADDRESS);
    if (socket_of < 0 || ioctl(socket_of, SIOCSIFHWADDR, &address) != 0)
        die("SIOCSIFHWADDR");
    close(socket_of);
}

/* Bytes on the wire: the kernel hands over several packets of TCP as one. */
static int64_t wire_bytes(const frame *f)
{
    struct virtio_net_hdr head;
    const int64_t bytes = (int64_t)f->bytes - HEAD;

    memcpy(&head, f->data, HEAD);
    if (head.gso_type == VIRTIO_NET_HDR_GSO_NONE || head.gso_size == 0 || bytes <= head.hdr_len)
        return bytes;
    return bytes + (bytes - head.hdr_len - 1) / head.gso_size * head.hdr_len;
}

/* Takes what a host sends. */
static void take(host *h)
{
    for (int i = 0; i < BURST; i++) {
        frame *f = malloc(sizeof *f + MOST_BYTES), *small;
        const ssize_t got = f ? read(h->device, f->data, MOST_BYTES) : -1;
        const int64_t t = now();

        if (!f || got < HEAD + 2 * ADDRESS || h->queued + (size_t)got > MOST_QUEUED) {
            dropped += got > 0;
            free(f);
            if (got > 0)
                continue;
            return;
        }
        small = realloc(f, sizeof *f + (size_t)got);
        f = small ? small : f;
        f->next = NULL;
        f->bytes = (size_t)got;
        h->sent = h->sent > t ? h->sent : t;
        if (rate > 0)
            h->sent += (int64_t)(8e9 * (double)wire_bytes(f) / (double)rate);
        f->due = h->sent + delay;
        if (h->last)
            h->last->next = f;
        else
            h->first = f;
        h->last = f;
        h->queued += f->bytes;
    }
}

static void deliver(const host *from, const frame *f)
{
    const unsigned char *to = f->data + HEAD;
    const bool all = to[0] & 1;

    for (int i = 0; i < count; i++) {
        if (&hosts[i] == from || (!all && to[ADDRESS - 1] != i + 1))
            continue;
        if (write(hosts[i].device, f->data, f->bytes) < 0)
            dropped++; /* as by a host that is not up */
        frames++;
    }
}

/* Delivers what is due; when the next frame is, or 0. */
static int64_t deliver_due(void)
{
    int64_t next = 0;

    for (int i = 0; i < count; i++) {
        host *h = &hosts[i];
        for (frame *f = h->first; f && f->due <= now(); f = h->first) {
            deliver(h, f);
            h->first = f->next;
            h->last = h->first ? h->last : NULL;
            h->queued -= f->bytes;
            free(f);
        }
        if (h->first && (next == 0 || h->first->due < next))
            next = h->first->due;
    }
    return next;
}

/* Reads and answers settings; false at the end of the input. */
static bool set_links(void)
{
    static char text[256];
    static size_t used;
    const ssize_t got = read(STDIN_FILENO, text + used, sizeof text - 1 - used);
    struct timespec cpu;

    if (got <= 0)
        return got < 0 && (errno == EINTR || errno == EAGAIN);
    used += (size_t)got;
    text[used] = '\0';
    if (!strchr(text, '\n'))
        return used < sizeof text - 1;
    if (sscanf(text, "%" SCNd64 " %" SCNd64, &rate, &delay) != 2)
        return false;
    used = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("%" PRIu64 " %" PRIu64 " %.2f\n", frames, dropped,
           (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec);
    return fflush(stdout) == 0;
}

static void set_timer(int timer, int64_t at)
{
    const struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000}};

    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        die("timerfd_settime");
}

int main(int argc, char **argv)
{
    struct pollfd wait[2 + MOST_HOSTS];
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int64_t next = 0, set = 0;
    uint64_t expired;

    count = argc == 3 ? atoi(argv[2]) : 0;
    if (count < 1 || count > MOST_HOSTS) {
        fprintf(stderr, "usage: link_delay PREFIX HOSTS (1 to %d)\n", MOST_HOSTS);
        return 2;
    }
    if (timer < 0)
        die("timerfd_create");
    wait[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    wait[1] = (struct pollfd){.fd = timer, .events = POLLIN};
    for (int i = 0; i < count; i++) {
        open_device(&hosts[i], argv[1], i);
        wait[2 + i] = (struct pollfd){.fd = hosts[i].device, .events = POLLIN};
    }
    printf("%d devices\n", count);
    fflush(stdout);
    for (;;) {
        if (poll(wait, (nfds_t)(2 + count), -1) < 0 && errno != EINTR)
            die("poll");
        if (wait[0].revents && !set_links())
            return 0;
        if (wait[1].revents)
            (void)!read(timer, &expired, sizeof expired);
        for (int i = 0; i < count; i++) {
            if (wait[2 + i].revents & POLLIN)
                take(&hosts[i]);
        }
        next = deliver_due();
        if (next != set)
            set_timer(timer, set = next);
    }
}
