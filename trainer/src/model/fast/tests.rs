//! Every fused layer against the plain burn composition that its documentation names.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::{DType, Device, Distribution, Gradients, Int, Tensor, module};

use super::{
    Activation, Grid, batch_norm, batch_norm_add, batch_norm_max_pool, conv2d, conv2d_bf16, fork,
    gate, global_average, round,
};

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.3, 1.0), &device())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("32-bit floats")
}

/// The output, the inputs' gradients and what `others` reads off, for a loss that weighs every
/// output differently.
fn run(
    inputs: &[Tensor<4>],
    layer: impl Fn(Vec<Tensor<4>>) -> Tensor<4>,
    others: impl Fn(&Gradients) -> Vec<Vec<f32>>,
) -> Vec<Vec<f32>> {
    let leaves = inputs.iter().map(|x| x.clone().detach().require_grad());
    let leaves: Vec<Tensor<4>> = leaves.collect();
    let y = layer(leaves.clone());
    let count = y.shape().num_elements() as i64;
    let weights = Tensor::<1, Int>::arange(0..count, &device()).float();
    let weights = (weights * 0.37).sin().reshape(y.dims());
    let gradients = (y.clone() * weights).sum().backward();
    let mut all = vec![numbers(y)];
    all.extend(
        leaves
            .iter()
            .map(|x| numbers(x.grad(&gradients).expect("tracked"))),
    );
    all.extend(others(&gradients));
    all
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], case: &str) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{case}, result {index}");
        let largest = expected.iter().fold(1e-3, |a: f32, b| a.max(b.abs()));
        for (at, (a, b)) in found.iter().zip(expected).enumerate() {
            let distance = (a - b).abs() / largest;
            assert!(distance < 1e-4, "{case}, result {index}[{at}]: {a} for {b}");
        }
    }
}

struct ConvCase {
    /// `[n, channels, h, w]`
    x: [usize; 4],
    filters: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: PaddingConfig2d,
    groups: usize,
    bias: bool,
}

impl ConvCase {
    fn layer(&self) -> Conv2d {
        Conv2dConfig::new([self.x[1], self.filters], self.kernel)
            .with_stride(self.stride)
            .with_padding(self.padding.clone())
            .with_groups(self.groups)
            .with_bias(self.bias)
            .init(&device())
    }
}

fn conv_cases() -> Vec<ConvCase> {
    use PaddingConfig2d::{Explicit, Same, Valid};
    let one = Explicit(1, 1, 1, 1);
    let rows = [
        ([3, 3, 12, 10], 16, [3, 3], [1, 1], one.clone(), 1, false),
        ([2, 16, 9, 7], 32, [3, 3], [1, 1], one.clone(), 1, false),
        ([2, 16, 9, 8], 40, [3, 3], [2, 2], one.clone(), 1, true),
        ([17, 8, 7, 9], 8, [3, 3], [2, 1], one.clone(), 1, false),
        ([2, 5, 11, 13], 7, [5, 3], [1, 2], Valid, 1, true),
        ([2, 4, 8, 9], 33, [2, 2], [1, 1], Same, 1, false),
        ([2, 4, 10, 9], 6, [3, 3], [2, 2], Same, 1, false),
        ([2, 24, 6, 5], 16, [1, 1], [1, 1], Valid, 1, false),
        ([2, 24, 7, 5], 48, [1, 1], [2, 2], Valid, 1, false),
        (
            [2, 3, 7, 6],
            4,
            [3, 3],
            [1, 1],
            Explicit(3, 0, 1, 2),
            1,
            false,
        ),
        ([1, 2, 20, 9], 4, [2, 2], [3, 3], Valid, 1, false),
        ([2, 3, 9, 9], 64, [9, 9], [1, 1], Valid, 1, false),
        ([2, 12, 9, 7], 12, [3, 3], [1, 1], one.clone(), 12, false),
        ([2, 20, 9, 8], 20, [3, 3], [2, 2], one.clone(), 20, true),
        ([2, 12, 6, 5], 8, [3, 3], [1, 1], one, 4, false),
    ];
    let case = |(x, filters, kernel, stride, padding, groups, bias)| ConvCase {
        x,
        filters,
        kernel,
        stride,
        padding,
        groups,
        bias,
    };
    rows.into_iter().map(case).collect()
}

