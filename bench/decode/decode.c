/* SPDX-License-Identifier: MIT */
/*
 * One way to predict, measured: a process is one row of the table that scripts/bench_decode.py makes.
 *
 *     bench_decode HOW DIRECTORY [-b BEAM] [-n MOST] [-s FILE]...
 *
 * HOW  naive         the usual code: one decoder run for each beam and step, tensors made per run
 *      well-used     batched, everything preallocated and bound once, ORT's arena
 *      sequential, batched, incremental    ortpool's paths, encoder cache off
 *      hits          ortpool as it is, each swipe predicted twice, the second time counted
 *
 * DIRECTORY is a model's. Predicts the bundled swipes, then those of the files, MOST in all. Opens,
 * warms up where the subject can, predicts all swipes once; writes a line of JSON about that with
 * all words, and another for each byte that comes in on the standard input: a round.
 *
 *   us                latencies; encoder_us, decoder_us: medians of the time in ORT's runs
 *   heap              allocations of the whole process, where libortpool-heapcount.so is preloaded
 *   tensors           made through ORT's API or by ORT as outputs; pool_tensors, mappings: ortpool's own
 *                     count; aligned_new: what ORT takes from the C++ heap for tensors
 *   faults            minor ones
 */
#include "aligned_new.h"
#include "subject.h"
#include "support.h"
#include "swipes.h"
#include "timed_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of a round, summed over its predictions. */
typedef struct tally {
    uint64_t heap, tensors, aligned_new, encoder_runs, decoder_runs, hits;
    long faults;
} tally;

typedef struct bench {
    const char *how;
    bool twice; /* each swipe is predicted twice, the second time counts */
    swipe_set swipes;
    subject *subject;
    ort_library library;
    uint64_t (*heap_count)(void); /* NULL: not preloaded */
    double us[SWIPES_MAX], encoder_us[SWIPES_MAX], decoder_us[SWIPES_MAX];
    tally sum;
} bench;

/* ---- one prediction ---- */

static tally read_tally(const bench *b)
{
    const timed_counts timed = timed_api_read();
    return (tally){
        .heap = b->heap_count ? b->heap_count() : 0,
        .tensors = timed.tensors,
        .aligned_new = aligned_new_calls(),
        .encoder_runs = timed.encoder_runs,
        .decoder_runs = timed.decoder_runs,
        .faults = bench_minor_faults(),
    };
}

static void add_since(tally *sum, const tally *before, const tally *after)
{
    sum->heap += after->heap - before->heap;
    sum->tensors += after->tensors - before->tensors;
    sum->aligned_new += after->aligned_new - before->aligned_new;
    sum->encoder_runs += after->encoder_runs - before->encoder_runs;
    sum->decoder_runs += after->decoder_runs - before->decoder_runs;
    sum->faults += after->faults - before->faults;
}

static void predict(bench *b, size_t index, ortp_prediction *out)
{
    const ortp_swipe swipe = swipes_get(&b->swipes, index);
    memset(out, 0, sizeof(*out)); /* its pages are there before the count */
    if (b->twice) {
        b->subject->predict(b->subject, &swipe, out);
    }
    const timed_counts timed = timed_api_read();
    const tally before = read_tally(b);
    const double start = bench_now_us();
    b->subject->predict(b->subject, &swipe, out);
    b->us[index] = bench_now_us() - start;
    const tally after = read_tally(b);
    const timed_counts then = timed_api_read();
    b->encoder_us[index] = then.encoder_us - timed.encoder_us;
    b->decoder_us[index] = then.decoder_us - timed.decoder_us;
    add_since(&b->sum, &before, &after);
    b->sum.hits += out->cache_hit;
    if (b->twice && !out->cache_hit) {
        bench_die(b->how, "the second prediction of a swipe was no hit");
    }
}

/* ---- lines ---- */

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), bench_rising);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void write_words(const ortp_prediction *p, bool first)
{
    (void)printf("%s[", first ? "" : ",");
    for (size_t i = 0; i < p->candidate_count; i++) {
        (void)printf("%s[\"%s\",%.6f]", i > 0 ? "," : "", p->candidates[i].word,
                     p->candidates[i].score);
    }
    (void)printf("]");
}

static void first_pass(bench *b, double open_us, double warm_us)
{
    static ortp_prediction out;
    (void)printf("{\"line\":\"words\",\"ort\":\"%s\",\"how\":\"%s\",\"open_us\":%.0f,"
                 "\"warm_us\":%.0f,\"words\":[",
                 b->library.version, b->how, open_us, warm_us);
    for (size_t i = 0; i < b->swipes.count; i++) {
        predict(b, i, &out);
        write_words(&out, i == 0);
    }
    (void)printf("],\"first_us\":%.1f}\n", b->us[0]);
    (void)fflush(stdout);
}

