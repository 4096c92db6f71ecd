//! Makes a context current: a guard for sync code, a future for async code, wrappers for spawned work.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::RequestContext;

thread_local! {
    /// The number of guards and polls active on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Returns `true` if a guard or a scoped future set the current context of this thread.
pub(super) fn is_inside() -> bool {
    DEPTH.try_with(Cell::get).unwrap_or(0) > 0
}

fn shift_depth(shift: impl FnOnce(usize) -> usize) {
    // During thread teardown the depth is gone and no longer needed.
    DEPTH.try_with(|depth| depth.set(shift(depth.get()))).unwrap_or(());
}

impl RequestContext {
    /// Makes this context current on this thread until the guard is dropped. For sync code; in async code use
    /// [`RequestContext::scope`].
    #[must_use = "the context is current only while the guard lives: bind it to a name like `_scope`"]
    pub fn enter(&self) -> ContextGuard {
        shift_depth(|depth| depth + 1);
        ContextGuard { previous: Self::install(Some(self.clone())), not_send: PhantomData }
    }

    /// Wraps `future` so that this context is current whenever it is polled, and while it is dropped.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped { future: Some(future), context: Some(self.clone()) }
    }

    /// Wraps a future that is passed to `spawn`; a spawned task does not inherit the context otherwise.
    /// Equivalent to [`RequestContext::scope`].
    pub fn in_task<F: Future>(&self, future: F) -> Scoped<F> {
        self.scope(future)
    }

    /// Wraps `run` so that this context is current while it runs: for `spawn_blocking`, threads and rayon.
    pub fn in_fn<T, F: FnOnce() -> T>(&self, run: F) -> impl FnOnce() -> T + use<T, F> {
        let context = self.clone();
        move || {
            let _scope = context.enter();
            run()
        }
    }
}

/// Keeps a context current on this thread. Dropping it restores the previous context.
#[derive(Debug)]
pub struct ContextGuard {
    previous: Option<RequestContext>,
    not_send: PhantomData<*const ()>,
}

impl Drop for ContextGuard {
    fn drop(&mut self) {
        shift_depth(|depth| depth.saturating_sub(1));
        RequestContext::install(self.previous.take());
    }
}

pin_project! {
    /// A future with a context; created by [`RequestContext::scope`].
    #[derive(Debug)]
    pub struct Scoped<F> {
        #[pin]
        future: Option<F>,
        // The context that is current inside the future, stored here between polls.
        context: Option<RequestContext>,
    }

    impl<F> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _swap = Swap::new(this.context);
            this.future.set(None);
        }
    }
}

/// Swaps the thread's context with `slot`, and swaps them back when dropped. A context that the future
/// entered during the poll (a guard held across an await) is therefore current again at its next poll.
struct Swap<'a> {
    slot: &'a mut Option<RequestContext>,
}

impl<'a> Swap<'a> {
    fn new(slot: &'a mut Option<RequestContext>) -> Self {
        shift_depth(|depth| depth + 1);
        *slot = RequestContext::install(slot.take());
        Self { slot }
    }
}

impl Drop for Swap<'_> {
    fn drop(&mut self) {
        shift_depth(|depth| depth.saturating_sub(1));
        *self.slot = RequestContext::install(self.slot.take());
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _swap = Swap::new(this.context);
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            unreachable!("only drop removes the future");
        };
        future.poll(cx)
    }
}