#[test]
fn convolution_equals_burn() {
    for case in conv_cases() {
        let conv = case.layer();
        let x = random(case.x);
        let others = |gradients: &Gradients| {
            let mut all = vec![numbers(conv.weight.val().grad(gradients).expect("tracked"))];
            if let Some(bias) = &conv.bias {
                all.push(numbers(bias.val().grad(gradients).expect("tracked")));
            }
            all
        };
        let inputs = [x];
        let found = run(&inputs, |x| conv2d(x[0].clone(), &conv), others);
        let expected = run(&inputs, |x| conv.forward(x[0].clone()), others);
        let name = format!("{:?} {conv}", case.x);
        assert_close(&found, &expected, &name);
    }
}

#[test]
fn convolution_in_bf16_is_near_and_keeps_32_bits_around_it() {
    for case in conv_cases() {
        let conv = case.layer();
        let others = |gradients: &Gradients| {
            let gradient = conv.weight.val().grad(gradients).expect("tracked");
            assert_eq!(gradient.dtype(), DType::F32);
            vec![numbers(gradient)]
        };
        let inputs = [random(case.x)];
        let found = run(&inputs, |x| conv2d_bf16(x[0].clone(), &conv), others);
        let expected = run(&inputs, |x| conv.forward(x[0].clone()), others);
        for (found, expected) in found.iter().zip(&expected) {
            let norm = |values: &mut dyn Iterator<Item = f32>| -> f32 {
                values.map(|value| value * value).sum::<f32>().sqrt()
            };
            let size = norm(&mut expected.iter().copied());
            let distance = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / size;
            // bf16 has 8 bits of mantissa; and an exact result would not have been rounded at all.
            assert!(
                distance > 1e-5 && distance < 0.02,
                "{:?}: {distance}",
                case.x
            );
        }
    }
}

#[test]
fn an_untracked_input_gets_no_gradient() {
    let conv = Conv2dConfig::new([3, 16], [3, 3]).init(&device());
    let x = random([2, 3, 8, 8]);
    let gradients = conv2d(x.clone(), &conv).sum().backward();
    assert!(x.grad(&gradients).is_none());
    assert!(conv.weight.val().grad(&gradients).is_some());
}

#[test]
fn without_autodiff_the_same_numbers_come_out() {
    let conv = Conv2dConfig::new([3, 16], [3, 3]).init(&Device::flex());
    let norm = BatchNormConfig::new(16).init(&Device::flex());
    let x = random([2, 3, 8, 6]).inner();
    let found = batch_norm(conv2d(x.clone(), &conv), &norm, Activation::Relu);
    let expected = Activation::Relu.forward(norm.forward(conv.forward(x)));
    assert_close(&[numbers(found)], &[numbers(expected)], "inference");
}

/// A normalisation with given parameters, so that two of them start alike.
fn norm_layer(gamma: &Tensor<1>, beta: &Tensor<1>) -> BatchNorm {
    let mut norm = BatchNormConfig::new(gamma.dims()[0]).init(&device());
    norm.gamma = Param::from_tensor(gamma.clone());
    norm.beta = Param::from_tensor(beta.clone());
    norm
}

type NormLayer = fn(Vec<Tensor<4>>, &BatchNorm, Activation) -> Tensor<4>;

fn assert_norm_equals(inputs: usize, fast: NormLayer, plain: NormLayer) {
    let shapes = [
        [3, 16, 8, 6],
        [2, 5, 7, 9],
        [1, 33, 5, 4],
        [17, 8, 3, 3],
        [2, 64, 2, 2],
    ];
    for shape in shapes {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let x: Vec<_> = (0..inputs).map(|_| random(shape) * 3.0).collect();
            let (gamma, beta) = (random([shape[1]]), random([shape[1]]));
            let results = [fast, plain].map(|layer| {
                let norm = norm_layer(&gamma, &beta);
                let forward = |x| layer(x, &norm, activation);
                run(&x, forward, |gradients| {
                    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
                    vec![
                        numbers(gamma.grad(gradients).expect("tracked")),
                        numbers(beta.grad(gradients).expect("tracked")),
                        numbers(norm.running_mean.value_sync()),
                        numbers(norm.running_var.value_sync()),
                    ]
                })
            });
            let case = format!("{shape:?} {activation:?}");
            assert_close(&results[0], &results[1], &case);
        }
    }
}

