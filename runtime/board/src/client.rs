//! The host's side of the link: what can be asked of a board, with time-outs and retries.

mod about;
mod error;
mod exchange;
#[cfg(test)]
mod mock;

use kiln_core::Output;
use kiln_core::format::MAX_ARENA;
use kiln_link::{Answer, CHUNK, Call, Inferred, Memory};
use kiln_picture::Picture;

pub use self::about::About;
pub use self::error::BoardError;
use self::exchange::Exchange;
pub use self::exchange::Patience;
use crate::port::Port;
use crate::qemu::{Qemu, QemuError};
use crate::screen;

/// Bytes of the largest frame buffer that a board is believed to have.
const MAX_SCREEN: usize = 1 << 24;

/// The most classes that a board is believed to tell apart.
const MAX_LOGITS: usize = 1 << 20;

/// What a layer cost in the last inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCost {
    /// The layer's name.
    pub name: String,
    /// Ticks of the board's clock.
    pub ticks: u32,
}

/// A layer that does not give what a golden vector says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The layer's number.
    pub layer: u16,
    /// Its name.
    pub name: String,
}

/// A board at the other end of a line.
#[derive(Debug)]
pub struct Board {
    exchange: Exchange,
    about: About,
}

impl Board {
    /// Greets the board on a line, and the emulator that plays it where it is one.
    ///
    /// # Errors
    /// Nothing answers, or something else than Kiln's firmware.
    pub fn greet(port: Port, qemu: Option<Qemu>, patience: Patience) -> Result<Self, BoardError> {
        let mut board = Self {
            exchange: Exchange::new(port, qemu, patience),
            about: About::default(),
        };
        board.about = board.hello()?;
        Ok(board)
    }

    /// What the board said of itself when it was greeted.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The emulator that plays the board.
    pub fn qemu(&mut self) -> Option<&mut Qemu> {
        self.exchange.qemu.as_mut()
    }

    /// The line, for whoever wants to disturb it.
    pub fn port(&mut self) -> &mut Port {
        &mut self.exchange.port
    }

    /// Asks what the board is and holds.
    ///
    /// # Errors
    /// Those of the line.
    pub fn hello(&mut self) -> Result<About, BoardError> {
        self.quick(Call::Hello, |answer| match answer {
            Answer::Hello(hello) => Some(About::from(hello)),
            _ => None,
        })
    }

    /// Sees that the board holds the model with this checksum.
    ///
    /// # Errors
    /// [`BoardError::OtherModel`].
    pub fn expect(&self, checksum: u32) -> Result<(), BoardError> {
        if self.about.checksum == checksum {
            return Ok(());
        }
        Err(BoardError::OtherModel {
            name: self.about.model.clone(),
            theirs: self.about.checksum,
            ours: checksum,
        })
    }

    /// Sends a picture and runs the model on it; `sent` is told how much has gone, of how much.
    ///
    /// # Errors
    /// Those of the line; the picture is too large; the model takes no pictures.
    pub fn classify(
        &mut self,
        picture: &Picture,
        sent: &mut dyn FnMut(usize, usize),
    ) -> Result<Inferred, BoardError> {
        let largest = self.about.largest;
        let too_large = BoardError::PictureSize {
            width: picture.width,
            height: picture.height,
            largest,
        };
        let fits = |size: u32, most: u16| u16::try_from(size).ok().filter(|&size| size <= most);
        let (Some(width), Some(height)) = (
            fits(picture.width, largest[0]),
            fits(picture.height, largest[1]),
        ) else {
            return Err(too_large);
        };
        self.begin(Call::Picture { width, height })?;
        self.data(&picture.rgb, sent)?;
        self.infer()
    }

    /// Sends an input tensor, i8 in NHWC, and runs the model on it.
    ///
    /// # Errors
    /// Those of the line; it has another length.
    pub fn run(
        &mut self,
        tensor: &[i8],
        sent: &mut dyn FnMut(usize, usize),
    ) -> Result<Inferred, BoardError> {
        let needed = self.begin(Call::Tensor)? as usize;
        let given = tensor.len();
        if given != needed {
            return Err(BoardError::TensorSize { given, needed });
        }
        let bytes: Vec<u8> = tensor.iter().map(|&value| value as u8).collect();
        self.data(&bytes, sent)?;
        self.infer()
    }

    /// The same with a tensor of zeros.
    ///
    /// # Errors
    /// Those of the line.
    pub fn run_zeros(&mut self) -> Result<Inferred, BoardError> {
        let [rows, columns, channels] = self.about.input;
        // As every model's tensors are; what something else says on this line is not believed.
        let len = rows
            .checked_mul(columns)
            .and_then(|len| len.checked_mul(channels));
        let len = len
            .filter(|len| *len <= MAX_ARENA)
            .ok_or(BoardError::Unexpected)?;
        self.run(&vec![0; len as usize], &mut |_, _| ())
    }

    /// The quantized logits of the last inference, and behind them what says whether the picture is known, if the
    /// model says that.
    ///
    /// # Errors
    /// Those of the line; nothing has been inferred.
    pub fn quantized_logits(&mut self) -> Result<Vec<i8>, BoardError> {
        let bytes = self.bytes(MAX_LOGITS, |offset| Call::Logits { offset })?;
        Ok(bytes.iter().map(|&byte| byte as i8).collect())
    }

