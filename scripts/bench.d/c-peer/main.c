/* c-peer listen | dial ADDRESS CASE [NAME=VALUE …] | proxy PORT [NAME=VALUE …] */
#include "peer.h"
#include "proxy.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int listen_forever(void) {
    struct endpoint *endpoint = endpoint_new(true, 0, NULL);
    printf("listening %u\n", ntohs(endpoint->local.sin_port));
    fflush(stdout);
    endpoint_run(endpoint);
    return 0;
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    if (count >= 2 && strcmp(words[1], "listen") == 0) return listen_forever();
    if (count >= 4 && strcmp(words[1], "dial") == 0) return dial_case(words[2], words[3], count - 4, words + 4);
    if (count >= 3 && strcmp(words[1], "proxy") == 0) return proxy(words[2], count - 3, words + 3);
    fputs("c-peer: listen, dial ADDRESS CASE, or proxy PORT\n", stderr);
    return 2;
}
