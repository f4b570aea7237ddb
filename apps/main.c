#include <stdio.h>

int main(void)
{
    puts("volt " VOLT_VERSION);
    return fflush(stdout) == 0 ? 0 : 1;
}
