//! Bytes to and from a board, by deadlines.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serialport::{ClearBuffer, SerialPort, SerialPortType};

use crate::boards::{self, Emulated};

/// Bits a second where nobody says otherwise.
pub const BAUD: u32 = 115_200;

/// The shortest wait: a time-out of zero means none, or for ever.
const SHORTEST: Duration = Duration::from_millis(1);

/// Where a board is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On a serial port: `/dev/ttyACM0`, `COM3`.
    Serial(String),
    /// In an emulator: `qemu:lm3s6965evb`.
    Qemu(&'static Emulated),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("qemu", name)) => boards::find(name).map(Self::Qemu).ok_or_else(|| {
                format!("no emulated board `{name}`: there are {}", boards::names())
            }),
            _ if text.is_empty() => Err("a serial port, or qemu:BOARD".to_owned()),
            _ => Ok(Self::Serial(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(path) => f.write_str(path),
            Self::Qemu(board) => write!(f, "qemu:{}", board.name),
        }
    }
}

/// A serial port of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As it is opened.
    pub path: String,
    /// What is plugged in there, for people.
    pub words: String,
}

/// The serial ports of this machine.
///
/// # Errors
/// The system does not tell.
pub fn found() -> Result<Vec<Found>, serialport::Error> {
    let mut ports: Vec<Found> = serialport::available_ports()?
        .into_iter()
        .map(|port| Found {
            path: port.port_name,
            words: words(&port.port_type),
        })
        .collect();
    ports.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(ports)
}

fn words(kind: &SerialPortType) -> String {
    match kind {
        SerialPortType::UsbPort(usb) => {
            let ids = format!("USB {:04x}:{:04x}", usb.vid, usb.pid);
            let names = [Some(&ids), usb.manufacturer.as_ref(), usb.product.as_ref()];
            names
                .into_iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(" ")
        }
        SerialPortType::BluetoothPort => "Bluetooth".to_owned(),
        SerialPortType::PciPort | SerialPortType::Unknown => "serial port".to_owned(),
    }
}

/// A line to a board.
#[derive(Debug)]
pub enum Port {
    /// A serial port.
    Serial(Box<dyn SerialPort>),
    /// A socket: that of an emulator.
    Socket(UnixStream),
}

/// Why a serial port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none of that name.
    #[error("{path}: there is no such port; plug the board in, or see `kiln device list`")]
    Missing {
        /// Its name.
        path: String,
    },
    /// It may not be used.
    #[error(
        "{path}: you may not use this port; on Linux: sudo usermod -aG dialout $USER, then log in again"
    )]
    Forbidden {
        /// Its name.
        path: String,
    },
    /// Something else, such as another program that has it.
    #[error("{path}: {source}")]
    Other {
        /// Its name.
        path: String,
        /// What the system says.
        source: serialport::Error,
    },
}

impl Port {
    /// Opens a serial port: 8 data bits, no parity, 1 stop bit. What lay in its buffers is dropped.
    ///
    /// # Errors
    /// It is not there, or not for us.
    pub fn serial(path: &str, baud: u32) -> Result<Self, OpenError> {
        // Whoever has no right to a device is told that it is none.
        let forbidden = || {
            let file = std::fs::File::options().read(true).write(true).open(path);
            file.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        };
        let opened = serialport::new(path, baud).open();
        let port = opened.map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                _ if forbidden() => OpenError::Forbidden { path },
                serialport::ErrorKind::Io(ErrorKind::NotFound) => OpenError::Missing { path },
                serialport::ErrorKind::NoDevice if !std::path::Path::new(&path).exists() => {
                    OpenError::Missing { path }
                }
                _ => OpenError::Other { path, source },
            }
        })?;
        port.clear(ClearBuffer::All)
            .map_err(|source| OpenError::Other {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self::Serial(port))
    }

    /// Sends all of the bytes.
    ///
    /// # Errors
    /// The line is gone, or it did not take them until the deadline ([`ErrorKind::TimedOut`]).
    pub fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = left(deadline).ok_or(ErrorKind::TimedOut)?;
            let sent = match self {
                Self::Serial(port) => {
                    port.set_timeout(left)?;
                    port.write(bytes)
                }
                Self::Socket(socket) => {
                    socket.set_write_timeout(Some(left))?;
                    socket.write(bytes)
                }
            };
            let count = timed(sent)?.unwrap_or(0);
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes the bytes that have come; `None` if there are none until the deadline.
    ///
    /// # Errors
    /// The line is gone.
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [u8],
        deadline: Instant,
    ) -> io::Result<Option<&'b [u8]>> {
        let received = loop {
            let time = left(deadline);
            match self.read(buffer, time.unwrap_or(SHORTEST)) {
                // A process that was stopped for a while goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted && time.is_some() => {}
                received => break received,
            }
        };
        match timed(received)? {
            Some(0) => Err(ErrorKind::UnexpectedEof.into()),
            Some(count) => Ok(buffer.get(..count)),
            None => Ok(None),
        }
    }

    /// Reads once, and waits no longer than that.
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        match self {
            Self::Serial(port) => {
                port.set_timeout(wait)?;
                port.read(buffer)
            }
            Self::Socket(socket) => {
                socket.set_read_timeout(Some(wait))?;
                socket.read(buffer)
            }
        }
    }
}