static long peak_rss_kib(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void round_of(bench *b)
{
    static ortp_prediction out;
    const size_t count = b->swipes.count;
    memset(&b->sum, 0, sizeof(b->sum));
    const subject_taken before = b->subject->taken(b->subject);
    for (size_t i = 0; i < count; i++) {
        predict(b, i, &out);
    }
    const subject_taken after = b->subject->taken(b->subject);
    const tally *t = &b->sum;
    (void)printf("{\"line\":\"round\",\"predictions\":%zu,\"us\":[", count);
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s%.1f", i > 0 ? "," : "", b->us[i]);
    }
    (void)printf(
        "],\"encoder_us\":%.1f,\"decoder_us\":%.1f,\"encoder_runs\":%llu,"
        "\"decoder_runs\":%llu,\"hits\":%llu,\"faults\":%ld,\"tensors\":%llu,"
        "\"aligned_new\":%llu,\"pool_tensors\":%llu,\"mappings\":%llu,\"peak_rss_kib\":%ld",
        median(b->encoder_us, count), median(b->decoder_us, count),
        (unsigned long long)t->encoder_runs, (unsigned long long)t->decoder_runs,
        (unsigned long long)t->hits, t->faults, (unsigned long long)t->tensors,
        (unsigned long long)t->aligned_new, (unsigned long long)(after.tensors - before.tensors),
        (unsigned long long)(after.mappings - before.mappings), peak_rss_kib());
    if (b->heap_count) {
        (void)printf(",\"heap\":%llu", (unsigned long long)t->heap);
    }
    (void)printf("}\n");
    (void)fflush(stdout);
}

/* ---- the row ---- */

static subject *open_subject(const char *how, const subject_setup *setup)
{
    if (strcmp(how, "naive") == 0) {
        return usual_open(setup);
    }
    if (strcmp(how, "well-used") == 0) {
        return well_used_open(setup);
    }
    if (strcmp(how, "sequential") == 0) {
        return pooled_open(setup, ORTP_PATH_SEQUENTIAL, false);
    }
    if (strcmp(how, "batched") == 0) {
        return pooled_open(setup, ORTP_PATH_BATCHED, false);
    }
    if (strcmp(how, "incremental") == 0) {
        return pooled_open(setup, ORTP_PATH_INCREMENTAL, false);
    }
    if (strcmp(how, "hits") == 0) {
        return pooled_open(setup, ORTP_PATH_AUTO, true);
    }
    bench_die(how, "no such row");
}

static void find_heap_count(bench *b)
{
    void *symbol = dlsym(RTLD_DEFAULT, "ortpool_heap_count");
    memcpy(&b->heap_count, &symbol, sizeof(symbol)); /* C has no cast to a function pointer */
}

static void open_bench(bench *b, subject_setup *setup)
{
    char message[2048];
    if (!ort_library_open(&b->library, message, sizeof(message))) {
        (void)fprintf(stderr, "bench: ONNX Runtime: %s\n", message);
        exit(77);
    }
    find_heap_count(b);
    setup->api = timed_api(&b->library, &setup->api_version);
    setup->ort_version = b->library.version;
    const double start = bench_now_us();
    b->subject = open_subject(b->how, setup);
    const double opened = bench_now_us();
    if (b->subject->warm) {
        b->subject->warm(b->subject);
    }
    first_pass(b, opened - start, bench_now_us() - opened);
}

static int usage(void)
{
    (void)fprintf(stderr, "bench_decode HOW DIRECTORY [-b BEAM] [-n MOST] [-s FILE]...\n");
    return 2;
}

int main(int argc, char **argv)
{
    static bench b;
    const char *files[16] = {BENCH_SAMPLES};
    size_t file_count = 1, most = SWIPES_MAX;
    int option;
    if (argc < 3) {
        return usage();
    }
    b.how = argv[1];
    b.twice = strcmp(b.how, "hits") == 0;
    subject_setup setup = {.directory = argv[2]};
    while ((option = getopt(argc - 2, argv + 2, "b:n:s:")) != -1) {
        if (option == 'b') {
            setup.beam_width = bench_number(optarg, ORTP_BEAM_MAX);
        } else if (option == 'n') {
            most = bench_number(optarg, SWIPES_MAX);
        } else if (option == 's' && file_count < sizeof(files) / sizeof(*files)) {
            files[file_count++] = optarg;
        } else {
            return usage();
        }
    }
    for (size_t i = 0; i < file_count; i++) {
        swipes_add(&b.swipes, files[i], most);
    }
    open_bench(&b, &setup);
    char go;
    while (read(STDIN_FILENO, &go, 1) == 1) {
        round_of(&b);
    }
    b.subject->close(b.subject);
    swipes_free(&b.swipes);
    return 0;
}
