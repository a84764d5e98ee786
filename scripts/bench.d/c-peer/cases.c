/* The cases of scripts/bench, as a client plays them. Each prints one line of JSON. */
#include "peer.h"
#include "proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_TIMES 1000000
#define DIALS_AT_ONCE 16
#define FIRST_STEP 20
#define MOST_KEPT 32

static struct {
    struct endpoint *endpoint;
    struct sockaddr_in server;
    int count;
    char **options;
    uint64_t size, wanted, end, done;
    int active, left;
    struct conn *conn;
    double *times;
    size_t time_count;
    int figures;
} now;

/* MARK: arguments and results */

static uint64_t integer(const char *name, const char *otherwise) {
    return strtoull(option(now.count, now.options, name, otherwise), NULL, 10);
}

static double seconds(const char *otherwise) { return atof(option(now.count, now.options, "seconds", otherwise)); }

/* The next number of a list separated by commas; false at its end. */
static bool next_number(const char **list, uint64_t *number) {
    if (**list == '\0') return false;
    char *rest;
    *number = strtoull(*list, &rest, 10);
    *list = *rest == ',' ? rest + 1 : rest;
    return true;
}

static void say(const char *name, double value) {
    printf("%s\"%s\": %.10g", now.figures++ == 0 ? "{\"figures\": {" : ", ", name, value);
}

static int finish(void) {
    puts(now.figures == 0 ? "{\"figures\": {}}" : "}}");
    return 0;
}

