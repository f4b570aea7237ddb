/* link_probe: what a link between two hosts does, over TCP.
 * usage: link_probe answer ADDRESS PORT                     serves one link_probe, then ends
 *        link_probe ask ADDRESS PORT TRIPS BYTES            prints "LEAST MEDIAN RATE": round
 * trips in us, and bit/s of BYTES in one go Either ends after a minute whatever happens. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 16, MOST_TRIPS = 10000 };

static char piece[PIECE];

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void rest(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static bool move(int s, int64_t bytes, bool out)
{
    while (bytes > 0) {
        const size_t most = bytes < PIECE ? (size_t)bytes : PIECE;
        const ssize_t n = out ? send(s, piece, most, MSG_NOSIGNAL) : recv(s, piece, most, 0);
        if (n <= 0)
            return false;
        bytes -= n;
    }
    return true;
}

/* Every number of bytes that comes announced by that number is answered by one byte. */
static int answer(const struct sockaddr_in *own)
{
    const int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    int s;
    int64_t bytes;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (const struct sockaddr *)own, sizeof *own) != 0 ||
        listen(listener, 1) != 0 || (s = accept(listener, NULL, NULL)) < 0) {
        perror("link_probe");
        return 1;
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (recv(s, &bytes, sizeof bytes, MSG_WAITALL) == (ssize_t)sizeof bytes &&
           move(s, bytes, false) && move(s, 1, true))
        ;
    return 0;
}

/* Seconds until `bytes` are there and this is known; negative: the link is broken. */
static double trip(int s, int64_t bytes)
{
    const double began = seconds();

    if (send(s, &bytes, sizeof bytes, MSG_NOSIGNAL) != (ssize_t)sizeof bytes ||
        !move(s, bytes, true) || !move(s, 1, false))
        return -1;
    return seconds() - began;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int ask(const struct sockaddr_in *peer, int trips, int64_t bytes)
{
    static double times[MOST_TRIPS];
    const int one = 1;
    int s = -1;
    double once;

    for (int i = 0; i < 100; i++) { /* until the other one listens */
        s = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(s, (const struct sockaddr *)peer, sizeof *peer) == 0)
            break;
        close(s);
        s = -1;
        rest(50);
    }
    if (s < 0) {
        perror("link_probe");
        return 1;
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int i = 0; i < trips; i++) {
        times[i] = trip(s, 1);
        if (times[i] < 0)
            return 1;
    }
    qsort(times, (size_t)trips, sizeof *times, compare);
    once = trip(s, bytes); /* windows grow */
    if (once >= 0)
        once = trip(s, bytes);
    if (once < 0)
        return 1;
    once = once > 2 * times[0] ? once - times[0] : once;
    printf("%.0f %.0f %.0f\n", 1e6 * times[0], 1e6 * times[trips / 2],
           8 * (double)bytes / once);
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int trips = argc == 6 ? atoi(argv[4]) : 1;

    alarm(60);
    if (argc < 4 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1 || trips < 1 ||
        trips > MOST_TRIPS) {
        fprintf(stderr,
                "usage: link_probe answer ADDRESS PORT | ask ADDRESS PORT TRIPS BYTES\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(argv[3]));
    if (strcmp(argv[1], "answer") == 0)
        return answer(&address);
    return ask(&address, trips, argc == 6 ? atoll(argv[5]) : 1);
}
