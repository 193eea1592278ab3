//! A heat map over its picture.

use std::path::Path;

use colorous::Gradient;
use image::{ImageFormat, RgbImage};
use kiln_core::preprocess::{Placement, Recipe, Rect};
use kiln_picture::Picture;

use super::{ExplainError, HeatMap};

/// The colours of heat: those of the page, too.
pub const HEAT: Gradient = colorous::INFERNO;

/// How much of the hottest place is colour.
const MOST: f64 = 0.8;

/// Paints a map over the picture that it explains, in colours of fire where the picture speaks for the
/// class. What the recipe cuts off is made darker. The map is drawn larger without steps.
///
/// # Errors
/// The picture does not suit the recipe.
pub fn paint(picture: &Picture, recipe: &Recipe, map: &HeatMap) -> Result<Picture, ExplainError> {
    picture.view()?;
    let placement = recipe.place(picture.width, picture.height)?;
    let most = f64::from(map.most());
    let input = [recipe.width, recipe.height];
    let mut rgb = picture.rgb.clone();
    for (y, row) in (0..).zip(rgb.chunks_exact_mut(picture.width as usize * 3)) {
        for (x, pixel) in (0..).zip(row.as_chunks_mut::<3>().0) {
            let Some([u, v]) = within(&placement, input, x, y) else {
                *pixel = pixel.map(|value| value / 3);
                continue;
            };
            let value = sample(map, u, v).max(0.0);
            let warmth = if most > 0.0 { value / most } else { 0.0 };
            let share = MOST * warmth.sqrt();
            let colour = HEAT.eval_continuous(warmth).as_array();
            for (value, colour) in pixel.iter_mut().zip(colour) {
                let mixed = f64::from(*value) * (1.0 - share) + f64::from(colour) * share;
                *value = mixed.round() as u8;
            }
        }
    }
    Ok(Picture { rgb, ..*picture })
}

/// Where a pixel of the picture lies in the input, in 0..=1 across and down; none where it is cut off.
fn within(placement: &Placement, input: [u16; 2], x: u32, y: u32) -> Option<[f64; 2]> {
    let Placement { source, target } = placement;
    let along = |at: u32, from: u32, len: u32, to: u32, new: u32, input: u16| {
        let inside = at.checked_sub(from).filter(|&at| at < len)?;
        let share = (f64::from(inside) + 0.5) / f64::from(len);
        Some((f64::from(to) + share * f64::from(new)) / f64::from(input))
    };
    let Rect { width, height, .. } = *source;
    Some([
        along(x, source.x, width, target.x, target.width, input[0])?,
        along(y, source.y, height, target.y, target.height, input[1])?,
    ])
}

/// The map between its values: bilinear.
fn sample(map: &HeatMap, u: f64, v: f64) -> f64 {
    let along = |share: f64, len: u32| {
        let last = f64::from(len.saturating_sub(1));
        let at = (share * f64::from(len) - 0.5).clamp(0.0, last);
        let low = at.floor();
        (low as usize, (low + 1.0).min(last) as usize, at - low)
    };
    let (left, right, across) = along(u, map.columns);
    let (above, below, down) = along(v, map.rows);
    let value = |row: usize, column: usize| {
        let at = row * map.columns as usize + column;
        map.values.get(at).map_or(0.0, |&value| f64::from(value))
    };
    let row = |row| value(row, left) * (1.0 - across) + value(row, right) * across;
    row(above) * (1.0 - down) + row(below) * down
}

