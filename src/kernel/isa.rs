//! Which instructions this processor has.
//!
//! Owns detection and the switch by which tests and benches ask for less. An [`Isa`] exists only where it can run, which
//! is what makes the kernels sound.

/// Sets of instructions, best first. Values other than [`Isa::Portable`] are made by [`Isa::choose`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Matrix tiles of bf16 (Sapphire Rapids and later); f32 as [`Isa::Avx512`].
    Amx,
    /// Dot products of bf16 pairs (Cooper Lake, Zen 4 and later); f32 as [`Isa::Avx512`].
    Avx512Bf16,
    /// bf16 is widened to f32.
    Avx512,
    Avx2,
    /// What the compiler may assume of every processor of its target.
    Portable,
}

/// The environment variable that asks for fewer instructions than the processor has.
pub const VARIABLE: &str = "TOKSHIFT_CPU";

const NAMES: [(&str, Isa); 5] = [
    ("amx", Isa::Amx),
    ("avx512bf16", Isa::Avx512Bf16),
    ("avx512", Isa::Avx512),
    ("avx2", Isa::Avx2),
    ("portable", Isa::Portable),
];

impl Isa {
    /// The best that this processor has, or what [`VARIABLE`] asks for.
    ///
    /// # Errors
    /// A name that is none, or that of instructions which the processor does not have.
    pub fn from_env() -> Result<Self, String> {
        match std::env::var(VARIABLE) {
            Ok(name) => Self::choose(&name),
            Err(_) => Ok(Self::best()),
        }
    }

    /// The set called `name`.
    ///
    /// # Errors
    /// As [`Isa::from_env`].
    pub fn choose(name: &str) -> Result<Self, String> {
        let known = || NAMES.map(|(name, _)| name).join(", ");
        let Some(&(_, isa)) = NAMES.iter().find(|(known, _)| *known == name) else {
            return Err(format!("{VARIABLE} is `{name}`; it can be one of {}", known()));
        };
        if isa.is_available() {
            Ok(isa)
        } else {
            Err(format!(
                "{VARIABLE} asks for `{name}`, which this processor does not have; its best is {}",
                Self::best()
            ))
        }
    }

    /// The best set of this processor.
    pub fn best() -> Self {
        NAMES.map(|(_, isa)| isa).into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Every set that this processor has, best first.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, isa)| isa).filter(|isa| isa.is_available())
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Self::Amx => Self::Avx512Bf16.is_available() && super::amx::is_available(),
            Self::Avx512Bf16 => Self::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let name = NAMES.iter().find(|(_, isa)| isa == self).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}
