/* The processes of a scenario: small static programs, so that what is measured is not an interpreter. Each
 * actor's program is a link to this one, and so has the actor's name.
 *
 * canary FILE BUDGET_MS   reads pages and starts /bin/true; JSON at SIGTERM
 * calm FILE SECONDS       how long a canary's cycle takes when nothing happens
 * hold MIB                touches so much, then waits
 * idle COUNT              so many processes that wait
 * tabs COUNT LEAST_MIB MOST_MIB ADJ   so many, of between so much and so much, with that oom_score_adj
 * leak MIB_PER_S CAP_MIB SECONDS [stubborn|zombie|shared]   0 MiB/s: as fast as it goes
 * herd COUNT CAP_MIB SECONDS   so many that leak together
 * bomb COUNT MIB SECONDS       forks so many, who then touch so much, one after the other
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, STEP = 64 * 1024 };
enum { CYCLE_MS = 50, READS_A_CYCLE = 60, CYCLES_A_SPAWN = 4 };
enum { BOMB_STAGGER_MS = 30 };
enum { KILLED = 128 + SIGKILL }; /* as a shell says it */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void nap(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void name_me(const char *name) { prctl(PR_SET_NAME, name); }

/* ---- canary: what a user would feel ---- */

static volatile sig_atomic_t stopping;
static void on_term(int sig) { (void)sig; stopping = 1; }

static volatile unsigned char sink;

static void spawn_true(void)
{
    static char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
    pid_t child;
    /* A plain spawn that fails for want of memory is a stall of its own kind: the cycle shows it. */
    if (posix_spawn(&child, argv[0], NULL, NULL, argv, env) == 0)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
}

static double cycle_s(const unsigned char *map, size_t pages, unsigned number)
{
    static unsigned seed = 1;
    double start = now();
    for (int i = 0; i < READS_A_CYCLE; i++)
        sink = map[(size_t)(rand_r(&seed) % pages) * PAGE];
    if (number % CYCLES_A_SPAWN == 0)
        spawn_true();
    return now() - start;
}

static const unsigned char *map_file(const char *path, size_t *pages)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st))
        die(path);
    *pages = st.st_size / PAGE;
    unsigned char *map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("mmap");
    for (size_t i = 0; i < *pages; i++)
        sink = map[i * PAGE];
    return map;
}

static int canary(const char *path, double budget_s)
{
    size_t pages;
    const unsigned char *map = map_file(path, &pages);
    double total = 0, worst = 0, worst_at = 0, start = now();
    unsigned number = 0, late = 0;
    signal(SIGTERM, on_term);
    for (; !stopping; number++) {
        double took = cycle_s(map, pages, number), over = took - budget_s;
        if (over > 0) {
            late++;
            total += over;
            if (over > worst) {
                worst = over;
                worst_at = now() - start;
            }
        }
        if (took < CYCLE_MS / 1e3)
            nap(CYCLE_MS / 1e3 - took);
    }
    printf("{\"worst_s\": %.3f, \"worst_at_s\": %.1f, \"total_s\": %.3f, \"late\": %u, \"cycles\": %u, "
           "\"ran_s\": %.1f}\n",
           worst, worst_at, total, late, number, now() - start);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int calm(const char *path, double seconds)
{
    enum { MOST = 10000 };
    static double took[MOST];
    size_t pages;
    const unsigned char *map = map_file(path, &pages);
    double end = now() + seconds;
    unsigned n = 0;
    for (; n < MOST && now() < end; n++) {
        took[n] = cycle_s(map, pages, n);
        nap(CYCLE_MS / 1e3);
    }
    qsort(took, n, sizeof *took, by_value);
    printf("{\"median_ms\": %.2f, \"p95_ms\": %.2f, \"worst_ms\": %.2f}\n", took[n / 2] * 1e3,
           took[n * 95 / 100] * 1e3, took[n - 1] * 1e3);
    return 0;
}

/* ---- those that hold and those that leak ---- */

static void touch(unsigned char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += PAGE)
        from[i] = 1 + i % 251;
}

static unsigned char *reserve(size_t bytes, int flags)
{
    unsigned char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        die("mmap");
    return map;
}

struct leak {
    double bytes_per_s, seconds;
    size_t cap;
    int flags;
};

