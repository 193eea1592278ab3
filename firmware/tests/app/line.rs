//! Retries, and lines that garble.

use super::*;

/// The answer comes again, and nothing is done again: a second inference would be refused.
#[test]
fn a_retry_is_answered_from_what_is_kept() {
    let (model, rgb) = (bytes(), picture());
    let (inferred, _) = expected(&model, &rgb);
    let infer = request(3, Call::Infer);
    // Noise between the tries costs an answer of its own, with number 0.
    let line = [
        request(1, PICTURE),
        request(1, PICTURE),
        request(2, data(0, &rgb)),
        request(2, data(0, &rgb)),
        infer.clone(),
        vec![0, 1, 2, 3, 0],
        infer,
        request(4, Call::Infer),
        request(3, Call::Infer),
    ]
    .concat();
    let received = |done| Ok(Answer::Received { done, total: 60 });
    let expected = [
        told(1, received(0)),
        told(1, received(0)),
        told(2, received(60)),
        told(2, received(60)),
        told(3, Ok(Answer::Inferred(inferred))),
        told(0, Err(CallError::Frame(FrameError::Malformed))),
        told(3, Ok(Answer::Inferred(inferred))),
        told(4, Err(CallError::NothingBegun)),
        told(3, Err(CallError::NothingBegun)),
    ];
    assert_eq!(replies(&serve(&model, &line).sent), expected);
}

#[test]
fn frames_that_cannot_be_read_are_told_with_number_0() {
    let good = request(1, Call::Hello);
    let mut flipped = good.clone();
    let last = flipped.len() - 2;
    flipped[last] ^= 0x41;
    let endless = vec![1; 5000];
    let cases = [
        (vec![5, 1, 1, 0], "Malformed"),
        (flipped, "Checksum"),
        ([&endless[..], &[0]].concat(), "TooLong"),
        (
            good[..good.len() - 3].iter().copied().chain([0]).collect(),
            "Malformed",
        ),
    ];
    for (bytes_of_line, name) in cases {
        let line = [&bytes_of_line[..], &good].concat();
        let found = replies(&serve(&bytes(), &line).sent);
        assert!(
            found[0].starts_with("Reply { number: 0, result: Err(Frame("),
            "{}",
            found[0]
        );
        assert!(found[0].contains(name), "{name}: {}", found[0]);
        assert_eq!(found.len(), 2, "{name}");
        assert!(found[1].contains("board: \"mock\""));
    }
}

/// 6,000 lines of a session, each with bytes changed, lost, doubled or made up: it ends, and the request
/// after it is answered.
#[test]
fn whatever_comes_the_next_request_is_answered() {
    let (model, rgb, input) = (bytes(), picture(), input_of(0));
    let calls = [
        PICTURE,
        data(0, &rgb[..33]),
        data(33, &rgb[33..]),
        Call::Infer,
        Call::Verify { vector: 1 },
        Call::Tensor,
        data(0, &input),
        Call::Infer,
        Call::Logits { offset: 0 },
    ];
    let session: Vec<u8> = (1..)
        .zip(calls)
        .flat_map(|(n, call)| request(n, call))
        .collect();
    let hello = request(500, Call::Hello);
    let whole = replies(&serve(&model, &hello).sent).pop();
    let mut random = mock::Random(5);
    let (mut refused, mut kept) = (0, 0);
    for trial in 0..6000 {
        let mut line = session.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(line.len());
            match random.below(5) {
                0 => line[at] ^= 1 << random.below(8),
                1 => line.truncate(at.max(1)),
                2 => drop(line.drain(at..(at + 1 + random.below(40)).min(line.len()))),
                3 => line.insert(at, random.below(256) as u8),
                _ => line
                    .splice(
                        at..at,
                        (0..random.below(900)).map(|_| random.below(256) as u8),
                    )
                    .for_each(drop),
            }
            if line.is_empty() {
                line.push(0);
            }
        }
        line.push(0);
        line.extend(&hello);
        let found = replies(&serve(&model, &line).sent);
        assert_eq!(found.last(), whole.as_ref(), "{trial}");
        refused += found
            .iter()
            .filter(|reply| reply.contains("Frame("))
            .count();
        kept += found
            .iter()
            .filter(|reply| reply.contains("Inferred("))
            .count();
    }
    assert!(
        refused > 3000 && kept > 3000,
        "{refused} frames refused, {kept} inferences"
    );
}
