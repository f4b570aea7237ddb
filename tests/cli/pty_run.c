/* pty_run COLUMNS[,LATER] COMMAND...: runs a command on a pseudo-terminal of so many columns,
 * which after its first output has LATER columns. Copies what it writes to stdout; its exit
 * status is the command's. */
#define _GNU_SOURCE
#include <errno.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct winsize size = {.ws_row = 24};
    char buffer[4096], *rest;
    int terminal, status = 0, later = 0;
    ssize_t n;
    pid_t child;

    if (argc < 3)
        return 2;
    size.ws_col = (unsigned short)strtol(argv[1], &rest, 10);
    if (*rest == ',')
        later = atoi(rest + 1);
    child = forkpty(&terminal, NULL, NULL, &size);
    if (child < 0)
        return 3;
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    while ((n = read(terminal, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0)
            fwrite(buffer, 1, (size_t)n, stdout);
        for (ssize_t i = 0; i < n && later; i++) {
            if (buffer[i] == '%') { /* a bar was drawn */
                size.ws_col = (unsigned short)later;
                ioctl(terminal, TIOCSWINSZ, &size);
                later = 0;
            }
        }
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
