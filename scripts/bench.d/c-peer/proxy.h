/* A bad network between two ends on the loopback interface. */
#ifndef BENCH_PROXY_H
#define BENCH_PROXY_H

/* The value of a NAME=VALUE argument. */
const char *option(int count, char **options, const char *name, const char *otherwise);

/* Hands datagrams on to 127.0.0.1:`port` and back until the process is ended: `loss=SHARE` of them is lost, and each
 * direction takes `delay=MILLISECONDS`. Chance follows from `seed=N`. Every client address has a socket of its own. */
int proxy(const char *port, int count, char **options);

#endif
