//! Work on all cores, results in order, memory for a few results only.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far the fastest worker may be ahead of what was printed, for each worker. Enough that one slow file does not idle the others
/// for long, few enough that results waiting to be printed stay small.
const AHEAD: usize = 16;

struct State<S, T> {
    source: S,
    /// How many items were taken, and whether there are no more.
    taken: usize,
    drained: bool,
    printed: usize,
    done: BTreeMap<usize, T>,
    stop: bool,
}

/// Calls `work` on every item, on all cores, and `out` on each result in the order of the items. `out` returns whether to go on. Items are
/// taken from their source when there is a worker for them.
pub(super) fn map<I, T: Send>(
    items: impl Iterator<Item = I> + Send,
    work: impl Fn(I) -> T + Sync,
    mut out: impl FnMut(T) -> bool,
) {
    let most = items.size_hint().1.unwrap_or(usize::MAX);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(most.max(1));
    let state = Mutex::new(State { source: items, taken: 0, drained: false, printed: 0, done: BTreeMap::new(), stop: false });
    let changed = Condvar::new();
    // A worker that panicked poisons the lock; the scope passes the panic on when it ends.
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // The reader below waits for results: it must hear when there will be none.
                let _stop = StopOnPanic(&state, &changed);
                loop {
                    let mut guard = lock();
                    while !guard.stop && !guard.drained && guard.taken >= guard.printed + workers * AHEAD {
                        guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
                    }
                    if guard.stop || guard.drained {
                        return;
                    }
                    let Some(item) = guard.source.next() else {
                        guard.drained = true;
                        drop(guard);
                        changed.notify_all();
                        return;
                    };
                    let index = guard.taken;
                    guard.taken += 1;
                    drop(guard);
                    let result = work(item);
                    lock().done.insert(index, result);
                    changed.notify_all();
                }
            });
        }
        loop {
            let mut guard = lock();
            let result = loop {
                let index = guard.printed;
                if let Some(result) = guard.done.remove(&index) {
                    break result;
                }
                if guard.stop || guard.drained && index == guard.taken {
                    return;
                }
                guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            };
            guard.printed += 1;
            drop(guard);
            changed.notify_all();
            if !out(result) {
                lock().stop = true;
                changed.notify_all();
                return;
            }
        }
    });
}

struct StopOnPanic<'a, S, T>(&'a Mutex<State<S, T>>, &'a Condvar);

impl<S, T> Drop for StopOnPanic<'_, S, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
            self.1.notify_all();
        }
    }
}

/// A bar on the terminal, for what takes more than a second.
pub(super) struct Progress {
    bar: ProgressBar,
    start: Instant,
}

impl Progress {
    /// Nothing is drawn yet. `count` where it is known.
    pub(super) fn new(count: Option<usize>, unit: &str) -> Self {
        let bar = ProgressBar::with_draw_target(count.map(|count| count as u64), ProgressDrawTarget::hidden());
        let template = match count {
            Some(_) => format!("{{bar:30}} {{pos}}/{{len}} {unit} · {{per_sec}} · {{eta}}"),
            None => format!("{{spinner}} {{pos}} {unit} · {{per_sec}}"),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar, start: Instant::now() }
    }

    /// One more is done.
    pub(super) fn step(&self) {
        if self.bar.is_hidden() && self.start.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(1);
    }

    /// Does something that writes to the terminal.
    pub(super) fn pause<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_and_nobody_runs_far_ahead() {
        let (started, printed, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let mut seen = Vec::new();
        map(
            0..500_usize,
            |item| {
                let ahead = started.fetch_add(1, Ordering::SeqCst).saturating_sub(printed.load(Ordering::SeqCst));
                most.fetch_max(ahead, Ordering::SeqCst);
                if item == 0 {
                    std::thread::sleep(Duration::from_millis(50));
                }
                item
            },
            |item| {
                seen.push(item);
                printed.fetch_add(1, Ordering::SeqCst);
                true
            },
        );
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        assert!(most.load(Ordering::SeqCst) <= workers * (AHEAD + 1) + 1, "{most:?}");
    }

    #[test]
    fn a_reader_that_has_enough_stops_the_work() {
        let worked = AtomicUsize::new(0);
        let mut seen = 0;
        map(
            0..,
            |_: usize| worked.fetch_add(1, Ordering::SeqCst),
            |_| {
                seen += 1;
                seen < 10
            },
        );
        assert_eq!(seen, 10);
        assert!(worked.load(Ordering::SeqCst) < 10_000);
    }

    #[test]
    #[should_panic]
    fn a_panic_in_the_work_ends_it_instead_of_hanging() {
        map(1..4, |item| assert_ne!(item, 2), |()| true);
    }
}
