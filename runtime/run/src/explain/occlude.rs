//! Occlusion maps: [`kiln_core::explain::Occlusion`] with the inferences that they take.

use kiln_core::explain::{Occlusion, probability};

use super::{ExplainError, HeatMap, Method, check_class};
use crate::engine::{Engine, EngineError, Input};

/// For each pixel of the input by how much the class's probability drops where a square covers it: the
/// mean over the squares that do. `pixels` are as the model's recipe makes them.
///
/// # Errors
/// Pixels of a wrong length, no recipe, no such class, or squares that leave places out.
pub fn occlusion(
    engine: &mut Engine,
    pixels: &[u8],
    class: usize,
    occlusion: Occlusion,
) -> Result<HeatMap, ExplainError> {
    let shape = engine.model().input().shape;
    let Occlusion { side, stride } = occlusion;
    let squares = occlusion.squares(shape);
    let squares = squares.ok_or(ExplainError::Square { side, stride })?;
    check_class(engine, class)?;
    let mut run = |pixels: &[u8]| -> Result<f64, EngineError> {
        Ok(probability(&engine.run(Input::Pixels(pixels))?, class))
    };
    let whole = run(pixels)?;
    let mut covered = pixels.to_vec();
    let mut drops = Vec::with_capacity(squares.len());
    for index in 0..squares.len() {
        covered.copy_from_slice(pixels);
        squares.cover(index, &mut covered);
        drops.push((whole - run(&covered)?) as f32);
    }
    let places = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x)));
    Ok(HeatMap {
        method: Method::Occlusion,
        rows: shape.height,
        columns: shape.width,
        values: places
            .map(|(y, x)| squares.mean(|index| drops[index], y, x))
            .collect(),
    })
}
