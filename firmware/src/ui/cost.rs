//! What an inference cost, in three digits and a unit.

use super::line::{Line, push_number, push_str};

/// What an inference cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Time in milliseconds.
    Milliseconds(u32),
    /// Executed instructions, where an emulator counts them.
    Instructions(u64),
}

impl Cost {
    /// Three digits (less below a thousand) and the unit, as in `4.81 M instr`; what is less than the
    /// last digit is left out.
    pub fn spelled(self) -> Line {
        let (mut value, units) = match self {
            Self::Milliseconds(time) => (u64::from(time), [" ms", " s", " ks", " Ms", ""]),
            Self::Instructions(count) => (
                count,
                [" instr", " k instr", " M instr", " G instr", " T instr"],
            ),
        };
        let mut units = units.into_iter();
        let mut unit = units.next().unwrap_or("");
        let mut fraction = None;
        while let (1000.., Some(next)) = (value, units.as_slice().first()) {
            fraction = Some((value % 1000) as u32);
            value /= 1000;
            unit = next;
            units.next();
        }
        let mut text = Line::new();
        push_number(&mut text, u32::try_from(value).unwrap_or(u32::MAX), 1);
        match (fraction, value) {
            (Some(thousandths), 0..10) => {
                push_str(&mut text, ".");
                push_number(&mut text, thousandths / 10, 2);
            }
            (Some(thousandths), 10..100) => {
                push_str(&mut text, ".");
                push_number(&mut text, thousandths / 100, 1);
            }
            _ => {}
        }
        push_str(&mut text, unit);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let cases = [
            (Cost::Milliseconds(0), "0 ms"),
            (Cost::Milliseconds(999), "999 ms"),
            (Cost::Milliseconds(1_009), "1.00 s"),
            (Cost::Milliseconds(1_234), "1.23 s"),
            (Cost::Milliseconds(u32::MAX), "4.29 Ms"),
            (Cost::Instructions(7), "7 instr"),
            (Cost::Instructions(29_870_000), "29.8 M instr"),
            (Cost::Instructions(4_050_000), "4.05 M instr"),
            (Cost::Instructions(123_456_789), "123 M instr"),
            (Cost::Instructions(u64::MAX), "18446744 T instr"),
        ];
        for (cost, text) in cases {
            assert_eq!(cost.spelled().as_str(), text, "{cost:?}");
        }
    }
}
