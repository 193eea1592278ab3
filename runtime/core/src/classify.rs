//! What a model says: logits, and the most probable classes.

/// A class and how probable it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Class {
    /// Its number.
    pub index: usize,
    /// Of all classes' probabilities, which sum to 1.
    pub probability: f32,
}

/// What a model says: the quantized logits, and perhaps whether it knows pictures like this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output<'a> {
    values: &'a [u8],
    /// What is behind the values: nothing, or a value that says whether the picture is known.
    known: &'a [u8],
    zero_point: i8,
    scale: f32,
}

impl<'a> Output<'a> {
    /// Of i8 logits, where `logit = scale * (value - zero_point)`.
    #[cfg_attr(doc, doc(hidden))]
    pub const fn new(values: &'a [u8], zero_point: i8, scale: f32) -> Self {
        Self::of_parts(values, &[], zero_point, scale)
    }

    /// Of a whole output tensor: where it has more values than there are classes, the one behind them says
    /// whether the picture is known.
    #[cfg_attr(doc, doc(hidden))]
    pub const fn of_tensor(tensor: &'a [u8], classes: usize, zero_point: i8, scale: f32) -> Self {
        match tensor.split_at_checked(classes) {
            Some((values, known)) => Self::of_parts(values, known, zero_point, scale),
            None => Self::new(tensor, zero_point, scale),
        }
    }

    /// Of an output tensor's logits and what is behind them.
    #[inline(always)]
    pub(crate) const fn of_parts(
        values: &'a [u8],
        known: &'a [u8],
        zero_point: i8,
        scale: f32,
    ) -> Self {
        Self {
            values,
            known,
            zero_point,
            scale,
        }
    }

    /// The output tensor, i8: the quantized logits, and what says whether the picture is known.
    pub fn tensor(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.values.iter().chain(self.known).copied()
    }

    /// Whether this is what an output tensor says, to the bit.
    pub fn is(&self, tensor: &[u8]) -> bool {
        self.tensor().eq(tensor.iter().copied())
    }

    /// How like the pictures that the model was made for the picture is: below 0 it is like none of them,
    /// and whatever class is most probable is a guess. None if the model does not say.
    pub fn known(&self) -> Option<f32> {
        self.known.first().map(|&value| self.real(value))
    }

    /// How probable it is that the picture is like none of those that the model was made for: above a half where
    /// [`known`](Self::known) is below 0. None if the model does not say.
    pub fn unknown(&self) -> Option<f32> {
        let known = self.known()?;
        let least = exp(-known.abs());
        let part = if known < 0.0 { 1.0 } else { least };
        Some(part / (1.0 + least))
    }

    fn real(&self, value: u8) -> f32 {
        (i32::from(value as i8) - i32::from(self.zero_point)) as f32 * self.scale
    }

    /// The quantized logits: i8.
    pub const fn values(&self) -> &'a [u8] {
        self.values
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What DequantizeLinear gives: `f32(value - zero_point) * scale`; 0 for a class that is not there.
    pub fn logit(&self, index: usize) -> f32 {
        let value = self.values.get(index);
        value.map_or(0.0, |&value| self.real(value))
    }

    /// All logits.
    pub fn logits(&self) -> impl Iterator<Item = f32> + use<'a> {
        let output = *self;
        (0..self.len()).map(move |index| output.logit(index))
    }

    /// The `K` most probable classes by softmax, the first of equals first; where there are fewer
    /// than `K`, the rest have probability 0 and the index [`len`](Self::len).
    ///
    /// The same bits on every target (QUANTIZATION.md, equation (20)); within 1e-6 of the exact value, relatively, for up to some
    /// thousand classes.
    pub fn top<const K: usize>(&self) -> [Class; K] {
        let mut classes = [Class::default(); K];
        self.top_into(&mut classes);
        classes
    }

    /// [`top`](Self::top) with as many classes as there are places, whatever is in them.
    pub fn top_into(&self, classes: &mut [Class]) {
        classes.fill(Class {
            index: self.len(),
            probability: 0.0,
        });
        // Of a class that is not there, less than any.
        let quantized = |index: usize| match self.values.get(index) {
            Some(&value) => i32::from(value as i8),
            None => i32::MIN,
        };
        for (index, &value) in self.values.iter().enumerate() {
            let (mut moved, mut moving) = (index, false);
            for class in &mut *classes {
                moving |= quantized(class.index) < i32::from(value as i8);
                if moving {
                    core::mem::swap(&mut class.index, &mut moved);
                }
            }
        }
        let most = classes.first().map_or(0, |class| quantized(class.index));
        let weight = |value: i32| exp(value.wrapping_sub(most) as f32 * self.scale);
        let values = self.values.iter().map(|&value| i32::from(value as i8));
        let sum = values.fold(0.0, |sum, value| sum + weight(value));
        for class in classes.iter_mut().filter(|class| class.index < self.len()) {
            class.probability = weight(quantized(class.index)) / sum;
        }
    }
}

