//! Panics of libraries that are not made for hostile files or failing drivers, as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Whether this thread's panics are returned and so not printed.
    static HERE: Cell<bool> = const { Cell::new(false) };
}
/// How many works are under way during which no thread's panics are printed.
static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

/// Does `work`; a panic of this thread in it is returned as text and not printed.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    hush();
    let before = HERE.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    HERE.set(before);
    result.map_err(|payload| text(&*payload))
}

/// The same for work that has threads of its own, whose panics are not printed either.
pub fn quietly_everywhere<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    EVERYWHERE.fetch_add(1, Ordering::Relaxed);
    let result = quietly(work);
    EVERYWHERE.fetch_sub(1, Ordering::Relaxed);
    result
}

/// Puts a look at the two before the process' own way to report a panic.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !HERE.get() && EVERYWHERE.load(Ordering::Relaxed) == 0 {
                report(info);
            }
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("it failed without saying why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        assert_eq!(quietly(|| 3), Ok(3));
        let failed = quietly(|| -> u8 { panic!("no {}", "driver") });
        assert_eq!(failed, Err("no driver".into()));
        let inner = || quietly(|| -> u8 { panic!("inner") });
        let both = quietly_everywhere(|| (inner(), HERE.get()));
        assert_eq!(both, Ok((Err("inner".into()), true)));
        assert!(!HERE.get());
        assert_eq!(EVERYWHERE.load(Ordering::Relaxed), 0);
    }
}
