use serde::{Deserialize, Serialize};

/// From the host to the board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Another one than that of the request before, unless this is a retry.
    pub number: u16,
    /// What is asked for.
    #[serde(borrow)]
    pub call: Call<'a>,
}

/// From the board to the host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply<'a> {
    /// That of the request; of what could not be read, 0.
    pub number: u16,
    /// What came of it.
    #[serde(borrow)]
    pub result: Result<Answer<'a>, CallError>,
}

/// What the host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call<'a> {
    /// Who are you? → [`Answer::Hello`]
    Hello,
    /// A picture begins: its rows follow from the top as [`Data`](Self::Data), RGB, a byte a channel.
    /// → [`Answer::Received`]
    Picture {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// An input tensor begins: it follows as [`Data`](Self::Data), i8 in NHWC. → [`Answer::Received`]
    Tensor,
    /// The next bytes of what has begun, at most [`CHUNK`](crate::CHUNK). → [`Answer::Received`]
    Data {
        /// How many bytes went before.
        offset: u32,
        /// The bytes.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Runs the model on what has come. → [`Answer::Inferred`]
    Infer,
    /// The quantized logits of the last inference. → [`Answer::Bytes`]
    Logits {
        /// The first byte wanted.
        offset: u32,
    },
    /// The name of a class. → [`Answer::Label`]
    Label {
        /// Which.
        class: u16,
    },
    /// Runs one of the model's golden vectors and compares every layer. → [`Answer::Verified`]
    Verify {
        /// Which.
        vector: u16,
    },
    /// What a layer cost in the last inference. → [`Answer::Layer`]
    Profile {
        /// Which.
        layer: u16,
    },
    /// Bytes of the frame buffer. → [`Answer::Bytes`]
    Screen {
        /// The first byte wanted.
        offset: u32,
    },
    /// What memory has been used since the start. → [`Answer::Memory`]
    Memory,
}

/// What the board answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is encoded at once and never kept"
)]
pub enum Answer<'a> {
    /// To [`Call::Hello`].
    Hello(#[serde(borrow)] Hello<'a>),
    /// To [`Call::Picture`], [`Call::Tensor`] and [`Call::Data`].
    Received {
        /// Bytes that have come.
        done: u32,
        /// Bytes that are needed.
        total: u32,
    },
    /// To [`Call::Infer`].
    Inferred(Inferred),
    /// To [`Call::Logits`] and [`Call::Screen`].
    Bytes {
        /// How many there are in all.
        total: u32,
        /// From the offset on, at most [`CHUNK`](crate::CHUNK); none at the end.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// To [`Call::Label`].
    Label {
        /// The class's name; empty where the model has no names.
        name: &'a str,
    },
    /// To [`Call::Verify`].
    Verified {
        /// The first layer that differs from the golden vector: its number and name.
        #[serde(borrow)]
        differs: Option<(u16, &'a str)>,
    },
    /// To [`Call::Profile`].
    Layer {
        /// The layer's name.
        #[serde(borrow)]
        name: &'a str,
        /// Ticks of the board's clock.
        ticks: u32,
    },
    /// To [`Call::Memory`].
    Memory(Memory),
}

/// What a board is and holds. Texts are cut at [`MAX_NAME`](crate::MAX_NAME) bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// The board.
    pub board: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The checksum that the model's file states: it tells models apart.
    pub checksum: u32,
    /// Whether that is the checksum of the bytes in flash.
    pub intact: bool,
    /// The input tensor: height, width, channels.
    pub input: [u32; 3],
    /// Whether the model takes pictures.
    pub takes_pictures: bool,
    /// The largest picture: columns, rows.
    pub largest: [u16; 2],
    /// The number of classes; where the model says whether an input is known, [`Call::Logits`] gives one value more.
    pub logits: u32,
    /// `logit = scale * (quantized - zero_point)`.
    pub scale: f32,
    /// The zero point of the logits.
    pub zero_point: i8,
    /// The number of layers.
    pub layers: u16,
    /// The number of golden vectors.
    pub vectors: u16,
    /// The display.
    pub display: Display,
    /// Ticks of the board's clock in a second.
    pub ticks_per_second: u32,
    /// Where time is counted in executed instructions (an emulator): nanoseconds for each. Else 0.
    pub nanoseconds_per_instruction: u16,
    /// What made the board start again, if it was an error.
    pub last_fault: Option<&'a str>,
}

/// A frame buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Display {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// What a pixel is.
    pub format: PixelFormat,
}

/// What a pixel of a frame buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PixelFormat {
    /// A bit, the leftmost pixel in the highest bit; rows begin at bytes.
    Mono,
    /// Four bits of grey, the left pixel in the upper half; rows begin at bytes.
    Gray4,
    /// 5, 6 and 5 bits of red, green and blue in two bytes, little endian.
    Rgb565,
}

/// An inference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inferred {
    /// The most probable classes, the best first; probability 0 where there are fewer.
    pub top: [Top; 3],
    /// Ticks of the board's clock for the preprocessing; 0 for tensors.
    pub preprocess_ticks: u32,
    /// Ticks of the board's clock for the model.
    pub infer_ticks: u32,
}

/// A class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// Its number.
    pub class: u16,
    /// 0 to 1.
    pub probability: f32,
}

/// Memory in bytes. `used` is the most since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the stack may grow to.
    pub stack_reserved: u32,
    /// What it has grown to.
    pub stack_used: u32,
    /// The model's arena, as compiled.
    pub arena_reserved: u32,
    /// Up to the last byte that was written.
    pub arena_used: u32,
    /// All of the statics: arena, buffers, frame buffer.
    pub statics: u32,
    /// All of the RAM.
    pub ram: u32,
    /// Flash taken by the program, the model left out.
    pub program: u32,
    /// Flash taken by the model.
    pub model: u32,
}

/// Why there is no answer. After each of them the board waits for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallError {
    /// A frame could not be read; the next one can.
    Frame(FrameError),
    /// The picture is empty or too large.
    PictureSize {
        /// The most columns and rows.
        largest: [u16; 2],
    },
    /// The model has no recipe for pictures; send a tensor.
    NoRecipe,
    /// No picture or tensor has begun.
    NothingBegun,
    /// Other bytes are due.
    Offset {
        /// From this one on.
        expected: u32,
    },
    /// More bytes than are needed.
    TooMany {
        /// The bytes that are needed.
        total: u32,
    },
    /// An inference before all bytes have come.
    Incomplete {
        /// Bytes that have come.
        done: u32,
        /// Bytes that are needed.
        total: u32,
    },
    /// No inference has run since the start, or since other data came.
    NotInferred,
    /// There is no such class, golden vector or layer.
    NoSuch {
        /// How many there are.
        count: u16,
    },
    /// The engine refused: the bytes of the model have changed.
    Model,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameError {
    /// It is longer than any message.
    TooLong,
    /// It is not well formed (COBS), or shorter than a frame.
    Malformed,
    /// Its checksum is another.
    Checksum,
    /// It is of another version of the link.
    Version {
        /// That of the frame.
        theirs: u8,
    },
    /// It is none of the messages of this version.
    Unknown,
}
