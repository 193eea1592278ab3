//! A board from the host: serial ports and emulators, firmware, the host's side of the link.
