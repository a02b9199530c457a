// SPDX-License-Identifier: Apache-2.0
#include "loop/workers.h"

#include <pthread.h>
#include <signal.h>

// Renderers recurse over documents; their depth limits assume this much.
enum { WORKER_STACK = 8 * 1024 * 1024 };

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct loop_job *first, *last;
    bool closing;
    unsigned count;
    unsigned started;
    unsigned idle;
    pthread_t *threads;
    void (*finished)(struct loop *loop, struct loop_job *job);
};

static void *worker_main(void *arg) {
    struct workers *workers = arg;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (!workers->first && !workers->closing) {
            workers->idle++;
            pthread_cond_wait(&workers->wake, &workers->lock);
            workers->idle--;
        }
        if (workers->closing) {
            break;
        }
        struct loop_job *job = workers->first;
        workers->first = job->next;
        if (!workers->first) {
            workers->last = NULL;
        }
        pthread_mutex_unlock(&workers->lock);
        job->next = NULL;
        job->work(job->ctx);
        workers->finished(job->loop, job);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

struct workers *workers_create(unsigned count,
                               void (*finished)(struct loop *loop, struct loop_job *job)) {
    struct workers *workers = NEW(struct workers);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    workers->count = count;
    workers->threads = xcalloc(count, sizeof *workers->threads);
    workers->finished = finished;
    return workers;
}

// Signals are the loop thread's.
static void start_thread(struct workers *workers) {
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    int rc = pthread_create(&workers->threads[workers->started], &attr, worker_main, workers);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0) {
        workers->started++;
    }
    CHECK(workers->started > 0); // fewer threads are slower, none is the end
}

void workers_submit(struct workers *workers, struct loop_job *job) {
    pthread_mutex_lock(&workers->lock);
    job->next = NULL;
    if (workers->last) {
        workers->last->next = job;
    } else {
        workers->first = job;
    }
    workers->last = job;
    bool start = workers->idle == 0 && workers->started < workers->count;
    pthread_cond_signal(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    if (start) {
        start_thread(workers);
    }
}

void workers_destroy(struct workers *workers) {
    if (!workers) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->started; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    while (workers->first) {
        struct loop_job *job = workers->first;
        workers->first = job->next;
        free(job);
    }
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    free(workers->threads);
    free(workers);
}
