//! What is known of one activation after the calibration pictures: of a size that does not depend on
//! how many there were.

use super::histogram::Histogram;

/// Running statistics of one value of the graph.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// The least value.
    pub min: f32,
    /// The greatest value.
    pub max: f32,
    /// All values.
    pub histogram: Histogram,
    /// Each channel.
    pub channels: Vec<Channel>,
    /// Pixels seen, of each channel.
    pub pixels: u64,
    /// Values that are not finite.
    pub broken: u64,
}

/// Running statistics of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Channel {
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub squares: f64,
    /// The greatest magnitude.
    pub largest: f32,
}

impl Statistics {
    /// Of no values, of so many channels.
    pub fn new(channels: usize) -> Self {
        Self {
            min: 0.0,
            max: 0.0,
            histogram: Histogram::new(),
            channels: vec![Channel::default(); channels],
            pixels: 0,
            broken: 0,
        }
    }

    /// Adds one activation, in NHWC.
    pub fn add(&mut self, values: &[f32]) {
        let broken = values.iter().filter(|value| !value.is_finite()).count();
        if broken > 0 {
            self.broken += broken as u64;
            return;
        }
        if self.pixels == 0 {
            (self.min, self.max) = (f32::INFINITY, f32::NEG_INFINITY);
        }
        for pixel in values.chunks_exact(self.channels.len().max(1)) {
            for (channel, value) in self.channels.iter_mut().zip(pixel) {
                self.min = self.min.min(*value);
                self.max = self.max.max(*value);
                channel.sum += f64::from(*value);
                channel.squares += f64::from(*value) * f64::from(*value);
                channel.largest = channel.largest.max(value.abs());
            }
            self.pixels += 1;
        }
        self.histogram.add(values);
    }

    /// The mean of each channel.
    pub fn means(&self) -> Vec<f64> {
        let pixels = self.pixels.max(1) as f64;
        let channels = self.channels.iter();
        channels.map(|channel| channel.sum / pixels).collect()
    }

    /// The mean square of each channel.
    pub fn mean_squares(&self) -> Vec<f64> {
        let pixels = self.pixels.max(1) as f64;
        let channels = self.channels.iter();
        channels.map(|channel| channel.squares / pixels).collect()
    }

    /// Whether all values were the same.
    pub fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_apart() {
        let mut statistics = Statistics::new(3);
        statistics.add(&[1.0, -2.0, 0.0, 3.0, -6.0, 0.0]);
        statistics.add(&[2.0, -1.0, 0.0]);
        assert_eq!(statistics.means(), [2.0, -3.0, 0.0]);
        assert_eq!((statistics.min, statistics.max), (-6.0, 3.0));
        let largest: Vec<f32> = statistics.channels.iter().map(|c| c.largest).collect();
        assert_eq!(largest, [3.0, 6.0, 0.0]);
        assert_eq!(statistics.mean_squares(), [14.0 / 3.0, 41.0 / 3.0, 0.0]);
        assert_eq!(statistics.histogram.count(), 9);
    }

    #[test]
    fn what_is_not_finite_is_counted_and_spoils_nothing() {
        let mut statistics = Statistics::new(2);
        statistics.add(&[1.0, f32::NAN]);
        statistics.add(&[f32::INFINITY, 1.0]);
        statistics.add(&[4.0, 4.0]);
        assert_eq!(statistics.broken, 2);
        assert!(statistics.is_constant());
        assert_eq!(statistics.means(), [4.0, 4.0]);
    }
}
