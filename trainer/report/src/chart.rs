//! Line charts and histograms, as SVG whose colours the page's style gives.

use std::error::Error;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Of training, in the light page; the style names it again in both.
pub const FIRST: RGBColor = RGBColor(0xC2, 0x55, 0x0A);
/// Of validation, and of all that stands alone.
pub const SECOND: RGBColor = RGBColor(0x1B, 0x6F, 0xB5);
/// Of text, and of what belongs to neither.
pub const INK: RGBColor = RGBColor(0x22, 0x26, 0x2B);
/// Lines behind the data.
const GRID: RGBColor = RGBColor(0xE3, 0xE6, 0xEA);
/// What is compared with.
const FAINT: RGBColor = RGBColor(0x8A, 0x91, 0x99);

/// Pixels at which text has its size; the page scales the whole.
const SIZE: (u32, u32) = (460, 280);
const FONT: &str = "sans-serif";

/// How numbers at an axis are written.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// `7`; nothing between whole numbers.
    Whole,
    /// `42%` for 0.42.
    Percent,
    /// `0.42`, with as many digits as the range wants.
    Plain,
    /// `3e-3`.
    Power,
}

/// An axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis<'a> {
    /// Its name.
    pub name: &'a str,
    /// The least value; less than the greatest.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
    /// How its numbers are written.
    pub format: Format,
}

/// What is drawn; points that are not finite are left out.
#[derive(Clone, Debug)]
pub enum Series {
    /// A line through points, with a dot at each where they are few.
    Line(RGBColor, Vec<(f64, f64)>),
    /// A dot that stands out.
    Dot(RGBColor, (f64, f64)),
    /// A thin line that is compared with.
    Guide((f64, f64), (f64, f64)),
    /// Bars from 0: left, right, height.
    Bars(RGBColor, Vec<(f64, f64, f64)>),
}

/// Points of a line up to which each has a dot.
const DOTS: usize = 40;

/// An axis around values with some room at both ends; `None` where none is finite.
pub fn around<'a>(
    name: &'a str,
    format: Format,
    values: impl Iterator<Item = f64>,
) -> Option<Axis<'a>> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    // The greatest numbers would leave no room around them.
    let (low, high) = (low.max(-1e300), high.min(1e300));
    if low > high {
        return None;
    }
    let room = ((high - low) * 0.06).max(high.abs().max(low.abs()).max(1e-6) * 1e-3);
    Some(Axis {
        name,
        low: low - room,
        high: high + room,
        format,
    })
}

