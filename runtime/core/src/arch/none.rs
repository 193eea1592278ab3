//! Where there are no kernels.
#![allow(dead_code, reason = "not all processors are of this kind")]

use crate::layer::{Binary, Conv, Pool, Table};

/// No instruction set.
#[derive(Clone, Copy, Debug)]
pub enum Isa {}

pub fn isas() -> impl Iterator<Item = Isa> {
    core::iter::empty()
}

impl Isa {
    pub fn conv(self, _: &Conv<'_>, _: &mut [u8]) -> bool {
        match self {}
    }

    pub fn binary(self, _: &Binary, _: &mut [u8]) -> bool {
        match self {}
    }

    pub fn table(self, _: &Table<'_>, _: &mut [u8]) -> bool {
        match self {}
    }

    pub fn pool(self, _: &Pool, _: &mut [u8]) -> bool {
        match self {}
    }
}
