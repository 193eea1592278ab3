/// What a model was laid out for. A hint for people and tools: every engine runs every model, only
/// not as fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// Plain loops anywhere.
    #[default]
    Generic,
    /// x86-64, whatever it has.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// WebAssembly with simd128.
    Wasm32,
    /// Cortex-M0, M0+.
    CortexM0,
    /// Cortex-M3.
    CortexM3,
    /// Cortex-M4.
    CortexM4,
    /// Cortex-M7.
    CortexM7,
    /// Cortex-M33.
    CortexM33,
    /// Cortex-M55, with MVE.
    CortexM55,
}

impl Target {
    /// All, in the order of what stands for them in a file.
    pub const ALL: [Self; 10] = [
        Self::Generic,
        Self::X86_64,
        Self::Aarch64,
        Self::Wasm32,
        Self::CortexM0,
        Self::CortexM3,
        Self::CortexM4,
        Self::CortexM7,
        Self::CortexM33,
        Self::CortexM55,
    ];

    /// What stands for it in a file.
    pub(crate) const fn id(self) -> u16 {
        self as u16
    }

    /// The target that a file means.
    pub(crate) const fn from_id(id: u16) -> Option<Self> {
        let id = id as usize;
        if id < Self::ALL.len() {
            Some(Self::ALL[id])
        } else {
            None
        }
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "aarch64",
            Self::Wasm32 => "wasm32",
            Self::CortexM0 => "cortex-m0",
            Self::CortexM3 => "cortex-m3",
            Self::CortexM4 => "cortex-m4",
            Self::CortexM7 => "cortex-m7",
            Self::CortexM33 => "cortex-m33",
            Self::CortexM55 => "cortex-m55",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_their_own() {
        for (index, target) in Target::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(target.id()), index);
            assert_eq!(Target::from_id(target.id()), Some(target));
            let namesakes = Target::ALL.iter().filter(|t| t.name() == target.name());
            assert_eq!(namesakes.count(), 1);
        }
        assert_eq!(Target::from_id(Target::ALL.len() as u16), None);
    }
}