/// Draws a chart as SVG.
///
/// # Errors
/// What plotters says.
pub fn draw(x: Axis<'_>, y: Axis<'_>, series: &[Series]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .margin_right(24)
            .x_label_area_size(38)
            .y_label_area_size(56)
            .build_cartesian_2d(x.low..x.high, y.low..y.high)?;
        let text = |size: i32| (FONT, size).into_font().color(&INK);
        let mut mesh = chart.configure_mesh();
        // Nothing is written between whole numbers, so that as many marks as numbers are wanted.
        let whole = matches!(x.format, Format::Whole) && x.high - x.low < 12.0;
        let x_labels = match whole {
            true => (x.high - x.low) as usize + 1,
            false => 7,
        };
        let (x_step, y_step) = (x.high - x.low, y.high - y.low);
        mesh.x_desc(x.name)
            .y_desc(y.name)
            .x_labels(x_labels.max(2))
            .y_labels(6)
            .x_label_formatter(&|value| x.format.text(*value, x_step))
            .y_label_formatter(&|value| y.format.text(*value, y_step))
            .label_style(text(15))
            .axis_desc_style(text(15))
            .axis_style(FAINT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for series in series {
            add(&mut chart, series)?;
        }
        root.present()?;
    }
    Ok(svg)
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn add(chart: &mut Chart<'_, '_>, series: &Series) -> Result<(), Box<dyn Error>> {
    let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
    match series {
        Series::Line(color, points) => {
            let points: Vec<(f64, f64)> = points.iter().copied().filter(finite).collect();
            let dots = if points.len() <= DOTS { 2 } else { 0 };
            let line = LineSeries::new(points, color.stroke_width(2)).point_size(dots);
            chart.draw_series(line)?;
        }
        Series::Dot(color, point) => {
            if finite(point) {
                chart.draw_series([Circle::new(*point, 5, color.filled())])?;
            }
        }
        Series::Guide(from, to) => {
            let line = PathElement::new([*from, *to], FAINT.stroke_width(1));
            chart.draw_series([line])?;
        }
        Series::Bars(color, bars) => {
            let bars = bars.iter().filter(|bar| bar.2.is_finite());
            let bars = bars.map(|&(left, right, height)| {
                Rectangle::new([(left, 0.0), (right, height)], color.filled())
            });
            chart.draw_series(bars)?;
        }
    }
    Ok(())
}

impl Format {
    /// A number at an axis that spans `step`.
    fn text(self, value: f64, span: f64) -> String {
        match self {
            Self::Whole if (value - value.round()).abs() < 1e-6 => format!("{value:.0}"),
            Self::Whole => String::new(),
            Self::Percent if span < 0.06 => format!("{:.1}%", value * 100.0),
            Self::Percent => format!("{:.0}%", value * 100.0),
            Self::Power if value.abs() < 1e-12 => "0".into(),
            Self::Power => format!("{value:.1e}"),
            Self::Plain if span >= 5.0 => format!("{value:.0}"),
            Self::Plain if span >= 0.1 => format!("{value:.2}"),
            Self::Plain => format!("{value:.4}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_around_what_is_finite() {
        let around = |values: &[f64]| around("y", Format::Plain, values.iter().copied());
        let axis = around(&[1.0, f64::NAN, 3.0, f64::INFINITY]).unwrap();
        assert!(axis.low < 1.0 && axis.high > 3.0 && axis.high < 4.0);
        let flat = around(&[0.5, 0.5]).unwrap();
        assert!(flat.low < 0.5 && flat.high > 0.5);
        assert!(around(&[f64::NAN]).is_none() && around(&[]).is_none());
    }

    #[test]
    fn every_colour_is_one_that_the_style_names() {
        let axis = |name| Axis {
            name,
            low: 0.0,
            high: 1.0,
            format: Format::Percent,
        };
        let series = [
            Series::Line(FIRST, vec![(0.1, 0.2), (0.3, f64::NAN), (0.6, 0.7)]),
            Series::Dot(SECOND, (0.5, 0.5)),
            Series::Guide((0.0, 0.0), (1.0, 1.0)),
            Series::Bars(SECOND, vec![(0.1, 0.2, 0.4), (0.2, 0.3, f64::INFINITY)]),
        ];
        let svg = draw(axis("x"), axis("y"), &series).unwrap();
        let style = include_str!("style.css");
        for color in svg.split('"').filter(|part| part.starts_with('#')) {
            assert!(
                style.contains(&format!("[fill=\"{color}\"]"))
                    || style.contains(&format!("[stroke=\"{color}\"]")),
                "{color}"
            );
        }
        assert!(
            svg.contains("40%") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
    }

    #[test]
    fn numbers_have_the_digits_that_their_axis_wants() {
        let text = |format: Format, value, span| format.text(value, span);
        assert_eq!(text(Format::Whole, 3.0, 9.0), "3");
        assert_eq!(text(Format::Whole, 3.5, 9.0), "");
        assert_eq!(text(Format::Percent, 0.425, 0.5), "42%");
        assert_eq!(text(Format::Percent, 0.425, 0.05), "42.5%");
        assert_eq!(text(Format::Plain, 0.25, 0.5), "0.25");
        assert_eq!(text(Format::Power, 0.003, 0.003), "3.0e-3");
    }
}
