// Tells the thread sanitizer of one order of events that Swift's runtime keeps but does not announce.
//
// Whoever resumes a continuation announces it (a release on the task, in swift_continuation_resume), and a task that
// was asleep acquires it when it runs again. A continuation that is resumed before its task has begun to wait does not
// put the task to sleep: swift_continuation_await goes on at once, and acquires nothing. The order is real (the runtime
// compares and exchanges the continuation's status), yet everything that the resumer wrote before looks like a race.
// So this takes the place of swift_continuation_await in the test program: what it goes on with at once is
// a function that acquires first.
#include <dlfcn.h>
#include <stddef.h>

#define ASYNC __attribute__((swiftasynccall))
#define CONTEXT __attribute__((swift_async_context))
#define TAIL __attribute__((musttail))
#define UNSEEN __attribute__((no_sanitize("thread")))

struct continuation;
typedef void resume_function(struct continuation *CONTEXT) ASYNC;
typedef void await_function(struct continuation *, void *CONTEXT) ASYNC;

// The runtime's ContinuationAsyncContext: stable, since compiled programs lay it out.
struct continuation {
    void *parent;
    resume_function *resume;
    size_t flags;
};

enum { switches_executor = 2 };

void __tsan_acquire(void *);
void *swift_task_getCurrent(void) __attribute__((swiftcall));

static await_function *await_of_runtime;
// What the continuation that this thread awaits goes on with. Either it does so within the call, on this thread, or the
// task sleeps, and the runtime has remembered for itself what to go on with.
static _Thread_local resume_function *go_on;

__attribute__((constructor)) static void find_await(void) {
    await_of_runtime = (await_function *)dlsym(RTLD_NEXT, "swift_continuation_await");
}

UNSEEN static ASYNC void acquire_and_go_on(struct continuation *CONTEXT continuation) {
    continuation->resume = go_on;
    __tsan_acquire(swift_task_getCurrent());
    TAIL return continuation->resume(continuation);
}

UNSEEN ASYNC void swift_continuation_await(struct continuation *continuation, void *CONTEXT context) {
    // With a change of executors it may go on elsewhere, as a job, which acquires.
    if (!(continuation->flags & switches_executor)) {
        go_on = continuation->resume;
        continuation->resume = acquire_and_go_on;
    }
    TAIL return await_of_runtime(continuation, context);
}
