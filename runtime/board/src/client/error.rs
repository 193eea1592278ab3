//! What can go wrong on the line, in words.

use std::io;

use kiln_link::{CallError, FrameError};

/// Why a board gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// Nothing at all came.
    #[error(
        "nothing answers. Is this the board's port, does Kiln's firmware run on it, and is the baud rate the \
         firmware's ({baud} here)?"
    )]
    Silent {
        /// Bits a second, or "emulated".
        baud: String,
    },
    /// Bytes came, and none of them made a frame.
    #[error(
        "{bytes} bytes came and none of them made sense. Most likely the baud rate is another than the firmware's \
         ({baud} here); or something else talks on this port"
    )]
    Garbage {
        /// How many bytes.
        bytes: usize,
        /// Bits a second, or "emulated".
        baud: String,
    },
    /// The board speaks another version of the link.
    #[error(
        "the board speaks version {theirs} of the link, this program version {ours}; {}",
        if theirs < ours { "build the firmware anew and flash it" } else { "update this program" }
    )]
    Version {
        /// The board's.
        theirs: u8,
        /// This program's.
        ours: u8,
    },
    /// The board gets frames that it cannot read.
    #[error("the board got nothing that it could read ({}); the line loses or changes bytes", frame(*.0))]
    Garbled(FrameError),
    /// The board did not take the bytes.
    #[error("the board does not take what is sent; it hangs, or its cable is off")]
    Stuck,
    /// The board says no.
    #[error("the board says: {}", refusal(.0))]
    Refused(CallError),
    /// The board's answer is one to something else.
    #[error("the board's answer does not belong to the question; reset it")]
    Unexpected,
    /// The board holds another model.
    #[error(
        "the board runs another model: `{name}` with checksum {theirs:08x}, not {ours:08x}; flash it anew, or name \
         the model's own file"
    )]
    OtherModel {
        /// The name of the board's.
        name: String,
        /// Its checksum.
        theirs: u32,
        /// The checksum expected.
        ours: u32,
    },
    /// The picture is too large for the board.
    #[error(
        "a picture of {width}x{height} pixels is too large for the board, which takes {}x{}; save it smaller, or name the \
         model's file, so that it can be brought to size here",
        largest[0], largest[1]
    )]
    PictureSize {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The most columns and rows.
        largest: [u16; 2],
    },
    /// The input tensor has another length.
    #[error("{given} values for an input of {needed}")]
    TensorSize {
        /// Those given.
        given: usize,
        /// Those needed.
        needed: usize,
    },
    /// The line is gone.
    #[error("the line to the board broke{}", why(.said, .source))]
    Line {
        /// What the system says.
        source: io::Error,
        /// What the emulator said as it ended.
        said: Option<String>,
    },
}

fn why(said: &Option<String>, source: &io::Error) -> String {
    match said {
        Some(said) => format!(": QEMU has ended{said}"),
        None => format!(": {source}"),
    }
}

fn frame(error: FrameError) -> String {
    match error {
        FrameError::TooLong => "a frame that does not end".to_owned(),
        FrameError::Malformed => "a frame that is cut".to_owned(),
        FrameError::Checksum => "a frame with changed bytes".to_owned(),
        FrameError::Version { theirs } => format!("a frame of version {theirs}"),
        FrameError::Unknown => "a message that it does not know".to_owned(),
    }
}

fn refusal(error: &CallError) -> String {
    match error {
        CallError::Frame(error) => frame(*error),
        CallError::PictureSize {
            largest: [width, height],
        } => format!("the picture is empty, or larger than {width}x{height}"),
        CallError::NoRecipe => {
            "its model takes no pictures (it has no recipe): send a tensor".to_owned()
        }
        CallError::NothingBegun => "no picture has begun; it may have started anew".to_owned(),
        CallError::Offset { expected } => format!("byte {expected} is due"),
        CallError::TooMany { total } => format!("more than the {total} bytes that are due"),
        CallError::Incomplete { done, total } => format!("{done} of {total} bytes have come"),
        CallError::NotInferred => {
            "nothing has been inferred yet; it may have started anew".to_owned()
        }
        CallError::NoSuch { count } => format!("there are only {count}"),
        CallError::Model => {
            "the engine refuses its model: its bytes in flash have changed; flash it anew"
                .to_owned()
        }
    }
}