    /// What the last inference says: what `say` makes of it.
    ///
    /// # Errors
    /// Those of [`quantized_logits`](Self::quantized_logits).
    pub fn output<T>(&mut self, say: impl FnOnce(Output<'_>) -> T) -> Result<T, BoardError> {
        let tensor = self.bytes(MAX_LOGITS, |offset| Call::Logits { offset })?;
        let About {
            scale,
            zero_point,
            logits,
            ..
        } = self.about;
        Ok(say(Output::of_tensor(
            &tensor,
            logits as usize,
            zero_point,
            scale,
        )))
    }

    /// The logits of the last inference.
    ///
    /// # Errors
    /// Those of [`quantized_logits`](Self::quantized_logits).
    pub fn logits(&mut self) -> Result<Vec<f32>, BoardError> {
        self.output(|output| output.logits().collect())
    }

    /// The names of the classes; none if the model has none.
    ///
    /// # Errors
    /// Those of the line.
    pub fn labels(&mut self) -> Result<Vec<String>, BoardError> {
        let mut labels = Vec::new();
        for class in 0..u16::try_from(self.about.logits).unwrap_or(u16::MAX) {
            let label = self.quick(Call::Label { class }, |answer| match answer {
                Answer::Label { name } => Some(name.to_owned()),
                _ => None,
            })?;
            if label.is_empty() {
                return Ok(Vec::new());
            }
            labels.push(label);
        }
        Ok(labels)
    }

    /// Runs a golden vector on the board: the first layer that gives something else.
    ///
    /// # Errors
    /// Those of the line; there is no such vector.
    pub fn verify(&mut self, vector: u16) -> Result<Option<Difference>, BoardError> {
        let slow = self.exchange.patience.slow;
        self.exchange
            .call(Call::Verify { vector }, slow, |answer| match answer {
                Answer::Verified { differs } => Some(differs.map(|(layer, name)| Difference {
                    layer,
                    name: name.to_owned(),
                })),
                _ => None,
            })
    }

    /// What each layer cost in the last inference.
    ///
    /// # Errors
    /// Those of the line; nothing has been inferred.
    pub fn profile(&mut self) -> Result<Vec<LayerCost>, BoardError> {
        let layers = 0..self.about.layers;
        layers.map(|layer| self.profile_layer(layer)).collect()
    }

    /// The same of one layer.
    ///
    /// # Errors
    /// Those of the line; the board has not inferred, or has no such layer.
    pub fn profile_layer(&mut self, layer: u16) -> Result<LayerCost, BoardError> {
        self.quick(Call::Profile { layer }, |answer| match answer {
            Answer::Layer { name, ticks } => Some(LayerCost {
                name: name.to_owned(),
                ticks,
            }),
            _ => None,
        })
    }

    /// What the board's display shows, from its frame buffer.
    ///
    /// # Errors
    /// Those of the line.
    pub fn screen(&mut self) -> Result<Picture, BoardError> {
        let expected = screen::bytes(&self.about.display);
        if expected > MAX_SCREEN {
            return Err(BoardError::Unexpected);
        }
        let bytes = self.bytes(expected, |offset| Call::Screen { offset })?;
        Ok(screen::picture(&self.about.display, &bytes))
    }

    /// What the display shows as the emulator draws it. `None` if the board is not emulated, or its
    /// emulator draws nothing.
    ///
    /// # Errors
    /// The emulator's.
    pub fn screendump(&mut self) -> Result<Option<Picture>, QemuError> {
        match &mut self.exchange.qemu {
            Some(qemu) => qemu.screendump(),
            None => Ok(None),
        }
    }

    /// What memory has been used since the start.
    ///
    /// # Errors
    /// Those of the line.
    pub fn memory(&mut self) -> Result<Memory, BoardError> {
        self.quick(Call::Memory, |answer| match answer {
            Answer::Memory(memory) => Some(memory),
            _ => None,
        })
    }

    /// Begins a picture or a tensor; the bytes that are needed.
    fn begin(&mut self, call: Call<'_>) -> Result<u32, BoardError> {
        self.quick(call, |answer| match answer {
            Answer::Received { done: 0, total } => Some(total),
            _ => None,
        })
    }

    /// Sends all of what has begun.
    fn data(&mut self, data: &[u8], sent: &mut dyn FnMut(usize, usize)) -> Result<(), BoardError> {
        let mut offset = 0;
        for bytes in data.chunks(CHUNK) {
            let end = offset + bytes.len() as u32;
            // The last bytes of a picture make the board bring it to size.
            self.quick(Call::Data { offset, bytes }, |answer| match answer {
                Answer::Received { done, .. } if done == end => Some(()),
                _ => None,
            })?;
            offset = end;
            sent(offset as usize, data.len());
        }
        Ok(())
    }

    fn infer(&mut self) -> Result<Inferred, BoardError> {
        let slow = self.exchange.patience.slow;
        self.exchange
            .call(Call::Infer, slow, |answer| match answer {
                Answer::Inferred(inferred) => Some(inferred),
                _ => None,
            })
    }

    /// Bytes that come in pieces, of which a board may have so many at most.
    fn bytes(
        &mut self,
        most: usize,
        call: impl Fn(u32) -> Call<'static>,
    ) -> Result<Vec<u8>, BoardError> {
        let mut all = Vec::new();
        loop {
            let offset = all.len();
            let total = self.quick(call(offset as u32), |answer| match answer {
                Answer::Bytes { total, bytes } => {
                    all.extend_from_slice(bytes);
                    Some(total as usize)
                }
                _ => None,
            })?;
            if all.len() == total {
                return Ok(all);
            }
            if total > most || all.len() > total || all.len() == offset {
                return Err(BoardError::Unexpected);
            }
        }
    }

    fn quick<T>(
        &mut self,
        call: Call<'_>,
        read: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<T, BoardError> {
        let quick = self.exchange.patience.quick;
        self.exchange.call(call, quick, read)
    }
}

#[cfg(test)]
mod tests;
