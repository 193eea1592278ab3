//! Calls that are refused.

use super::*;

#[test]
fn what_is_wrong_is_told() {
    let (model, tensor_only, rgb) = (bytes(), plain(), picture());
    let largest = LARGEST;
    let size = Err(CallError::PictureSize { largest });
    let picture = |width, height| Call::Picture { width, height };
    let long = [0; 61];
    // The calls, of which the last is refused.
    type Case<'c> = (&'c [u8], Vec<Call<'c>>, Result<Answer<'c>, CallError>);
    let cases: [Case<'_>; 18] = [
        (&model, vec![picture(0, 4)], size),
        (&model, vec![picture(5, 0)], size),
        (&model, vec![picture(LARGEST[0] + 1, 4)], size),
        (&model, vec![picture(5, LARGEST[1] + 1)], size),
        (&tensor_only, vec![PICTURE], Err(CallError::NoRecipe)),
        (&model, vec![data(0, &rgb)], Err(CallError::NothingBegun)),
        (&model, vec![Call::Infer], Err(CallError::NothingBegun)),
        (
            &model,
            vec![PICTURE, data(1, &rgb)],
            Err(CallError::Offset { expected: 0 }),
        ),
        (
            &model,
            vec![PICTURE, data(0, &rgb[..7]), data(0, &rgb[..7])],
            Err(CallError::Offset { expected: 7 }),
        ),
        (
            &model,
            vec![PICTURE, data(0, &long)],
            Err(CallError::TooMany { total: 60 }),
        ),
        (
            &model,
            vec![PICTURE, data(0, &rgb[..59]), Call::Infer],
            Err(CallError::Incomplete {
                done: 59,
                total: 60,
            }),
        ),
        // An inference uses the picture up, and so does a golden vector.
        (
            &model,
            vec![PICTURE, data(0, &rgb), Call::Infer, Call::Infer],
            Err(CallError::NothingBegun),
        ),
        (
            &model,
            vec![
                PICTURE,
                data(0, &rgb),
                Call::Verify { vector: 0 },
                Call::Infer,
            ],
            Err(CallError::NothingBegun),
        ),
        (
            &model,
            vec![Call::Logits { offset: 0 }],
            Err(CallError::NotInferred),
        ),
        (
            &model,
            vec![
                PICTURE,
                data(0, &rgb),
                Call::Infer,
                Call::Tensor,
                Call::Logits { offset: 0 },
            ],
            Err(CallError::NotInferred),
        ),
        (
            &model,
            vec![Call::Profile { layer: 0 }],
            Err(CallError::NotInferred),
        ),
        (
            &model,
            vec![Call::Verify { vector: 2 }],
            Err(CallError::NoSuch { count: 2 }),
        ),
        (
            &model,
            vec![Call::Label { class: 4 }],
            Err(CallError::NoSuch { count: 4 }),
        ),
    ];
    for (model, calls, result) in cases {
        let last = answers(model, &calls).pop().unwrap();
        assert_eq!(last, told(calls.len() as u16, result), "{calls:?}");
    }
}

/// A picture that is refused leaves the one that is coming as it was.
#[test]
fn a_refused_call_changes_nothing() {
    let (model, rgb) = (bytes(), picture());
    let (inferred, _) = expected(&model, &rgb);
    let calls = [
        PICTURE,
        data(0, &rgb[..20]),
        Call::Picture {
            width: 0,
            height: 1,
        },
        data(21, &rgb[20..]),
        Call::Verify { vector: 9 },
        data(20, &rgb[20..]),
        Call::Infer,
    ];
    let last = answers(&model, &calls).pop().unwrap();
    assert_eq!(last, told(7, Ok(Answer::Inferred(inferred))));
}

#[test]
fn flash_that_is_no_model_is_told() {
    let mut model = bytes();
    model[4] = 99;
    let calls = [
        Call::Hello,
        PICTURE,
        Call::Tensor,
        Call::Verify { vector: 0 },
        Call::Memory,
    ];
    let found = answers(&model, &calls);
    assert!(found[0].contains("intact: false") && found[0].contains("model: \"\""));
    for number in 2..=4 {
        assert_eq!(
            found[number - 1],
            told(number as u16, Err(CallError::Model))
        );
    }
    assert!(found[4].contains("model: 0"), "{}", found[4]);
}
