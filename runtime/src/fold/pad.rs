//! Pad goes into the windows that read it.

use kiln_core::window::Window;

use super::clamp::not_negative;
use crate::graph::{Graph, Op};

/// Pad, Conv or pool to a window with more padding.
pub fn into_window(graph: &mut Graph, node: usize) -> bool {
    let Some(producer) = graph.nodes[node]
        .inputs
        .first()
        .and_then(|value| graph.producer(*value))
    else {
        return false;
    };
    let Op::Pad { padding, value } = graph.nodes[producer].op else {
        return false;
    };
    let from = graph.nodes[producer].inputs[0];
    let positive = not_negative(graph, from);
    let op = match graph.nodes[node].op.clone() {
        Op::Conv(mut conv) if value == 0.0 => match widen(conv.window, padding) {
            Some(window) => {
                conv.window = window;
                Op::Conv(conv)
            }
            None => return false,
        },
        // Padding counts here; the window's own may not.
        Op::AveragePool {
            window,
            count_include_pad,
        } if value == 0.0 && (count_include_pad || window.padding == [0; 4]) => {
            match widen(window, padding).filter(within_kernel) {
                Some(window) => Op::AveragePool {
                    window,
                    count_include_pad: true,
                },
                None => return false,
            }
        }
        // The window's own padding is less than anything: the same where each window has a value
        // that is no less than the pad's.
        Op::MaxPool(window) if value == f32::NEG_INFINITY || (value == 0.0 && positive) => {
            match widen(window, padding).filter(within_kernel) {
                Some(window) => Op::MaxPool(window),
                None => return false,
            }
        }
        _ => return false,
    };
    graph.nodes[node].op = op;
    graph.nodes[node].inputs[0] = from;
    true
}

fn widen(mut window: Window, padding: [u32; 4]) -> Option<Window> {
    for (side, more) in window.padding.iter_mut().zip(padding) {
        *side = side.checked_add(u16::try_from(more).ok()?)?;
    }
    Some(window)
}

/// Whether no window lies in padding alone.
fn within_kernel(window: &Window) -> bool {
    let [rows, columns] = window.span();
    let [top, left, bottom, right] = window.padding.map(u32::from);
    top < rows && bottom < rows && left < columns && right < columns
}
