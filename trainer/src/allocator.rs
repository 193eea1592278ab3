//! What the allocator, mimalloc, does with freed memory.

/// Begins the program anew, under the same process number, with an allocator that keeps what is freed: the buffers of
/// a training step are as large as the last one's, and to ask the system for them again, which clears them, takes a
/// tenth of the time. Returns where that is so already, where the environment says otherwise, and where it cannot be.
#[cfg(unix)]
pub fn keep_freed_memory() {
    use std::os::unix::process::CommandExt;

    /// Milliseconds after which freed memory goes back to the system; mimalloc reads it as the program starts.
    const DELAY: &str = "MIMALLOC_PURGE_DELAY";
    if std::env::var_os(DELAY).is_some() {
        return;
    }
    let mut args = std::env::args_os();
    let (Some(name), Ok(program)) = (args.next(), std::env::current_exe()) else {
        return;
    };
    let mut command = std::process::Command::new(program);
    let error = command.arg0(name).args(args).env(DELAY, "-1").exec();
    tracing::debug!("the allocator goes on giving memory back: {error}");
}

/// Leaves the allocator as it is: this system cannot begin a program anew under its process number.
#[cfg(not(unix))]
pub fn keep_freed_memory() {}
