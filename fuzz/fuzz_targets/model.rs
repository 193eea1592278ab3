//! Whatever the bytes, `Model::new` gives a model that runs, or an error.

#![no_main]

use kiln_core::Model;
use libfuzzer_sys::fuzz_target;

/// What is run: other models are only checked, since a small file may ask for a minute's work.
const MOST_ARENA: usize = 1 << 18;
const MOST_WORK: u64 = 1 << 24;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::new(bytes) else { return };
    let needed = model.arena_bytes();
    assert_eq!(needed, Model::arena_len(bytes));
    let work: u64 = model.layers().map(|(_, layer)| layer.macs()).sum();
    if needed > MOST_ARENA || work > MOST_WORK {
        return;
    }
    let mut arena = vec![0x5a; needed];
    let place = model
        .input_mut(&mut arena)
        .expect("the arena is as large as the model says");
    for (index, value) in place.iter_mut().enumerate() {
        *value = (index * 37) as u8;
    }
    if model.recipe().is_some() {
        model
            .quantize_pixels(&mut arena)
            .expect("a model with a recipe has a table");
    }
    let mut layers = 0;
    let output = model.run_with(&mut arena, &mut |index, _, output| {
        assert_eq!(index, layers);
        assert!(!output.is_empty());
        layers += 1;
    });
    let output = output.expect("a checked model runs");
    assert_eq!(output.len(), model.output().shape.len());
    assert_eq!(output.logits().count(), output.len());
    assert!(
        output
            .top::<3>()
            .iter()
            .all(|class| class.index <= output.len())
    );
    assert_eq!(layers, model.layer_count());
    assert_eq!(model.layers().count(), layers);
    assert!([0, output.len()].contains(&model.labels().count()));
    for golden in model.golden() {
        assert_eq!(golden.logits.len(), model.output().shape.len());
        assert_eq!(golden.sums().count(), layers);
    }
    let _ = model.checksum_ok();
});
