//! The app on a board of memory alone: every call, every error, retries, and lines that garble.

mod answers;
mod errors;
mod line;
mod mock;
mod models;

use kiln_core::Model;
use kiln_core::explain::Maps;
use kiln_core::preprocess::{PictureView, preprocess};
use kiln_link::frame::{Decoder, MAX_FRAME, encode, message};
use kiln_link::{Answer, Call, CallError, FrameError, Inferred, PixelFormat, Reply, Request};
use mock::{HEIGHT, LARGEST, WIDTH, serve};
use models::{bytes, input_of, knowing, mapped, plain};

/// The frame of a request.
fn request(number: u16, call: Call<'_>) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    let frame = encode(&Request { number, call }, &mut buffer);
    frame.expect("a request fits").to_vec()
}

/// What replies say, one a line: as they are told by `Debug`.
fn replies(sent: &[u8]) -> Vec<String> {
    let mut decoder: Decoder = Decoder::new();
    let mut replies = Vec::new();
    for &byte in sent {
        if let Some(frame) = decoder.feed(byte) {
            let reply: Reply<'_> = message(frame.unwrap()).unwrap();
            replies.push(format!("{reply:?}"));
        }
    }
    replies
}

fn told(number: u16, result: Result<Answer<'_>, CallError>) -> String {
    format!("{:?}", Reply { number, result })
}

/// Serves calls, numbered from 1.
fn answers(model: &[u8], calls: &[Call<'_>]) -> Vec<String> {
    let line: Vec<u8> = (1..)
        .zip(calls)
        .flat_map(|(number, &call)| request(number, call))
        .collect();
    replies(&serve(model, &line).sent)
}

/// A picture of 5 × 4 pixels.
fn picture() -> Vec<u8> {
    (0..60).map(|index| (index * 41 % 256) as u8).collect()
}

const PICTURE: Call<'_> = Call::Picture {
    width: 5,
    height: 4,
};

const fn data(offset: u32, bytes: &[u8]) -> Call<'_> {
    Call::Data { offset, bytes }
}

/// An arena with the quantized picture as input, and what the model sees of the picture.
fn ready(model: &Model<'_>, rgb: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let recipe = model.recipe().unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut scratch = vec![0; recipe.scratch_len(5, 4)];
    let view = PictureView::new(5, 4, rgb).unwrap();
    let input = model.input_mut(&mut arena).unwrap();
    preprocess(view, &recipe, &mut scratch, input).unwrap();
    let pixels = input.to_vec();
    model.quantize_pixels(&mut arena).unwrap();
    (arena, pixels)
}

/// What the engine makes of the picture on its own: the answer, and the logits.
fn expected(model: &[u8], rgb: &[u8]) -> (Inferred, Vec<u8>) {
    let model = Model::new(model).unwrap();
    let (mut arena, _) = ready(&model, rgb);
    let output = model.run_in_place(&mut arena).unwrap();
    let top = output.top::<3>().map(|class| kiln_link::Top {
        class: class.index as u16,
        probability: class.probability,
    });
    // The mock's clock ticks once for each look at it: four rows and the table, then each layer.
    let inferred = Inferred {
        top,
        preprocess_ticks: 5,
        infer_ticks: model.layer_count() as u32,
    };
    (inferred, output.values().to_vec())
}

/// What the model sees of the picture, and what each place of it says for a class.
fn explained(model: &Model<'_>, rgb: &[u8], class: usize) -> (Vec<u8>, Vec<i32>) {
    let (mut arena, pixels) = ready(model, rgb);
    let maps = Maps::of(model).unwrap();
    let mut features = vec![0; maps.shape().len()];
    maps.run(model, &mut arena, &mut features).unwrap();
    let mut map = vec![0; maps.shape().pixels()];
    maps.map(&features, class, &mut map).unwrap();
    (pixels, map)
}
