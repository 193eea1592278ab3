use kiln_link::{Display, Hello, PixelFormat};

/// What a board is and holds: a [`Hello`] that owns its texts.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The board.
    pub board: String,
    /// The model's name.
    pub model: String,
    /// The checksum that the model's file states.
    pub checksum: u32,
    /// Whether that is the checksum of the bytes in flash.
    pub intact: bool,
    /// The input tensor: height, width, channels.
    pub input: [u32; 3],
    /// Whether the model takes pictures.
    pub takes_pictures: bool,
    /// The largest picture: columns, rows.
    pub largest: [u16; 2],
    /// The number of logits.
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
    pub last_fault: Option<String>,
}

impl Default for About {
    /// Nothing.
    fn default() -> Self {
        Self {
            board: String::new(),
            model: String::new(),
            checksum: 0,
            intact: false,
            input: [0; 3],
            takes_pictures: false,
            largest: [0; 2],
            logits: 0,
            scale: 0.0,
            zero_point: 0,
            layers: 0,
            vectors: 0,
            display: Display {
                width: 0,
                height: 0,
                format: PixelFormat::Mono,
            },
            ticks_per_second: 0,
            nanoseconds_per_instruction: 0,
            last_fault: None,
        }
    }
}

impl From<Hello<'_>> for About {
    fn from(hello: Hello<'_>) -> Self {
        Self {
            board: hello.board.to_owned(),
            model: hello.model.to_owned(),
            checksum: hello.checksum,
            intact: hello.intact,
            input: hello.input,
            takes_pictures: hello.takes_pictures,
            largest: hello.largest,
            logits: hello.logits,
            scale: hello.scale,
            zero_point: hello.zero_point,
            layers: hello.layers,
            vectors: hello.vectors,
            display: hello.display,
            ticks_per_second: hello.ticks_per_second,
            nanoseconds_per_instruction: hello.nanoseconds_per_instruction,
            last_fault: hello.last_fault.map(str::to_owned),
        }
    }
}

impl About {
    /// Executed instructions in so many ticks, where the board counts those.
    pub fn instructions(&self, ticks: u32) -> Option<u64> {
        let each = u128::from(self.nanoseconds_per_instruction);
        let per_second = u128::from(self.ticks_per_second);
        let nanoseconds = u128::from(ticks) * 1_000_000_000;
        let count = nanoseconds.checked_div(each.checked_mul(per_second)?)?;
        u64::try_from(count).ok()
    }

    /// Milliseconds in so many ticks.
    pub fn milliseconds(&self, ticks: u32) -> f64 {
        f64::from(ticks) * 1e3 / f64::from(self.ticks_per_second.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_in_other_units() {
        let about = |ticks_per_second, nanoseconds_per_instruction| About {
            ticks_per_second,
            nanoseconds_per_instruction,
            ..About::default()
        };
        let cases = [
            (about(25_000_000, 16), 1000, Some(2500), 0.04),
            (about(1_000_000, 0), 1500, None, 1.5),
            (
                about(12_500_000, 16),
                u32::MAX,
                Some(21_474_836_475),
                343_597.383_6,
            ),
            (about(0, 16), 7, None, 7000.0),
        ];
        for (about, ticks, instructions, milliseconds) in cases {
            assert_eq!(about.instructions(ticks), instructions, "{ticks}");
            assert!(
                (about.milliseconds(ticks) - milliseconds).abs() < 1e-6,
                "{ticks}"
            );
        }
    }
}
