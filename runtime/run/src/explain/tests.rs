use super::*;
use crate::engine::LoadedModel;

const NANO: &[u8] = include_bytes!("../../../../models/catsdogs-nano/model.kiln");
/// The sides of nano's pictures.
const SIDE: u32 = 88;
const TINY: &[u8] = include_bytes!("../../../core/tests/tiny.kiln");

fn nano() -> Engine {
    LoadedModel::from_bytes(NANO).unwrap().engine()
}

fn pixels() -> Vec<u8> {
    let value = |at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8 / 4 + (at / SIDE / 2) as u8;
    (0..SIDE * SIDE * 3).map(value).collect()
}

/// The mean over squares, pixel by pixel: each asks which squares cover it.
#[test]
fn occlusion_equals_a_brute_force() {
    let mut engine = nano();
    let pixels = pixels();
    for squares in [
        Occlusion {
            side: 30,
            stride: 20,
        },
        Occlusion {
            side: SIDE,
            stride: SIDE,
        },
        Occlusion {
            side: 100,
            stride: 7,
        },
    ] {
        let found = occlusion(&mut engine, &pixels, 1, squares).unwrap();
        assert_eq!((found.rows, found.columns), (SIDE, SIDE));
        let mut starts = vec![];
        let mut start = 0;
        while start + squares.side < SIDE {
            starts.push(start);
            start += squares.stride;
        }
        starts.push(SIDE.saturating_sub(squares.side));
        let mut probability = |pixels: &[u8]| {
            let logits = engine.logits(Input::Pixels(pixels)).unwrap();
            1.0 / (1.0 + f64::from(logits[0] - logits[1]).exp())
        };
        let whole = probability(&pixels);
        let mut drops = vec![];
        for &y in &starts {
            for &x in &starts {
                let inside = |at: u32, from: u32| at >= from && at < from + squares.side;
                let covered: Vec<u8> = (0..)
                    .zip(&pixels)
                    .map(|(at, &value)| {
                        let (px, py) = (at / 3 % SIDE, at / 3 / SIDE);
                        if inside(px, x) && inside(py, y) {
                            128
                        } else {
                            value
                        }
                    })
                    .collect();
                drops.push((x, y, whole - probability(&covered)));
            }
        }
        for (at, &value) in (0_u32..).zip(&found.values) {
            let (px, py) = (at % SIDE, at / SIDE);
            let over = drops.iter().filter(|(x, y, _)| {
                (*x..x + squares.side).contains(&px) && (*y..y + squares.side).contains(&py)
            });
            let over: Vec<f64> = over.map(|(.., drop)| *drop).collect();
            let mean = over.iter().sum::<f64>() / over.len() as f64;
            assert!(
                (f64::from(value) - mean).abs() < 1e-6,
                "{squares:?} at {px}, {py}"
            );
        }
    }
}

/// From the activation that a run shows, and the weights one by one.
#[test]
fn activation_maps_are_the_cores() {
    let mut engine = nano();
    let pixels = pixels();
    let maps = [0, 1].map(|class| activation(&mut engine, &pixels, class).unwrap().unwrap());
    assert_eq!(
        (maps[0].rows, maps[0].columns, maps[0].method),
        (11, 11, Method::Activation)
    );
    assert_ne!(maps[0].values, maps[1].values);
    let model = engine.loaded().clone();
    let (_, last) = model.model().layers().last().unwrap();
    let kiln_core::layer::Layer::Conv(linear) = last else {
        panic!("a linear layer");
    };
    let mut features = Vec::new();
    let at = model.model().layer_count() - 3;
    engine
        .run_observed(Input::Pixels(&pixels), |ran| {
            if ran.index == at {
                features = ran.output.to_vec();
            }
        })
        .unwrap();
    let zero = {
        let layer = model.model().layers().nth(at).unwrap().1;
        i32::from(layer.output().zero_point)
    };
    let shape = linear.kernel_shape();
    for (class, map) in maps.iter().enumerate() {
        for (pixel, &value) in features.chunks(shape.in_channels).zip(&map.values) {
            let sum: i32 = pixel
                .iter()
                .enumerate()
                .map(|(channel, &feature)| {
                    let at = linear.packing.index(shape, class, 0, 0, channel);
                    i32::from(linear.weights[at] as i8) * (i32::from(feature as i8) - zero)
                })
                .sum();
            assert_eq!(value, sum as f32);
        }
    }
    assert_eq!(explain(&mut engine, &pixels, 1).unwrap(), maps[1]);
}

#[test]
fn classes_squares_and_inputs_that_are_none_are_refused() {
    let mut engine = nano();
    let error = explain(&mut engine, &pixels(), 2).unwrap_err();
    assert!(error.to_string().contains("class 2"), "{error}");
    for (side, stride) in [(0, 1), (4, 0), (3, 4)] {
        let squares = Occlusion { side, stride };
        let error = occlusion(&mut engine, &pixels(), 0, squares).unwrap_err();
        assert!(matches!(error, ExplainError::Square { .. }), "{error}");
    }
    let error = explain(&mut engine, &[0; 5], 0).unwrap_err();
    assert!(error.to_string().contains("23232"), "{error}");
    let mut tiny = LoadedModel::from_bytes(TINY).unwrap().engine();
    assert_eq!(activation(&mut tiny, &[1, 2, 3], 0).unwrap(), None);
    let error = explain(&mut tiny, &[1, 2, 3], 0).unwrap_err();
    assert!(error.to_string().contains("recipe"), "{error}");
}