static int by_value(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void say_times(const char *median, const char *high) {
    if (now.time_count == 0) give_up("no round trips");
    qsort(now.times, now.time_count, sizeof *now.times, by_value);
    say(median, now.times[now.time_count / 2]);
    say(high, now.times[now.time_count * 99 / 100]);
}

/* MARK: connecting */

static void one_ready(struct conn *conn) {
    now.conn = conn;
    now.endpoint->stop = true;
}

static void run(struct events events) {
    now.endpoint->events = events;
    now.endpoint->stop = false;
    now.endpoint->now = read_clock();
    endpoint_run(now.endpoint);
}

static void connect_once(void) {
    now.endpoint->now = read_clock();
    conn_dial(now.endpoint, &now.server);
    run((struct events){.ready = one_ready});
}

static void another_ready(struct conn *conn) {
    (void)conn;
    now.active--;
    if (now.left > 0) {
        now.left--;
        now.active++;
        conn_dial(now.endpoint, &now.server);
    } else if (now.active == 0) {
        now.endpoint->stop = true;
    }
}

static void connect_many(int count) {
    if (count <= 0) return;
    now.endpoint->now = read_clock();
    now.active = count < DIALS_AT_ONCE ? count : DIALS_AT_ONCE;
    now.left = count - now.active;
    for (int index = 0; index < now.active; index++) conn_dial(now.endpoint, &now.server);
    run((struct events){.ready = another_ready});
}

/* MARK: streams that carry bytes */

static void counted(struct stream *stream, size_t count, bool is_end) {
    (void)count;
    if (!is_end) return;
    if (stream->received != now.wanted) give_up("the wrong number of bytes");
    if (--now.active == 0) now.endpoint->stop = true;
}

/* `upload=N` bytes there and then `download=N` back on one stream. */
static int transfer(void) {
    connect_once();
    now.wanted = integer("download", "0");
    now.active = 1;
    stream_send(stream_open(now.conn, now.wanted), integer("upload", "0"), true);
    run((struct events){.data = counted});
    say("upload", (double)integer("upload", "0"));
    say("download", (double)now.wanted);
    conn_close(now.conn);
    return finish();
}

static int streams(void) {
    const int count = (int)integer("streams", "100");
    connect_once();
    now.wanted = integer("bytes", "1048576");
    now.active = count;
    const uint64_t start = read_clock();
    for (int index = 0; index < count; index++) stream_send(stream_open(now.conn, now.wanted), 0, true);
    run((struct events){.data = counted});
    say("rate", (double)now.wanted * count / (1 << 20) / ((double)(read_clock() - start) / 1e9));
    return finish();
}

/* MARK: requests and answers */

static void ask(struct stream *stream) {
    stream->awaited = now.size;
    stream->asked_at = read_clock();
    stream_send(stream, now.size, false);
}

static void answered(struct stream *stream, size_t count, bool is_end) {
    if (stream->awaited == 0) {
        /* The bulk beside the pings. */
        if (is_end) now.endpoint->stop = true;
        return;
    }
    stream->awaited -= count;
    if (stream->awaited > 0) return;
    const uint64_t at = read_clock();
    now.done++;
    if (now.times != NULL && now.time_count < MOST_TIMES) now.times[now.time_count++] = (double)(at - stream->asked_at) / 1e3;
    if (at < now.end) {
        ask(stream);
    } else if (--now.active == 0) {
        now.endpoint->stop = true;
    }
}

/* Answers per second of messages of `size` bytes on each of the streams. */
static double exchange(struct stream **list, int level, uint64_t size, double limit) {
    const uint64_t start = now.endpoint->now = read_clock();
    now.size = size;
    now.done = 0;
    now.active = level;
    now.end = start + (uint64_t)(limit * 1e9);
    for (int index = 0; index < level; index++) ask(list[index]);
    run((struct events){.data = answered});
    return (double)now.done / ((double)(read_clock() - start) / 1e9);
}

static int request(void) {
    static struct stream *list[1000];
    uint64_t level, size;
    int open = 0;
    connect_once();
    const char *levels = option(now.count, now.options, "concurrency", "1,32,256");
    while (next_number(&levels, &level)) {
        while (open < (int)level) list[open++] = stream_open(now.conn, ECHO_HEADER);
        const char *sizes = option(now.count, now.options, "sizes", "1,100,10240");
        while (next_number(&sizes, &size)) {
            char name[64];
            (void)snprintf(name, sizeof name, "%llux%llu", (unsigned long long)size, (unsigned long long)level);
            (void)exchange(list, (int)level, size, seconds("0.3") / 5);
            say(name, exchange(list, (int)level, size, seconds("0.3")));
        }
    }
    return finish();
}

static int ping(void) {
    struct stream *stream;
    now.times = calloc(MOST_TIMES, sizeof *now.times);
    if (now.times == NULL) give_up("memory");
    connect_once();
    stream = stream_open(now.conn, ECHO_HEADER);
    (void)exchange(&stream, 1, 32, 0.05);
    now.time_count = 0;
    while (now.time_count < integer("count", "2000")) (void)exchange(&stream, 1, 32, 0.02);
    say_times("median", "p99");
    if (integer("bytes", "268435456") > 0) {
        now.time_count = 0;
        stream_send(stream_open(now.conn, integer("bytes", "268435456")), 0, true);
        (void)exchange(&stream, 1, 32, 1e6); /* the bulk's end stops it */
        say_times("loaded median", "loaded p99");
    }
    return finish();
}

/* MARK: new streams and new connections */

static void open_one(void) {
    struct stream *stream = stream_open(now.conn, ECHO_HEADER);
    if (stream == NULL) give_up("no credit for a stream");
    stream->awaited = 1;
    stream_send(stream, 1, false);
}

static void echoed(struct stream *stream, size_t count, bool is_end) {
    (void)is_end;
    if (count == 0 || stream->awaited == 0) return;
    stream->awaited = 0;
    stream_send(stream, 0, true);
}

static void closed(struct stream *stream) {
    (void)stream;
    now.done++;
    if (read_clock() < now.end) {
        open_one();
    } else if (--now.active == 0) {
        now.endpoint->stop = true;
    }
}

static double open_streams(int level, double limit) {
    const uint64_t start = now.endpoint->now = read_clock();
    now.done = 0;
    now.active = level;
    now.end = start + (uint64_t)(limit * 1e9);
    for (int index = 0; index < level; index++) open_one();
    run((struct events){.data = echoed, .stream_closed = closed});
    return (double)now.done / ((double)(read_clock() - start) / 1e9);
}

static int open_case(void) {
    uint64_t level;
    connect_once();
    const char *levels = option(now.count, now.options, "concurrency", "1,32");
    while (next_number(&levels, &level)) {
        char name[32];
        (void)snprintf(name, sizeof name, "%llu", (unsigned long long)level);
        say(name, open_streams((int)level, seconds("0.5")));
    }
    return finish();
}

static void shaken(struct conn *conn) {
    conn_close(conn);
    now.done++;
    if (now.endpoint->now < now.end) {
        conn_dial(now.endpoint, &now.server);
    } else if (--now.active == 0) {
        now.endpoint->stop = true;
    }
}

static int handshake(void) {
    uint64_t level;
    const char *levels = option(now.count, now.options, "concurrency", "1,32");
    while (next_number(&levels, &level)) {
        char name[32];
        const uint64_t start = now.endpoint->now = read_clock();
        now.done = 0;
        now.active = (int)level;
        now.end = start + (uint64_t)(seconds("0.5") * 1e9);
        for (uint64_t index = 0; index < level; index++) conn_dial(now.endpoint, &now.server);
        run((struct events){.ready = shaken});
        (void)snprintf(name, sizeof name, "%llu", (unsigned long long)level);
        say(name, (double)now.done / ((double)(read_clock() - start) / 1e9));
    }
    return finish();
}

/* MARK: many connections */

/* Figures to be said at the end, because other lines come before. */
static char kept_names[MOST_KEPT][64];
static double kept_values[MOST_KEPT];
static int kept;

static void keep(const char *name, double value) {
    if (kept == MOST_KEPT) return;
    (void)snprintf(kept_names[kept], sizeof kept_names[kept], "%s", name);
    kept_values[kept++] = value;
}

static void wait_for_line(void) {
    char line[64];
    fflush(stdout);
    now.endpoint->watches_input = true;
    run((struct events){.ready = NULL});
    now.endpoint->watches_input = false;
    (void)!read(STDIN_FILENO, line, sizeof line);
}

/* What the first connection can do while there are `level`, if that is one of `levels=A,B`. */
static void measure_at(struct conn *conn, struct stream *stream, uint64_t level) {
    const char *levels = option(now.count, now.options, "levels", "");
    uint64_t each;
    while (next_number(&levels, &each)) {
        if (each != level) continue;
        char name[64];
        now.conn = conn;
        (void)snprintf(name, sizeof name, "requests at %llu", (unsigned long long)level);
        keep(name, exchange(&stream, 1, 1, seconds("0.3")));
        (void)snprintf(name, sizeof name, "streams at %llu", (unsigned long long)level);
        keep(name, open_streams(1, seconds("0.3")));
    }
}

static int idle(void) {
    const uint64_t count = integer("connections", "1000"), each = integer("streams", "0"), busy = integer("busy", "1000");
    const char *levels = option(now.count, now.options, "levels", "");
    uint64_t level, connected = 0;
    connect_once();
    struct conn *first = now.conn;
    struct stream *stream = stream_open(first, ECHO_HEADER);
    connect_many(FIRST_STEP - 1);
    measure_at(first, stream, FIRST_STEP);
    puts("ready 0 0");
    wait_for_line();
    while (next_number(&levels, &level)) {
        if (level <= FIRST_STEP || level > count) continue;
        connect_many((int)(level - connected));
        connected = level;
        measure_at(first, stream, level);
    }
    connect_many((int)(count - connected));
    printf("ready %llu 0\n", (unsigned long long)count);
    wait_for_line();
    if (each > 0) {
        struct stream **all = calloc(busy * each, sizeof *all);
        if (all == NULL || now.endpoint->heap_count < busy) give_up("streams");
        uint64_t total = 0;
        for (uint64_t conn = 0; conn < busy; conn++) {
            for (uint64_t index = 0; index < each; index++) {
                all[total++] = stream_open(now.endpoint->heap[conn], ECHO_HEADER);
            }
        }
        (void)exchange(all, (int)total, 32, 0);
        printf("ready %llu %llu\n", (unsigned long long)count, (unsigned long long)total);
        wait_for_line();
    }
    for (int index = 0; index < kept; index++) say(kept_names[index], kept_values[index]);
    return finish();
}

int dial_case(const char *address, const char *name, int count, char **options) {
    static const struct {
        const char *name;
        int (*play)(void);
    } all[] = {{"transfer", transfer}, {"streams", streams}, {"request", request}, {"open", open_case},
               {"handshake", handshake}, {"ping", ping}, {"idle", idle}};
    now.count = count;
    now.options = options;
    now.server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address))};
    now.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    now.endpoint = endpoint_new(false, 0, &now.server);
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        if (strcmp(all[index].name, name) == 0) return all[index].play();
    }
    fprintf(stderr, "c-peer: there is no case '%s'\n", name);
    return 2;
}
