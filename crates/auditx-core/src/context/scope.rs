//! Making a context current: a guard for sync code, a future for async code, wrappers for what is spawned.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::RequestContext;

thread_local! {
    /// How many guards and polls are open on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Whether some guard or scoped future owns the thread's current context.
pub(super) fn is_inside() -> bool {
    DEPTH.try_with(Cell::get).unwrap_or(0) > 0
}

fn shift_depth(shift: impl FnOnce(usize) -> usize) {
    // A thread being torn down has no depth to keep.
    DEPTH.try_with(|depth| depth.set(shift(depth.get()))).unwrap_or(());
}

impl RequestContext {
    /// Makes this context current on this thread until the guard is dropped. For sync code; async code uses
    /// [`RequestContext::scope`].
    #[must_use = "the context is current only while the guard lives: bind it to a name like `_scope`"]
    pub fn enter(&self) -> ContextGuard {
        shift_depth(|depth| depth + 1);
        ContextGuard { previous: Self::install(Some(self.clone())), not_send: PhantomData }
    }

    /// Makes this context current whenever `future` is polled, and while it is dropped.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped { future: Some(future), context: Some(self.clone()) }
    }

    /// The same as [`RequestContext::scope`], named for what is handed to `spawn`: a spawned task does not inherit the
    /// context by itself.
    pub fn in_task<F: Future>(&self, future: F) -> Scoped<F> {
        self.scope(future)
    }

    /// Makes this context current while `run` runs: for `spawn_blocking`, threads and rayon.
    pub fn in_fn<T, F: FnOnce() -> T>(&self, run: F) -> impl FnOnce() -> T + use<T, F> {
        let context = self.clone();
        move || {
            let _scope = context.enter();
            run()
        }
    }
}

/// Keeps a context current on this thread; dropping it brings the previous one back.
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
    /// A future with a context; made by [`RequestContext::scope`].
    #[derive(Debug)]
    pub struct Scoped<F> {
        #[pin]
        future: Option<F>,
        // What is current inside the future, while it is not being polled.
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

/// Exchanges the thread's context with `slot` and, when dropped, exchanges them back: what the future made current
/// between (a guard held across an await) is current again at its next poll.
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
            unreachable!("the future is taken out only when it is dropped");
        };
        future.poll(cx)
    }
}