#[test]
fn normalisation_equals_burn() {
    assert_norm_equals(
        1,
        |x, norm, activation| batch_norm(x[0].clone(), norm, activation),
        |x, norm, activation| activation.forward(norm.forward(x[0].clone())),
    );
}

#[test]
fn normalisation_with_residual_equals_burn() {
    assert_norm_equals(
        2,
        |x, norm, activation| batch_norm_add(x[0].clone(), x[1].clone(), norm, activation),
        |x, norm, activation| activation.forward(norm.forward(x[0].clone()) + x[1].clone()),
    );
}

#[test]
fn normalisation_with_pooling_equals_burn() {
    assert_norm_equals(
        1,
        |x, norm, activation| batch_norm_max_pool(x[0].clone(), norm, activation),
        |x, norm, activation| {
            let y = activation.forward(norm.forward(x[0].clone()));
            MaxPool2dConfig::new([2, 2])
                .with_strides([2, 2])
                .init()
                .forward(y)
        },
    );
}

#[test]
fn gates_equal_burn() {
    let pointwise = Conv2dConfig::new([5, 7], [1, 1]).init(&device());
    for [n, h, w] in [[3, 8, 6], [1, 1, 1], [17, 3, 4]] {
        let none = |_: &Gradients| vec![];
        let x = [random([n, 5, h, w]), random([n, 5, 1, 1])];
        let planes = [
            run(&x, |x| gate(x[0].clone(), x[1].clone()), none),
            run(&x, |x| x[0].clone() * x[1].clone(), none),
        ];
        assert_close(&planes[0], &planes[1], &format!("{n}, {h}×{w}"));
        // Channels-last, and the gate made of what it multiplies.
        let own = |x: &[Tensor<4>], fused: bool| {
            let x = conv2d(x[0].clone(), &pointwise);
            let factors = global_average(x.clone());
            if fused { gate(x, factors) } else { x * factors }
        };
        let last = [true, false].map(|fused| run(&x[..1], |x| own(&x, fused), none));
        assert_close(&last[0], &last[1], &format!("{n}, {h}×{w}, channels-last"));
    }
}

#[test]
fn averages_equal_burn() {
    let pointwise = Conv2dConfig::new([5, 7], [1, 1]).init(&device());
    let burn = |x: Tensor<4>| module::adaptive_avg_pool2d(x, [1, 1]);
    for shape in [[3, 5, 8, 6], [1, 5, 1, 1], [17, 5, 3, 4]] {
        let x = [random(shape)];
        let none = |_: &Gradients| vec![];
        let planes = [
            run(&x, |x| global_average(x[0].clone()), none),
            run(&x, |x| burn(x[0].clone()), none),
        ];
        assert_close(&planes[0], &planes[1], &format!("{shape:?}"));
        // The output of a fused convolution lies channels-last.
        let last = [
            run(
                &x,
                |x| global_average(conv2d(x[0].clone(), &pointwise)),
                none,
            ),
            run(&x, |x| burn(conv2d(x[0].clone(), &pointwise)), none),
        ];
        assert_close(&last[0], &last[1], &format!("{shape:?}, channels-last"));
    }
}