/// e^x for x at most 0, within 3e-7 of it; 0 below -87. QUANTIZATION.md, equation (20).
#[cfg_attr(target_os = "none", inline(never))]
fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = core::f32::consts::LOG2_E;
    // ln 2 in two parts, so that `k * LN2_HIGH` is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    if x.is_nan() || x < -87.0 {
        return 0.0;
    }
    let k = crate::rounding::round_half_even(x * LOG2_E);
    let r = x - k as f32 * LN2_HIGH - k as f32 * LN2_LOW;
    let terms = [
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let series = terms
        .into_iter()
        .fold(0.0, |sum: f32, term: f32| sum * r + term);
    series * f32::from_bits(((k + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        let mut worst = 0.0f64;
        for step in (0..870_000).step_by(crate::testing::every(1000)) {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 3e-7, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        for x in [-87.1, -1e30, f32::NEG_INFINITY, f32::NAN] {
            assert_eq!(exp(x), 0.0);
        }
    }

    #[test]
    fn logits_are_dequantized() {
        let output = Output::new(&[0x80, 0, 0x7f], -1, 0.25);
        let logits: std::vec::Vec<f32> = output.logits().collect();
        assert_eq!(logits, [-31.75, 0.25, 32.0]);
        assert_eq!((output.len(), output.logit(3)), (3, 0.0));
    }

    #[test]
    fn what_is_behind_the_classes_says_whether_the_picture_is_known() {
        let tensor = [4u8, 2, 0xfe];
        let output = Output::of_tensor(&tensor, 2, 1, 0.5);
        assert_eq!((output.values(), output.len()), (&tensor[..2], 2));
        assert_eq!(output.known(), Some(-1.5));
        let expected = 1.0 / (1.0 + (-1.5_f32).exp());
        assert!((output.unknown().unwrap() - expected).abs() < 1e-6);
        let sure = Output::of_tensor(&[4, 2, 4], 2, 1, 0.5);
        assert!((sure.unknown().unwrap() - (1.0 - expected)).abs() < 1e-6);
        assert_eq!(output.top::<3>()[2].index, 2);
        assert!(output.is(&tensor) && !output.is(&tensor[..2]) && !output.is(&[4, 2, 0xff]));
        assert!(!output.is(&[4, 3, 0xfe]) && !output.is(&[]));
        let all = Output::of_tensor(&tensor, 3, 1, 0.5);
        assert_eq!((all.known(), all.unknown()), (None, None));
        assert_eq!(all, Output::new(&tensor, 1, 0.5));
        assert!(all.is(&tensor) && !all.is(&tensor[..2]));
        assert!(Output::new(&[], 0, 1.0).is(&[]));
    }

    #[test]
    fn the_most_probable_come_first() {
        let values = [3u8, 0xff, 9, 3, 9, 0];
        let output = Output::new(&values, 5, 0.5);
        let total: f64 = values
            .iter()
            .map(|&v| (f64::from(v as i8) * 0.5).exp())
            .sum();
        let top = output.top::<4>();
        assert_eq!(top.map(|class| class.index), [2, 4, 0, 3]);
        for class in top {
            let exact = (f64::from(values[class.index] as i8) * 0.5).exp() / total;
            assert!((f64::from(class.probability) / exact - 1.0).abs() < 1e-6);
        }
        let all = output.top::<8>();
        assert_eq!(all.map(|class| class.index), [2, 4, 0, 3, 5, 1, 6, 6]);
        assert_eq!(all[6].probability, 0.0);
        let sum: f32 = all.iter().map(|class| class.probability).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert_eq!(output.top::<0>(), []);
        assert_eq!(Output::new(&[], 0, 1.0).top::<1>()[0].probability, 0.0);
        let far = Output::new(&[0x80, 0x7f], 0, f32::MAX).top::<2>();
        assert_eq!(far.map(|class| class.probability), [1.0, 0.0]);
    }
}