/* Ends by itself: a scenario whose daemon does nothing must end too. */
static void *leak(void *argument)
{
    const struct leak *l = argument;
    unsigned char *map = reserve(l->cap, l->flags);
    double start = now();
    for (size_t done = 0; now() - start < l->seconds;) {
        double due = l->bytes_per_s > 0 ? l->bytes_per_s * (now() - start) : (double)l->cap;
        if (done < l->cap && done < due) {
            touch(map + done, STEP);
            done += STEP;
        } else {
            nap(0.01);
        }
    }
    exit(0);
}

static int leaker(double mib_per_s, size_t cap_mib, double seconds, const char *kind)
{
    static struct leak l;
    l = (struct leak){mib_per_s * MIB, seconds, cap_mib * MIB, MAP_PRIVATE};
    if (!strcmp(kind, "stubborn"))
        signal(SIGTERM, SIG_IGN);
    if (!strcmp(kind, "shared"))
        l.flags = MAP_SHARED;
    if (!strcmp(kind, "zombie")) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, leak, &l))
            die("pthread_create");
        syscall(SYS_exit, 0); /* the main thread only: the leader becomes a zombie */
    }
    leak(&l);
    return 0;
}

static int herd(int count, size_t cap_mib, double seconds)
{
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            leaker(0, cap_mib, seconds, "");
        }
    name_me("hog-parent");
    int status, killed = 0;
    while (wait(&status) > 0)
        killed += WIFSIGNALED(status);
    return killed ? KILLED : 0;
}

/* All are there before the first of them touches anything, as when each of them forked. */
static int bomb(int count, double mib, double seconds)
{
    double start = now();
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            size_t bytes = mib * MIB;
            nap(1 + i * BOMB_STAGGER_MS / 1e3);
            touch(reserve(bytes, MAP_PRIVATE), bytes);
            nap(start + seconds - now());
            exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return 0;
}

_Noreturn static void wait_for_ever(void)
{
    for (;;)
        pause();
}

_Noreturn static void ready(void)
{
    puts("ready");
    fflush(stdout);
    wait_for_ever();
}

_Noreturn static void hold(size_t mib)
{
    touch(reserve(mib * MIB, MAP_PRIVATE), mib * MIB);
    ready();
}

_Noreturn static void idle(int count)
{
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            wait_for_ever();
        }
    ready();
}

_Noreturn static void tab(size_t bytes, const char *adj, int done)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || write(fd, adj, strlen(adj)) < 0)
        die("oom_score_adj");
    close(fd);
    name_me("Web Content");
    touch(reserve(bytes, MAP_PRIVATE), bytes);
    close(done);
    wait_for_ever();
}

_Noreturn static void tabs(int count, size_t least_mib, size_t most_mib, const char *adj)
{
    int done[2];
    char nothing;
    if (pipe(done))
        die("pipe");
    for (int i = 0; i < count; i++)
        if (fork() == 0)
            tab((least_mib + (most_mib - least_mib) * i / (count - 1)) * MIB, adj, done[1]);
    close(done[1]);
    if (read(done[0], &nothing, 1)) /* its end, when the last one is done */
        die("tabs");
    ready();
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "canary") && argc == 4)
        return canary(argv[2], atof(argv[3]) / 1e3);
    if (!strcmp(what, "calm") && argc == 4)
        return calm(argv[2], atof(argv[3]));
    if (!strcmp(what, "hold") && argc == 3)
        hold(atol(argv[2]));
    if (!strcmp(what, "idle") && argc == 3)
        idle(atoi(argv[2]));
    if (!strcmp(what, "leak") && argc >= 5)
        return leaker(atof(argv[2]), atol(argv[3]), atof(argv[4]), argc > 5 ? argv[5] : "");
    if (!strcmp(what, "tabs") && argc == 6 && atoi(argv[2]) > 1)
        tabs(atoi(argv[2]), atol(argv[3]), atol(argv[4]), argv[5]);
    if (!strcmp(what, "herd") && argc == 5)
        return herd(atoi(argv[2]), atol(argv[3]), atof(argv[4]));
    if (!strcmp(what, "bomb") && argc == 5)
        return bomb(atoi(argv[2]), atof(argv[3]), atof(argv[4]));
    fprintf(stderr, "actors: wrong arguments\n");
    return 2;
}