#[test]
fn a_fork_adds_the_gradients_of_what_follows() {
    let conv = Conv2dConfig::new([5, 8], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device());
    let pointwise = Conv2dConfig::new([5, 8], [1, 1]).init(&device());
    let clones = |x: Tensor<4>| [x.clone(), x];
    type Fork = fn(Tensor<4>) -> [Tensor<4>; 2];
    type Layer<'a> = &'a dyn Fn(Tensor<4>, Fork) -> Tensor<4>;
    let both = |[left, right]: [Tensor<4>; 2]| conv2d(left, &conv) + conv2d(right, &pointwise);
    let layers: [(&str, Layer); 4] = [
        ("a leaf", &|x, fork| both(fork(x))),
        ("channels-last", &|x, fork| {
            both(fork(conv2d(x.clone(), &pointwise).slice([0..3, 0..5]) + x))
        }),
        ("three users", &|x, fork| {
            let [x, also] = fork(x * 2.0);
            both(fork(x)) * also.mean().reshape([1, 1, 1, 1])
        }),
        ("one user", &|x, fork| {
            let [left, _] = fork(x * 2.0);
            conv2d(left, &conv)
        }),
    ];
    for (name, layer) in layers {
        let x = [random([3, 5, 7, 9])];
        let none = |_: &Gradients| vec![];
        let found = run(&x, |x| layer(x[0].clone(), fork), none);
        let expected = run(&x, |x| layer(x[0].clone(), clones), none);
        assert_close(&found, &expected, name);
    }
}

#[test]
fn of_equal_values_the_first_is_pooled_as_in_burn() {
    let x = Tensor::<4>::ones([2, 3, 4, 4], &device()) * random([2, 3, 1, 1]);
    let ones = Tensor::<1>::ones([3], &device());
    let results = [true, false].map(|fast| {
        let norm = norm_layer(&ones, &ones);
        let layer = |x: Vec<Tensor<4>>| {
            let x = x[0].clone();
            if fast {
                return batch_norm_max_pool(x, &norm, Activation::Relu);
            }
            let y = Activation::Relu.forward(norm.forward(x));
            let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
            pool.forward(y)
        };
        run(std::slice::from_ref(&x), layer, |_| vec![])
    });
    assert_close(&results[0], &results[1], "equal values");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let conv = Conv2dConfig::new([16, 24], [3, 3]).init(&device());
    let norm = BatchNormConfig::new(24).init(&device());
    let x = random([37, 16, 9, 10]);
    let bits = |threads: usize| -> Vec<Vec<u32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let results = pool.expect("threads").install(|| {
            run(
                std::slice::from_ref(&x),
                |x| batch_norm_max_pool(conv2d(x[0].clone(), &conv), &norm, Activation::Relu),
                |gradients| {
                    let weight = conv.weight.val().grad(gradients).expect("tracked");
                    vec![
                        numbers(weight),
                        numbers(norm.gamma.val().grad(gradients).expect("tracked")),
                    ]
                },
            )
        });
        let to_bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
        results.into_iter().map(to_bits).collect()
    };
    let one = bits(1);
    for threads in [2, 3, 5] {
        assert!(bits(threads) == one, "{threads} threads");
    }
}

#[test]
fn rounding_and_its_gradients_are_those_of_burn() {
    let grid = Grid {
        scale: 0.03,
        low: -0.6,
        high: 1.8,
    };
    // Not drawn, so that the same share is clamped each time.
    let wave = |count: usize, step: f32, height: f32| {
        let at = Tensor::<1, Int>::arange(0..count as i64, &device()).float();
        (at * step).sin() * height
    };
    for shape in [[2, 3, 5, 4], [1, 17, 9, 9], [3, 40, 1, 1]] {
        let x = wave(shape.iter().product(), 0.73, 1.4).reshape(shape) + 0.6;
        let bias = Param::from_tensor(wave(shape[1], 1.3, 0.3));
        let layer = |fused: bool| {
            let of_bias =
                |gradients: &Gradients| vec![numbers(bias.grad(gradients).expect("tracked"))];
            let layer = |inputs: Vec<Tensor<4>>| {
                let [x] = <[Tensor<4>; 1]>::try_from(inputs).expect("one input");
                match fused {
                    true => round(x, bias.val(), grid),
                    false => grid.round(x + bias.val().reshape([1, -1, 1, 1])),
                }
            };
            run(std::slice::from_ref(&x), layer, of_bias)
        };
        let (found, expected) = (layer(true), layer(false));
        assert_close(&found, &expected, &format!("{shape:?}"));
        let clamped = expected[1].iter().filter(|x| **x == 0.0).count();
        assert!(
            clamped > 0 && clamped < expected[1].len() / 2,
            "some are clamped"
        );
    }
}
