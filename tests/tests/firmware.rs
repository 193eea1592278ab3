//! What is in a board's flash: its size is a budget, and nothing in it can panic.

use kiln_board::boards::{EMULATED, find};
use kiln_core::{Model, Target};
use kiln_source::flash;
use kiln_tests::boards::{program, shipped, variant};
use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSymbol};

/// The engine without its model on a Cortex-M4: the check of a file, preprocessing, the operators that the
/// model needs, and the most probable class; vectors and start-up too. With every operator it is some 10 KB
/// more. TensorFlow Lite Micro takes 82 KB.
const ENGINE: usize = 16_384;

/// All of a board's flash but the model.
const PROGRAMS: [(&str, usize); 5] = [
    ("lm3s6965evb", 54_500),
    ("mps2-an386", 54_900),
    ("mps2-an500", 54_900),
    ("mps2-an505", 55_900),
    ("mps3-an547", 59_200),
];

fn nano(target: Target) -> Vec<u8> {
    shipped("catsdogs-nano", target, 0)
}

/// Functions of the standard library that a panic goes through.
fn panics(elf: &[u8]) -> Vec<String> {
    let file = ElfFile32::<Endianness>::parse(elf).unwrap();
    let names = file.symbols().filter_map(|symbol| symbol.name().ok());
    let all: Vec<String> = names.map(str::to_owned).collect();
    assert!(all.len() > 50, "the program has its symbols");
    let panics = |name: &String| name.contains("4core9panicking");
    all.into_iter().filter(panics).collect()
}

#[test]
fn the_engine_fits_its_budget_and_cannot_panic() {
    let model = nano(Target::CortexM4);
    let board = find("mps2-an386").unwrap();
    let elf = std::fs::read(variant(board, "engine", "engine", &model)).unwrap();
    let size = flash(&elf).unwrap() as usize - Model::new(&model).unwrap().file_bytes();
    println!("engine: {size} bytes");
    assert_eq!(panics(&elf), [""; 0]);
    assert!(size <= ENGINE, "{size} bytes, {} too many", size - ENGINE);
}

#[test]
fn every_board_fits_its_budget_and_cannot_panic() {
    for (name, budget) in PROGRAMS {
        let board = find(name).unwrap();
        let model = nano(board.target);
        let elf = program(board, &model).unwrap_or_else(|error| panic!("{name}: {error}"));
        let elf = std::fs::read(elf).unwrap();
        let size = flash(&elf).unwrap() as usize - model.len();
        println!("{name}: {size} bytes");
        assert_eq!(panics(&elf), [""; 0], "{name}");
        assert!(size <= budget, "{name}: {size} bytes, budget {budget}");
    }
    assert_eq!(PROGRAMS.len(), EMULATED.len());
}