/// Writes a picture as a PNG file.
///
/// # Errors
/// It cannot be written, by the file's name.
pub fn save_png(picture: &Picture, path: &Path) -> Result<(), ExplainError> {
    let failed = |source| ExplainError::Write {
        path: path.to_owned(),
        source,
    };
    picture.view()?;
    let image = RgbImage::from_raw(picture.width, picture.height, picture.rgb.clone());
    let image = image.unwrap_or_default();
    image
        .save_with_format(path, ImageFormat::Png)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use kiln_core::preprocess::{Color, Fit};

    use super::super::Method;
    use super::*;

    fn recipe(fit: Fit) -> Recipe {
        Recipe {
            width: 8,
            height: 8,
            fit,
            crop_pct: 100,
            color: Color::Rgb,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    fn grey(width: u32, height: u32) -> Picture {
        let rgb = vec![120; (width * height * 3) as usize];
        Picture { width, height, rgb }
    }

    /// Hot on the right above, against the class on the left below.
    fn map() -> HeatMap {
        HeatMap {
            method: Method::Activation,
            rows: 2,
            columns: 2,
            values: vec![0.0, 4.0, -3.0, 1.0],
        }
    }

    fn at(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
        picture.rgb.as_chunks().0[(y * picture.width + x) as usize]
    }

    #[test]
    fn heat_is_where_the_map_says_and_the_rest_stays() {
        let picture = grey(40, 40);
        let painted = paint(&picture, &recipe(Fit::Stretch), &map()).unwrap();
        assert_eq!((painted.width, painted.height), (40, 40));
        let hottest = HEAT.eval_continuous(1.0).as_array();
        let mixed = hottest.map(|value| (120.0 * 0.2 + f64::from(value) * 0.8).round() as u8);
        assert_eq!(at(&painted, 39, 0), mixed);
        assert_eq!(at(&painted, 0, 0), [120; 3]);
        assert_eq!(at(&painted, 0, 39), [120; 3]);
        assert_ne!(at(&painted, 20, 10), [120; 3]);
    }

    #[test]
    fn what_is_cut_off_is_darker_and_letterboxes_keep_the_whole() {
        let picture = grey(80, 40);
        let crop = paint(&picture, &recipe(Fit::Crop), &map()).unwrap();
        assert_eq!(at(&crop, 19, 5), [40; 3]);
        assert_eq!(at(&crop, 20, 5), [120; 3]);
        assert_eq!(at(&crop, 60, 5), [40; 3]);
        let hot = at(&crop, 59, 0);
        assert_eq!(
            hot,
            at(
                &paint(&grey(40, 40), &recipe(Fit::Crop), &map()).unwrap(),
                39,
                0
            )
        );
        let middle = Recipe {
            crop_pct: 50,
            ..recipe(Fit::Stretch)
        };
        let painted = paint(&picture, &middle, &map()).unwrap();
        assert_eq!([at(&painted, 19, 10), at(&painted, 20, 9)], [[40; 3]; 2]);
        assert_eq!(at(&painted, 20, 10), [120; 3]);
        assert_eq!(at(&painted, 59, 10), hot);
        // The picture lies in rows 2 to 5 of 8, so its top is a quarter down the map.
        let letterbox = paint(&picture, &recipe(Fit::Letterbox), &map()).unwrap();
        assert_ne!(at(&letterbox, 79, 0), [40; 3]);
        assert_ne!(at(&letterbox, 79, 39), at(&letterbox, 79, 0));
    }

    #[test]
    fn a_map_with_nothing_for_the_class_changes_nothing() {
        let picture = grey(9, 7);
        let mut cold = map();
        cold.values.fill(-1.0);
        assert_eq!(
            paint(&picture, &recipe(Fit::Stretch), &cold).unwrap(),
            picture
        );
    }

    #[test]
    fn maps_are_sampled_between_their_centres() {
        let map = map();
        assert_eq!(sample(&map, 0.75, 0.25), 4.0);
        assert_eq!(sample(&map, 0.5, 0.25), 2.0);
        assert_eq!(sample(&map, 0.5, 0.5), 0.5);
        assert_eq!(sample(&map, 0.0, 1.0), -3.0);
    }

    #[test]
    fn a_painted_picture_is_written_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.png");
        let painted = paint(&grey(12, 5), &recipe(Fit::Stretch), &map()).unwrap();
        save_png(&painted, &path).unwrap();
        let read = kiln_picture::decode_file(&path, &kiln_picture::Limits::default());
        assert_eq!(read.unwrap(), painted);
        let error = save_png(&painted, &folder.path().join("none/out.png")).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