fn left(deadline: Instant) -> Option<Duration> {
    let left = deadline.checked_duration_since(Instant::now())?;
    (!left.is_zero()).then(|| left.max(SHORTEST))
}

/// A time-out is no error here.
fn timed(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use serialport::{TTYPort, UsbPortInfo};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[test]
    fn addresses() {
        let cases = [
            ("/dev/ttyACM0", Ok("/dev/ttyACM0")),
            ("COM3", Ok("COM3")),
            ("qemu:lm3s6965evb", Ok("qemu:lm3s6965evb")),
            ("qemu:mps3-an547", Ok("qemu:mps3-an547")),
            ("qemu:pdp11", Err("mps2-an386")),
            ("qemu:", Err("mps2-an386")),
            ("", Err("serial port")),
        ];
        for (text, expected) in cases {
            match (text.parse::<Address>(), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn ports_are_described() {
        let usb = |manufacturer: Option<&str>, product: Option<&str>| {
            SerialPortType::UsbPort(UsbPortInfo {
                vid: 0x2e8a,
                pid: 0x000a,
                serial_number: None,
                manufacturer: manufacturer.map(str::to_owned),
                product: product.map(str::to_owned),
            })
        };
        let cases = [
            (
                usb(Some("Raspberry Pi"), Some("Pico")),
                "USB 2e8a:000a Raspberry Pi Pico",
            ),
            (usb(None, None), "USB 2e8a:000a"),
            (SerialPortType::PciPort, "serial port"),
        ];
        for (kind, expected) in cases {
            assert_eq!(words(&kind), expected);
        }
    }

    #[test]
    fn bytes_go_both_ways_and_waits_end() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut port = Port::Socket(near);
        port.send(b"ping", soon()).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(far.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"ping");
        assert_eq!(port.receive(&mut buffer, soon()).unwrap(), None);
        far.write_all(&[1, 0, 2]).unwrap();
        let bytes = port.receive(&mut buffer, soon()).unwrap();
        assert_eq!(bytes, Some(&[1, 0, 2][..]));
        // Nobody reads: the socket's buffer fills up.
        let error = port.send(&vec![7; 1 << 22], soon()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(far);
        let error = loop {
            match port.receive(&mut buffer, soon()) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let gone = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(gone.contains(&error.kind()), "{error}");
    }

    #[test]
    fn a_terminal_is_a_serial_port() {
        let (mut far, near) = TTYPort::pair().unwrap();
        let mut port = Port::serial(&near.name().unwrap(), BAUD).unwrap();
        let mut buffer = [0; 16];
        // Bytes that a terminal would take for line ends, ends of file and signals.
        let bytes = [0, 3, 4, 10, 13, 17, 19, 26, 127, 255];
        far.set_timeout(Duration::from_secs(5)).unwrap();
        far.write_all(&bytes).unwrap();
        let mut found = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        while found.len() < bytes.len() {
            let received = port.receive(&mut buffer, deadline).unwrap();
            found.extend_from_slice(received.expect("all of them"));
        }
        assert_eq!(found, bytes);
        assert_eq!(port.receive(&mut buffer, soon()).unwrap(), None);
        port.send(&bytes, soon()).unwrap();
        let mut found = [0; 10];
        far.read_exact(&mut found).unwrap();
        assert_eq!(found, bytes);
    }

    #[test]
    fn a_port_that_is_not_there_is_named() {
        let error = Port::serial("/dev/ttyNONE7", BAUD).unwrap_err().to_string();
        assert!(
            error.contains("/dev/ttyNONE7: there is no such port"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let error = Port::serial(path, BAUD).unwrap_err();
        assert!(matches!(error, OpenError::Other { .. }), "{error:?}");
    }
}
