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
            let (thousands, rest) = by_thousand(value);
            fraction = Some(rest);
            value = thousands;
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

/// `value / 1000` and `value % 1000`, by long division in base 2¹⁶: the compiler's division of 64 bits
/// is a kilobyte of program.
fn by_thousand(value: u64) -> (u64, u32) {
    let (mut quotient, mut rest) = (0, 0);
    for places in [48, 32, 16, 0] {
        let part = rest << 16 | (value >> places) as u32 & 0xffff;
        quotient = quotient << 16 | u64::from(part / 1000);
        rest = part % 1000;
    }
    (quotient, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_division() {
        for value in [
            0,
            999,
            1000,
            65_535_999,
            1 << 32,
            123_456_789_012_345,
            u64::MAX,
        ] {
            assert_eq!(by_thousand(value), (value / 1000, (value % 1000) as u32));
        }
    }

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
