//! QEMU's monitor: a line of JSON each way (QMP).

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::QemuError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most lines in front of an answer: events are among them.
const MAX_LINES: usize = 1000;

/// A monitor that takes commands.
#[derive(Debug)]
pub struct Monitor {
    lines: BufReader<UnixStream>,
}

impl Monitor {
    /// Greets the monitor on this socket.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut monitor = Self {
            lines: BufReader::new(socket),
        };
        let greeted = monitor.execute(&json!({"execute": "qmp_capabilities"}));
        greeted.map_err(io::Error::other)?;
        Ok(monitor)
    }

    /// Writes the picture of the display to a file.
    pub fn screendump(&mut self, path: &Path) -> Result<(), QemuError> {
        let arguments = json!({"filename": path});
        self.execute(&json!({"execute": "screendump", "arguments": arguments}))
    }

    /// Sends a command and waits for its answer.
    fn execute(&mut self, command: &Value) -> Result<(), QemuError> {
        writeln!(self.lines.get_mut(), "{command}")?;
        for _ in 0..MAX_LINES {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Err(QemuError::Monitor("it has ended".to_owned()));
            }
            let answer: Value = serde_json::from_str(&line).map_err(io::Error::from)?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                let text = error.get("desc").and_then(Value::as_str);
                return Err(QemuError::Monitor(text.unwrap_or("an error").to_owned()));
            }
        }
        Err(QemuError::Monitor("it gives no answer".to_owned()))
    }
}
