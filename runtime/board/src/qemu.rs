//! A board in QEMU: its serial line on a Unix socket, its display through QEMU's monitor.

mod monitor;

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kiln_picture::Picture;
use tempfile::TempDir;

use crate::boards::Emulated;
use crate::port::Port;
use crate::screen::shrink;
use monitor::Monitor;

/// How an emulator is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The emulator's program.
    pub program: PathBuf,
    /// More arguments: plug-ins, bytes loaded over the program.
    pub extra: Vec<OsString>,
    /// How long it may take until it listens.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: "qemu-system-arm".into(),
            extra: Vec::new(),
            patience: Duration::from_secs(20),
        }
    }
}

/// Why there is no emulated board.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// QEMU is not installed.
    #[error(
        "{}: there is no such program; QEMU plays the board: sudo apt-get install qemu-system-arm \
         (macOS: brew install qemu)",
        .0.display()
    )]
    Missing(PathBuf),
    /// It ended, or never listened.
    #[error("QEMU did not start the board{said}")]
    Start {
        /// What it said, in front of it a colon.
        said: String,
    },
    /// It said no to a command.
    #[error("QEMU's monitor: {0}")]
    Monitor(String),
    /// Files and sockets.
    #[error("QEMU: {0}")]
    Io(#[from] io::Error),
    /// The picture of a display is none.
    #[error("QEMU's screendump is no picture of 8-bit RGB")]
    Screendump,
}

/// Runs the emulator (its words are the arguments) until standard input ends: it never outlives the
/// program that started it, however that ends.
const GUARD: &str = r#"
exec 3<&0 4>&2 2>/dev/null
"$@" </dev/null 2>&4 3<&- 4>&- & emulator=$!
(read -r _ <&3; kill -9 "$emulator") 4>&- & guard=$!
exec 3<&- 4>&-
wait "$emulator"; status=$?
kill "$guard"
exit "$status"
"#;

/// A board in QEMU. It ends when this is dropped.
#[derive(Debug)]
pub struct Qemu {
    guard: Child,
    zoom: Option<u32>,
    monitor: Monitor,
    folder: TempDir,
}

impl Qemu {
    /// Starts the board with a program (ELF) in its flash. The line to it comes beside.
    ///
    /// # Errors
    /// QEMU is not installed, or does not start; with what it says.
    pub fn start(
        board: &Emulated,
        elf: &Path,
        options: &Options,
    ) -> Result<(Self, Port), QemuError> {
        let missing = || QemuError::Missing(options.program.clone());
        let tried = Command::new(&options.program).arg("--version").output();
        tried.map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(),
            _ => error.into(),
        })?;
        let folder = tempfile::Builder::new().prefix("kiln-qemu").tempdir()?;
        let [line, monitor] = ["line", "monitor"].map(|name| folder.path().join(name));
        let bind = |path: &Path| {
            UnixListener::bind(path).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => io::Error::other(format!(
                    "{}: too long a path for a socket; set TMPDIR to a shorter folder",
                    path.display()
                )),
                _ => error,
            })
        };
        let listeners = [bind(&line)?, bind(&monitor)?];
        let errors = fs::File::create(folder.path().join("stderr"))?;
        let socket = |name: &str, path: &Path| {
            let mut text = OsString::from(format!("socket,id={name},path="));
            text.push(path);
            text
        };
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&options.program)
            .args([
                "-M",
                board.machine,
                "-display",
                "none",
                "-icount",
                "shift=4",
            ])
            .arg("-chardev")
            .arg(socket("line", &line))
            .args(["-serial", "chardev:line", "-chardev"])
            .arg(socket("monitor", &monitor))
            .args(["-mon", "chardev=monitor,mode=control", "-kernel"])
            .arg(elf)
            .args(&options.extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()?;
        let deadline = Instant::now() + options.patience;
        let connected = listeners
            .iter()
            .map(|listener| accept(listener, &mut guard, deadline))
            .collect::<io::Result<Vec<_>>>();
        let sockets = connected.and_then(|sockets| {
            let sockets = <[UnixStream; 2]>::try_from(sockets);
            sockets.map_err(|_| ErrorKind::NotConnected.into())
        });
        let started = sockets.and_then(|[line, monitor]| Ok((line, Monitor::new(monitor)?)));
        match started {
            Ok((line, monitor)) => {
                let qemu = Self {
                    guard,
                    zoom: board.zoom,
                    monitor,
                    folder,
                };
                Ok((qemu, Port::Socket(line)))
            }
            Err(error) => {
                stop(&mut guard);
                let said = said(folder.path()).unwrap_or_else(|| format!(": {error}"));
                Err(QemuError::Start { said })
            }
        }
    }

    /// What the board's display shows as QEMU draws it, in the display's own pixels. `None` if QEMU
    /// does not draw it.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn screendump(&mut self) -> Result<Option<Picture>, QemuError> {
        let Some(zoom) = self.zoom else {
            return Ok(None);
        };
        let path = self.folder.path().join("screen.ppm");
        self.monitor.screendump(&path)?;
        let picture = parse_ppm(&fs::read(&path)?).ok_or(QemuError::Screendump)?;
        Ok(Some(shrink(&picture, zoom)))
    }

    /// Ends the emulator.
    pub fn stop(&mut self) {
        stop(&mut self.guard);
    }

    /// What QEMU has said on stderr, if it has ended.
    pub fn ended(&mut self) -> Option<String> {
        // It may be about to: what is asked for is why the line broke.
        let deadline = Instant::now() + Duration::from_millis(500);
        while matches!(self.guard.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Some(said(self.folder.path()).unwrap_or_default())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends the emulator by its guard, and waits for both.
fn stop(guard: &mut Child) {
    drop(guard.stdin.take());
    let _ = guard.wait();
}

/// What QEMU said, behind a colon.
fn said(folder: &Path) -> Option<String> {
    let text = fs::read(folder.join("stderr")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("Timer with period zero"))
        .collect();
    (!lines.is_empty()).then(|| format!(": {}", lines.join("; ")))
}

/// Waits for the emulator to connect.
fn accept(listener: &UnixListener, child: &mut Child, deadline: Instant) -> io::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false)?;
                return Ok(socket);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if child.try_wait()?.is_some() {
            return Err(io::Error::other("it ended"));
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("it does not answer"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A picture in QEMU's own format: `P6`, width, height, 255, then RGB.
fn parse_ppm(bytes: &[u8]) -> Option<Picture> {
    let mut parts = bytes.splitn(4, |&byte| byte.is_ascii_whitespace());
    let mut number = |expected: Option<&str>| {
        let text = str::from_utf8(parts.next()?).ok()?;
        expected
            .is_none_or(|expected| expected == text)
            .then_some(text)
    };
    number(Some("P6"))?;
    let [width, height] = [number(None)?, number(None)?].map(|text| text.parse::<u32>().ok());
    let rgb = parts.next()?.strip_prefix(b"255\n")?.to_vec();
    let (width, height) = (width?, height?);
    let whole = rgb.len() as u64 == u64::from(width) * u64::from(height) * 3;
    whole.then_some(Picture { width, height, rgb })
}

#[cfg(test)]
mod tests;
